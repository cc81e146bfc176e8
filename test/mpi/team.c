/*
 * team.c - the agreements of ad_benchfs_team.h: values, what rank 0 tells, communicators that are
 * used again, more files than places, a communicator that goes before its files, and ranks that
 * cannot share memory. Compiled with that file and its waits alone, it needs no servers; linked so
 * that MPI's collectives are counted (programs.sh).
 */
#include <sys/resource.h>
#include <unistd.h>

#include "ad_benchfs_team.h"
#include "check.h"

#define MANY (BFS_TEAM_FILES + 3)

static int collectives; /* of MPI, by this rank's team */
static int progress_calls;

/* In the driver this moves on nonblocking file operations. */
int bfs_requests_progress(void) {
  progress_calls++;
  return 0;
}

int __real_PMPI_Iallreduce(const void*, void*, int, MPI_Datatype, MPI_Op, MPI_Comm, MPI_Request*);
int __wrap_PMPI_Iallreduce(const void* from, void* to, int n, MPI_Datatype type, MPI_Op op,
                           MPI_Comm comm, MPI_Request* request) {
  collectives++;
  return __real_PMPI_Iallreduce(from, to, n, type, op, comm, request);
}
int __real_PMPI_Ibcast(void*, int, MPI_Datatype, int, MPI_Comm, MPI_Request*);
int __wrap_PMPI_Ibcast(void* data, int n, MPI_Datatype type, int root, MPI_Comm comm,
                       MPI_Request* request) {
  collectives++;
  return __real_PMPI_Ibcast(data, n, type, root, comm, request);
}
int __real_PMPI_Comm_idup(MPI_Comm, MPI_Comm*, MPI_Request*);
int __wrap_PMPI_Comm_idup(MPI_Comm comm, MPI_Comm* made, MPI_Request* request) {
  collectives++;
  return __real_PMPI_Comm_idup(comm, made, request);
}

static void open_one(MPI_Comm comm, int n, MPI_Comm* made) {
  int64_t values[3] = {n * 100 + rank, -rank, INT64_MIN + 5};
  int order;

  OK(bfs_team_open(comm, values, 3, made));
  MPI_Comm_size(comm, &order);
  CHECK(values[0] == n * 100 + ranks - 1 && values[1] == 0 && values[2] == INT64_MIN + 5);
  MPI_Comm_compare(comm, *made, &order);
  CHECK(order == MPI_CONGRUENT);
}

/* All that a file does with its team, `times` over. */
static void use(MPI_Comm made, int times) {
  static char data[20000];

  for (int i = 0; i < times; i++) {
    int64_t values[BFS_TEAM_VALUES];
    const int bytes = i % 7 == 6 ? (int)sizeof(data) : 1 + i * 97 % 5000;

    memset(data, rank == 0 ? i + 1 : 0, sizeof(data));
    bfs_team_tell(made, data, bytes);
    CHECK(data[0] == (char)(i + 1) && data[bytes - 1] == (char)(i + 1));
    for (int k = 0; k < BFS_TEAM_VALUES; k++) values[k] = (rank + k) % ranks == 0 ? i * k : -i - 1;
    bfs_team_most(made, values, BFS_TEAM_VALUES);
    for (int k = 0; k < BFS_TEAM_VALUES; k++) CHECK(values[k] == i * k);
  }
}

/* One file after the other has the same communicator, and nothing of MPI's is called. */
static void again(MPI_Comm comm) {
  MPI_Comm first, next;

  open_one(comm, 0, &first);
  CHECK(ranks == 1 || bfs_team_one_host(first));
  use(first, 20);
  next = first;
  bfs_team_close(&next);
  CHECK(next == MPI_COMM_NULL);
  collectives = 0;
  for (int i = 1; i < 200; i++) {
    open_one(comm, i, &next);
    CHECK(ranks == 1 || next == first);
    bfs_team_note(next, i);
    CHECK(ranks == 1 || bfs_team_noted(next) == i);
    use(next, 3);
    bfs_team_close(&next);
  }
  CHECK(collectives == 0);
}

