/*
 * ad_benchfs_wait.c - MPI calls that wait, made of calls that do not.
 *
 * Each starts MPI's nonblocking relative and tests it until it is done. How often, and what happens
 * in between, is bfs_idle(): nothing at first, so that a wait for a rank on another core is as
 * short as MPI's own; then the core is offered to whoever wants it.
 */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* syscall */
#endif
#include "ad_benchfs_wait.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Turns before the core is offered: some tens of microseconds. */
#define SPIN_TURNS 64
/* An offer that took longer was taken. */
#define TAKEN_NS 2000
/* Offers in a row that nobody takes until the core counts as free again. */
#define FREE_OFFERS 64
/* From here on a wait sleeps while others want the core, a part of what it has lasted already. */
#define SLEEP_AFTER_NS 4000000
#define SLEEP_PART 16
#define SLEEP_MAX_NS 1000000
/* Who will be woken sleeps at once and longer, but for one wait of several, which finds out whether
 * others still want the core. */
#define ASK_EVERY 8
#define WOKEN_MIN_NS 500000
#define WOKEN_PART 4
#define WOKEN_MAX_NS 5000000

/* More than 0: others wanted this core lately, so there is no use in spinning first. */
static _Thread_local unsigned wanted;
static _Thread_local unsigned waits;

