/*
 * ad_benchfs_team.c - agreements of ranks, through memory that they share.
 *
 * At the first open with a communicator rank 0 makes the memory and tells its place; if every rank
 * could map it, they are on one host. It goes with the communicator, and nothing of it has a name
 * in a file system. An agreement is one atomic maximum for each value and a count of those who have
 * come; the last one wakes the others. Ranks that sleep look after MPI, and their own nonblocking
 * file operations, every few milliseconds.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif
#include "ad_benchfs_team.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ad_benchfs_wait.h"

#define BLOB_BYTES 7680

/* Where the ranks of one communicator meet. */
struct area {
  _Alignas(64) _Atomic uint32_t turn; /* agreements that are finished */
  _Atomic uint32_t told;              /* times that rank 0 has told something */
  /* What is above is looked at all the time, what follows is changed by everybody. */
  _Alignas(64) _Atomic uint32_t arrived;
  _Atomic uint32_t asleep;
  /* Of this agreement, and of the one before, which not everybody may have read yet. */
  _Atomic uint32_t any[2];
  _Atomic int64_t most[2][BFS_TEAM_VALUES];
  char blob[BLOB_BYTES];
};

/* One for the communicator of the program, and those of files. */
struct memory {
  uint64_t key;
  struct area areas[1 + BFS_TEAM_FILES];
};

/* The communicator of a file. */
struct team {
  struct group* group;
  int place;         /* in the group; -1: none */
  struct area* area; /* NULL: by MPI */
  uint32_t turn, told;
  int noted;
  MPI_Comm comm;
};

/* Hangs on a communicator of the program. */
struct group {
  int size, rank;
  struct memory* memory; /* NULL: not all on one host */
  struct team own;       /* for the opens */
  struct team* files[BFS_TEAM_FILES];
  uint32_t in_use;  /* those of them, by bit */
  int left;         /* the communicator of the program is gone */
  _Atomic int uses; /* by it, and by teams */
};

/* MPI's keys for both. ROMIO gives a driver no place of its own. The mutex is for these, and for
 * which places are in use: MPI calls group_deleted() at any time. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int group_key = MPI_KEYVAL_INVALID;
static int team_key = MPI_KEYVAL_INVALID;

static void group_release(struct group* group) {
  if (atomic_fetch_sub(&group->uses, 1) > 1) return;
  if (group->memory != NULL) munmap(group->memory, sizeof(*group->memory));
  free(group);
}

static int team_deleted(MPI_Comm comm, int key, void* attribute, void* extra) {
  struct team* team = attribute;

  (void)comm;
  (void)key;
  (void)extra;
  group_release(team->group);
  free(team);
  return MPI_SUCCESS;
}

/* The program frees its communicator, or ends. A file that is open keeps its own. */
static int group_deleted(MPI_Comm comm, int key, void* attribute, void* extra) {
  struct group* group = attribute;
  MPI_Comm unused[BFS_TEAM_FILES];
  int n = 0;

  (void)comm;
  (void)key;
  (void)extra;
  pthread_mutex_lock(&mutex);
  group->left = 1;
  for (int i = 0; i < BFS_TEAM_FILES; i++)
    if (group->files[i] != NULL && !(group->in_use >> i & 1)) unused[n++] = group->files[i]->comm;
  pthread_mutex_unlock(&mutex);
  while (n > 0) PMPI_Comm_free(&unused[--n]);
  group_release(group);
  return MPI_SUCCESS;
}

static void make_keys(void) {
  pthread_mutex_lock(&mutex);
  if (group_key == MPI_KEYVAL_INVALID) {
    PMPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, team_deleted, &team_key, NULL);
    PMPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, group_deleted, &group_key, NULL);
  }
  pthread_mutex_unlock(&mutex);
}

static void* attribute_of(MPI_Comm comm, int key) {
  void* value = NULL;
  int found = 0;

  if (key != MPI_KEYVAL_INVALID && comm != MPI_COMM_NULL)
    PMPI_Comm_get_attr(comm, key, &value, &found);
  return found ? value : NULL;
}

static struct team* team_of(MPI_Comm made) {
  return attribute_of(made, team_key);
}

/* ---- the memory --------------------------------------------------------------------------------
 */

/* Where rank 0 has it. */
struct invitation {
  uint64_t key;
  int pid;
  int fd;
};