/* Open at the same time, and closed in another order. */
static void many(MPI_Comm comm) {
  MPI_Comm made[MANY];
  int order;

  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < MANY; i++) open_one(comm, i, &made[i]);
    for (int i = 0; i < MANY; i++) {
      for (int k = 0; k < i; k++) {
        MPI_Comm_compare(made[i], made[k], &order);
        CHECK(order == MPI_CONGRUENT); /* never identical */
      }
      use(made[i], 2);
    }
    for (int i = 0; i < MANY; i++) {
      const int which = (i * 5 + round) % MANY;

      use(made[which], 1);
      bfs_team_close(&made[which]);
      if (i == 2) {
        open_one(comm, i, &made[which]);
        use(made[which], 1);
        bfs_team_close(&made[which]);
      }
    }
  }
}

/* What is open goes on when the communicator that it was opened with is freed. */
static void left(void) {
  MPI_Comm comm, made[3];

  MPI_Comm_dup(MPI_COMM_WORLD, &comm);
  for (int i = 0; i < 3; i++) open_one(comm, i, &made[i]);
  bfs_team_close(&made[1]);
  MPI_Comm_free(&comm);
  use(made[0], 5);
  use(made[2], 5);
  bfs_team_close(&made[2]);
  use(made[0], 5);
  bfs_team_close(&made[0]);
}

/* A part of the ranks, in another order; the others do something else meanwhile. */
static void parts(void) {
  const int all = ranks, own = rank;
  MPI_Comm comm;

  MPI_Comm_split(MPI_COMM_WORLD, rank % 2, -rank, &comm);
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  again(comm);
  rank = own;
  ranks = all;
  MPI_Comm_free(&comm);
}

static int handled;

static void handler_of_comm(MPI_Comm* comm, int* code, ...) {
  (void)comm;
  (void)code;
  handled++;
}

/* A communicator that is used again has the handler that the program's has now. */
static void handlers(void) {
  MPI_Errhandler handler, found;
  MPI_Comm comm, made;

  MPI_Comm_dup(MPI_COMM_WORLD, &comm);
  MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
  open_one(comm, 1, &made);
  bfs_team_close(&made);
  MPI_Comm_create_errhandler(handler_of_comm, &handler);
  MPI_Comm_set_errhandler(comm, handler);
  open_one(comm, 1, &made);
  MPI_Comm_get_errhandler(made, &found);
  CHECK(found == handler);
  MPI_Comm_call_errhandler(made, MPI_ERR_OTHER);
  CHECK(handled == 1);
  bfs_team_close(&made);
  MPI_Errhandler_free(&found);
  MPI_Errhandler_free(&handler);
  MPI_Comm_free(&comm);
}

/* One rank has no descriptor left for the memory: all do without. */
static void apart(int unlucky) {
  struct rlimit limit, none;
  MPI_Comm comm, made;

  MPI_Comm_dup(MPI_COMM_WORLD, &comm);
  getrlimit(RLIMIT_NOFILE, &limit);
  none = limit;
  none.rlim_cur = 0;
  if (rank == unlucky) setrlimit(RLIMIT_NOFILE, &none);
  open_one(comm, 1, &made);
  setrlimit(RLIMIT_NOFILE, &limit);
  CHECK(!bfs_team_one_host(made));
  use(made, 3);
  bfs_team_close(&made);
  open_one(comm, 2, &made);
  use(made, 1);
  bfs_team_close(&made);
  MPI_Comm_free(&comm);
}

int main(int argc, char** argv) {
  int64_t value = 1;
  MPI_Comm made;

  test_begin(&argc, &argv);
  MPI_Barrier(MPI_COMM_WORLD);
  again(MPI_COMM_WORLD);
  many(MPI_COMM_WORLD);
  left();
  if (ranks > 1) parts();
  handlers();
  apart(0);
  apart(ranks - 1);

  /* This process's file operations go on while it sleeps. */
  open_one(MPI_COMM_WORLD, 1, &made);
  progress_calls = 0;
  if (rank == ranks - 1) usleep(20000);
  bfs_team_most(made, &value, 1);
  CHECK(rank == ranks - 1 || progress_calls > 0);
  bfs_team_close(&made);
  return test_end();
}
