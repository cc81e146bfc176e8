/*
 * ad_benchfs_coll_engine.c - a collective operation from its plan to its outcome.
 *
 * The plan is one small allreduce, started by the call itself, so its order is that of the calls on
 * all ranks. Everything after it is point-to-point messages under the operation's own tags: several
 * operations may be under way on one file, at different speeds on different ranks. No rank leaves the
 * sequence on a failure, and the failure of any is the outcome on all.
 */
#include "ad_benchfs_coll.h"

/* `auto` aggregates pieces that are smaller on average: docs/adr/0006-collective-aggregation.md. */
#define DIRECT_PIECE_BYTES (256 << 10)
#define DIRECT_LOCAL_WRITE_BYTES 1024
#define DIRECT_LOCAL_READ_BYTES 256
#define DIRECT_BYTES_MAX (INT64_C(64) << 20)
#define DIRECT_PIECES_MAX 65536
#define OPERATIONS_MAX 2048 /* their tags stay below those of agreements */

void bfs_coll_fail(struct bfs_coll* c, int code) {
  if (c->code != 0) return;
  c->code = code;
  snprintf(c->text, sizeof(c->text), "%s", bfs_local_text(code));
}

int bfs_all_done(int n, MPI_Request* requests) {
  int all = 1;

  for (int i = 0; i < n; i++) {
    int done;

    MPI_Test(&requests[i], &done, MPI_STATUS_IGNORE);
    all &= done;
  }
  return all;
}

/* ---- the plan ---------------------------------------------------------------------------------- */

/* What `auto` is: large pieces gain nothing from being brought together, but cost a copy more; and a
 * piece costs a message, or no more than a system call where every rank uses the servers' files
 * itself. */
static enum bfs_strategy cheapest(const struct bfs_coll* c) {
  const int64_t* sums = c->sums;
  const int64_t piece = sums[BFS_SUM_BYTES] / MPL_MAX(sums[BFS_SUM_PIECES], 1);
  int64_t direct = DIRECT_PIECE_BYTES;

  if (sums[BFS_SUM_LOCAL] == c->ranks)
    direct = c->direction == BFS_WRITE ? DIRECT_LOCAL_WRITE_BYTES : DIRECT_LOCAL_READ_BYTES;
  return piece >= direct || sums[BFS_SUM_RANKS] == 1 ? BFS_DIRECT : BFS_OWNER;
}

/* As the hints say; ROMIO's own ones where ours leaves it open. */
static enum bfs_strategy wanted(const struct bfs_coll* c) {
  const struct ADIOI_Hints_struct* hints = c->fd->hints;
  const int buffering = c->direction == BFS_WRITE ? hints->cb_write : hints->cb_read;
  const enum bfs_strategy strategy = bfs_file(c->fd)->strategy;

  if (strategy != BFS_AUTO || buffering == ADIOI_HINT_AUTO) return strategy;
  return buffering == ADIOI_HINT_ENABLE ? BFS_OWNER : BFS_DIRECT;
}

static void begin_plan(struct bfs_coll* c, enum bfs_strategy strategy) {
  const int n = BFS_SUMS + c->placement->n_aggregators;
  int64_t* mine;

  c->sums = ADIOI_Calloc((size_t)n * 2, sizeof(*c->sums));
  mine = c->sums + n;
  mine[BFS_SUM_BYTES] = c->total;
  mine[BFS_SUM_STRATEGY] = strategy;
  mine[BFS_SUM_SQUARE] = strategy * strategy;
  mine[BFS_SUM_RANKS] = c->total > 0;
  /* The core moves no more than a little at once without messages when it must not block. */
  mine[BFS_SUM_LOCAL] = !c->nonblocking && benchfs_local_access(bfs_file(c->fd)->file);
  c->possible = ADIOI_Calloc((size_t)c->placement->n_aggregators, 1);
  if (c->total > 0) {
    const double tiles = (double)c->total / (double)c->file.size;

    mine[BFS_SUM_PIECES] = (int64_t)(tiles * (double)c->file.n_blocks) + 1;
    c->streams =
        ADIOI_Malloc((size_t)c->placement->n_aggregators * sizeof(*c->streams));
    bfs_streams_scout(c, c->streams, c->possible);
    for (int i = 0; i < c->placement->n_aggregators; i++) mine[BFS_SUMS + i] = c->possible[i];
  }
  MPI_Iallreduce(mine, c->sums, n, MPI_INT64_T, MPI_SUM, c->comm, &c->planning);
}

