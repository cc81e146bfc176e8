/*
 * count.c - a number of operations by one process without MPI, whose instructions are to be
 * counted.
 *
 *   count read|write|create|stat OPERATIONS
 *
 * Connects, makes a directory and a file of 1 MiB in it, does the operations (4 KiB within the
 * file; an empty file created and closed; a stat of the file), disconnects. What n operations cost
 * is a run with n of them less a run with none. All that is read is verified. Nothing is removed:
 * that would count too.
 */
#include <benchfs.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kBlock = 4096, kBlocks = 256 };

static unsigned char blocks[kBlocks][kBlock];

static void expect(int64_t result, int64_t want, const char* what) {
  if (result == want) return;
  fprintf(stderr, "count: %s: %s\n", what, result < 0 ? benchfs_error() : "not all bytes");
  exit(1);
}

int main(int argc, char** argv) {
  static const char* const names[] = {"read", "write", "create", "stat"};
  const long operations = argc == 3 ? atol(argv[2]) : -1;
  unsigned char back[kBlock];
  benchfs_t* fs;
  benchfs_file_t *file, *created;
  struct benchfs_stat st;
  char path[64];
  int which = 0;

  while (which < 4 && (argc != 3 || strcmp(argv[1], names[which]) != 0)) ++which;
  if (which == 4 || operations < 0 || operations > 1000000) {
    fprintf(stderr, "count: count read|write|create|stat OPERATIONS (at most 1000000)\n");
    return 2;
  }
  for (int i = 0; i < kBlocks; ++i)
    for (int k = 0; k < kBlock; ++k) blocks[i][k] = (unsigned char)(i * 31 + k * 7);
  expect(benchfs_connect(NULL, &fs), 0, "connect");
  int code = benchfs_mkdir(fs, "/count", 0755);
  if (code != -EEXIST) expect(code, 0, "mkdir");
  expect(benchfs_open(fs, "/count/file", O_RDWR | O_CREAT, 0644, 0, &file), 0, "open");
  expect(benchfs_pwrite(file, blocks, sizeof(blocks), 0), sizeof(blocks), "write");
  expect(benchfs_sync(file), 0, "sync");
  for (long i = 0; i < operations; ++i) {
    const int block = (int)(i * 89 % kBlocks);
    switch (which) {
      case 0:
        expect(benchfs_pread(file, back, kBlock, (uint64_t)block * kBlock), kBlock, "read");
        if (back[0] != blocks[block][0] || back[kBlock - 1] != blocks[block][kBlock - 1]) {
          fprintf(stderr, "count: wrong data in block %d\n", block);
          return 1;
        }
        break;
      case 1:
        expect(benchfs_pwrite(file, blocks[block], kBlock, (uint64_t)block * kBlock), kBlock,
               "write");
        break;
      case 2:
        snprintf(path, sizeof(path), "/count/%s.%08ld", argv[1], i);
        expect(benchfs_open(fs, path, O_WRONLY | O_CREAT | O_EXCL, 0644, 0, &created), 0, "create");
        expect(benchfs_close(created), 0, "close");
        break;
      default:
        expect(benchfs_stat(fs, "/count/file", &st), 0, "stat");
        if (st.size != sizeof(blocks)) {
          fprintf(stderr, "count: wrong size\n");
          return 1;
        }
    }
  }
  expect(benchfs_close(file), 0, "close");
  expect(benchfs_disconnect(fs), 0, "disconnect");
  return 0;
}
