/*
 * data.c - the rates of writing and reading a file, in four shapes, on several targets in turn.
 *
 *   mpiexec -n RANKS data [-w seq|random|pieces|view] [-t bytes] [-b bytes of each rank] [-q in
 * flight] [-F] [-s] [-d]
 *                         [-r rounds] [-T seconds] LABEL=KIND:PATH...
 *
 * seq: each rank one contiguous part of the file, -t bytes at a time. random: the same part in
 * random order, every block once. pieces: every RANKS-th piece of -t bytes is a rank's own, each by
 * a call of its own. view: the same, but all of them by one collective call through a file view
 * (MPI targets only). -F: each rank a file of its own. The file is new in every round; the clock
 * runs from before the open to after the close, with -s also over a sync of what was written; the
 * rate is that of the slowest rank. What is read was written by the neighbour. -d opens local files
 * with O_DIRECT. -T bounds every pass: what was not written by then is not read. A first round of
 * an eighth does not count.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum shape { SEQ, RANDOM, PIECES, VIEW };

static enum shape shape = SEQ;
static size_t transfer = 1 << 20;
static uint64_t blocks; /* of each rank */
static int depth = 1, how;
static int sync_writes;
static double seconds_max = 60;
static unsigned char* buffers[DEPTH_MAX];
static unsigned char* whole; /* of view */

/* A permutation of 0 ... n - 1, n a power of two. */
static uint64_t scattered(uint64_t i, uint64_t n) {
  const int shift = n > 4 ? __builtin_ctzll(n) / 2 : 1;

  for (int k = 0; k < 3; ++k) {
    i = (i * 0x9e3779b1 + 0x7f4a7c15) & (n - 1);
    i ^= i >> shift;
  }
  return i;
}

static uint64_t offset_of(uint64_t i, int owner) {
  const uint64_t base = how & OF_ONE_RANK ? 0 : (uint64_t)owner * blocks;

  switch (shape) {
    case SEQ:
      return (base + i) * transfer;
    case RANDOM:
      return (base + scattered(i, blocks)) * transfer;
    case PIECES:
    case VIEW:
      break;
  }
  return how & OF_ONE_RANK ? i * transfer : (i * (uint64_t)ranks + (uint64_t)owner) * transfer;
}

/* The same bytes of the same offset in two files are not the same. */
static uint64_t round_of(int round, int owner) {
  return (uint64_t)(round + 1) * 1024 + (how & OF_ONE_RANK ? (uint64_t)owner : 0);
}

static void path_of(char* path, const struct target* target, int owner) {
  if (how & OF_ONE_RANK)
    snprintf(path, PATH_BYTES, "%s.%d", target->path, owner);
  else
    snprintf(path, PATH_BYTES, "%s", target->path);
}

/* At most `count` transfers; gives how many were done. */
static uint64_t transfers(struct file* file, int writes, uint64_t count, int round, int owner,
                          double end, const char* label) {
  const uint64_t told = round_of(round, owner);
  uint64_t started = 0, finished = 0;

  while (finished < count) {
    if (started < count && started - finished < (uint64_t)depth) {
      const int slot = (int)(started % (uint64_t)depth);
      const uint64_t offset = offset_of(started, owner);
      if (writes) stamp(buffers[slot], transfer, offset, told);
      if (depth > 1)
        file_start(file, slot, writes, buffers[slot], transfer, offset);
      else if (writes)
        file_write(file, buffers[0], transfer, offset);
      else
        file_read(file, buffers[0], transfer, offset);
      ++started;
      if (depth > 1 && started < count && started - finished < (uint64_t)depth) continue;
    }
    const int slot = (int)(finished % (uint64_t)depth);
    if (depth > 1) file_finish(file, slot);
    if (!writes) glance(buffers[slot], transfer, offset_of(finished, owner), told, label);
    ++finished;
    if (finished % 16 == 0 && finished < count && seconds_now() > end) count = started;
  }
  return finished;
}

static void verify_all(struct file* file, uint64_t count, int round, int owner, const char* label) {
  for (uint64_t i = 0; i < count; ++i) {
    memset(buffers[0], 0x55, transfer);
    file_read(file, buffers[0], transfer, offset_of(i, owner));
    verify(buffers[0], transfer, offset_of(i, owner), round_of(round, owner), label);
  }
}

static void view_pass(struct file* file, int writes, uint64_t count) {
  file_all(file, writes, whole, count * transfer, transfer);
}

static void view_data(int writes, uint64_t count, int round, const char* label) {
  for (uint64_t i = 0; i < count; ++i) {
    unsigned char* const data = whole + i * transfer;
    if (writes)
      fill(data, transfer, offset_of(i, rank), round_of(round, rank));
    else
      verify(data, transfer, offset_of(i, rank), round_of(round, rank), label);
  }
  if (writes) return;
  memset(whole, 0x55, count * transfer);
}

