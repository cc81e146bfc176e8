/*
 * ad_benchfs_sieve.c - data sieving, for programs that ask for it by romio_ds_read or
 * romio_ds_write.
 *
 * A strided independent access is cut into windows of ind_rd_buffer_size or ind_wr_buffer_size
 * bytes of the file. A window is read as a whole and its pieces are copied out of it; to write,
 * they are copied into it, and it is written back, from its first piece to its last, while its
 * bytes are locked on the file's home server. The bytes between may be others' to write: so on a
 * file that is open with romio_ds_write=enable, all independent writes hold a lock
 * (bfs_atomic_lock), shared where they write nothing but their own. Collective writes need none:
 * their data move only while all ranks are in the operation, and a rank that is does not sieve. A
 * window that is all pieces, or in which the file ends, is list access as without the hint.
 */
#include "ad_benchfs.h"

struct window {
  ADIO_Offset first;
  ADIO_Offset limit; /* pieces are taken, and cut, up to here */
  ADIO_Offset end;   /* of the last piece */
  uint64_t bytes;    /* of all pieces */
};

struct sieve {
  ADIO_File fd;
  enum bfs_direction direction;
  struct bfs_access* access;
  struct bfs_batch batch;
  char* buffer;
};

int bfs_sieves(ADIO_File fd, const struct bfs_access* access, enum bfs_direction direction) {
  const struct bfs_file* own = bfs_file(fd);

  if (fd->atomicity || access->left == 0 || access->file.indices == NULL) return 0;
  if (direction == BFS_READ && own->ds_read != ADIOI_HINT_ENABLE) return 0;
  if (direction == BFS_WRITE && (own->ds_write != ADIOI_HINT_ENABLE || own->collective_writes > 0))
    return 0;
  return bfs_view_ascending(&access->file);
}

/* The window that starts at the next piece; one that is longer than a window is one. */
static int measure(struct sieve* s, ADIO_Offset window_bytes, struct window* w) {
  struct bfs_access ahead = *s->access;
  ADIO_Offset piece = 0;
  int code;

  w->first = bfs_access_next(&ahead, &piece);
  w->limit = w->first + MPL_MAX(window_bytes, piece);
  w->end = w->first;
  w->bytes = 0;
  for (;;) {
    code = bfs_batch_fill_to(&s->batch, &ahead, w->limit);
    if (code != 0 || s->batch.n_extents == 0) return code;
    w->end = (ADIO_Offset)(s->batch.extents[s->batch.n_extents - 1].offset +
                           s->batch.extents[s->batch.n_extents - 1].bytes);
    w->bytes += s->batch.bytes;
  }
}

/* The pieces of the window by list access. */
static int64_t list(struct sieve* s, const struct window* w) {
  benchfs_file_t* file = bfs_file(s->fd)->file;
  struct bfs_batch* batch = &s->batch;
  int64_t moved = 0;

  for (;;) {
    const int code = bfs_batch_fill_to(batch, s->access, w->limit);
    int64_t result;

    if (code != 0) return -code;
    if (batch->n_extents == 0) return moved;
    result = s->direction == BFS_WRITE ? benchfs_write_list(file, batch->extents, batch->n_extents,
                                                            batch->memory, batch->n_memory)
                                       : benchfs_read_list(file, batch->extents, batch->n_extents,
                                                           batch->memory, batch->n_memory);
    if (result < 0) return result;
    moved += result;
    if ((uint64_t)result < batch->bytes) return moved;
  }
}

/* Between the window in the buffer and the program's memory. */
static int copy(struct sieve* s, const struct window* w) {
  struct bfs_batch* batch = &s->batch;

  for (;;) {
    const int code = bfs_batch_fill_to(batch, s->access, w->limit);
    const struct iovec* memory = batch->memory;
    size_t in_memory = 0;

    if (code != 0 || batch->n_extents == 0) return code;
    for (size_t i = 0; i < batch->n_extents; i++) {
      char* inside = s->buffer + ((ADIO_Offset)batch->extents[i].offset - w->first);
      uint64_t left = batch->extents[i].bytes;

      while (left > 0) {
        const size_t bytes = (size_t)MPL_MIN(left, memory->iov_len - in_memory);
        char* outside = (char*)memory->iov_base + in_memory;

        if (s->direction == BFS_WRITE)
          memcpy(inside, outside, bytes);
        else
          memcpy(outside, inside, bytes);
        inside += bytes;
        left -= bytes;
        in_memory += bytes;
        if (in_memory == memory->iov_len) {
          memory++;
          in_memory = 0;
        }
      }
    }
  }
}

static int64_t read_window(struct sieve* s, const struct window* w) {
  const int64_t span = w->end - w->first;
  int64_t result;
  int code;

  if ((uint64_t)span == w->bytes) return list(s, w);
  result = benchfs_pread(bfs_file(s->fd)->file, s->buffer, (size_t)span, (uint64_t)w->first);
  if (result < 0) return result;
  if (result < span) return list(s, w); /* which tells how much of the pieces there is */
  code = copy(s, w);
  return code == 0 ? (int64_t)w->bytes : -code;
}

static int64_t write_window(struct sieve* s, const struct window* w) {
  benchfs_file_t* file = bfs_file(s->fd)->file;
  const int64_t span = w->end - w->first;
  const int whole = (uint64_t)span == w->bytes;
  struct bfs_lock lock;
  int64_t result = 0;
  int code = bfs_atomic_lock_range(s->fd, &lock, w->first, span,
                                   whole ? BENCHFS_LOCK_SHARED : BENCHFS_LOCK_EXCLUSIVE);

  if (code != 0) return -code;
  s->fd->dirty_write = 1;
  if (!whole) result = benchfs_pread(file, s->buffer, (size_t)span, (uint64_t)w->first);
  if (result < 0) {
    code = (int)-result;
  } else if (result < span) {
    result = list(s, w);
    if (result < 0) code = (int)-result;
  } else {
    code = copy(s, w);
    if (code == 0) {
      result = benchfs_pwrite(file, s->buffer, (size_t)span, (uint64_t)w->first);
      if (result < 0) code = (int)-result;
    }
  }
  code = bfs_atomic_unlock(s->fd, &lock, code);
  return code == 0 ? (int64_t)w->bytes : -code;
}

uint64_t bfs_sieve(ADIO_File fd, struct bfs_access* access, enum bfs_direction direction,
                   int* code) {
  const ADIO_Offset window_bytes =
      direction == BFS_WRITE ? fd->hints->ind_wr_buffer_size : fd->hints->ind_rd_buffer_size;
  const ADIO_Offset span =
      bfs_access_offset(access, fd, access->left - 1) + 1 - bfs_access_offset(access, fd, 0);
  struct sieve s;
  uint64_t moved = 0;

  s.fd = fd;
  s.direction = direction;
  s.access = access;
  s.buffer = ADIOI_Malloc((size_t)MPL_MIN(window_bytes, span));
  *code = s.buffer == NULL ? ENOMEM : 0;
  bfs_batch_init(&s.batch);
  while (*code == 0 && access->left > 0) {
    struct window w;
    int64_t result;

    *code = measure(&s, window_bytes, &w);
    if (*code != 0) break;
    result = direction == BFS_WRITE ? write_window(&s, &w) : read_window(&s, &w);
    if (result < 0) {
      *code = (int)-result;
      break;
    }
    moved += (uint64_t)result;
    if ((uint64_t)result < w.bytes) break; /* the end of the file */
  }
  bfs_batch_free(&s.batch);
  ADIOI_Free(s.buffer);
  return moved;
}