static void begin_transfer(struct bfs_coll* c) {
  if (c->strategy == BFS_OWNER) {
    bfs_gatherer_begin(c);
    bfs_giver_begin(c);
    c->phase = BFS_TRANSFER_OWNER;
  } else {
    bfs_stream_start(c, &c->own, BFS_ALL);
    c->phase = BFS_TRANSFER_DIRECT;
  }
}

static int step_plan(struct bfs_coll* c) {
  const int64_t* sums = c->sums;
  int done;

  MPI_Test(&c->planning, &done, MPI_STATUS_IGNORE);
  if (!done) return 0;
  c->strategy = (enum bfs_strategy)(sums[BFS_SUM_STRATEGY] / c->ranks);
  /* Ranks that were given different hints must still do the same. */
  if (sums[BFS_SUM_SQUARE] * c->ranks != sums[BFS_SUM_STRATEGY] * sums[BFS_SUM_STRATEGY])
    c->strategy = BFS_AUTO;
  if (c->strategy == BFS_AUTO) c->strategy = cheapest(c);
  if (c->strategy == BFS_GENERIC && (c->nonblocking || !(c->fd->access_mode & ADIO_RDWR)))
    c->strategy = BFS_OWNER;
  if (sums[BFS_SUM_BYTES] == 0) {
    c->phase = BFS_AGREE;
  } else if (c->strategy == BFS_GENERIC) {
    c->phase = BFS_GENERIC_WANTED;
  } else {
    begin_transfer(c);
  }
  return 1;
}

/* A blocking call has nothing better to do than to wait. */
static int pending_done(struct bfs_coll* c, int64_t* result) {
  if (!c->nonblocking)
    *result = benchfs_wait(c->pending);
  else if (!benchfs_test(c->pending, result))
    return 0;
  c->pending = NULL;
  return 1;
}

/* ---- direct ------------------------------------------------------------------------------------ */

/* Starts the batch; a blocking call does all of it, where it can do so without a server's help. */
static int64_t transfer_batch(struct bfs_coll* c) {
  benchfs_file_t* file = bfs_file(c->fd)->file;
  const struct benchfs_extent* extents = (const struct benchfs_extent*)c->batch.pieces;
  const size_t n_pieces = c->batch.n_pieces, n_memory = c->batch.n_memory;

  if (c->direction == BFS_WRITE) {
    c->wrote = 1;
    return c->nonblocking
               ? benchfs_write_list_start(file, extents, n_pieces, c->batch.memory, n_memory,
                                          &c->pending)
               : benchfs_write_list(file, extents, n_pieces, c->batch.memory, n_memory);
  }
  return c->nonblocking ? benchfs_read_list_start(file, extents, n_pieces, c->batch.memory, n_memory,
                                                  &c->pending)
                        : benchfs_read_list(file, extents, n_pieces, c->batch.memory, n_memory);
}

static void took_batch(struct bfs_coll* c, int64_t result) {
  if (result < 0) {
    bfs_coll_fail(c, (int)-result);
    return;
  }
  c->moved += result;
  /* In an ascending view what follows is behind the end of the file, too. */
  if (result < c->batch.bytes && c->file.ascending) c->own.done = c->total;
}

static int step_direct(struct bfs_coll* c) {
  int64_t result;

  if (c->pending != NULL) {
    if (!pending_done(c, &result)) return 0;
    took_batch(c, result);
  }
  if (c->code != 0 || bfs_stream_next(c, &c->own) == BFS_END) {
    c->phase = BFS_FLUSH;
    return 1;
  }
  c->batch.n_pieces = c->batch.n_memory = 0;
  c->batch.bytes = 0;
  bfs_stream_take(c, &c->own, BFS_END, DIRECT_BYTES_MAX, DIRECT_PIECES_MAX, &c->batch);
  result = transfer_batch(c);
  if (!c->nonblocking || result < 0) took_batch(c, result);
  return 1;
}

/* ---- owner ------------------------------------------------------------------------------------- */

static int step_owner(struct bfs_coll* c) {
  int moved = bfs_giver_step(c);

  moved |= bfs_gatherer_step(c);
  if (!bfs_giver_finished(c) || !bfs_gatherer_finished(c)) return moved;
  if (c->direction == BFS_WRITE && c->code == 0) c->moved = c->total;
  c->phase = BFS_FLUSH;
  return 1;
}

/* ---- to the end -------------------------------------------------------------------------------- */

