/*
 * overlap.c - how much computing nonblocking reads and writes hide, on several targets in turn.
 *
 *   mpiexec -n RANKS overlap [-b bytes of each rank and call] [-r rounds] [-p bytes of a piece]
 *                            [-t microseconds between MPI_Tests] [-m] LABEL=mpi:PATH...
 *
 * For each nonblocking call: the time of the I/O alone (start and wait), of as much computing
 * alone, of both at once without a call of MPI in between, and of both with an MPI_Test every now
 * and then. Times are those of the slowest rank. Hidden is how much of the computing (or of the
 * I/O, if that is shorter) is gone when both are done at once: 100 % if it costs nothing, 0 % if
 * one comes after the other, less if they hinder each other. Independent calls move one contiguous
 * block per rank, collective ones every RANKS-th piece. -m asks for MPI_THREAD_MULTIPLE. Set
 * BENCHFS_PROGRESS_THREAD=true to compare. Servers and ranks share the cores of one host: what
 * hides computing there is what runs on a core that is free.
 */
#include <getopt.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define UNIT_STEPS 20000

typedef int call_type(MPI_File, MPI_Offset, void*, int, MPI_Datatype, MPI_Request*);

static size_t bytes = 8 << 20, piece = 65536;
static int rounds = 3;
static double test_seconds = 200e-6;
static unsigned char* data;

/* ---- computing ---- */

static volatile uint64_t result_of_computing;
static double unit_seconds;

static void compute_unit(void) {
  uint64_t x = result_of_computing + 1;

  for (int i = 0; i < UNIT_STEPS; i++)
    x = x * 6364136223846793005u + (x >> 33) + 1442695040888963407u;
  result_of_computing = x;
}