/* One pass over the file: gives its seconds, and in *count how many transfers it made. */
static double pass(struct target* target, const char* path, int writes, uint64_t* count, int round,
                   int owner) {
  const uint64_t bytes = blocks * transfer * (how & OF_ONE_RANK ? 1 : (uint64_t)ranks);
  struct file* file;

  meet();
  const double begin = seconds_now();
  file = file_open(target, path, how | (writes ? FOR_WRITING : 0), bytes);
  if (shape == VIEW)
    view_pass(file, writes, *count);
  else
    *count = transfers(file, writes, *count, round, owner, begin + seconds_max, target->label);
  if (writes && sync_writes) file_sync(file);
  file_close(file);
  return longest(seconds_now() - begin);
}

static void figure(int round, const char* label, const char* what, uint64_t count, double seconds) {
  if (round < 0) return;
  if (shape == RANDOM)
    print_figure(round, label, what, "1/s", (double)count / seconds);
  else
    print_figure(round, label, what, "MiB/s", (double)(count * transfer) / seconds / (1 << 20));
}

static void measure(struct target* target, int round) {
  /* A copy in memory is seen by its own process alone; a view shows a rank its own pieces. */
  const int owner = target->kind == MEMORY || shape == VIEW ? rank : (rank + 1) % ranks;
  uint64_t count = round < 0 ? (blocks + 7) / 8 : blocks;
  char own[PATH_BYTES], other[PATH_BYTES];
  uint64_t counts[1024];
  double seconds;

  path_of(own, target, rank);
  path_of(other, target, owner);
  if (rank == 0 || how & OF_ONE_RANK) file_remove(target, own);
  if (shape == VIEW) view_data(1, count, round, target->label);
  seconds = pass(target, own, 1, &count, round, rank);
  figure(round, target->label, "write", sum_of(count), seconds);
  share(count, counts);
  if (shape == VIEW) memset(whole, 0x55, count * transfer);
  count = counts[owner];
  seconds = pass(target, other, 0, &count, round, owner);
  figure(round, target->label, "read", sum_of(count), seconds);
  if (shape == VIEW) {
    view_data(0, count, round, target->label);
  } else {
    struct file* file = file_open(target, other, how, 0);
    verify_all(file, count, round, owner, target->label);
    file_close(file);
  }
  for (int i = 0; i < depth; ++i) fill(buffers[i], transfer, 0, 0);
  meet();
  if (rank == 0 || how & OF_ONE_RANK) file_remove(target, own);
}

static enum shape shape_of(const char* text) {
  static const char* const names[] = {"seq", "random", "pieces", "view"};

  for (int i = SEQ; i <= VIEW; ++i)
    if (strcmp(names[i], text) == 0) return (enum shape)i;
  fail("-w %s: seq, random, pieces or view", text);
}

int main(int argc, char** argv) {
  struct target targets[TARGETS_MAX];
  uint64_t bytes = 64 << 20;
  int rounds = 3, n_targets;

  load_begin(&argc, &argv, "data", 0);
  for (int option; (option = getopt(argc, argv, "w:t:b:q:Fsdr:T:")) != -1;) {
    if (option == 'w') shape = shape_of(optarg);
    if (option == 't') transfer = number(optarg, 1 << 28, "-t");
    if (option == 'b') bytes = number(optarg, 1 << 30, "-b");
    if (option == 'q') depth = (int)number(optarg, DEPTH_MAX, "-q");
    if (option == 'F') how |= OF_ONE_RANK;
    if (option == 's') sync_writes = 1;
    if (option == 'd') how |= WITH_O_DIRECT;
    if (option == 'r') rounds = (int)number(optarg, ROUNDS_MAX, "-r");
    if (option == 'T') seconds_max = (double)number(optarg, 3600, "-T");
    if (option == '?') fail("see the head of data.c for the options");
  }
  blocks = bytes / transfer;
  if (transfer % 8 != 0 || blocks == 0 || ranks > 1024)
    fail("-t is a multiple of 8 and at most -b; at most 1024 ranks");
  if (shape == RANDOM) blocks = 1ULL << (63 - __builtin_clzll(blocks));
  n_targets = take_targets(argc, argv, optind, targets);
  for (int t = 0; t < n_targets && shape == VIEW; ++t)
    if (targets[t].kind != MPI_KIND || how & OF_ONE_RANK)
      fail("-w view is for MPI targets, and without -F");
  for (int i = 0; i < depth; ++i) {
    buffers[i] = aligned_memory(transfer);
    fill(buffers[i], transfer, 0, 0);
  }
  if (shape == VIEW) whole = aligned_memory(blocks * transfer);
  for (int round = -1; round < rounds; ++round)
    for (int t = 0; t < n_targets; ++t) measure(&targets[(t + round + 1) % n_targets], round);
  for (int i = 0; i < depth; ++i) free(buffers[i]);
  for (int t = 0; t < n_targets; ++t) free(targets[t].memory);
  free(whole);
  load_end();
  return 0;
}