static struct memory* map(int fd) {
  void* at = mmap(NULL, sizeof(struct memory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

  return at == MAP_FAILED ? NULL : at;
}

static void area_begin(struct area* area) {
  for (int half = 0; half < 2; half++)
    for (int i = 0; i < BFS_TEAM_VALUES; i++) area->most[half][i] = INT64_MIN;
}

/* On rank 0. The descriptor stays open until all have looked. */
static struct memory* make_memory(struct invitation* invitation) {
  struct memory* memory = NULL;

  invitation->pid = (int)getpid();
  invitation->fd = memfd_create("benchfs-team", MFD_CLOEXEC);
  if (invitation->fd < 0 || ftruncate(invitation->fd, sizeof(*memory)) != 0 ||
      getrandom(&invitation->key, sizeof(invitation->key), 0) != sizeof(invitation->key))
    return NULL;
  memory = map(invitation->fd);
  if (memory == NULL) return NULL;
  memory->key = invitation->key;
  for (int i = 0; i <= BFS_TEAM_FILES; i++) area_begin(&memory->areas[i]);
  return memory;
}

/* On another host, or in another container, there is no such process or it is another one. */
static struct memory* join_memory(const struct invitation* invitation) {
  struct memory* memory = NULL;
  struct stat st;
  char path[64];
  int fd;

  if (invitation->fd < 0) return NULL;
  snprintf(path, sizeof(path), "/proc/%d/fd/%d", invitation->pid, invitation->fd);
  fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return NULL;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == sizeof(*memory)) memory = map(fd);
  close(fd);
  if (memory != NULL && memory->key != invitation->key) {
    munmap(memory, sizeof(*memory));
    memory = NULL;
  }
  return memory;
}

/* ---- agreements --------------------------------------------------------------------------------
 */

static void wake(struct area* area, _Atomic uint32_t* word) {
  if (atomic_load(&area->asleep) > 0) syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void wait_until(struct area* area, _Atomic uint32_t* word, uint32_t wanted, MPI_Comm comm) {
  struct bfs_idle idle = {0};
  int depth, arrived;

  if (atomic_load(word) == wanted) return;
  depth = BFS_SECTION_LEAVE();
  while (atomic_load(word) != wanted) {
    PMPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm, &arrived, MPI_STATUS_IGNORE);
    if (bfs_requests_progress()) {
      idle = (struct bfs_idle){0};
      continue;
    }
    if (!bfs_idle_sleeps(&idle)) continue;
    atomic_fetch_add(&area->asleep, 1);
    bfs_idle_on(&idle, word, wanted - 1);
    atomic_fetch_sub(&area->asleep, 1);
  }
  BFS_SECTION_RETURN(depth);
}

static void take_larger(_Atomic int64_t* most, int64_t value) {
  int64_t seen = atomic_load(most);

  while (seen < value && !atomic_compare_exchange_weak(most, &seen, value)) {
  }
}

/* Each value becomes the largest of all ranks; gives the bits that any of them has in `bits`. */
static uint32_t agree(struct team* team, int64_t* values, int n, uint32_t bits) {
  struct area* area = team->area;
  const unsigned half = team->turn & 1, other = half ^ 1;

  for (int i = 0; i < n; i++) take_larger(&area->most[half][i], values[i]);
  atomic_fetch_or(&area->any[half], bits);
  team->turn++;
  if (atomic_fetch_add(&area->arrived, 1) + 1 == (uint32_t)team->group->size) {
    /* Everybody has read what was agreed before. */
    for (int i = 0; i < BFS_TEAM_VALUES; i++) atomic_store(&area->most[other][i], INT64_MIN);
    atomic_store(&area->any[other], 0);
    atomic_store(&area->arrived, 0);
    atomic_store(&area->turn, team->turn);
    wake(area, &area->turn);
  } else {
    wait_until(area, &area->turn, team->turn, team->comm);
  }
  for (int i = 0; i < n; i++) values[i] = atomic_load(&area->most[half][i]);
  return atomic_load(&area->any[half]);
}

void bfs_team_most(MPI_Comm made, int64_t* values, int n) {
  struct team* team = team_of(made);

  if (team != NULL && team->area != NULL)
    agree(team, values, n, 0);
  else
    bfs_allreduce(MPI_IN_PLACE, values, n, MPI_INT64_T, MPI_MAX, made);
}

void bfs_team_tell(MPI_Comm made, void* data, int bytes) {
  struct team* team = team_of(made);
  struct area* area = team == NULL ? NULL : team->area;

  if (area == NULL || bytes > BLOB_BYTES) {
    bfs_bcast(data, bytes, MPI_BYTE, 0, made);
    return;
  }
  team->told++;
  if (team->group->rank == 0) {
    memcpy(area->blob, data, (size_t)bytes);
    atomic_store(&area->told, team->told);
    wake(area, &area->told);
  } else {
    wait_until(area, &area->told, team->told, team->comm);
    memcpy(data, area->blob, (size_t)bytes);
  }
}

void bfs_team_note(MPI_Comm made, int number) {
  struct team* team = team_of(made);

  if (team != NULL) team->noted = number;
}

int bfs_team_noted(MPI_Comm made) {
  const struct team* team = team_of(made);

  return team == NULL ? 0 : team->noted;
}

int bfs_team_one_host(MPI_Comm made) {
  const struct team* team = team_of(made);

  return team != NULL && team->group->memory != NULL;
}

/* ---- opens and closes --------------------------------------------------------------------------
 */

/* The first agreement of a communicator, by MPI: with it all learn whether they share memory. */
static struct group* make_group(MPI_Comm comm, int64_t* most, int n, int* code) {
  struct group* group = calloc(1, sizeof(*group));
  struct invitation invitation = {0, 0, -1};

