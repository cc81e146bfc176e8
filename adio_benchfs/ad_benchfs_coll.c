/*
 * ad_benchfs_coll.c - blocking collective reads and writes: the engine, driven to its end.
 *
 * Meanwhile this rank's nonblocking operations are driven, too, as other ranks may wait for them.
 * With the hint benchfs_collective=generic it is ROMIO's two-phase that moves the data. That one has
 * no way to go on after a failure; so it never learns of one: the contiguous operations it is made of
 * record it, and at the end all ranks agree on what was recorded.
 */
#include "ad_benchfs_coll.h"

static void generic(struct bfs_coll* c, const void* buf, bfs_count_t count, MPI_Datatype datatype,
                    int file_ptr_type, ADIO_Offset offset, ADIO_Status* status) {
  struct bfs_file* own = bfs_file(c->fd);
  const MPI_Comm comm = c->comm;
  int error_code;

  /* Its messages must not meet those of the engine, of which nonblocking calls may be under way. */
  if (own->two_phase == MPI_COMM_NULL) MPI_Comm_dup(comm, &own->two_phase);
  c->fd->comm = own->two_phase;
  own->recording = 1;
  own->recorded = 0;
  if (c->direction == BFS_WRITE) {
    ADIOI_GEN_WriteStridedColl(c->fd, buf, count, datatype, file_ptr_type, offset, status,
                               &error_code);
    c->wrote = 1; /* for others, perhaps */
  } else {
    ADIOI_GEN_ReadStridedColl(c->fd, (void*)buf, count, datatype, file_ptr_type, offset, status,
                              &error_code);
  }
  own->recording = 0;
  c->fd->comm = comm;
  if (own->recorded != 0) bfs_coll_fail(c, own->recorded);
  c->moved = c->total;
  c->phase = BFS_FLUSH;
}

static void drive(struct bfs_coll* c) {
  const int depth = BFS_SECTION_LEAVE();
  struct bfs_idle idle = {0};

  while (c->phase != BFS_DONE && c->phase != BFS_GENERIC_WANTED) {
    int moved = bfs_coll_step(c);

    moved |= bfs_requests_progress();
    if (moved)
      idle = (struct bfs_idle){0};
    else
      bfs_idle(&idle);
  }
  BFS_SECTION_RETURN(depth);
}

static void collective(ADIO_File fd, const void* buf, bfs_count_t count, MPI_Datatype datatype,
                       int file_ptr_type, ADIO_Offset offset, enum bfs_direction direction,
                       ADIO_Status* status, int* error_code) {
  struct bfs_coll c;

  bfs_coll_begin(&c, fd, buf, count, datatype, file_ptr_type, offset, direction, 0);
  drive(&c);
  if (c.phase == BFS_GENERIC_WANTED) {
    generic(&c, buf, count, datatype, file_ptr_type, offset, status);
    drive(&c);
  } else if (file_ptr_type == ADIO_INDIVIDUAL && c.moved > 0) {
    fd->fp_ind = bfs_access_offset(&c.access, fd, (uint64_t)c.moved);
  }
  MPIR_Status_set_bytes(status, datatype, (MPI_Count)c.moved);
  *error_code = c.error_code;
  bfs_coll_end(&c);
}

BFS_DECLARE_READ(ADIOI_BENCHFS_ReadStridedColl) {
  collective(fd, buf, count, datatype, file_ptr_type, offset, BFS_READ, status, error_code);
}

BFS_DECLARE_WRITE(ADIOI_BENCHFS_WriteStridedColl) {
  collective(fd, buf, count, datatype, file_ptr_type, offset, BFS_WRITE, status, error_code);
}
