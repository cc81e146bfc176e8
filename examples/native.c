/*
 * native.c - BenchFS without MPI: its C interface, benchfs.h.
 *
 *     cc native.c -o native $(pkg-config --cflags --libs benchfs)
 *     benchfs run -n 2 -- ./native
 *
 * Creates a file, writes two pieces of it with one call, reads everything back and shows that the
 * gap between them is zeros, then starts a write and waits for it later.
 */
#include <benchfs.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int64_t result, const char* what) {
  if (result >= 0) return;
  fprintf(stderr, "%s: %s\n", what, benchfs_error());
  exit(1);
}

int main(void) {
  benchfs_t* fs;
  benchfs_file_t* file;
  benchfs_request_t* request;
  struct benchfs_stat stat;
  char hello[] = "hello", world[] = "world", all[25];
  int64_t got;

  /* NULL: the cluster that the environment names, as `benchfs run` sets it. */
  check(benchfs_connect(NULL, &fs), "connect");
  got = benchfs_mkdir(fs, "/examples", 0755);
  if (got != -EEXIST) check(got, "mkdir");
  check(benchfs_open(fs, "/examples/native", O_CREAT | O_TRUNC | O_RDWR, 0644, 0, &file), "open");

  /* Two extents of the file from two places in memory, with one call. */
  const struct benchfs_extent extents[] = {{0, 5}, {20, 5}};
  const struct iovec memory[] = {{hello, 5}, {world, 5}};
  check(benchfs_write_list(file, extents, 2, memory, 2), "write");

  got = benchfs_pread(file, all, sizeof(all), 0);
  check(got, "read");
  if (got != 25 || memcmp(all, "hello\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0world", 25) != 0) {
    fprintf(stderr, "read: not what was written\n");
    return 1;
  }

  /* Started here, finished below: the transfer runs meanwhile. */
  const struct benchfs_extent more = {1 << 20, 5};
  check(benchfs_write_list_start(file, &more, 1, memory, 1, &request), "start");
  check(benchfs_wait(request), "wait");

  check(benchfs_sync(file), "sync");
  check(benchfs_fstat(file, &stat), "stat");
  printf("%s: %llu bytes, chunks of %llu bytes on %d servers\n", benchfs_path(file),
         (unsigned long long)stat.size, (unsigned long long)stat.chunk_bytes,
         benchfs_server_count(fs));

  check(benchfs_close(file), "close");
  check(benchfs_unlink(fs, "/examples/native"), "unlink");
  check(benchfs_disconnect(fs), "disconnect");
  return stat.size == (1 << 20) + 5 ? 0 : 1;
}
