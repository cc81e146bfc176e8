/*
 * shared_file.c - one file, written and verified by all ranks through plain MPI-IO.
 *
 *     mpicc shared_file.c -o shared_file
 *     benchfs run -n 2 -- mpiexec -n 4 ./shared_file [FILE [MiB per rank]]
 *
 * FILE is benchfs:/shared_file unless given; any name that MPI_File_open takes will do. Every rank
 * writes its own part, first collectively and interleaved with the others' (a strided view), then
 * independently as one block; and each time reads back and checks what another rank has written.
 * The data depend on the byte's place in the file, so neither zeros nor the data of another place
 * pass. Rank 0 prints bytes, time and rate of each step. Exit status 0 only if every byte was
 * right.
 */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_BYTES 65536 /* the strided view takes turns in blocks of this size */

static int rank, ranks;

static void check(int code, const char* what) {
  char text[MPI_MAX_ERROR_STRING];
  int length;

  if (code == MPI_SUCCESS) return;
  MPI_Error_string(code, text, &length);
  fprintf(stderr, "rank %d: %s: %s\n", rank, what, text);
  MPI_Abort(MPI_COMM_WORLD, 1);
}

/* The 8 bytes at file offset `offset` in step `step` (splitmix64). */
static uint64_t pattern(uint64_t offset, uint64_t step) {
  uint64_t x = offset + step * 0x9e3779b97f4a7c15u + 1;

  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* File offset of byte `i` of the part of rank `owner`. */
static uint64_t place(uint64_t i, int owner, int strided, uint64_t bytes) {
  if (!strided) return (uint64_t)owner * bytes + i;
  return (i / BLOCK_BYTES * (uint64_t)ranks + (uint64_t)owner) * BLOCK_BYTES + i % BLOCK_BYTES;
}

static void report(const char* step, uint64_t bytes, double from) {
  double mine = MPI_Wtime() - from, slowest;

  MPI_Reduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
  if (rank == 0) {
    double total = (double)bytes * ranks;

    printf("%-24s %12.0f bytes  %8.3f s  %8.3f GiB/s\n", step, total, slowest,
           total / slowest / (1 << 30));
  }
}

/* Let this rank see the part of rank `owner`, which starts at byte 0 of the view. */
static void view(MPI_File file, int owner, int strided, uint64_t bytes) {
  MPI_Datatype block, blocks = MPI_BYTE;

  if (strided) {
    check(MPI_Type_contiguous(BLOCK_BYTES, MPI_BYTE, &block), "MPI_Type_contiguous");
    check(MPI_Type_create_resized(block, 0, (MPI_Aint)BLOCK_BYTES * ranks, &blocks), "resized");
    check(MPI_Type_commit(&blocks), "MPI_Type_commit");
    MPI_Type_free(&block);
  }
  check(MPI_File_set_view(file, (MPI_Offset)place(0, owner, strided, bytes), MPI_BYTE, blocks,
                          "native", MPI_INFO_NULL),
        "MPI_File_set_view");
  if (strided) MPI_Type_free(&blocks);
}

/* One write and one verified read of all parts. Returns the number of wrong words on this rank. */
static uint64_t step(MPI_File file, int strided, uint64_t* buffer, uint64_t bytes) {
  const int count = (int)(bytes / 8), neighbour = (rank + 1) % ranks;
  const uint64_t number = strided ? 1 : 2;
  uint64_t wrong = 0;
  MPI_Status status;
  double from;
  int got;

  for (uint64_t i = 0; i < bytes; i += 8) {
    buffer[i / 8] = pattern(place(i, rank, strided, bytes), number);
  }
  view(file, rank, strided, bytes);
  MPI_Barrier(MPI_COMM_WORLD);
  from = MPI_Wtime();
  if (strided)
    check(MPI_File_write_at_all(file, 0, buffer, count, MPI_UINT64_T, &status), "collective write");
  else
    check(MPI_File_write_at(file, 0, buffer, count, MPI_UINT64_T, &status), "independent write");
  report(strided ? "collective write" : "independent write", bytes, from);
  MPI_Get_count(&status, MPI_UINT64_T, &got);
  if (got != count) wrong++;

  /* MPI's way to let other ranks see it. */
  check(MPI_File_sync(file), "MPI_File_sync");
  MPI_Barrier(MPI_COMM_WORLD);
  check(MPI_File_sync(file), "MPI_File_sync");

  for (int i = 0; i < count; i++) buffer[i] = 0;
  view(file, neighbour, strided, bytes);
  MPI_Barrier(MPI_COMM_WORLD);
  from = MPI_Wtime();
  if (strided)
    check(MPI_File_read_at_all(file, 0, buffer, count, MPI_UINT64_T, &status), "collective read");
  else
    check(MPI_File_read_at(file, 0, buffer, count, MPI_UINT64_T, &status), "independent read");
  report(strided ? "collective read" : "independent read", bytes, from);
  MPI_Get_count(&status, MPI_UINT64_T, &got);
  if (got != count) wrong++;
  for (uint64_t i = 0; i < bytes; i += 8) {
    if (buffer[i / 8] != pattern(place(i, neighbour, strided, bytes), number)) {
      if (wrong++ == 0) {
        fprintf(stderr, "rank %d: wrong data at byte %llu of the file\n", rank,
                (unsigned long long)place(i, neighbour, strided, bytes));
      }
    }
  }
  return wrong;
}

int main(int argc, char** argv) {
  const char* name = argc > 1 ? argv[1] : "benchfs:/shared_file";
  long mebibytes = argc > 2 ? atol(argv[2]) : 64;
  uint64_t bytes, *buffer, wrong, wrong_anywhere;
  MPI_Offset size;
  MPI_File file;

  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  if (argc > 3 || mebibytes < 1 || mebibytes > 8192) {
    if (rank == 0) fprintf(stderr, "usage: %s [FILE [MiB per rank, 1 to 8192]]\n", argv[0]);
    MPI_Finalize();
    return 2;
  }
  bytes = (uint64_t)mebibytes << 20;
  buffer = malloc(bytes);
  if (buffer == NULL) check(MPI_ERR_NO_MEM, "malloc");

  check(MPI_File_open(MPI_COMM_WORLD, name, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL, &file),
        "MPI_File_open");
  check(MPI_File_set_size(file, 0), "MPI_File_set_size");
  if (rank == 0) printf("%s: %d ranks, %ld MiB each\n", name, ranks, mebibytes);
  wrong = step(file, 1, buffer, bytes);
  wrong += step(file, 0, buffer, bytes);
  check(MPI_File_get_size(file, &size), "MPI_File_get_size");
  if ((uint64_t)size != bytes * (uint64_t)ranks) wrong++;
  check(MPI_File_close(&file), "MPI_File_close");
  free(buffer);

  MPI_Allreduce(&wrong, &wrong_anywhere, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
  if (rank == 0) {
    if (wrong_anywhere == 0)
      printf("verified: every byte is right\n");
    else
      printf("FAILED: %llu wrong words\n", (unsigned long long)wrong_anywhere);
  }
  MPI_Finalize();
  return wrong_anywhere == 0 ? 0 : 1;
}
