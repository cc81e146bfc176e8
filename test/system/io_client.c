/* A client for the system tests: plain C over benchfs.h, as a user would write it.
 *   io_client write|verify PATH BYTES   one file with a known content
 *   io_client hold PATH BYTES           writes at most 1 MiB by one call, says "written", and keeps the
 *                                       file open, neither synced nor closed, until it is killed
 *   io_client endless PATH              writes and reads until something fails, then says
 *                                       "failed ERRNO MILLISECONDS-OF-THE-CALL TEXT"
 *   io_client many PATH FILES           makes that many files in the directory, every 16th with one byte,
 *                                       lists them, and removes them; says "made", "listed" and "removed"
 *                                       with its largest memory so far in KiB
 * Exit status: 0; 1 for an error; 2 for a difference; 3 for the failure that ends `endless`. */
#include <benchfs.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 1 << 20 };

static unsigned char buffer[BLOCK];

static int complain(const char* what) {
  fprintf(stderr, "io_client: %s: %s\n", what, benchfs_error());
  return 1;
}

static unsigned char byte_at(uint64_t offset) {
  return (unsigned char)((offset * 2654435761u + (offset >> 20)) >> 7);
}

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int write_file(benchfs_file_t* file, uint64_t bytes) {
  for (uint64_t at = 0; at < bytes; at += BLOCK) {
    size_t part = bytes - at < BLOCK ? (size_t)(bytes - at) : BLOCK;
    for (size_t i = 0; i < part; i++) buffer[i] = byte_at(at + i);
    if (benchfs_pwrite(file, buffer, part, at) != (int64_t)part) return complain("write");
  }
  return benchfs_sync(file) == 0 ? 0 : complain("sync");
}

static int verify_file(benchfs_file_t* file, uint64_t bytes) {
  for (uint64_t at = 0; at < bytes; at += BLOCK) {
    size_t part = bytes - at < BLOCK ? (size_t)(bytes - at) : BLOCK;
    int64_t got = benchfs_pread(file, buffer, part, at);
    if (got < 0) return complain("read");
    for (size_t i = 0; i < part; i++) {
      if (i < (size_t)got && buffer[i] == byte_at(at + i)) continue;
      fprintf(stderr, "io_client: differs at byte %llu\n", (unsigned long long)(at + i));
      return 2;
    }
  }
  return benchfs_pread(file, buffer, 1, bytes) == 0 ? 0 : 2;
}

static int hold_file(benchfs_file_t* file, uint64_t bytes) {
  if (bytes > BLOCK) return 1;
  for (size_t i = 0; i < bytes; i++) buffer[i] = byte_at(i);
  if (benchfs_pwrite(file, buffer, (size_t)bytes, 0) != (int64_t)bytes) return complain("write");
  printf("written\n");
  fflush(stdout);
  for (;;) pause();
}

static int run_endless(benchfs_file_t* file) {
  for (uint64_t n = 0;; n++) {
    uint64_t at = (n % 64) * BLOCK;
    double begin = now_ms();
    int64_t result = n % 2 == 0 ? benchfs_pwrite(file, buffer, BLOCK, at)
                                : benchfs_pread(file, buffer, BLOCK, at - BLOCK);
    if (result < 0) {
      printf("failed %d %.0f %s\n", (int)-result, now_ms() - begin, benchfs_error());
      return 3;
    }
    if (n == 64) {
      printf("up\n");
      fflush(stdout);
    }
  }
}

/* "VmHWM:  1234 kB" */
static long memory_kib(void) {
  char line[256];
  long kib = 0;
  FILE* status = fopen("/proc/self/status", "r");

  while (status != NULL && fgets(line, sizeof(line), status) != NULL)
    if (sscanf(line, "VmHWM: %ld", &kib) == 1) break;
  if (status != NULL) fclose(status);
  return kib;
}

static int say(const char* what) {
  printf("%s %ld\n", what, memory_kib());
  return fflush(stdout);
}

enum { WINDOW = 64 };

static void name_of(char* path, size_t room, const char* directory, uint64_t number) {
  snprintf(path, room, "%s/file.%llu", directory, (unsigned long long)number);
}

