/*
 * ad_benchfs_io.c - blocking independent reads and writes.
 *
 * Contiguous accesses are one call of the client library. All others are list I/O: the pieces of
 * the file view and of the memory go to the library as they are, so nothing is copied or
 * locked, and sieved only for a program that asks for it.
 */
#include "ad_benchfs.h"

uint64_t bfs_transfer(ADIO_File fd, struct bfs_access* access, enum bfs_direction direction,
                      int* code) {
  benchfs_file_t* file = bfs_file(fd)->file;
  struct bfs_batch batch;
  struct bfs_lock lock;
  uint64_t moved = 0;

  if (bfs_sieves(fd, access, direction)) return bfs_sieve(fd, access, direction, code);
  *code = bfs_atomic_lock(fd, &lock, access, direction);
  if (*code != 0) return 0;
  bfs_batch_init(&batch);
  while (access->left > 0) {
    int64_t result;

    *code = bfs_batch_fill(&batch, access);
    if (*code != 0) break;
    if (direction == BFS_WRITE) {
      fd->dirty_write = 1;
      result =
          benchfs_write_list(file, batch.extents, batch.n_extents, batch.memory, batch.n_memory);
    } else {
      result =
          benchfs_read_list(file, batch.extents, batch.n_extents, batch.memory, batch.n_memory);
    }
    if (result < 0) {
      *code = (int)-result;
      break;
    }
    moved += (uint64_t)result;
    /* The pieces of a view ascend: what follows is behind the end of the file, too. */
    if ((uint64_t)result < batch.bytes) break;
  }
  *code = bfs_atomic_unlock(fd, &lock, *code);
  bfs_batch_free(&batch);
  return moved;
}

static void strided(ADIO_File fd, const void* buf, bfs_count_t count, MPI_Datatype datatype,
                    int file_ptr_type, ADIO_Offset offset, enum bfs_direction direction,
                    ADIO_Status* status, int* error_code) {
  struct bfs_access access;
  uint64_t moved;
  int code;

  bfs_access_init(&access, fd, buf, count, datatype, file_ptr_type, offset);
  moved = bfs_transfer(fd, &access, direction, &code);
  if (file_ptr_type == ADIO_INDIVIDUAL && moved > 0)
    fd->fp_ind = bfs_access_offset(&access, fd, moved);
  MPIR_Status_set_bytes(status, datatype, (MPI_Count)moved);
  *error_code = code == 0 ? MPI_SUCCESS : BFS_ERROR(code, bfs_local_text(code));
}

BFS_DECLARE_READ(ADIOI_BENCHFS_ReadStrided) {
  strided(fd, buf, count, datatype, file_ptr_type, offset, BFS_READ, status, error_code);
}

BFS_DECLARE_WRITE(ADIOI_BENCHFS_WriteStrided) {
  strided(fd, buf, count, datatype, file_ptr_type, offset, BFS_WRITE, status, error_code);
}

/* For ROMIO's two-phase, which stops at a failure on the one rank that has it, and takes what is
 * behind the end of the file for data that it has read. */
static int64_t record(ADIO_File fd, const void* buf, size_t bytes, enum bfs_direction direction,
                      int64_t result) {
  struct bfs_file* own = bfs_file(fd);

  if (result < 0 && own->recorded == 0) own->recorded = (int)-result;
  result = MPL_MAX(result, 0);
  if (direction == BFS_READ) memset((char*)buf + result, 0, bytes - (size_t)result);
  return (int64_t)bytes;
}

static size_t bytes_of(MPI_Datatype datatype, bfs_count_t count) {
  MPI_Count size = 1;

  if (datatype != MPI_BYTE) MPI_Type_size_x(datatype, &size); /* what most accesses need not ask */
  return (size_t)size * (size_t)count;
}

/* Contiguous in memory and in the file: `offset` is in bytes of the file, whatever the view. */
static void contiguous(ADIO_File fd, const void* buf, bfs_count_t count, MPI_Datatype datatype,
                       int file_ptr_type, ADIO_Offset offset, enum bfs_direction direction,
                       ADIO_Status* status, int* error_code) {
  benchfs_file_t* file = bfs_file(fd)->file;
  const size_t bytes = bytes_of(datatype, count);
  const int mode = bytes > 0 ? bfs_lock_mode(fd, direction) : BFS_UNLOCKED;
  struct bfs_lock lock;
  int64_t result;
  int code;

  if (file_ptr_type == ADIO_INDIVIDUAL) offset = fd->fp_ind;
  result = -bfs_atomic_lock_range(fd, &lock, offset, (ADIO_Offset)bytes, mode);
  if (result < 0) {
    /* Without the lock there is no access. */
  } else if (direction == BFS_WRITE) {
    fd->dirty_write = 1;
    result = benchfs_pwrite(file, buf, bytes, (uint64_t)offset);
  } else {
    result = benchfs_pread(file, (void*)buf, bytes, (uint64_t)offset);
  }
  code = bfs_atomic_unlock(fd, &lock, result < 0 ? (int)-result : 0);
  if (code != 0) result = -code;
  if (bfs_file(fd)->recording) result = record(fd, buf, bytes, direction, result);
  MPIR_Status_set_bytes(status, datatype, (MPI_Count)MPL_MAX(result, 0));
  if (result < 0) {
    *error_code = BFS_ERROR((int)-result, benchfs_error());
    return;
  }
  if (file_ptr_type == ADIO_INDIVIDUAL) fd->fp_ind += result;
  *error_code = MPI_SUCCESS;
}

BFS_DECLARE_READ(ADIOI_BENCHFS_ReadContig) {
  contiguous(fd, buf, count, datatype, file_ptr_type, offset, BFS_READ, status, error_code);
}

BFS_DECLARE_WRITE(ADIOI_BENCHFS_WriteContig) {
  contiguous(fd, buf, count, datatype, file_ptr_type, offset, BFS_WRITE, status, error_code);
}
