/*
 * meta.c - the rates of operations on many files, on several targets in turn.
 *
 *   mpiexec -n RANKS meta [-n files of each rank] [-b bytes of a file] [-S] [-r rounds] [-T
 * seconds] LABEL=KIND:DIRECTORY...
 *
 * In each round each rank makes its files (created, written by one call, closed; without -b created
 * and closed), stat()s those of its neighbour, opens, reads and closes them, lists their directory,
 * and removes its own: the phases of mdtest. Files are in a directory of each rank, with -S all in
 * one. Targets are native and posix. The rate is that of all ranks together, by the time of the
 * slowest. -T bounds every phase: files not made by then do not exist for the others. Sizes, the
 * names in a directory and all data are verified; the time of that does not count.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"

enum phase { CREATE, STAT, READ, LIST, REMOVE, PHASES };

#define BYTES_MAX 65536

static const char* const kNames[PHASES] = {"create", "stat", "open-read-close", "readdir",
                                           "remove"};
static int files = 5000, shared;
static size_t bytes, padded; /* of a file; in whole words */
static double seconds_max = 60;
static unsigned char *data, *back;

static void failed(const struct target* target, const char* what, const char* path, int code) {
  fail("%s: %s %s: %s", target->label, what, path,
       target->kind == NATIVE && code < 0 ? benchfs_error() : strerror(code < 0 ? -code : code));
}

static void directory_of(char* path, const struct target* target, int owner) {
  if (shared)
    snprintf(path, PATH_BYTES, "%s/meta", target->path);
  else
    snprintf(path, PATH_BYTES, "%s/meta.%d", target->path, owner);
}

static uint64_t place(int owner, int number) {
  return ((uint64_t)owner << 32 | (uint64_t)number) * BYTES_MAX;
}

static void create(const struct target* target, const char* path, int number, int round) {
  if (bytes > 0) stamp(data, padded, place(rank, number), (uint64_t)round);
  if (target->kind == NATIVE) {
    benchfs_file_t* file;
    int code = benchfs_open(fs, path, O_WRONLY | O_CREAT | O_EXCL, 0644, 0, &file);
    if (code != 0) failed(target, "create", path, code);
    if (bytes > 0) {
      const int64_t count = benchfs_pwrite(file, data, bytes, 0);
      if (count != (int64_t)bytes) failed(target, "write", path, count < 0 ? (int)count : EIO);
    }
    code = benchfs_close(file);
    if (code != 0) failed(target, "close", path, code);
    return;
  }
  const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (fd < 0) failed(target, "create", path, errno);
  if (bytes > 0 && pwrite(fd, data, bytes, 0) != (ssize_t)bytes)
    failed(target, "write", path, errno);
  if (close(fd) != 0) failed(target, "close", path, errno);
}

static void stat_one(const struct target* target, const char* path) {
  struct benchfs_stat of_fs;
  struct stat local;
  const int code = target->kind == NATIVE    ? benchfs_stat(fs, path, &of_fs)
                   : stat(path, &local) == 0 ? 0
                                             : errno;

  if (code != 0) failed(target, "stat", path, code);
  const uint64_t size = target->kind == NATIVE ? of_fs.size : (uint64_t)local.st_size;
  if (size != bytes)
    fail("%s: wrong size of %s: %llu bytes", target->label, path, (unsigned long long)size);
}

static void read_one(const struct target* target, const char* path) {
  if (target->kind == NATIVE) {
    benchfs_file_t* file;
    int code = benchfs_open(fs, path, O_RDONLY, 0, 0, &file);
    if (code != 0) failed(target, "open", path, code);
    if (bytes > 0) {
      const int64_t count = benchfs_pread(file, back, bytes, 0);
      if (count != (int64_t)bytes) failed(target, "read", path, count < 0 ? (int)count : EIO);
    }
    code = benchfs_close(file);
    if (code != 0) failed(target, "close", path, code);
    return;
  }
  const int fd = open(path, O_RDONLY);
  if (fd < 0) failed(target, "open", path, errno);
  if (bytes > 0 && pread(fd, back, bytes, 0) != (ssize_t)bytes) failed(target, "read", path, errno);
  if (close(fd) != 0) failed(target, "close", path, errno);
}

static uint64_t list(const struct target* target, const char* path) {
  uint64_t count = 0;

  if (target->kind == NATIVE) {
    struct benchfs_dirent entry;
    benchfs_dir_t* directory;
    int got = benchfs_opendir(fs, path, 0, &directory);
    if (got != 0) failed(target, "opendir", path, got);
    while ((got = benchfs_readdir(directory, &entry)) == 1)
      count += strncmp(entry.name, "file.", 5) == 0;
    if (got < 0) failed(target, "readdir", path, got);
    benchfs_closedir(directory);
    return count;
  }
  DIR* directory = opendir(path);
  if (directory == NULL) failed(target, "opendir", path, errno);
  for (struct dirent* entry; (entry = readdir(directory)) != NULL;)
    count += strncmp(entry->d_name, "file.", 5) == 0;
  closedir(directory);
  return count;
}

static void remove_one(const struct target* target, const char* path) {
  const int code = target->kind == NATIVE ? benchfs_unlink(fs, path)
                   : unlink(path) == 0    ? 0
                                          : errno;

  if (code != 0) failed(target, "remove", path, code);
}

