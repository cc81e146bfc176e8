/*
 * shared.c - what it costs that all ranks open, write and close one file: messages to all servers
 * together, and the time of the slowest rank.
 *
 *   mpiexec -n RANKS shared ROUNDS
 *
 * between servers that it finds in the environment. In each round a new file is opened by all ranks
 * and closed; opened again, a block of 4 KiB written by each rank, closed; then rank 0 reads and
 * compares all of it. A round before the first one is not counted: in it the ranks open their
 * sessions. Messages are what the servers count themselves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

enum { kBlock = 4096, kRoundsMax = 100, kSecondsMax = 300 };

static double own; /* requests of rank 0 for the numbers themselves */

static double served(double* sessions) {
  struct benchfs_server_status status;
  const int servers = rank == 0 ? benchfs_server_count(fs) : 0;
  double sum = 0;

  if (sessions != NULL) *sessions = 0;
  meet();
  for (int i = 0; i < servers; ++i) {
    if (benchfs_server_status(fs, i, &status) != 0) fail("status: %s", benchfs_error());
    sum += (double)status.requests;
    if (sessions != NULL) *sessions += (double)status.sessions;
  }
  own += servers;
  meet();
  return sum - own;
}

static void compare(const char* path, uint64_t round) {
  unsigned char block[kBlock];
  struct benchfs_stat st;
  benchfs_file_t* file;

  if (benchfs_open(fs, path, 0, 0, 0, &file) != 0 || benchfs_fstat(file, &st) != 0)
    fail("%s: %s", path, benchfs_error());
  if (st.size != (uint64_t)ranks * kBlock)
    fail("%s has %llu bytes", path, (unsigned long long)st.size);
  for (int i = 0; i < ranks; ++i) {
    if (benchfs_pread(file, block, kBlock, (uint64_t)i * kBlock) != kBlock)
      fail("%s: %s", path, benchfs_error());
    verify(block, kBlock, (uint64_t)i * kBlock, round, "shared");
  }
  if (benchfs_close(file) != 0) fail("%s: %s", path, benchfs_error());
}

static void one_round(int round, int counted) {
  static const char* const names[] = {"open new", "close", "open", "write 4 KiB each",
                                      "close after writing"};
  enum { kPhases = 5 };
  double messages[kPhases + 1], times[kPhases], sessions;
  unsigned char block[kBlock];
  char path[64], url[80];
  MPI_File file = MPI_FILE_NULL;

  snprintf(path, sizeof(path), "/shared.%03d", round);
  snprintf(url, sizeof(url), "benchfs:%s", path);
  fill(block, kBlock, (uint64_t)rank * kBlock, (uint64_t)round);
  messages[0] = served(NULL);
  for (int phase = 0; phase < kPhases; ++phase) {
    const double began = seconds_now();

    if (phase == 0 || phase == 2)
      check_mpi(
          MPI_File_open(MPI_COMM_WORLD, url, MPI_MODE_RDWR | (phase == 0 ? MPI_MODE_CREATE : 0),
                        MPI_INFO_NULL, &file),
          names[phase]);
    else if (phase == 3)
      check_mpi(MPI_File_write_at(file, (MPI_Offset)rank * kBlock, block, kBlock, MPI_BYTE,
                                  MPI_STATUS_IGNORE),
                names[phase]);
    else
      check_mpi(MPI_File_close(&file), names[phase]);
    times[phase] = longest(seconds_now() - began);
    messages[phase + 1] = served(&sessions);
    if (!counted && phase == 0)
      print_figure(round, "sessions", "after the first open", "", sessions);
    if (!counted && phase == 3)
      print_figure(round, "sessions", "after the first write", "", sessions);
  }
  if (rank == 0) {
    compare(path, (uint64_t)round);
    if (benchfs_unlink(fs, path) != 0) fail("%s: %s", path, benchfs_error());
  }
  for (int phase = 0; counted && phase < kPhases; ++phase) {
    print_figure(round, "messages", names[phase], "", messages[phase + 1] - messages[phase]);
    print_figure(round, "time", names[phase], "us", 1e6 * times[phase]);
  }
}

int main(int argc, char** argv) {
  load_begin(&argc, &argv, "shared", 0);
  if (argc != 2) fail("shared ROUNDS");
  const int rounds = (int)number(argv[1], kRoundsMax, "ROUNDS");
  alarm(kSecondsMax);
  if (rank == 0 && benchfs_connect(NULL, &fs) != 0) fail("%s", benchfs_error());
  for (int round = 0; round <= rounds; ++round) one_round(round, round > 0);
  load_end();
  return 0;
}
