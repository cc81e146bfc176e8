/*
 * overlap.c - how much computing nonblocking reads and writes hide, with the data verified.
 *
 *   benchfs run -n 2 -- mpiexec -n 2 overlap [-b MiB per rank and call] [-r repetitions] [-p BYTES]
 *                                            [-t microseconds between MPI_Tests] [-m]
 *                                            FILE[@hint=value[,hint=value]...]...
 *
 * For each nonblocking call: the time of the I/O alone (start and wait), of as much computing
 * alone, of both at once without a call of MPI in between, and of both with an MPI_Test every now
 * and then. Times are those of the slowest rank, medians over the repetitions. Hidden is how much
 * of the computing (or of the I/O, if that is shorter) is gone when both are done at once, the
 * median over the repetitions of what each gives: 100 % if it costs nothing, 0 % if one comes after
 * the other, less if they hinder each other. Independent calls move one contiguous block per rank,
 * collective ones every N-th piece of BYTES bytes. -m asks for MPI_THREAD_MULTIPLE. Set
 * BENCHFS_PROGRESS_THREAD=true to compare. Servers and ranks share the cores of one host: what
 * hides computing there is what runs on a core that is free.
 */
#include <getopt.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define REPETITIONS_MAX 64
#define UNIT_STEPS 20000

typedef int call_type(MPI_File, MPI_Offset, void*, int, MPI_Datatype, MPI_Request*);

static size_t bytes = 32 << 20, piece = 65536;
static int repetitions = 7;
static double test_seconds = 200e-6;
static char* data;

/* ---- computing --------------------------------------------------------------------------------
 */

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
    check(MPI_Test(request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    next = MPI_Wtime() + test_seconds;
  }
}

/* ---- data --------------------------------------------------------------------------------------
 */

static uint64_t pattern(size_t at, int round, int owner) {
  return ((uint64_t)at + (uint64_t)round * 0x100000001b3 + (uint64_t)owner * 0xc2b2ae3d27d4eb4f) *
         0x9e3779b97f4a7c15;
}

static void fill(int round) {
  for (size_t i = 0; i < bytes; i += 8) {
    const uint64_t value = pattern(i, round, rank);
    memcpy(data + i, &value, 8);
  }
}

