/*
 * ad_benchfs_coll.c - collective reads and writes.
 *
 * Strategy `direct`: every rank hands its own pieces to the servers that own them, as list I/O, and
 * then all ranks agree on the outcome. No rank leaves before that, so a failure on one is an error
 * on all and never a hang; holes stay holes, and every rank's count is what it really read. What a
 * collective write has written is part of the file's size for every rank when the call returns.
 */
#include "ad_benchfs.h"

static void collective(ADIO_File fd, const void* buf, bfs_count_t count, MPI_Datatype datatype,
                       int file_ptr_type, ADIO_Offset offset, enum bfs_direction direction,
                       ADIO_Status* status, int* error_code) {
  struct bfs_access access;
  struct bfs_verdict verdict;
  uint64_t moved;
  int code;

  bfs_access_init(&access, fd, buf, count, datatype, file_ptr_type, offset);
  moved = bfs_transfer(fd, &access, direction, &code);
  if (code == 0 && direction == BFS_WRITE) code = -benchfs_flush_size(bfs_file(fd)->file);
  verdict = bfs_agree(fd->comm, code);

  if (file_ptr_type == ADIO_INDIVIDUAL && moved > 0)
    fd->fp_ind = bfs_access_offset(&access, fd, moved);
  MPIR_Status_set_bytes(status, datatype, (MPI_Count)moved);
  *error_code = bfs_collective_error(
      fd, direction == BFS_WRITE ? "collective write to" : "collective read of", code, verdict);
}

BFS_DECLARE_READ(ADIOI_BENCHFS_ReadStridedColl) {
  collective(fd, buf, count, datatype, file_ptr_type, offset, BFS_READ, status, error_code);
}

BFS_DECLARE_WRITE(ADIOI_BENCHFS_WriteStridedColl) {
  collective(fd, buf, count, datatype, file_ptr_type, offset, BFS_WRITE, status, error_code);
}
