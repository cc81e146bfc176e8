/*
 * ad_benchfs_coll_stream.c - what of a rank's access belongs to an aggregator, in the order of the
 * view and without a list of it.
 *
 * A stream is a cursor on the view. To pass over the chunks of others it does not walk through their
 * pieces, it seeks: tiles by division, blocks within one by binary search. So the cost of a stream is
 * that of its own pieces and of the chunks it passes, however many pieces are in those.
 */
#include "ad_benchfs_coll.h"

/* No file offset and no address is as large. */
#define CONTIGUOUS_BYTES (INT64_C(1) << 62)
#define SCOUT_STEPS_PER_AGGREGATOR 64

void* bfs_grow(void* list, size_t n, size_t* capacity, size_t element_bytes) {
  if (n < *capacity) return list;
  *capacity = *capacity == 0 ? 64 : *capacity * 2;
  return ADIOI_Realloc(list, *capacity * element_bytes); /* aborts when there is no memory */
}

/* ---- layouts ---------------------------------------------------------------------------------- */

static void layout_contiguous(struct bfs_layout* layout, int64_t start) {
  layout->contiguous[0] = (struct bfs_block){0, 0};
  layout->contiguous[1] = (struct bfs_block){CONTIGUOUS_BYTES, CONTIGUOUS_BYTES};
  layout->blocks = layout->contiguous;
  layout->n_blocks = 1;
  layout->size = layout->extent = layout->end = CONTIGUOUS_BYTES;
  layout->start = start;
  layout->ascending = 1;
}

static void layout_type(struct bfs_layout* layout, MPI_Datatype datatype, int64_t start) {
  const ADIOI_Flatlist_node* flat;
  MPI_Aint lower, extent;
  int64_t first = INT64_MAX;
  int64_t last_end = INT64_MIN;
  int contiguous;

  ADIOI_Datatype_iscontig(datatype, &contiguous);
  if (contiguous) {
    layout_contiguous(layout, start);
    return;
  }
  MPI_Type_get_extent(datatype, &lower, &extent);
  flat = ADIOI_Flatten_and_find(datatype);
  layout->blocks = ADIOI_Malloc(((size_t)flat->count + 1) * sizeof(*layout->blocks));
  layout->n_blocks = 0;
  layout->size = 0;
  layout->extent = extent;
  layout->start = start;
  layout->end = INT64_MIN;
  layout->ascending = 1;
  for (MPI_Count i = 0; i < flat->count; i++) {
    const int64_t offset = flat->indices[i];

    if (flat->blocklens[i] == 0) continue; /* bounds of a resized type */
    if (offset != last_end) {
      if (offset < last_end) layout->ascending = 0;
      layout->blocks[layout->n_blocks++] = (struct bfs_block){offset, layout->size};
    }
    first = MPL_MIN(first, offset);
    layout->size += flat->blocklens[i];
    last_end = offset + flat->blocklens[i];
    layout->end = MPL_MAX(layout->end, last_end);
  }
  layout->blocks[layout->n_blocks] = (struct bfs_block){0, layout->size};
  if (layout->extent < layout->end - first) layout->ascending = 0;
}

void bfs_layout_view(struct bfs_layout* layout, ADIO_File fd) {
  layout_type(layout, fd->filetype, fd->disp);
}

void bfs_layout_memory(struct bfs_layout* layout, const void* buf, MPI_Datatype datatype) {
  layout_type(layout, datatype, (int64_t)(intptr_t)buf);
}

void bfs_layout_free(struct bfs_layout* layout) {
  if (layout->blocks != layout->contiguous) ADIOI_Free(layout->blocks);
  layout->blocks = layout->contiguous;
}

/* ---- points ----------------------------------------------------------------------------------- */

static int64_t block_bytes(const struct bfs_layout* layout, size_t block) {
  return layout->blocks[block + 1].before - layout->blocks[block].before;
}

static void point_enter(const struct bfs_layout* layout, struct bfs_point* point, int64_t tile,
                        size_t block, int64_t skip) {
  point->tile = tile;
  point->block = block;
  point->position =
      layout->start + tile * layout->extent + layout->blocks[block].offset + skip;
  point->left = block_bytes(layout, block) - skip;
}

static void point_advance(const struct bfs_layout* layout, struct bfs_point* point, int64_t bytes) {
  point->position += bytes;
  point->left -= bytes;
  if (point->left > 0) return;
  if (point->block + 1 < layout->n_blocks)
    point_enter(layout, point, point->tile, point->block + 1, 0);
  else
    point_enter(layout, point, point->tile + 1, 0, 0);
}

/* To the byte that has `bytes` bytes of data before it. */
static void point_seek_data(const struct bfs_layout* layout, struct bfs_point* point,
                            int64_t bytes) {
  const int64_t tile = bytes / layout->size;
  const int64_t rest = bytes % layout->size;
  size_t low = 0;
  size_t high = layout->n_blocks;

  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;

    if (layout->blocks[middle].before <= rest)
      low = middle;
    else
      high = middle;
  }
  point_enter(layout, point, tile, low, rest - layout->blocks[low].before);
}

/* To the first byte at or behind `offset`, which is behind the point; the layout ascends. Returns how
 * many bytes of data are before it. */
static int64_t point_seek_offset(const struct bfs_layout* layout, struct bfs_point* point,
                                 int64_t offset) {
  const int64_t relative = offset - layout->start;
  int64_t tile = relative < layout->end ? 0 : (relative - layout->end) / layout->extent + 1;
  int64_t in_tile, skip;
  size_t low = 0;
  size_t high;

  tile = MPL_MAX(tile, point->tile);
  in_tile = relative - tile * layout->extent;
  /* The first block that ends behind in_tile. */
  high = layout->n_blocks - 1;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;

    if (layout->blocks[middle].offset + block_bytes(layout, middle) > in_tile)
      high = middle;
    else
      low = middle + 1;
  }
  skip = MPL_MAX(in_tile - layout->blocks[low].offset, 0);
  point_enter(layout, point, tile, low, skip);
  return tile * layout->size + layout->blocks[low].before + skip;
}