static int64_t now_ns(void) {
  struct timespec time;

  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Spins for the first turns; then offers the core, with what came of it remembered. */
void bfs_idle_awake(struct bfs_idle* idle) {
  int64_t before, after;

  if (++idle->turns < SPIN_TURNS && wanted == 0) return;
  before = now_ns();
  if (idle->since == 0) idle->since = before;
  sched_yield();
  after = now_ns();
  if (after - before > TAKEN_NS)
    wanted = FREE_OFFERS;
  else if (wanted > 0)
    wanted--;
}

void bfs_idle(struct bfs_idle* idle) {
  const int64_t lasted = wanted > 0 && idle->since != 0 ? now_ns() - idle->since : 0;

  if (lasted > SLEEP_AFTER_NS) {
    const int64_t part = lasted / SLEEP_PART;
    const struct timespec nap = {0, (long)(part < SLEEP_MAX_NS ? part : SLEEP_MAX_NS)};

    nanosleep(&nap, NULL);
  } else {
    bfs_idle_awake(idle);
  }
}

int bfs_idle_sleeps(struct bfs_idle* idle) {
  if (idle->turns == 0) idle->sleeps = wanted > 0 && ++waits % ASK_EVERY != 0;
  if (idle->sleeps) return 1;
  bfs_idle_awake(idle);
  idle->sleeps = wanted == FREE_OFFERS;
  return 0;
}

void bfs_idle_on(struct bfs_idle* idle, const _Atomic uint32_t* word, uint32_t seen) {
  struct timespec time = {0, WOKEN_MIN_NS};
  const int64_t now = now_ns();

  idle->turns++;
  if (idle->since == 0) idle->since = now;
  if ((now - idle->since) / WOKEN_PART > WOKEN_MIN_NS)
    time.tv_nsec = (long)((now - idle->since) / WOKEN_PART);
  if (time.tv_nsec > WOKEN_MAX_NS) time.tv_nsec = WOKEN_MAX_NS;
  syscall(SYS_futex, word, FUTEX_WAIT, seen, &time, NULL, 0);
}

/* What is waited for: one request, all of several, any of them, or a message. */
enum wanted_kind { ONE, ALL, ANY, MESSAGE };
struct wait {
  enum wanted_kind kind;
  int n;
  MPI_Request* requests;
  MPI_Status* statuses;
  int* which;      /* ANY */
  int source, tag; /* MESSAGE */
  MPI_Comm comm;
};

static int test(const struct wait* wait, int* done) {
  switch (wait->kind) {
    case MESSAGE:
      return PMPI_Iprobe(wait->source, wait->tag, wait->comm, done, wait->statuses);
    case ANY:
      return PMPI_Testany(wait->n, wait->requests, wait->which, done, wait->statuses);
    case ALL:
      return PMPI_Testall(wait->n, wait->requests, done, wait->statuses);
    default:
      return PMPI_Test(wait->requests, done, wait->statuses);
  }
}

static int finish(const struct wait* wait) {
  struct bfs_idle idle = {0};
  int done = 0;
  int code = test(wait, &done);
  int depth;

  if (done || code != MPI_SUCCESS) return code;
  depth = BFS_SECTION_LEAVE();
  while (code == MPI_SUCCESS && !done) {
    if (bfs_requests_progress())
      idle = (struct bfs_idle){0};
    else
      bfs_idle(&idle);
    code = test(wait, &done);
  }
  BFS_SECTION_RETURN(depth);
  return code;
}

int bfs_wait(MPI_Request* request, MPI_Status* status) {
  return finish(&(struct wait){.kind = ONE, .requests = request, .statuses = status});
}

int bfs_waitall(int n, MPI_Request* requests, MPI_Status* statuses) {
  return finish(&(struct wait){.kind = ALL, .n = n, .requests = requests, .statuses = statuses});
}

int bfs_waitany(int n, MPI_Request* requests, int* which, MPI_Status* status) {
  return finish(&(struct wait){
      .kind = ANY, .n = n, .requests = requests, .statuses = status, .which = which});
}

/* The end of all below: `code` is how the start went. */
static int started(int code, MPI_Request* request) {
  return code != MPI_SUCCESS ? code : bfs_wait(request, MPI_STATUS_IGNORE);
}

/* A communicator of one rank has nobody to wait for, and MPI says what is wrong with none. */
static int alone(MPI_Comm comm) {
  int size = 1;

  if (comm != MPI_COMM_NULL) PMPI_Comm_size(comm, &size);
  return size == 1;
}

/* ---- messages ----------------------------------------------------------------------------------
 */

/* MPI would tell an error of a nonblocking one to the handler of MPI_COMM_WORLD. */
int bfs_recv(void* data, int n, MPI_Datatype type, int source, int tag, MPI_Comm comm,
             MPI_Status* status) {
  const int code = finish(&(struct wait){
      .kind = MESSAGE, .statuses = MPI_STATUS_IGNORE, .source = source, .tag = tag, .comm = comm});
  const int depth = BFS_SECTION_LEAVE();
  const int result =
      code != MPI_SUCCESS ? code : PMPI_Recv(data, n, type, source, tag, comm, status);

  BFS_SECTION_RETURN(depth);
  return result;
}

int bfs_send(const void* data, int n, MPI_Datatype type, int target, int tag, MPI_Comm comm) {
  MPI_Request request;

  return started(PMPI_Isend(data, n, type, target, tag, comm, &request), &request);
}

/* ---- collectives -------------------------------------------------------------------------------
 */

int bfs_barrier(MPI_Comm comm) {
  MPI_Request request;

  if (alone(comm)) return PMPI_Barrier(comm);
  return started(PMPI_Ibarrier(comm, &request), &request);
}

int bfs_bcast(void* data, int n, MPI_Datatype type, int root, MPI_Comm comm) {
  MPI_Request request;

  if (alone(comm)) return PMPI_Bcast(data, n, type, root, comm);
  return started(PMPI_Ibcast(data, n, type, root, comm, &request), &request);
}

int bfs_comm_dup(MPI_Comm comm, MPI_Comm* made) {
  MPI_Request request;

  if (alone(comm)) return PMPI_Comm_dup(comm, made);
  return started(PMPI_Comm_idup(comm, made, &request), &request);
}

int bfs_allreduce(const void* from, void* to, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm) {
  MPI_Request request;

  if (alone(comm)) return PMPI_Allreduce(from, to, n, type, op, comm);
  return started(PMPI_Iallreduce(from, to, n, type, op, comm, &request), &request);
}

int bfs_scan(const void* from, void* to, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm) {
  MPI_Request request;

  if (alone(comm)) return PMPI_Scan(from, to, n, type, op, comm);
  return started(PMPI_Iscan(from, to, n, type, op, comm, &request), &request);
}

int bfs_gather(const void* from, int n, MPI_Datatype type, void* to, int n_to, MPI_Datatype type_to,
               int root, MPI_Comm comm) {
  MPI_Request request;

  if (alone(comm)) return PMPI_Gather(from, n, type, to, n_to, type_to, root, comm);
  return started(PMPI_Igather(from, n, type, to, n_to, type_to, root, comm, &request), &request);
}

int bfs_gatherv(const void* from, int n, MPI_Datatype type, void* to, const int* n_to,
                const int* places, MPI_Datatype type_to, int root, MPI_Comm comm) {
  MPI_Request request;

  if (alone(comm)) return PMPI_Gatherv(from, n, type, to, n_to, places, type_to, root, comm);
  return started(PMPI_Igatherv(from, n, type, to, n_to, places, type_to, root, comm, &request),
                 &request);
}

int bfs_allgather(const void* from, int n, MPI_Datatype type, void* to, int n_to,
                  MPI_Datatype type_to, MPI_Comm comm) {
  MPI_Request request;

  if (alone(comm)) return PMPI_Allgather(from, n, type, to, n_to, type_to, comm);
  return started(PMPI_Iallgather(from, n, type, to, n_to, type_to, comm, &request), &request);
}

int bfs_alltoall(const void* from, int n, MPI_Datatype type, void* to, int n_to,
                 MPI_Datatype type_to, MPI_Comm comm) {
  MPI_Request request;

  if (alone(comm)) return PMPI_Alltoall(from, n, type, to, n_to, type_to, comm);
  return started(PMPI_Ialltoall(from, n, type, to, n_to, type_to, comm, &request), &request);
}

int bfs_alltoallw(const void* from, const int* n, const int* places, const MPI_Datatype* types,
                  void* to, const int* n_to, const int* places_to, const MPI_Datatype* types_to,
                  MPI_Comm comm) {
  MPI_Request request;

  if (alone(comm))
    return PMPI_Alltoallw(from, n, places, types, to, n_to, places_to, types_to, comm);
  return started(
      PMPI_Ialltoallw(from, n, places, types, to, n_to, places_to, types_to, comm, &request),
      &request);
}
