/*
 * coll.c - the rate of collective reads and writes of interleaved pieces, with the data verified.
 *
 *   benchfs run -n 2 -- mpiexec -n 2 coll [-b MiB per rank and call] [-r repetitions] [-p BYTES,...]
 *                                         [-o hint=value]... FILE[@hint=value[,hint=value]...]...
 *
 * Every rank views the file as every N-th piece of BYTES bytes, and writes and reads all its data by one
 * MPI_File_write_all and one MPI_File_read_all. The files are taken in turn within each repetition, so
 * that what disturbs the machine disturbs all of them alike; the rate is that of the median repetition.
 * Name a local file (/dev/shm/x@romio_cb_write=enable,romio_cb_read=enable) beside benchfs: ones to
 * compare with ROMIO's two-phase in the same run.
 */
#include <getopt.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define TARGETS_MAX 16
#define REPETITIONS_MAX 64

/* What the 8 bytes at file offset `offset` are in repetition `round`. */
static uint64_t pattern(uint64_t offset, int round) {
  return (offset + (uint64_t)round * 0x100000001b3) * 0x9e3779b97f4a7c15;
}

static uint64_t offset_of(size_t position, size_t piece) {
  return (position / piece * (size_t)ranks + (size_t)rank) * piece + position % piece;
}

static void fill(char* data, size_t bytes, size_t piece, int round) {
  for (size_t i = 0; i < bytes; i += 8) {
    const uint64_t value = pattern(offset_of(i, piece), round);
    memcpy(data + i, &value, 8);
  }
}