/* ---- streams ---------------------------------------------------------------------------------- */

void bfs_stream_start(const struct bfs_coll* c, struct bfs_stream* stream, int aggregator) {
  stream->aggregator = aggregator;
  stream->done = 0;
  stream->mine_until = aggregator == BFS_ALL ? INT64_MAX : INT64_MIN;
  stream->memory_done = -1;
  if (c->total > 0) point_seek_data(&c->file, &stream->file, c->access.view_start);
}

static int64_t chunk_end(const struct bfs_coll* c, int64_t offset) {
  return ((offset >> c->chunk_shift) + 1) << c->chunk_shift;
}

/* Passes over the rest of the chunk that the stream is in. */
static void pass_chunk(const struct bfs_coll* c, struct bfs_stream* stream) {
  const int64_t end = chunk_end(c, stream->file.position);

  if (c->file.ascending) {
    stream->done = point_seek_offset(&c->file, &stream->file, end) - c->access.view_start;
  } else {
    const int64_t bytes = MPL_MIN(stream->file.left, end - stream->file.position);

    stream->done += bytes;
    point_advance(&c->file, &stream->file, bytes);
  }
}

int64_t bfs_stream_next(const struct bfs_coll* c, struct bfs_stream* stream) {
  while (stream->done < c->total) {
    const int64_t position = stream->file.position;

    if (stream->aggregator == BFS_ALL) return position;
    if (position < stream->mine_until &&
        position >= stream->mine_until - (INT64_C(1) << c->chunk_shift))
      return position;
    if (bfs_aggregator_of(c, position) == stream->aggregator) {
      stream->mine_until = chunk_end(c, position);
      return position;
    }
    pass_chunk(c, stream);
  }
  stream->done = c->total;
  return BFS_END;
}

static void add_piece(struct bfs_runs* runs, int64_t offset, int64_t bytes) {
  if (runs->n_pieces > 0) {
    struct bfs_piece* last = runs->pieces + runs->n_pieces - 1;

    if (last->offset + last->bytes == offset) {
      last->bytes += bytes;
      return;
    }
  }
  runs->pieces =
      bfs_grow(runs->pieces, runs->n_pieces, &runs->pieces_capacity, sizeof(*runs->pieces));
  runs->pieces[runs->n_pieces++] = (struct bfs_piece){offset, bytes};
}

static void add_memory(struct bfs_runs* runs, int64_t address, int64_t bytes) {
  char* start = (char*)(intptr_t)address;

  if (runs->n_memory > 0) {
    struct iovec* last = runs->memory + runs->n_memory - 1;

    if ((char*)last->iov_base + last->iov_len == start) {
      last->iov_len += (size_t)bytes;
      return;
    }
  }
  runs->memory =
      bfs_grow(runs->memory, runs->n_memory, &runs->memory_capacity, sizeof(*runs->memory));
  runs->memory[runs->n_memory++] = (struct iovec){start, (size_t)bytes};
}

void bfs_stream_take(const struct bfs_coll* c, struct bfs_stream* stream, int64_t limit,
                     int64_t bytes_max, size_t pieces_max, struct bfs_runs* runs) {
  while (runs->bytes < bytes_max && runs->n_pieces < pieces_max && runs->n_memory < pieces_max) {
    const int64_t offset = bfs_stream_next(c, stream);
    int64_t bytes;

    if (offset >= limit) return; /* BFS_END is behind every limit */
    bytes = MPL_MIN(stream->file.left, MPL_MIN(limit, stream->mine_until) - offset);
    bytes = MPL_MIN(bytes, c->total - stream->done);
    bytes = MPL_MIN(bytes, bytes_max - runs->bytes);
    if (stream->memory_done != stream->done) {
      point_seek_data(&c->memory, &stream->memory, stream->done);
      stream->memory_done = stream->done;
    }
    bytes = MPL_MIN(bytes, stream->memory.left);
    add_piece(runs, offset, bytes);
    add_memory(runs, stream->memory.position, bytes);
    point_advance(&c->file, &stream->file, bytes);
    point_advance(&c->memory, &stream->memory, bytes);
    stream->done += bytes;
    stream->memory_done = stream->done;
    runs->bytes += bytes;
  }
}

void bfs_streams_scout(const struct bfs_coll* c, struct bfs_stream* streams, char* possible) {
  const int n = c->placement->n_aggregators;
  int64_t steps_left = (int64_t)SCOUT_STEPS_PER_AGGREGATOR * n;
  int missing = n;
  struct bfs_stream scout;

  memset(possible, 0, (size_t)n);
  bfs_stream_start(c, &scout, BFS_ALL);
  while (scout.done < c->total && missing > 0 && steps_left-- > 0) {
    const int owner = bfs_aggregator_of(c, scout.file.position);

    if (!possible[owner]) {
      possible[owner] = 1;
      streams[owner] = scout;
      streams[owner].aggregator = owner;
      streams[owner].mine_until = INT64_MIN;
      missing--;
    }
    pass_chunk(c, &scout);
  }
  for (int i = 0; scout.done < c->total && i < n; i++) {
    if (possible[i]) continue;
    possible[i] = 1;
    streams[i] = scout;
    streams[i].aggregator = i;
    streams[i].mine_until = INT64_MIN;
  }
}

void bfs_runs_free(struct bfs_runs* runs) {
  bfs_free(runs->pieces);
  bfs_free(runs->memory);
  memset(runs, 0, sizeof(*runs));
}
