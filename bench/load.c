/*
 * load.c - what the loads have in common but the files themselves: how they begin and end, what
 * they are told and say, and the data that they write and check.
 */
#define _DEFAULT_SOURCE /* usleep */
#include "load.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char* program = "load";
int rank, ranks;
benchfs_t* fs;

/* ---- the program ---- */

void load_begin(int* argc, char*** argv, const char* name, int multiple) {
  int provided;

  program = name;
  MPI_Init_thread(argc, argv, multiple ? MPI_THREAD_MULTIPLE : MPI_THREAD_SINGLE, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  MPI_File_set_errhandler(MPI_FILE_NULL, MPI_ERRORS_RETURN);
}

void load_end(void) {
  if (fs != NULL && benchfs_disconnect(fs) != 0) fail("disconnect: %s", benchfs_error());
  MPI_Finalize();
}

void fail(const char* format, ...) {
  va_list list;

  fprintf(stderr, "%s: rank %d: ", program, rank);
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  fputc('\n', stderr);
  fflush(stderr);
  MPI_Abort(MPI_COMM_WORLD, 1);
  abort();
}

void check_mpi(int code, const char* what) {
  char text[MPI_MAX_ERROR_STRING + 1] = "";
  int length;

  if (code == MPI_SUCCESS) return;
  MPI_Error_string(code, text, &length);
  fail("%s: %s", what, text);
}

uint64_t number(const char* text, uint64_t most, const char* option) {
  char* end;
  uint64_t value = strtoull(text, &end, 10);

  if (*end == 'k') value <<= 10;
  if (*end == 'm') value <<= 20;
  if (*end == 'k' || *end == 'm') ++end;
  if (end == text || *end != '\0' || *text == '-' || value == 0 || value > most)
    fail("%s %s: a number from 1 to %llu, with k or m for KiB or MiB", option, text,
         (unsigned long long)most);
  return value;
}

static void take_target(const char* word, struct target* target) {
  static const char* const kinds[] = {"mpi", "native", "posix", "uring", "memory"};
  const char* equals = strchr(word, '=');
  const char* colon = equals == NULL ? NULL : strchr(equals, ':');
  const char* at = colon == NULL ? NULL : strchr(colon, '@');
  int kind = 0;

  memset(target, 0, sizeof(*target));
  if (colon == NULL || equals == word || (size_t)(equals - word) >= sizeof(target->label))
    fail("%s: a target is LABEL=KIND:PATH[@hint=value,...]", word);
  memcpy(target->label, word, (size_t)(equals - word));
  while (kind <= MEMORY && (strlen(kinds[kind]) != (size_t)(colon - equals - 1) ||
                            strncmp(equals + 1, kinds[kind], (size_t)(colon - equals - 1)) != 0))
    ++kind;
  if (kind > MEMORY) fail("%s: the kinds are mpi, native, posix, uring and memory", word);
  target->kind = (enum kind)kind;
  if (strlen(colon + 1) + 32 >= PATH_BYTES) fail("%s: too long", word);
  snprintf(target->path, PATH_BYTES, "%.*s", at == NULL ? PATH_BYTES - 1 : (int)(at - colon - 1),
           colon + 1);
  if (at != NULL) snprintf(target->hints, PATH_BYTES, "%s", at + 1);
}

int take_targets(int argc, char** argv, int first, struct target* targets) {
  const int count = argc - first;

  if (count < 1 || count > TARGETS_MAX)
    fail("1 to %d targets, LABEL=KIND:PATH[@hint=value,...]", TARGETS_MAX);
  for (int i = 0; i < count; ++i) {
    take_target(argv[first + i], &targets[i]);
    if (targets[i].kind == NATIVE && fs == NULL && benchfs_connect(NULL, &fs) != 0)
      fail("%s", benchfs_error());
  }
  return count;
}

void print_figure(int round, const char* label, const char* what, const char* unit, double value) {
  if (rank != 0) return;
  printf("%d\t%s\t%s\t%s\t%.6g\n", round, label, what, unit, value);
  fflush(stdout);
}

double seconds_now(void) {
  struct timespec time;

  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- meeting ----
 * MPI's own waits keep a core busy. With more processes than cores that would be measured as well,
 * in the ranks that still work. */

static void finish(MPI_Request* request) {
  const double begin = seconds_now();
  int done = 0;

  for (MPI_Test(request, &done, MPI_STATUS_IGNORE); !done;
       MPI_Test(request, &done, MPI_STATUS_IGNORE)) {
    if (seconds_now() - begin < 1e-3)
      sched_yield();
    else
      usleep(200);
  }
}

void meet(void) {
  MPI_Request request;

  MPI_Ibarrier(MPI_COMM_WORLD, &request);
  finish(&request);
}

static void reduce(void* value, MPI_Datatype type, MPI_Op op) {
  MPI_Request request;

  MPI_Iallreduce(MPI_IN_PLACE, value, 1, type, op, MPI_COMM_WORLD, &request);
  finish(&request);
}

double longest(double seconds) {
  reduce(&seconds, MPI_DOUBLE, MPI_MAX);
  return seconds;
}

uint64_t sum_of(uint64_t count) {
  reduce(&count, MPI_UINT64_T, MPI_SUM);
  return count;
}

void share(uint64_t count, uint64_t* counts) {
  MPI_Request request;

  MPI_Iallgather(&count, 1, MPI_UINT64_T, counts, 1, MPI_UINT64_T, MPI_COMM_WORLD, &request);
  finish(&request);
}

/* ---- data ---- */

#define PAGE 4096

static uint64_t word_at(size_t at) {
  return ((uint64_t)at + 0x5851f42d) * 0x9e3779b97f4a7c15;
}

static uint64_t telling(uint64_t offset, uint64_t round) {
  return (offset + 1) * 0xc2b2ae3d27d4eb4f + (round + 1) * 0x165667b19e3779f9;
}

void stamp(void* data, size_t bytes, uint64_t offset, uint64_t round) {
  unsigned char* const to = data;

  for (size_t page = 0; page < bytes; page += PAGE) {
    const size_t end = page + PAGE < bytes ? page + PAGE : bytes;
    const uint64_t word = telling(offset + page, round), inverse = ~word;
    memcpy(to + page, &word, 8);
    memcpy(to + end - 8, &inverse, 8);
  }
}

void fill(void* data, size_t bytes, uint64_t offset, uint64_t round) {
  for (size_t at = 0; at < bytes; at += 8) {
    const uint64_t word = word_at(at);
    memcpy((unsigned char*)data + at, &word, 8);
  }
  stamp(data, bytes, offset, round);
}

static void compare(const void* data, size_t at, uint64_t want, uint64_t offset,
                    const char* label) {
  uint64_t word;

  memcpy(&word, (const unsigned char*)data + at, 8);
  if (word != want)
    fail("%s: wrong data at file offset %llu", label, (unsigned long long)(offset + at));
}

void verify(const void* data, size_t bytes, uint64_t offset, uint64_t round, const char* label) {
  for (size_t at = 0; at < bytes; at += 8) {
    const uint64_t told = telling(offset + at / PAGE * PAGE, round);
    const int last = at % PAGE == PAGE - 8 || at == bytes - 8;
    /* What is both the first and the last word was written as the last one. */
    compare(data, at,
            last             ? ~telling(offset + at / PAGE * PAGE, round)
            : at % PAGE == 0 ? told
                             : word_at(at),
            offset, label);
  }
}

void glance(const void* data, size_t bytes, uint64_t offset, uint64_t round, const char* label) {
  if (bytes > 8) compare(data, 0, telling(offset, round), offset, label);
  compare(data, bytes - 8, ~telling(offset + (bytes - 1) / PAGE * PAGE, round), offset, label);
}

void* aligned_memory(size_t bytes) {
  void* memory = NULL;

  if (posix_memalign(&memory, PAGE, bytes) != 0) fail("no memory for %zu bytes", bytes);
  memset(memory, 0x55, bytes);
  return memory;
}