static void make_directory(const struct target* target, const char* path) {
  const int code = target->kind == NATIVE   ? benchfs_mkdir(fs, path, 0755)
                   : mkdir(path, 0755) == 0 ? 0
                                            : errno;

  if (code != 0) failed(target, "mkdir", path, code);
}

static void remove_directory(const struct target* target, const char* path) {
  const int code = target->kind == NATIVE ? benchfs_rmdir(fs, path) : rmdir(path) == 0 ? 0 : errno;

  if (code != 0) failed(target, "rmdir", path, code);
}

/* One phase on `count` files of `owner`, whose directory is `directory`; gives how many it did. */
static uint64_t run(const struct target* target, enum phase phase, const char* directory, int owner,
                    uint64_t count, int round, double end) {
  char path[PATH_BYTES + 32];
  uint64_t done = 0;

  if (phase == LIST) return list(target, directory);
  for (; done < count; ++done) {
    const int number = (int)done;
    if (done % 16 == 0 && done > 0 && phase == CREATE && seconds_now() > end) break;
    snprintf(path, sizeof(path), "%s/file.%d.%08d", directory, owner, number);
    if (phase == CREATE) create(target, path, number, round);
    if (phase == STAT) stat_one(target, path);
    if (phase == REMOVE) remove_one(target, path);
    if (phase != READ) continue;
    read_one(target, path);
    if (bytes < 8) continue;
    stamp(data, padded, place(owner, number), (uint64_t)round);
    if (memcmp(back, data, 8) != 0 || memcmp(back + bytes - 8, data + bytes - 8, 8) != 0)
      fail("%s: wrong data in %s", target->label, path);
  }
  return done;
}

static void verify_files(const struct target* target, const char* directory, int owner,
                         uint64_t count, int round) {
  char path[PATH_BYTES + 32];

  for (uint64_t i = 0; i < count && bytes > 0; ++i) {
    snprintf(path, sizeof(path), "%s/file.%d.%08d", directory, owner, (int)i);
    memset(back, 0x55, bytes);
    read_one(target, path);
    stamp(data, padded, place(owner, (int)i), (uint64_t)round);
    if (memcmp(data, back, bytes) != 0) fail("%s: wrong data in %s", target->label, path);
  }
}

static void measure(const struct target* target, int round) {
  const int owner = (rank + 1) % ranks;
  char own[PATH_BYTES], other[PATH_BYTES];
  uint64_t counts[1024], made = round < 0 ? (uint64_t)(files + 7) / 8 : (uint64_t)files;

  directory_of(own, target, rank);
  directory_of(other, target, owner);
  if (!shared || rank == 0) make_directory(target, own);
  for (int phase = CREATE; phase < PHASES; ++phase) {
    const int mine = phase == CREATE || phase == REMOVE;
    meet();
    const double begin = seconds_now();
    const uint64_t done = run(target, (enum phase)phase, mine ? own : other, mine ? rank : owner,
                              mine ? made : counts[owner], round, begin + seconds_max);
    const double seconds = longest(seconds_now() - begin);
    const uint64_t all = sum_of(done);
    if (round >= 0) print_figure(round, target->label, kNames[phase], "1/s", (double)all / seconds);
    if (phase == CREATE) {
      made = done;
      share(made, counts);
    }
    if (phase == READ) verify_files(target, other, owner, counts[owner], round);
    if (phase == LIST) {
      const uint64_t want = shared ? sum_of(made) : counts[owner];
      if (done != want)
        fail("%s: wrong number of names in %s: %llu, not %llu", target->label, other,
             (unsigned long long)done, (unsigned long long)want);
    }
  }
  meet();
  if (!shared || rank == 0) remove_directory(target, own);
}

int main(int argc, char** argv) {
  struct target targets[TARGETS_MAX];
  int rounds = 3, n_targets;

  load_begin(&argc, &argv, "meta", 0);
  for (int option; (option = getopt(argc, argv, "n:b:Sr:T:")) != -1;) {
    if (option == 'n') files = (int)number(optarg, 10000000, "-n");
    if (option == 'b') bytes = (size_t)number(optarg, BYTES_MAX - 8, "-b");
    if (option == 'S') shared = 1;
    if (option == 'r') rounds = (int)number(optarg, ROUNDS_MAX, "-r");
    if (option == 'T') seconds_max = (double)number(optarg, 3600, "-T");
    if (option == '?') fail("see the head of meta.c for the options");
  }
  if (ranks > 1024) fail("at most 1024 ranks");
  n_targets = take_targets(argc, argv, optind, targets);
  for (int t = 0; t < n_targets; ++t)
    if (targets[t].kind != NATIVE && targets[t].kind != POSIX)
      fail("%s: native or posix", targets[t].label);
  padded = (bytes + 7) / 8 * 8;
  data = aligned_memory(padded + 8);
  back = aligned_memory(padded + 8);
  fill(data, padded, 0, 0);
  for (int round = -1; round < rounds; ++round)
    for (int t = 0; t < n_targets; ++t) measure(&targets[(t + round + 1) % n_targets], round);
  free(data);
  free(back);
  load_end();
  return 0;
}
