/*
 * ad_benchfs_atomic.c - atomic mode.
 *
 * MPI-4.0 section 14.6.1 asks for sequential consistency among the file handles of one collective
 * open. So one lock per open is enough, and MPI has it: an exclusive passive-target epoch on rank
 * 0's window. While it is held, the access runs and the size it leads to is made known to all.
 */
#include "ad_benchfs.h"

int bfs_atomic_enable(ADIO_File fd) {
  struct bfs_file* own = bfs_file(fd);

  if (own->lock_window != MPI_WIN_NULL) return MPI_SUCCESS;
  return MPI_Win_create(NULL, 0, 1, MPI_INFO_NULL, fd->comm, &own->lock_window);
}

void bfs_atomic_free(struct bfs_file* own) {
  if (own->lock_window != MPI_WIN_NULL) MPI_Win_free(&own->lock_window);
}

void bfs_atomic_lock(ADIO_File fd) {
  struct bfs_file* own = bfs_file(fd);

  if (!fd->atomicity) return;
  pthread_mutex_lock(&own->lock_threads);
  MPI_Win_lock(MPI_LOCK_EXCLUSIVE, 0, 0, own->lock_window);
}

int bfs_atomic_unlock(ADIO_File fd) {
  struct bfs_file* own = bfs_file(fd);
  int code = 0;

  if (!fd->atomicity) return 0;
  if (fd->dirty_write) code = -benchfs_flush_size(own->file);
  MPI_Win_unlock(0, own->lock_window);
  pthread_mutex_unlock(&own->lock_threads);
  return code;
}
