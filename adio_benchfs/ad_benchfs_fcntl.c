/*
 * ad_benchfs_fcntl.c - size, preallocation, atomicity, sync and delete.
 */
#include "ad_benchfs.h"

void ADIOI_BENCHFS_Fcntl(ADIO_File fd, int flag, ADIO_Fcntl_t* fcntl_struct, int* error_code) {
  benchfs_file_t* file = bfs_file(fd)->file;
  struct benchfs_stat stat;
  int code = 0;

  *error_code = MPI_SUCCESS;
  switch (flag) {
    case ADIO_FCNTL_GET_FSIZE:
      code = -benchfs_fstat(file, &stat);
      fcntl_struct->fsize = code == 0 ? (ADIO_Offset)stat.size : -1;
      break;
    case ADIO_FCNTL_SET_DISKSPACE:
      code = -benchfs_extend(file, (uint64_t)fcntl_struct->diskspace);
      break;
    case ADIO_FCNTL_SET_ATOMICITY:
      fd->atomicity = fcntl_struct->atomicity != 0;
      break;
    default:
      *error_code = BFS_ERROR(EINVAL, "benchfs: unknown ADIO fcntl");
  }
  if (code != 0) *error_code = BFS_ERROR(code, benchfs_error());
}

/* MPI_File_sync: this rank's data is on the devices, and its size known to all. A rank that saw
 * every other rank's sync return has all data; with romio_synchronized_flush that is this call. */
void ADIOI_BENCHFS_Flush(ADIO_File fd, int* error_code) {
  struct bfs_verdict verdict;
  int code;

  /* Not only if fd->dirty_write: a rank also writes what it aggregates for others. The library knows
   * what it wrote, and asks no server if that was nothing. */
  code = -benchfs_sync(bfs_file(fd)->file);
  if (code == 0) fd->dirty_write = 0;
  if (fd->hints->synchronizing_flush == ADIOI_HINT_ENABLE) {
    verdict = bfs_agree(fd->comm, code);
    *error_code = bfs_collective_error(fd, "sync of", code, verdict);
  } else {
    *error_code = code == 0 ? MPI_SUCCESS : BFS_ERROR(code, benchfs_error());
  }
}

/* Every rank first reports how far it has written, or that would undo the new size later. */
void ADIOI_BENCHFS_Resize(ADIO_File fd, ADIO_Offset size, int* error_code) {
  benchfs_file_t* file = bfs_file(fd)->file;
  struct bfs_verdict verdict;
  int code = -benchfs_flush_size(file);
  int rank;

  verdict = bfs_agree(fd->comm, code);
  if (verdict.code == 0) {
    MPI_Comm_rank(fd->comm, &rank);
    if (rank == 0) code = -benchfs_ftruncate(file, (uint64_t)size);
    verdict = bfs_agree(fd->comm, code);
  }
  *error_code = bfs_collective_error(fd, "set size of", code, verdict);
}

void ADIOI_BENCHFS_Delete(const char* filename, int* error_code) {
  int code;
  benchfs_t* fs = bfs_session(&code);

  if (fs != NULL) {
    benchfs_cache_drop(fs); /* as for an open */
    code = -benchfs_unlink(fs, filename);
  }
  *error_code = code == 0 ? MPI_SUCCESS : BFS_ERROR(code, benchfs_error());
}