static void verify(const char* data, size_t bytes, size_t piece, int round, const char* target) {
  for (size_t i = 0; i < bytes; i += 8) {
    const uint64_t value = pattern(offset_of(i, piece), round);

    if (memcmp(data + i, &value, 8) == 0) continue;
    fprintf(stderr, "rank %d: %s: wrong data at file offset %llu\n", rank, target,
            (unsigned long long)offset_of(i, piece));
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
}

static void set_hints(MPI_Info info, char* list) {
  for (char* word = strtok(list, ","); word != NULL; word = strtok(NULL, ",")) {
    char* value = strchr(word, '=');

    if (value == NULL) continue;
    *value++ = '\0';
    MPI_Info_set(info, word, value);
  }
}

static int by_size(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;

  return (x > y) - (x < y);
}

static double timed(int (*call)(MPI_File, MPI_Offset, void*, int, MPI_Datatype, MPI_Status*),
                    MPI_File file, void* data, size_t bytes, const char* what) {
  MPI_Status status;
  double start, seconds;
  int count;

  MPI_Barrier(MPI_COMM_WORLD);
  start = MPI_Wtime();
  check(call(file, 0, data, (int)bytes, MPI_BYTE, &status), what);
  seconds = MPI_Wtime() - start;
  MPI_Get_count(&status, MPI_BYTE, &count);
  if ((size_t)count != bytes) {
    fprintf(stderr, "rank %d: %s: %d of %zu bytes\n", rank, what, count, bytes);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return seconds;
}

static int write_all(MPI_File file, MPI_Offset offset, void* data, int count, MPI_Datatype type,
                     MPI_Status* status) {
  return MPI_File_write_at_all(file, offset, data, count, type, status);
}

static void measure(char** targets, int n_targets, size_t piece, size_t bytes, int repetitions,
                    MPI_Info common) {
  double seconds[TARGETS_MAX][2][REPETITIONS_MAX];
  MPI_File files[TARGETS_MAX];
  char names[TARGETS_MAX][512];
  MPI_Datatype view;
  char* data = malloc(bytes);

  if (data == NULL) MPI_Abort(MPI_COMM_WORLD, 1);
  bytes -= bytes % piece;
  MPI_Type_vector((int)(bytes / piece), (int)piece, (int)piece * ranks, MPI_BYTE, &view);
  MPI_Type_create_resized(view, 0, (MPI_Aint)(bytes * (size_t)ranks), &view);
  MPI_Type_commit(&view);
  for (int t = 0; t < n_targets; t++) {
    char* hints;
    MPI_Info info;

    MPI_Info_dup(common, &info);
    snprintf(names[t], sizeof(names[t]), "%s", targets[t]);
    hints = strchr(names[t], '@');
    if (hints != NULL) {
      *hints++ = '\0';
      set_hints(info, hints);
    }
    if (rank == 0) MPI_File_delete(names[t], MPI_INFO_NULL);
    MPI_Barrier(MPI_COMM_WORLD);
    check(MPI_File_open(MPI_COMM_WORLD, names[t], MPI_MODE_CREATE | MPI_MODE_RDWR, info, &files[t]),
          targets[t]);
    check(MPI_File_set_view(files[t], rank * (MPI_Offset)piece, MPI_BYTE, view, "native", info),
          targets[t]);
    MPI_Info_free(&info);
  }
  for (int round = -1; round < repetitions; round++) { /* -1: a first one that does not count */
    for (int t = 0; t < n_targets; t++) {
      double write_seconds, read_seconds;

      fill(data, bytes, piece, round);
      write_seconds = timed(write_all, files[t], data, bytes, targets[t]);
      memset(data, 0x55, bytes);
      read_seconds = timed(MPI_File_read_at_all, files[t], data, bytes, targets[t]);
      verify(data, bytes, piece, round, targets[t]);
      if (round < 0) continue;
      seconds[t][0][round] = write_seconds;
      seconds[t][1][round] = read_seconds;
    }
  }
  for (int t = 0; t < n_targets; t++) {
    const double mib = (double)bytes * ranks / (1 << 20);

    check(MPI_File_close(&files[t]), targets[t]);
    if (rank != 0) continue;
    MPI_File_delete(names[t], MPI_INFO_NULL);
    for (int i = 0; i < 2; i++)
      qsort(seconds[t][i], (size_t)repetitions, sizeof(double), by_size);
    printf("%8zu  %6.0f  %6.0f  %s\n", piece, mib / seconds[t][0][repetitions / 2],
           mib / seconds[t][1][repetitions / 2], targets[t]);
  }
  fflush(stdout);
  MPI_Type_free(&view);
  free(data);
}

int main(int argc, char** argv) {
  char default_pieces[] = "4096,65536";
  char* pieces = default_pieces;
  size_t bytes = 64 << 20;
  int repetitions = 7, option;
  MPI_Info common;

  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  MPI_File_set_errhandler(MPI_FILE_NULL, MPI_ERRORS_RETURN);
  MPI_Info_create(&common);
  while ((option = getopt(argc, argv, "b:r:p:o:")) != -1) {
    switch (option) {
      case 'b': bytes = (size_t)atol(optarg) << 20; break;
      case 'r': repetitions = atoi(optarg); break;
      case 'p': pieces = optarg; break;
      case 'o': set_hints(common, optarg); break;
      default: MPI_Abort(MPI_COMM_WORLD, 2);
    }
  }
  if (optind == argc || argc - optind > TARGETS_MAX || repetitions < 1 ||
      repetitions > REPETITIONS_MAX || bytes == 0) {
    if (rank == 0) fprintf(stderr, "coll: see the head of coll.c for how to call it\n");
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  if (rank == 0) printf("%d ranks\n   piece  write    read  MiB/s, median of %d\n", ranks, repetitions);
  for (char* end = pieces; *end != '\0';) {
    const size_t piece = (size_t)strtoul(pieces, &end, 10);

    if (piece % 8 != 0 || piece == 0 || piece > bytes) MPI_Abort(MPI_COMM_WORLD, 2);
    measure(argv + optind, argc - optind, piece, bytes, repetitions, common);
    pieces = end + (*end == ',');
  }
  MPI_Info_free(&common);
  MPI_Finalize();
  return 0;
}
