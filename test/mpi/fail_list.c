/*
 * fail_list.c - preloaded in front of the client library: makes one call of list I/O fail with EIO.
 *
 * The program under test calls fail_list_in(K) on the rank that is to fail: its K-th call from then
 * on, blocking or starting, of a read or a write, returns -EIO. The others go through.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>

#include "benchfs.h"

static int calls_left;

void fail_list_in(int calls);
void fail_list_in(int calls) {
  calls_left = calls;
}

typedef int start_function(benchfs_file_t*, const struct benchfs_extent*, size_t,
                           const struct iovec*, size_t, benchfs_request_t**);

static int call(const char* name, benchfs_file_t* file, const struct benchfs_extent* extents,
                size_t n_extents, const struct iovec* memory, size_t n_memory,
                benchfs_request_t** request) {
  start_function* real = (start_function*)dlsym(RTLD_NEXT, name);

  if (calls_left > 0 && --calls_left == 0) return -EIO;
  return real(file, extents, n_extents, memory, n_memory, request);
}

int benchfs_read_list_start(benchfs_file_t* file, const struct benchfs_extent* extents,
                            size_t n_extents, const struct iovec* memory, size_t n_memory,
                            benchfs_request_t** request) {
  return call("benchfs_read_list_start", file, extents, n_extents, memory, n_memory, request);
}

int benchfs_write_list_start(benchfs_file_t* file, const struct benchfs_extent* extents,
                             size_t n_extents, const struct iovec* memory, size_t n_memory,
                             benchfs_request_t** request) {
  return call("benchfs_write_list_start", file, extents, n_extents, memory, n_memory, request);
}

typedef int64_t list_function(benchfs_file_t*, const struct benchfs_extent*, size_t, const struct iovec*,
                              size_t);

static int64_t blocking_call(const char* name, benchfs_file_t* file,
                             const struct benchfs_extent* extents, size_t n_extents,
                             const struct iovec* memory, size_t n_memory) {
  list_function* real = (list_function*)dlsym(RTLD_NEXT, name);

  if (calls_left > 0 && --calls_left == 0) return -EIO;
  return real(file, extents, n_extents, memory, n_memory);
}

int64_t benchfs_read_list(benchfs_file_t* file, const struct benchfs_extent* extents, size_t n_extents,
                          const struct iovec* memory, size_t n_memory) {
  return blocking_call("benchfs_read_list", file, extents, n_extents, memory, n_memory);
}

int64_t benchfs_write_list(benchfs_file_t* file, const struct benchfs_extent* extents, size_t n_extents,
                           const struct iovec* memory, size_t n_memory) {
  return blocking_call("benchfs_write_list", file, extents, n_extents, memory, n_memory);
}
