/*
 * ad_benchfs_view.c - file views and memory types as lists of pieces, a batch at a time.
 *
 * ROMIO flattens a datatype once and keeps the list of its blocks with the type. A cursor walks
 * that list over and over, tile after tile; an access pairs the cursor of the file view with that
 * of the memory, and a batch takes from both until one of its two lists is full.
 */
#include "ad_benchfs.h"

#include <limits.h>

static void cursor_contiguous(struct bfs_cursor* cursor, ADIO_Offset start) {
  memset(cursor, 0, sizeof(*cursor));
  cursor->position = start;
  cursor->left = LLONG_MAX;
}

/* Makes `block` of the current tile the current one. */
static void cursor_enter(struct bfs_cursor* cursor, MPI_Count block, ADIO_Offset skip) {
  cursor->block = block;
  cursor->position = cursor->tile_start + cursor->indices[block] + skip;
  cursor->left = cursor->lengths[block] - skip;
}

/* To the next block that is not empty. At least one block is not: the type has a size. */
static void cursor_settle(struct bfs_cursor* cursor) {
  while (cursor->left == 0) {
    if (cursor->block + 1 < cursor->blocks) {
      cursor_enter(cursor, cursor->block + 1, 0);
    } else {
      cursor->tile_start += cursor->extent;
      cursor_enter(cursor, 0, 0);
    }
  }
}

static void cursor_advance(struct bfs_cursor* cursor, ADIO_Offset bytes) {
  cursor->position += bytes;
  cursor->left -= bytes;
}

static void cursor_flat(struct bfs_cursor* cursor, const ADIOI_Flatlist_node* flat, MPI_Aint extent,
                        ADIO_Offset start) {
  cursor->indices = flat->indices;
  cursor->lengths = flat->blocklens;
  cursor->blocks = flat->count;
  cursor->extent = extent;
  cursor->tile_start = start;
  cursor_enter(cursor, 0, 0);
}

/* To the byte that has `bytes` bytes of the type before it; `size` is the size of the type. */
static void cursor_seek_data(struct bfs_cursor* cursor, ADIO_Offset bytes, MPI_Count size) {
  ADIO_Offset rest = bytes % size;
  MPI_Count block = 0;

  cursor->tile_start += bytes / size * cursor->extent;
  while (rest >= cursor->lengths[block]) rest -= cursor->lengths[block++];
  cursor_enter(cursor, block, rest);
}

/* To the first byte of the type that is not before file offset `offset`. Returns how many bytes of
 * the type are before it. */
static ADIO_Offset cursor_seek_offset(struct bfs_cursor* cursor, ADIO_Offset offset,
                                      MPI_Count size) {
  ADIO_Offset relative = offset - cursor->tile_start;
  ADIO_Offset end = 0;
  ADIO_Offset before = 0;

  for (MPI_Count i = 0; i < cursor->blocks; i++) {
    if (cursor->lengths[i] > 0) end = MPL_MAX(end, cursor->indices[i] + cursor->lengths[i]);
  }
  if (relative >= end && cursor->extent > 0) {
    ADIO_Offset tiles = (relative - end) / cursor->extent + 1;

    cursor->tile_start += tiles * cursor->extent;
    relative -= tiles * cursor->extent;
    before = tiles * size;
  }
  for (MPI_Count i = 0; i < cursor->blocks; i++) {
    /* An empty block is a bound of a resized type, anywhere. */
    if (cursor->lengths[i] > 0 && cursor->indices[i] + cursor->lengths[i] > relative) {
      ADIO_Offset skip = MPL_MAX(relative - cursor->indices[i], 0);

      cursor_enter(cursor, i, skip);
      return before + skip;
    }
    before += cursor->lengths[i];
  }
  /* A type whose extent is 0, and the offset behind it. */
  cursor_enter(cursor, 0, 0);
  return 0;
}

/* A cursor on the first byte of the view of fd; *size is the size of its filetype, 0 if the view is
 * contiguous. */
static void cursor_view(struct bfs_cursor* cursor, ADIO_File fd, MPI_Count* size) {
  MPI_Aint lower;
  MPI_Aint extent;
  int contiguous;

  ADIOI_Datatype_iscontig(fd->filetype, &contiguous);
  if (contiguous) {
    *size = 0;
    cursor_contiguous(cursor, fd->disp);
    return;
  }
  MPI_Type_size_x(fd->filetype, size);
  MPI_Type_get_extent(fd->filetype, &lower, &extent);
  cursor_flat(cursor, ADIOI_Flatten_and_find(fd->filetype), extent, fd->disp);
}

void bfs_access_init(struct bfs_access* access, ADIO_File fd, const void* buf, bfs_count_t count,
                     MPI_Datatype datatype, int file_ptr_type, ADIO_Offset offset) {
  MPI_Aint lower;
  MPI_Aint extent;
  MPI_Count memory_size;
  MPI_Count view_size;
  MPI_Count filetype_size;
  int contiguous;

  MPI_Type_size_x(datatype, &memory_size);
  MPI_Type_size_x(fd->filetype, &filetype_size);
  access->left = filetype_size == 0 ? 0 : (uint64_t)memory_size * (uint64_t)count;
  access->view_start = 0;
  if (access->left == 0) return;

  ADIOI_Datatype_iscontig(datatype, &contiguous);
  if (contiguous) {
    cursor_contiguous(&access->memory, (ADIO_Offset)(intptr_t)buf);
  } else {
    MPI_Type_get_extent(datatype, &lower, &extent);
    cursor_flat(&access->memory, ADIOI_Flatten_and_find(datatype), extent,
                (ADIO_Offset)(intptr_t)buf);
  }

  cursor_view(&access->file, fd, &view_size);
  if (file_ptr_type == ADIO_INDIVIDUAL) {
    if (view_size == 0) {
      access->view_start = fd->fp_ind - fd->disp;
      cursor_advance(&access->file, access->view_start);
    } else {
      access->view_start = cursor_seek_offset(&access->file, fd->fp_ind, view_size);
    }
  } else {
    access->view_start = offset * fd->etype_size;
    if (view_size == 0)
      cursor_advance(&access->file, access->view_start);
    else
      cursor_seek_data(&access->file, access->view_start, view_size);
  }
}

