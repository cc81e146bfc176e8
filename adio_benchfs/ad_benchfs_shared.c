/*
 * ad_benchfs_shared.c - shared file pointers and ordered access.
 *
 * A shared file pointer is a number on the file's home server under a random key of the open;
 * taking one's part of the file is one fetch-and-add. No file is made for it, and no rank that dies
 * holds it. Each file view has a key of its own, the next one, as a new view sets the pointer to 0:
 * that costs no message, and a rank that is still busy in the old view does not disturb the new
 * one. ROMIO's ADIO_Get_shared_fp() and its relatives come here by way of romio-4.0.2.patch. The
 * pointer counts in etypes of the view.
 */
#include <sys/random.h>
#include <time.h>

#include "ad_benchfs.h"

uint64_t bfs_pointer_key(void) {
  struct timespec now;
  uint64_t key;

  if (getrandom(&key, sizeof(key), 0) == (ssize_t)sizeof(key)) return key;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void bfs_pointer_forget(ADIO_File fd) {
  struct bfs_file* own = bfs_file(fd);

  /* If it cannot be told, the server forgets it in time by itself. */
  if (own->pointer_made) benchfs_pointer_forget(own->file, own->pointer_key);
  own->pointer_made = 0;
}

static int add(ADIO_File fd, int64_t count, int64_t* before) {
  struct bfs_file* own = bfs_file(fd);
  int code = -benchfs_pointer_add(own->file, own->pointer_key, count, before);

  if (code == 0 && *before == 0) own->pointer_made = 1;
  return code;
}

void ADIOI_BENCHFS_Get_shared_fp(ADIO_File fd, ADIO_Offset incr, ADIO_Offset* shared_fp,
                                 int* error_code) {
  int64_t before = 0;
  int code = add(fd, incr, &before);

  *shared_fp = before;
  *error_code = code == 0 ? MPI_SUCCESS : BFS_ERROR(code, benchfs_error());
}

void ADIOI_BENCHFS_Set_shared_fp(ADIO_File fd, ADIO_Offset offset, int* error_code) {
  struct bfs_file* own = bfs_file(fd);
  int code = -benchfs_pointer_set(own->file, own->pointer_key, offset);

  own->pointer_made = 1;
  *error_code = code == 0 ? MPI_SUCCESS : BFS_ERROR(code, benchfs_error());
}

/* Collective: the last rank takes the part of all, and every one finds its own in it. All ranks get
 * the same outcome. */
void ADIOI_BENCHFS_Get_ordered_fp(ADIO_File fd, ADIO_Offset incr, ADIO_Offset* shared_fp,
                                  int* error_code) {
  struct {
    int64_t before;
    int64_t code;
  } start = {0, 0};
  struct bfs_verdict verdict;
  int64_t mine = incr;
  int64_t end = 0; /* of this rank's part */
  int rank, ranks;

  MPI_Comm_rank(fd->comm, &rank);
  MPI_Comm_size(fd->comm, &ranks);
  MPI_Scan(&mine, &end, 1, MPI_INT64_T, MPI_SUM, fd->comm);
  if (rank == ranks - 1) start.code = add(fd, end, &start.before);
  MPI_Bcast(&start, 2, MPI_INT64_T, ranks - 1, fd->comm);
  *shared_fp = start.before + end - mine;
  verdict.code = (int)start.code;
  verdict.rank = ranks - 1;
  *error_code = bfs_collective_error(fd, "shared file pointer of",
                                     rank == ranks - 1 ? verdict.code : 0, verdict);
}

/* After a new view was set, on all ranks. */
void ADIOI_BENCHFS_Reset_shared_fp(ADIO_File fd) {
  bfs_pointer_forget(fd);
  bfs_file(fd)->pointer_key++;
}
