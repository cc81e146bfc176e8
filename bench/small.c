/*
 * small.c - the rates of operations on small files, with the data verified.
 *
 *   benchfs run -n 1 -- small [-n files] [-s bytes] [-r repetitions] [-d depth] [-p local
 * directory]
 *
 * In each repetition `files` files are made in one directory, `depth` directories below the root,
 * in the shapes of mdtest: each created, written by one call and closed (mdtest-hard: 3901 bytes; 0
 * bytes: created and closed); each stat()ed; each opened, read and closed; each removed. -p does
 * the same by system calls in a local directory, in the same run, to compare with. The rate is that
 * of the median repetition.
 */
#include <benchfs.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REPETITIONS_MAX 64
#define DEPTH_MAX 16
#define BYTES_MAX 65536

enum phase { MAKE, STAT, READ, REMOVE, PHASES };
static const char* const kPhaseNames[PHASES] = {"create+write+close", "stat", "open+read+close",
                                                "unlink"};

static benchfs_t* fs; /* NULL: by system calls */
static char directory[4096];
static int files = 10000;
static size_t bytes = 3901;

static double now(void) {
  struct timespec time;

  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void stop(const char* what, const char* path, int code) {
  fprintf(stderr, "small: %s %s: %s\n", what, path,
          fs != NULL && code < 0 ? benchfs_error() : strerror(code < 0 ? -code : code));
  exit(1);
}

/* What the byte at `at` of file `number` is in repetition `round`. */
static void fill(unsigned char* data, int number, int round) {
  uint64_t state = ((uint64_t)round << 32 | (uint64_t)number) * 0x9e3779b97f4a7c15 + 1;

  for (size_t at = 0; at < bytes; ++at) {
    if (at % 8 == 0) state = state * 6364136223846793005u + 1442695040888963407u;
    data[at] = (unsigned char)(state >> (8 * (at % 8)));
  }
}

static void make_file(const char* path, const unsigned char* data) {
  int code;

  if (fs != NULL) {
    benchfs_file_t* file;
    code = benchfs_open(fs, path, O_WRONLY | O_CREAT | O_EXCL, 0644, 0, &file);
    if (code != 0) stop("create", path, code);
    if (bytes > 0) {
      const int64_t count = benchfs_pwrite(file, data, bytes, 0);
      if (count != (int64_t)bytes) stop("write", path, (int)count);
    }
    code = benchfs_close(file);
    if (code != 0) stop("close", path, code);
    return;
  }
  code = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (code < 0) stop("create", path, errno);
  if (pwrite(code, data, bytes, 0) != (ssize_t)bytes) stop("write", path, errno);
  if (close(code) != 0) stop("close", path, errno);
}

static void read_file(const char* path, unsigned char* back) {
  int code;

  if (fs != NULL) {
    benchfs_file_t* file;
    code = benchfs_open(fs, path, O_RDONLY, 0, 0, &file);
    if (code != 0) stop("open", path, code);
    if (bytes > 0) {
      const int64_t count = benchfs_pread(file, back, bytes, 0);
      if (count != (int64_t)bytes) stop("read", path, (int)count);
    }
    code = benchfs_close(file);
    if (code != 0) stop("close", path, code);
    return;
  }
  code = open(path, O_RDONLY);
  if (code < 0) stop("open", path, errno);
  if (pread(code, back, bytes, 0) != (ssize_t)bytes) stop("read", path, errno);
  if (close(code) != 0) stop("close", path, errno);
}

static void stat_file(const char* path) {
  struct benchfs_stat of_fs;
  struct stat local;
  int code;
  uint64_t size;

  if (fs != NULL) {
    code = benchfs_stat(fs, path, &of_fs);
    size = of_fs.size;
  } else {
    code = stat(path, &local) == 0 ? 0 : errno;
    size = (uint64_t)local.st_size;
  }
  if (code != 0) stop("stat", path, code);
  if (size != bytes) {
    fprintf(stderr, "small: %s has %llu bytes\n", path, (unsigned long long)size);
    exit(1);
  }
}

static void remove_file(const char* path) {
  const int code = fs != NULL ? benchfs_unlink(fs, path) : unlink(path) == 0 ? 0 : errno;

  if (code != 0) stop("remove", path, code);
}

/* Seconds that `phase` takes. Making and comparing the data is not counted. */
static double run_phase(enum phase phase, int round) {
  static unsigned char data[BYTES_MAX], back[BYTES_MAX];
  char path[sizeof(directory) + 32];
  double seconds = 0;

  for (int i = 0; i < files; ++i) {
    snprintf(path, sizeof(path), "%s/file.%08d", directory, i);
    if (phase == MAKE || phase == READ) fill(data, i, round);
    const double begin = now();
    if (phase == MAKE) make_file(path, data);
    if (phase == STAT) stat_file(path);
    if (phase == READ) read_file(path, back);
    if (phase == REMOVE) remove_file(path);
    seconds += now() - begin;
    if (phase == READ && memcmp(data, back, bytes) != 0) {
      fprintf(stderr, "small: wrong data in %s\n", path);
      exit(1);
    }
  }
  return seconds;
}

static int compare(const void* left, const void* right) {
  const double a = *(const double*)left, b = *(const double*)right;

  return a < b ? -1 : a > b;
}

static void make_directories(const char* base, int depth) {
  size_t used = (size_t)snprintf(directory, sizeof(directory), "%s", base);

  for (int i = 0; i < depth; ++i) {
    used += (size_t)snprintf(directory + used, sizeof(directory) - used, "/d%d", i);
    if (fs != NULL) {
      const int code = benchfs_mkdir(fs, directory, 0755);
      if (code != 0 && code != -EEXIST) stop("mkdir", directory, code);
    } else if (mkdir(directory, 0755) != 0 && errno != EEXIST) {
      stop("mkdir", directory, errno);
    }
  }
}

static void remove_directories(int depth) {
  for (int i = 0; i < depth; ++i) {
    const int code = fs != NULL ? benchfs_rmdir(fs, directory) : rmdir(directory) == 0 ? 0 : errno;

    if (code != 0) stop("rmdir", directory, code);
    *strrchr(directory, '/') = '\0';
  }
}

static void measure(const char* name, const char* base, int depth, int repetitions) {
  double seconds[PHASES][REPETITIONS_MAX];

  make_directories(base, depth);
  for (int round = 0; round < repetitions; ++round)
    for (int phase = 0; phase < PHASES; ++phase)
      seconds[phase][round] = run_phase((enum phase)phase, round);
  remove_directories(depth);
  for (int phase = 0; phase < PHASES; ++phase) {
    qsort(seconds[phase], (size_t)repetitions, sizeof(double), compare);
    printf("%-8s %-20s %10.0f per s\n", name, kPhaseNames[phase],
           files / seconds[phase][repetitions / 2]);
  }
}

int main(int argc, char** argv) {
  const char* local = NULL;
  int depth = 2, repetitions = 3;

  for (int option; (option = getopt(argc, argv, "n:s:r:d:p:")) != -1;) {
    if (option == 'n') files = atoi(optarg);
    if (option == 's') bytes = (size_t)atol(optarg);
    if (option == 'r') repetitions = atoi(optarg);
    if (option == 'd') depth = atoi(optarg);
    if (option == 'p') local = optarg;
    if (option == '?') return 2;
  }
  if (files < 1 || bytes > BYTES_MAX || repetitions < 1 || repetitions > REPETITIONS_MAX ||
      depth < 0 || depth > DEPTH_MAX) {
    fprintf(stderr, "small: at least 1 file, at most %d bytes, %d repetitions, depth %d\n",
            BYTES_MAX, REPETITIONS_MAX, DEPTH_MAX);
    return 2;
  }
  printf("%d files of %zu bytes, %d directories deep, median of %d\n", files, bytes, depth,
         repetitions);
  if (benchfs_connect(NULL, &fs) != 0) {
    fprintf(stderr, "small: %s\n", benchfs_error());
    return 1;
  }
  measure("benchfs", "", depth, repetitions);
  benchfs_disconnect(fs);
  fs = NULL;
  if (local != NULL) measure("local", local, depth, repetitions);
  return 0;
}