ADIO_Offset bfs_access_offset(const struct bfs_access* access, ADIO_File fd, uint64_t bytes) {
  struct bfs_cursor cursor;
  MPI_Count view_size;

  cursor_view(&cursor, fd, &view_size);
  if (view_size == 0) return fd->disp + access->view_start + (ADIO_Offset)bytes;
  cursor_seek_data(&cursor, access->view_start + (ADIO_Offset)bytes, view_size);
  return cursor.position;
}

void bfs_batch_init(struct bfs_batch* batch) {
  batch->extents = batch->inline_extents;
  batch->memory = batch->inline_memory;
  batch->extents_capacity = BFS_BATCH_INLINE;
  batch->memory_capacity = BFS_BATCH_INLINE;
  batch->n_extents = 0;
  batch->n_memory = 0;
  batch->bytes = 0;
}

void bfs_batch_free(struct bfs_batch* batch) {
  if (batch->extents != batch->inline_extents) ADIOI_Free(batch->extents);
  if (batch->memory != batch->inline_memory) ADIOI_Free(batch->memory);
}

/* Twice the capacity. NULL: no memory. */
static void* grown(void* list, const void* inline_list, size_t* capacity, size_t element_bytes) {
  void* larger = ADIOI_Malloc(*capacity * 2 * element_bytes);

  if (larger == NULL) return NULL;
  memcpy(larger, list, *capacity * element_bytes);
  if (list != inline_list) ADIOI_Free(list);
  *capacity *= 2;
  return larger;
}

static int make_room(struct bfs_batch* batch) {
  void* larger;

  if (batch->n_extents == batch->extents_capacity) {
    larger = grown(batch->extents, batch->inline_extents, &batch->extents_capacity,
                   sizeof(*batch->extents));
    if (larger == NULL) return ENOMEM;
    batch->extents = larger;
  }
  if (batch->n_memory == batch->memory_capacity) {
    larger =
        grown(batch->memory, batch->inline_memory, &batch->memory_capacity, sizeof(*batch->memory));
    if (larger == NULL) return ENOMEM;
    batch->memory = larger;
  }
  return 0;
}

static void add_extent(struct bfs_batch* batch, uint64_t offset, uint64_t bytes) {
  struct benchfs_extent* last = batch->extents + batch->n_extents - 1;

  if (batch->n_extents > 0 && last->offset + last->bytes == offset) {
    last->bytes += bytes;
  } else {
    batch->extents[batch->n_extents].offset = offset;
    batch->extents[batch->n_extents].bytes = bytes;
    batch->n_extents++;
  }
}

static void add_memory(struct bfs_batch* batch, char* start, size_t bytes) {
  struct iovec* last = batch->memory + batch->n_memory - 1;

  if (batch->n_memory > 0 && (char*)last->iov_base + last->iov_len == start) {
    last->iov_len += bytes;
  } else {
    batch->memory[batch->n_memory].iov_base = start;
    batch->memory[batch->n_memory].iov_len = bytes;
    batch->n_memory++;
  }
}

int bfs_batch_fill(struct bfs_batch* batch, struct bfs_access* access) {
  return bfs_batch_fill_to(batch, access, LLONG_MAX);
}

ADIO_Offset bfs_access_next(struct bfs_access* access, ADIO_Offset* bytes) {
  cursor_settle(&access->file);
  *bytes = access->file.left;
  if ((uint64_t)*bytes > access->left) *bytes = (ADIO_Offset)access->left;
  return access->file.position;
}

int bfs_view_ascending(const struct bfs_cursor* view) {
  ADIO_Offset end = 0;
  ADIO_Offset first = -1;

  if (view->indices == NULL) return 1;
  for (MPI_Count i = 0; i < view->blocks; i++) {
    if (view->lengths[i] == 0) continue;
    if (first < 0) {
      first = view->indices[i];
    } else if (view->indices[i] < end) {
      return 0;
    }
    end = view->indices[i] + view->lengths[i];
  }
  return end - first <= view->extent;
}

int bfs_batch_fill_to(struct bfs_batch* batch, struct bfs_access* access, ADIO_Offset limit) {
  batch->n_extents = 0;
  batch->n_memory = 0;
  batch->bytes = 0;
  while (access->left > 0 && batch->n_extents < BFS_BATCH_PIECES &&
         batch->n_memory < BFS_BATCH_PIECES) {
    ADIO_Offset bytes;
    int code = make_room(batch);

    if (code != 0) return code;
    cursor_settle(&access->file);
    cursor_settle(&access->memory);
    if (access->file.position >= limit) break;
    bytes = MPL_MIN(access->file.left, access->memory.left);
    bytes = MPL_MIN(bytes, limit - access->file.position);
    if ((uint64_t)bytes > access->left) bytes = (ADIO_Offset)access->left;
    add_extent(batch, (uint64_t)access->file.position, (uint64_t)bytes);
    add_memory(batch, (char*)(intptr_t)access->memory.position, (size_t)bytes);
    cursor_advance(&access->file, bytes);
    cursor_advance(&access->memory, bytes);
    access->left -= (uint64_t)bytes;
    batch->bytes += (uint64_t)bytes;
  }
  return 0;
}
