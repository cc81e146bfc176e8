/*
 * ad_benchfs_atomic.c - atomic mode, and the locks of data sieving.
 *
 * MPI-4.0 section 14.6.1 asks for sequential consistency among the file handles of one collective
 * open. An access locks the bytes of the file from its first to its last, on the file's home
 * server: exclusively for a write, shared with other reads for a read. While the lock is held, the
 * access runs and the size it leads to is made known to all. A lock is held only inside one call,
 * which meanwhile waits for nothing but the servers; so two ranks never wait for each other. The
 * lock of a process that dies ends with it.
 *
 * Writes beside data sieving lock what they span, too, but shared: see ad_benchfs_sieve.c.
 */
#include <sched.h>
#include <time.h>

#include "ad_benchfs.h"

/* With nothing moving for this many turns, let the servers and other ranks have the core. */
#define IDLE_BEFORE_YIELD 16
#define IDLE_BEFORE_SLEEP 8192

int bfs_atomic_lock_range(ADIO_File fd, struct bfs_lock* lock, ADIO_Offset first, ADIO_Offset bytes,
                          int mode) {
  const struct timespec nap = {0, 50000};
  benchfs_request_t* request;
  int64_t result;
  int code;

  lock->held = 0;
  if (mode == BFS_UNLOCKED) return 0;
  code = -benchfs_lock_start(bfs_file(fd)->file, (uint64_t)first, (uint64_t)bytes, mode,
                             &lock->token, &request);
  if (code != 0) return code;
  /* Not benchfs_wait(): the lock may be another thread's, which needs the session to give it up. */
  for (unsigned idle = 0; !benchfs_test(request, &result); idle++) {
    if (idle >= IDLE_BEFORE_SLEEP)
      nanosleep(&nap, NULL);
    else if (idle >= IDLE_BEFORE_YIELD)
      sched_yield();
  }
  lock->held = result == 0;
  return (int)-result;
}

int bfs_lock_mode(ADIO_File fd, enum bfs_direction direction) {
  if (fd->atomicity) return direction == BFS_WRITE ? BENCHFS_LOCK_EXCLUSIVE : BENCHFS_LOCK_SHARED;
  if (direction == BFS_WRITE && bfs_file(fd)->ds_write == ADIOI_HINT_ENABLE)
    return BENCHFS_LOCK_SHARED;
  return BFS_UNLOCKED;
}

int bfs_atomic_lock(ADIO_File fd, struct bfs_lock* lock, const struct bfs_access* access,
                    enum bfs_direction direction) {
  const int mode = bfs_lock_mode(fd, direction);
  ADIO_Offset first, last;

  lock->held = 0;
  if (mode == BFS_UNLOCKED || access->left == 0) return 0;
  if (!bfs_view_ascending(&access->file)) return bfs_atomic_lock_range(fd, lock, 0, 0, mode);
  first = bfs_access_offset(access, fd, 0);
  last = bfs_access_offset(access, fd, access->left - 1);
  return bfs_atomic_lock_range(fd, lock, first, last - first + 1, mode);
}

int bfs_atomic_unlock(ADIO_File fd, struct bfs_lock* lock, int code) {
  benchfs_file_t* file = bfs_file(fd)->file;
  int result;

  if (!lock->held) return code;
  lock->held = 0;
  if (code == 0 && fd->dirty_write) code = -benchfs_flush_size(file);
  result = -benchfs_unlock(file, lock->token);
  return code != 0 ? code : result;
}