static void verify(int round, const char* what) {
  for (size_t i = 0; i < bytes; i += 8) {
    const uint64_t value = pattern(i, round, rank);

    if (memcmp(data + i, &value, 8) == 0) continue;
    fprintf(stderr, "rank %d: %s: wrong data at byte %zu\n", rank, what, i);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
}

/* ---- measuring ---------------------------------------------------------------------------------
 */

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
    check(operation->call(file, offset, data, (int)bytes, MPI_BYTE, &request), operation->name);
  if (way != IO) compute(units, way == TESTED ? &request : NULL);
  check(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait");
  seconds = MPI_Wtime() - start;
  MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return seconds;
}

static int by_size(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;

  return (x > y) - (x < y);
}

static double median(double* values) {
  qsort(values, (size_t)repetitions, sizeof(*values), by_size);
  return values[repetitions / 2];
}

/* Of the smaller of the two times, how much is gone when both are done at once. */
static double hidden(double io, double computing, double both) {
  return 100 * (io + computing - both) / (io < computing ? io : computing);
}

static void measure(MPI_File file, const struct operation* operation) {
  const MPI_Offset offset = operation->collective ? 0 : (MPI_Offset)rank * (MPI_Offset)bytes;
  double seconds[WAYS][REPETITIONS_MAX], gone[WAYS][REPETITIONS_MAX];
  double shortest = 1e9;
  long units = 1;

  for (int round = -3; round < repetitions; round++) { /* the first ones do not count */
    for (int way = 0; way < WAYS; way++) {
      double taken;
      MPI_Request request;

      if (operation->reads) {
        memset(data, 0x55, bytes);
      } else {
        fill(round * WAYS + way);
      }
      taken = timed(file, operation, offset, (enum way)way, units);
      if (way == IO && round < 0) {
        if (taken < shortest) shortest = taken;
        units = (long)(shortest / unit_seconds) + 1;
      }
      if (round >= 0) seconds[way][round] = taken;
      if (way == COMPUTING) continue;
      if (!operation->reads) {
        memset(data, 0x55, bytes);
        check(operation->collective
                  ? MPI_File_iread_at_all(file, offset, data, (int)bytes, MPI_BYTE, &request)
                  : MPI_File_iread_at(file, offset, data, (int)bytes, MPI_BYTE, &request),
              "read");
        check(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait");
      }
      verify(operation->reads ? 0 : round * WAYS + way, operation->name);
    }
  }
  for (int way = BOTH; way < WAYS; way++) {
    for (int i = 0; i < repetitions; i++)
      gone[way][i] = hidden(seconds[IO][i], seconds[COMPUTING][i], seconds[way][i]);
  }
  if (rank != 0) return;
  printf("%-14s %8.2f %8.2f %8.2f %5.0f %% %9.2f %5.0f %%\n", operation->name,
         1e3 * median(seconds[IO]), 1e3 * median(seconds[COMPUTING]), 1e3 * median(seconds[BOTH]),
         median(gone[BOTH]), 1e3 * median(seconds[TESTED]), median(gone[TESTED]));
  fflush(stdout);
}

static void set_hints(MPI_Info info, char* list) {
  for (char* word = strtok(list, ","); word != NULL; word = strtok(NULL, ",")) {
    char* value = strchr(word, '=');

    if (value == NULL) continue;
    *value++ = '\0';
    MPI_Info_set(info, word, value);
  }
}

static void measure_file(char* name) {
  char* hints = strchr(name, '@');
  MPI_Datatype pieces, view;
  MPI_Info info;
  MPI_File file;

  if (rank == 0)
    printf("%s\n                    I/O  compute  at once  hidden +MPI_Test  hidden\n", name);
  MPI_Info_create(&info);
  if (hints != NULL) {
    *hints++ = '\0';
    set_hints(info, hints);
  }
  if (rank == 0) MPI_File_delete(name, MPI_INFO_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  check(MPI_File_open(MPI_COMM_WORLD, name, MPI_MODE_CREATE | MPI_MODE_RDWR, info, &file), name);
  MPI_Info_free(&info);
  MPI_Type_vector((int)(bytes / piece), (int)piece, (int)piece * ranks, MPI_BYTE, &pieces);
  MPI_Type_create_resized(pieces, 0, (MPI_Aint)(bytes * (size_t)ranks), &view);
  MPI_Type_commit(&view);
  MPI_Type_free(&pieces);
  for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
    if (operations[i].collective)
      check(MPI_File_set_view(file, rank * (MPI_Offset)piece, MPI_BYTE, view, "native",
                              MPI_INFO_NULL),
            name);
    if (operations[i].reads) { /* what is read */
      fill(0);
      check(MPI_File_write_at_all(
                file, operations[i].collective ? 0 : (MPI_Offset)rank * (MPI_Offset)bytes, data,
                (int)bytes, MPI_BYTE, MPI_STATUS_IGNORE),
            name);
    }
    measure(file, operations + i);
  }
  MPI_Type_free(&view);
  check(MPI_File_close(&file), name);
  if (rank == 0) MPI_File_delete(name, MPI_INFO_NULL);
}

int main(int argc, char** argv) {
  int option, provided, wanted = MPI_THREAD_SINGLE;
  const char* thread = getenv("BENCHFS_PROGRESS_THREAD");

  while ((option = getopt(argc, argv, "b:r:p:t:m")) != -1) {
    switch (option) {
      case 'b':
        bytes = (size_t)atol(optarg) << 20;
        break;
      case 'r':
        repetitions = atoi(optarg);
        break;
      case 'p':
        piece = (size_t)atol(optarg);
        break;
      case 't':
        test_seconds = atof(optarg) * 1e-6;
        break;
      case 'm':
        wanted = MPI_THREAD_MULTIPLE;
        break;
      default:
        return 2;
    }
  }
  if (optind == argc || repetitions < 1 || repetitions > REPETITIONS_MAX || piece == 0 ||
      piece % 8 != 0 || bytes < piece || bytes > (1u << 30)) {
    fprintf(stderr, "overlap: see the head of overlap.c for how to call it\n");
    return 2;
  }
  MPI_Init_thread(&argc, &argv, wanted, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  MPI_File_set_errhandler(MPI_FILE_NULL, MPI_ERRORS_RETURN);
  bytes -= bytes % piece;
  data = malloc(bytes);
  if (data == NULL) MPI_Abort(MPI_COMM_WORLD, 1);
  calibrate();
  if (rank == 0)
    printf("%d ranks, %zu MiB each, progress thread: %s; milliseconds, median of %d\n", ranks,
           bytes >> 20, thread != NULL && *thread != '\0' ? thread : "false", repetitions);
  for (int i = optind; i < argc; i++) measure_file(argv[i]);
  free(data);
  MPI_Finalize();
  return 0;
}