static int make_some(benchfs_t* fs, const char* directory, uint64_t first, int count) {
  benchfs_request_t* requests[WINDOW];
  benchfs_file_t* files[WINDOW];
  char path[512];
  int result = 0;

  for (int i = 0; i < count; i++) {
    name_of(path, sizeof(path), directory, first + (uint64_t)i);
    if (benchfs_open_start(fs, path, O_WRONLY | O_CREAT | O_EXCL, 0600, 0, &files[i],
                           &requests[i]) != 0)
      return complain("create");
  }
  for (int i = 0; i < count; i++)
    if (benchfs_wait(requests[i]) != 0) return complain("create");
  for (int i = 0; i < count; i++) {
    if ((first + (uint64_t)i) % 16 == 0 && benchfs_pwrite(files[i], "x", 1, 0) != 1)
      result = complain("write");
    if (benchfs_close(files[i]) != 0) result = complain("close");
  }
  return result;
}

static int remove_some(benchfs_t* fs, const char* directory, uint64_t first, int count) {
  benchfs_request_t* requests[WINDOW];
  char path[512];

  for (int i = 0; i < count; i++) {
    name_of(path, sizeof(path), directory, first + (uint64_t)i);
    if (benchfs_unlink_start(fs, path, &requests[i]) != 0) return complain("unlink");
  }
  for (int i = 0; i < count; i++)
    if (benchfs_wait(requests[i]) != 0) return complain("unlink");
  return 0;
}

static int list_all(benchfs_t* fs, const char* directory, uint64_t files) {
  struct benchfs_dirent entry;
  benchfs_dir_t* listing;
  uint64_t count = 0, bytes = 0;
  int got;

  if (benchfs_opendir(fs, directory, BENCHFS_DIR_STAT, &listing) != 0) return complain("opendir");
  while ((got = benchfs_readdir(listing, &entry)) == 1) {
    count++;
    bytes += entry.stat.size;
  }
  benchfs_closedir(listing);
  if (got != 0) return complain("readdir");
  if (count == files && bytes == (files + 15) / 16) return 0;
  fprintf(stderr, "io_client: listed %llu files of %llu bytes\n", (unsigned long long)count,
          (unsigned long long)bytes);
  return 2;
}

static int use_many(benchfs_t* fs, const char* directory, uint64_t files) {
  int result = 0;

  if (benchfs_mkdir(fs, directory, 0700) != 0) return complain("mkdir");
  for (uint64_t at = 0; at < files && result == 0; at += WINDOW)
    result = make_some(fs, directory, at, files - at < WINDOW ? (int)(files - at) : WINDOW);
  if (result != 0 || say("made") != 0) return result;
  result = list_all(fs, directory, files);
  if (result != 0 || say("listed") != 0) return result;
  for (uint64_t at = 0; at < files && result == 0; at += WINDOW)
    result = remove_some(fs, directory, at, files - at < WINDOW ? (int)(files - at) : WINDOW);
  if (result == 0 && benchfs_rmdir(fs, directory) != 0) result = complain("rmdir");
  if (result == 0) say("removed");
  return result;
}

static int use_file(benchfs_t* fs, char** argv) {
  int reads = strcmp(argv[1], "verify") == 0;
  benchfs_file_t* file;
  int result = 1;

  if (benchfs_open(fs, argv[2], reads ? O_RDONLY : O_RDWR | O_CREAT, 0600, 1 << 20, &file) != 0)
    return complain("open");
  if (strcmp(argv[1], "write") == 0) result = write_file(file, strtoull(argv[3], NULL, 10));
  if (strcmp(argv[1], "hold") == 0) result = hold_file(file, strtoull(argv[3], NULL, 10));
  if (reads) result = verify_file(file, strtoull(argv[3], NULL, 10));
  if (strcmp(argv[1], "endless") == 0) result = run_endless(file);
  if (benchfs_close(file) != 0 && result == 0) result = complain("close");
  return result;
}

int main(int argc, char** argv) {
  benchfs_t* fs;
  int result;

  if (argc < 3 || (strcmp(argv[1], "endless") != 0 && argc < 4)) return 1;
  if (benchfs_connect(NULL, &fs) != 0) return complain("connect");
  result = strcmp(argv[1], "many") == 0 ? use_many(fs, argv[2], strtoull(argv[3], NULL, 10))
                                        : use_file(fs, argv);
  if (benchfs_disconnect(fs) != 0 && result == 0) result = complain("disconnect");
  return result;
}