static int step_flush(struct bfs_coll* c) {
  int64_t result;
  int code;

  if (c->pending != NULL) {
    if (!pending_done(c, &result)) return 0;
    if (result < 0) bfs_coll_fail(c, (int)-result);
  } else if (c->wrote && c->code == 0) {
    c->wrote = 0;
    code = benchfs_flush_size_start(bfs_file(c->fd)->file, &c->pending);
    if (code == 0) return 1;
    c->pending = NULL;
    bfs_coll_fail(c, -code);
  }
  c->phase = BFS_AGREE;
  return 1;
}

static int step_agree(struct bfs_coll* c) {
  int moved = !c->agreement.given;

  if (moved) bfs_agreement_give(&c->agreement, c->code);
  if (!bfs_agreement_step(&c->agreement)) return moved;
  if (c->agreement.verdict.code != 0 && c->code == 0) {
    bfs_remote_text(c->text,
                    c->direction == BFS_WRITE ? "collective write to" : "collective read of",
                    c->fd->filename, c->agreement.verdict.code, c->agreement.verdict.rank);
  }
  c->error_code = c->agreement.verdict.code == 0 ? MPI_SUCCESS
                                                 : BFS_ERROR(c->agreement.verdict.code, c->text);
  c->phase = BFS_DONE;
  return 1;
}

int bfs_coll_step(struct bfs_coll* c) {
  int moved = 0;
  int again = 1;

  while (again) {
    switch (c->phase) {
      case BFS_PLAN:
        again = step_plan(c);
        break;
      case BFS_TRANSFER_DIRECT:
        again = step_direct(c);
        break;
      case BFS_TRANSFER_OWNER:
        again = step_owner(c);
        break;
      case BFS_FLUSH:
        again = step_flush(c);
        break;
      case BFS_AGREE:
        again = step_agree(c);
        break;
      default:
        return moved;
    }
    moved |= again;
  }
  return moved;
}

/* In atomic mode, because the lock is held only inside a call, and of a nonblocking operation with
 * external32, because ROMIO frees the converted buffer when the call returns. */
static void transfer_now(struct bfs_coll* c) {
  int code;

  c->moved = (int64_t)bfs_transfer(c->fd, &c->access, c->direction, &code);
  if (code != 0) bfs_coll_fail(c, code);
  c->wrote = c->direction == BFS_WRITE && c->total > 0;
  c->phase = BFS_FLUSH;
}

void bfs_coll_begin(struct bfs_coll* c, ADIO_File fd, const void* buf, bfs_count_t count,
                    MPI_Datatype datatype, int file_ptr_type, ADIO_Offset offset,
                    enum bfs_direction direction, int nonblocking) {
  struct bfs_file* own = bfs_file(fd);

  memset(c, 0, sizeof(*c));
  c->fd = fd;
  c->direction = direction;
  if (direction == BFS_WRITE) own->collective_writes++;
  c->nonblocking = nonblocking;
  c->comm = fd->comm;
  c->placement = own->placement;
  c->buffer_bytes = fd->hints->cb_buffer_size;
  c->file.blocks = c->file.contiguous;
  c->memory.blocks = c->memory.contiguous;
  while ((UINT64_C(1) << c->chunk_shift) < benchfs_chunk_bytes(own->file)) c->chunk_shift++;
  MPI_Comm_rank(fd->comm, &c->rank);
  MPI_Comm_size(fd->comm, &c->ranks);
  c->tag = (int)(own->collectives++ % OPERATIONS_MAX) * BFS_TAGS;
  bfs_agreement_begin(&c->agreement, fd);

  bfs_access_init(&c->access, fd, buf, count, datatype, file_ptr_type, offset);
  c->total = (int64_t)c->access.left;
  if (direction == BFS_WRITE && c->total > 0) fd->dirty_write = 1;
  if (fd->atomicity || (nonblocking && fd->is_external32)) {
    transfer_now(c);
    return;
  }
  if (c->total > 0) {
    bfs_layout_view(&c->file, fd);
    bfs_layout_memory(&c->memory, buf, datatype);
  }
  if (c->ranks == 1 && own->strategy != BFS_GENERIC) {
    c->strategy = BFS_DIRECT;
    begin_transfer(c);
  } else {
    begin_plan(c, wanted(c));
  }
  bfs_coll_step(c);
}

void bfs_coll_end(struct bfs_coll* c) {
  if (c->direction == BFS_WRITE) bfs_file(c->fd)->collective_writes--;
  bfs_giver_free(c);
  bfs_gatherer_free(c);
  bfs_runs_free(&c->batch);
  bfs_layout_free(&c->file);
  bfs_layout_free(&c->memory);
  bfs_free(c->sums);
  bfs_free(c->streams);
  bfs_free(c->possible);
}