  if (group == NULL) PMPI_Abort(comm, 1); /* as ROMIO does */
  PMPI_Comm_size(comm, &group->size);
  PMPI_Comm_rank(comm, &group->rank);
  group->uses = 1;
  if (group->rank == 0) group->memory = make_memory(&invitation);
  *code = bfs_bcast(&invitation, (int)sizeof(invitation), MPI_BYTE, 0, comm);
  if (group->rank != 0) group->memory = join_memory(&invitation);
  most[n] = group->memory == NULL;
  if (*code == MPI_SUCCESS)
    *code = bfs_allreduce(MPI_IN_PLACE, most, n + 1, MPI_INT64_T, MPI_MAX, comm);
  if (group->rank == 0 && invitation.fd >= 0) close(invitation.fd);
  if ((*code != MPI_SUCCESS || most[n] != 0) && group->memory != NULL) {
    munmap(group->memory, sizeof(*group->memory));
    group->memory = NULL;
  }
  group->own = (struct team){.group = group, .place = -1, .comm = comm};
  if (group->memory != NULL) group->own.area = &group->memory->areas[0];
  PMPI_Comm_set_attr(comm, group_key, group);
  return group;
}

/* A place that no rank uses. */
static int free_place(const struct group* group, uint32_t in_use) {
  for (int i = 0; group->memory != NULL && i < BFS_TEAM_FILES; i++)
    if (!(in_use >> i & 1)) return i;
  return -1;
}

static int make_team(MPI_Comm comm, struct group* group, int place, MPI_Comm* made) {
  struct team* team;
  const int code = bfs_comm_dup(comm, made);

  if (code != MPI_SUCCESS) return code;
  team = calloc(1, sizeof(*team));
  if (team == NULL) PMPI_Abort(comm, 1);
  *team = (struct team){.group = group, .place = place, .comm = *made};
  if (place >= 0) {
    team->area = &group->memory->areas[1 + place];
    group->files[place] = team;
  }
  atomic_fetch_add(&group->uses, 1);
  return PMPI_Comm_set_attr(*made, team_key, team);
}

int bfs_team_open(MPI_Comm comm, int64_t* most, int n, MPI_Comm* made) {
  int64_t values[BFS_TEAM_VALUES];
  struct group* group;
  uint32_t in_use = 0;
  MPI_Errhandler handler;
  int size, place, code = MPI_SUCCESS;

  *made = MPI_COMM_NULL;
  PMPI_Comm_size(comm, &size);
  if (size == 1) return bfs_comm_dup(comm, made);
  make_keys();
  memcpy(values, most, (size_t)n * sizeof(*most));
  group = attribute_of(comm, group_key);
  if (group == NULL)
    group = make_group(comm, values, n, &code);
  else if (group->memory != NULL)
    in_use = agree(&group->own, values, n, group->in_use);
  else
    code = bfs_allreduce(MPI_IN_PLACE, values, n, MPI_INT64_T, MPI_MAX, comm);
  if (code != MPI_SUCCESS) return code;
  memcpy(most, values, (size_t)n * sizeof(*most));

  place = free_place(group, in_use);
  pthread_mutex_lock(&mutex);
  if (place >= 0) group->in_use |= 1u << place;
  pthread_mutex_unlock(&mutex);
  if (place < 0 || group->files[place] == NULL) return make_team(comm, group, place, made);
  *made = group->files[place]->comm;
  PMPI_Comm_get_errhandler(comm, &handler);
  PMPI_Comm_set_errhandler(*made, handler);
  PMPI_Errhandler_free(&handler);
  return MPI_SUCCESS;
}

void bfs_team_close(MPI_Comm* made) {
  const struct team* team = team_of(*made);
  int kept = 0;

  if (team != NULL && team->place >= 0) {
    pthread_mutex_lock(&mutex);
    team->group->in_use &= ~(1u << team->place);
    kept = !team->group->left;
    pthread_mutex_unlock(&mutex);
  }
  if (kept)
    *made = MPI_COMM_NULL;
  else
    PMPI_Comm_free(made);
}
