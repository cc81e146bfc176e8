/*
 * closes.c - what a close promises: every rank finds the size that the farthest write of any of
 * them made as soon as its own close has returned, whichever of them wrote, and the servers are
 * told of it in one message, not in one of each rank.
 */
#include <benchfs.h>
#include <sched.h>

#include "check.h"

#define PATH "/closes"
#define ROUNDS 5

static benchfs_t* fs;

/* A barrier that leaves the cores to those who are not there yet. */
static void meet(void) {
  MPI_Request request;
  int done = 0;

  MPI_Ibarrier(MPI_COMM_WORLD, &request);
  while (!done) {
    MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    if (!done) sched_yield();
  }
}

static uint64_t size_now(void) {
  struct benchfs_stat st = {0};

  CHECK(benchfs_stat(fs, PATH, &st) == 0);
  return st.size;
}

/* By all sessions of all ranks, but for these questions. */
static uint64_t requests(void) {
  static uint64_t own;
  const int servers = benchfs_server_count(fs);
  uint64_t sum = 0;

  for (int i = 0; i < servers; i++) {
    struct benchfs_server_status status;

    CHECK(benchfs_server_status(fs, i, &status) == 0);
    sum += status.requests;
  }
  own += (uint64_t)servers;
  return sum - own;
}

static void open_file(MPI_File* file) {
  OK(MPI_File_open(MPI_COMM_WORLD, "benchfs:" PATH, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL,
                   file));
}

static void write_byte(MPI_File file, MPI_Offset offset) {
  char byte = 1;

  OK(MPI_File_write_at(file, offset, &byte, 1, MPI_BYTE, MPI_STATUS_IGNORE));
}

/* One rank writes, and it was not the one that opened the file for all. */
static void one_writer(int writer) {
  const uint64_t end = 100 + (uint64_t)writer;
  MPI_File file;

  for (int round = 0; round < ROUNDS; round++) {
    open_file(&file);
    if (rank == writer) {
      write_byte(file, 5);
      write_byte(file, (MPI_Offset)end - 1);
    }
    OK(MPI_File_close(&file));
    CHECK(size_now() == end);
    meet();
    if (rank == 0) OK(MPI_File_delete("benchfs:" PATH, MPI_INFO_NULL));
    meet();
  }
}

/* A close of what nobody wrote, or that another set smaller, changes nothing. */
static void unchanged(void) {
  MPI_File file;

  open_file(&file);
  write_byte(file, 1000 + rank);
  OK(MPI_File_set_size(file, 10));
  OK(MPI_File_close(&file));
  CHECK(size_now() == 10);
  meet();
  open_file(&file);
  OK(MPI_File_close(&file));
  CHECK(size_now() == 10);
  meet();
  /* Below the end. */
  open_file(&file);
  write_byte(file, rank % 9);
  OK(MPI_File_close(&file));
  CHECK(size_now() == 10);
  meet();
}

/* All have written at their own places, far apart, in several chunks. */
static void messages(void) {
  const MPI_Offset apart = 5 << 20;
  uint64_t least = UINT64_MAX;
  MPI_File file;

  for (int round = 0; round < 5; round++) {
    uint64_t before = 0, after = 0;

    open_file(&file);
    write_byte(file, apart * rank);
    write_byte(file, apart * rank + 1000 + round);
    meet();
    if (rank == 0) before = requests();
    meet();
    OK(MPI_File_close(&file));
    meet();
    if (rank == 0) after = requests();
    meet();
    if (after - before < least) least = after - before;
    CHECK(size_now() == (uint64_t)(apart * (ranks - 1)) + 1001 + (uint64_t)round);
    meet();
  }
  /* The size; and the close itself, which may be told with others. */
  if (rank == 0) CHECK(least >= 1 && least <= 2);
}

int main(int argc, char** argv) {
  test_begin(&argc, &argv);
  if (!CHECK(benchfs_connect(NULL, &fs) == 0)) MPI_Abort(MPI_COMM_WORLD, 1);
  for (int writer = 0; writer < ranks; writer = writer * 3 + 1) one_writer(writer);
  unchanged();
  messages();
  meet();
  if (rank == 0) OK(MPI_File_delete("benchfs:" PATH, MPI_INFO_NULL));
  CHECK(benchfs_disconnect(fs) == 0);
  return test_end();
}