static void calibrate(void) {
  unit_seconds = 1;
  MPI_Barrier(MPI_COMM_WORLD);
  for (int i = 0; i < 1000; i++) {
    const double start = MPI_Wtime();
    double seconds;

    for (int k = 0; k < 5; k++) compute_unit();
    seconds = (MPI_Wtime() - start) / 5;
    if (seconds < unit_seconds) unit_seconds = seconds;
  }
  MPI_Allreduce(MPI_IN_PLACE, &unit_seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
}

/* With an MPI_Test now and then if `request` is given. */
static void compute(long units, MPI_Request* request) {
  double next = MPI_Wtime() + test_seconds;

  for (long i = 0; i < units; i++) {
    int done;

    compute_unit();
    if (request == NULL || MPI_Wtime() < next) continue;
    check_mpi(MPI_Test(request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    next = MPI_Wtime() + test_seconds;
  }
}

/* ---- measuring ---- */

static int iwrite_at(MPI_File file, MPI_Offset offset, void* from, int count, MPI_Datatype type,
                     MPI_Request* request) {
  return MPI_File_iwrite_at(file, offset, from, count, type, request);
}

static int iwrite_at_all(MPI_File file, MPI_Offset offset, void* from, int count, MPI_Datatype type,
                         MPI_Request* request) {
  return MPI_File_iwrite_at_all(file, offset, from, count, type, request);
}

struct operation {
  const char* name;
  call_type* call;
  int collective, reads;
};

static const struct operation operations[] = {
    {"iwrite_at", iwrite_at, 0, 0},
    {"iread_at", MPI_File_iread_at, 0, 1},
    {"iwrite_at_all", iwrite_at_all, 1, 0},
    {"iread_at_all", MPI_File_iread_at_all, 1, 1},
};

enum way { IO, COMPUTING, BOTH, TESTED, WAYS };

static double timed(MPI_File file, const struct operation* operation, MPI_Offset offset,
                    enum way way, long units) {
  MPI_Request request = MPI_REQUEST_NULL;
  double start, seconds;

  MPI_Barrier(MPI_COMM_WORLD);
  start = MPI_Wtime();
  if (way != COMPUTING)
    check_mpi(operation->call(file, offset, data, (int)bytes, MPI_BYTE, &request), operation->name);
  if (way != IO) compute(units, way == TESTED ? &request : NULL);
  check_mpi(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait");
  seconds = MPI_Wtime() - start;
  MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return seconds;
}

/* Of the smaller of the two times, how much is gone when both are done at once. */
static double hidden(double io, double computing, double both) {
  return 100 * (io + computing - both) / (io < computing ? io : computing);
}

static uint64_t place(size_t at, int collective) {
  return collective ? (at / piece * (size_t)ranks + (size_t)rank) * piece
                    : (uint64_t)rank * bytes + at;
}

static void fill_all(int collective, int round) {
  for (size_t at = 0; at < bytes; at += piece)
    fill(data + at, piece, place(at, collective), (uint64_t)round);
}

static void verify_all(int collective, int round, const char* what) {
  for (size_t at = 0; at < bytes; at += piece)
    verify(data + at, piece, place(at, collective), (uint64_t)round, what);
}

static void read_back(MPI_File file, const struct operation* operation, MPI_Offset offset) {
  MPI_Request request;

  memset(data, 0x55, bytes);
  check_mpi(operation->collective
                ? MPI_File_iread_at_all(file, offset, data, (int)bytes, MPI_BYTE, &request)
                : MPI_File_iread_at(file, offset, data, (int)bytes, MPI_BYTE, &request),
            "read");
  check_mpi(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait");
}

/* One round of an operation; `units` of computing, which the first rounds find. */
static void measure(MPI_File file, const char* label, const struct operation* operation, int round,
                    long* units) {
  const MPI_Offset offset = operation->collective ? 0 : (MPI_Offset)rank * (MPI_Offset)bytes;
  double seconds[WAYS];
  char what[64];

  for (int way = 0; way < WAYS; way++) {
    const int number = (round + 4) * WAYS + way;
    if (!operation->reads)
      fill_all(operation->collective, number);
    else
      memset(data, 0x55, bytes);
    seconds[way] = timed(file, operation, offset, (enum way)way, *units);
    if (way == IO && round < 0) {
      const long found = (long)(seconds[IO] / unit_seconds) + 1;
      *units = round == -3 || found < *units ? found : *units;
    }
    if (way == COMPUTING) continue;
    if (!operation->reads) read_back(file, operation, offset);
    verify_all(operation->collective, operation->reads ? 0 : number, label);
  }
  if (round < 0) return;
  snprintf(what, sizeof(what), "%s alone", operation->name);
  print_figure(round, label, what, "ms", 1e3 * seconds[IO]);
  snprintf(what, sizeof(what), "%s hidden", operation->name);
  print_figure(round, label, what, "%", hidden(seconds[IO], seconds[COMPUTING], seconds[BOTH]));
  snprintf(what, sizeof(what), "%s hidden, with MPI_Test", operation->name);
  print_figure(round, label, what, "%", hidden(seconds[IO], seconds[COMPUTING], seconds[TESTED]));
}

static void set_view(MPI_File file, int collective) {
  MPI_Datatype pieces, view;

  if (!collective) {
    check_mpi(MPI_File_set_view(file, 0, MPI_BYTE, MPI_BYTE, "native", MPI_INFO_NULL), "view");
    return;
  }
  MPI_Type_vector((int)(bytes / piece), (int)piece, (int)piece * ranks, MPI_BYTE, &pieces);
  MPI_Type_create_resized(pieces, 0, (MPI_Aint)(bytes * (size_t)ranks), &view);
  MPI_Type_commit(&view);
  check_mpi(
      MPI_File_set_view(file, rank * (MPI_Offset)piece, MPI_BYTE, view, "native", MPI_INFO_NULL),
      "view");
  MPI_Type_free(&view);
  MPI_Type_free(&pieces);
}

/* What is read in every round is written once. */
static void measure_all(struct target* targets, MPI_File* files, int n_targets) {
  for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
    const struct operation* const operation = operations + i;
    long units[TARGETS_MAX];

    for (int t = 0; t < n_targets; t++) {
      units[t] = 1;
      set_view(files[t], operation->collective);
      if (!operation->reads) continue;
      fill_all(operation->collective, 0);
      check_mpi(MPI_File_write_at_all(
                    files[t], operation->collective ? 0 : (MPI_Offset)rank * (MPI_Offset)bytes,
                    data, (int)bytes, MPI_BYTE, MPI_STATUS_IGNORE),
                targets[t].label);
    }
    for (int round = -3; round < rounds; round++) /* the first ones do not count */
      for (int k = 0; k < n_targets; k++) {
        const int t = (k + round + 3) % n_targets;
        measure(files[t], targets[t].label, operation, round, &units[t]);
      }
  }
}

int main(int argc, char** argv) {
  struct target targets[TARGETS_MAX];
  MPI_File files[TARGETS_MAX];
  int multiple = 0, n_targets;

  for (int i = 1; i < argc; i++) multiple |= strcmp(argv[i], "-m") == 0;
  load_begin(&argc, &argv, "overlap", multiple);
  for (int option; (option = getopt(argc, argv, "b:r:p:t:m")) != -1;) {
    if (option == 'b') bytes = number(optarg, 1 << 30, "-b");
    if (option == 'r') rounds = (int)number(optarg, ROUNDS_MAX, "-r");
    if (option == 'p') piece = number(optarg, 1 << 28, "-p");
    if (option == 't') test_seconds = (double)number(optarg, 1000000, "-t") * 1e-6;
    if (option == '?') fail("see the head of overlap.c for the options");
  }
  if (piece % 8 != 0 || bytes < piece) fail("-p is a multiple of 8 and at most -b");
  bytes -= bytes % piece;
  data = aligned_memory(bytes);
  calibrate();
  n_targets = take_targets(argc, argv, optind, targets);
  for (int t = 0; t < n_targets; t++) {
    if (targets[t].kind != MPI_KIND) fail("%s: overlap is for MPI targets", targets[t].label);
    if (rank == 0) file_remove(&targets[t], targets[t].path);
    MPI_Barrier(MPI_COMM_WORLD);
    check_mpi(MPI_File_open(MPI_COMM_WORLD, targets[t].path, MPI_MODE_CREATE | MPI_MODE_RDWR,
                            MPI_INFO_NULL, &files[t]),
              targets[t].path);
  }
  measure_all(targets, files, n_targets);
  for (int t = 0; t < n_targets; t++) {
    check_mpi(MPI_File_close(&files[t]), targets[t].label);
    if (rank == 0) file_remove(&targets[t], targets[t].path);
  }
  free(data);
  load_end();
  return 0;
}
