/*
 * ad_benchfs_coll_gather.c - the part of a collective operation that an aggregator has.
 *
 * It moves a window over the file, from the least offset that any rank has left to a limit that is the
 * same for all, so that pieces that belong side by side come together. How much of the file a window
 * covers follows what the last ones brought; how much data it may bring is bounded. While the servers
 * work on one window the next is collected. Pieces of this rank itself need no message and no copy:
 * they go from and to the program's memory.
 */
#include "ad_benchfs_coll.h"

#define SENDER_BYTES_MIN 1024
#define WINDOW_PIECES_MAX (128 << 10)
#define SENDER_PIECES_MIN 64

static struct bfs_part* add_part(struct bfs_parts* parts, int64_t offset, int64_t bytes,
                                 char* memory) {
  parts->list = bfs_grow(parts->list, parts->n, &parts->capacity, sizeof(*parts->list));
  parts->list[parts->n] = (struct bfs_part){offset, bytes, memory};
  return parts->list + parts->n++;
}

static void parts_free(struct bfs_parts* parts) {
  bfs_free(parts->list);
  memset(parts, 0, sizeof(*parts));
}

/* ---- sorting ---------------------------------------------------------------------------------- */

static size_t run_end(const struct bfs_parts* parts, size_t from) {
  size_t i = from + 1;

  while (i < parts->n && parts->list[i - 1].offset <= parts->list[i].offset) i++;
  return MPL_MIN(i, parts->n);
}

/* By offset: a merge sort of what is ascending already, which each rank's pieces are. */
static void sort_parts(struct bfs_parts* parts) {
  struct bfs_part* spare = NULL;

  while (parts->n > 0 && run_end(parts, 0) < parts->n) {
    struct bfs_part* swap = parts->list;
    size_t out = 0;

    if (spare == NULL) spare = ADIOI_Malloc(parts->capacity * sizeof(*spare));
    for (size_t a = 0; a < parts->n;) {
      const size_t middle = run_end(parts, a);
      const size_t end = middle < parts->n ? run_end(parts, middle) : middle;
      size_t b = middle;

      while (a < middle || b < end) {
        const int first =
            b == end || (a < middle && parts->list[a].offset <= parts->list[b].offset);
        spare[out++] = parts->list[first ? a++ : b++];
      }
      a = end;
    }
    parts->list = spare;
    spare = swap;
  }
  bfs_free(spare);
}

/* ---- a window's answers ------------------------------------------------------------------------ */

static struct bfs_sender* sender_of(struct bfs_gatherer* gatherer, int rank) {
  int low = 0;

  for (; low < gatherer->senders_known; low++)
    if (gatherer->senders[low].rank == rank) return gatherer->senders + low;
  /* The first word of this rank. */
  gatherer->senders[low].rank = rank;
  gatherer->senders_known++;
  return gatherer->senders + low;
}

static void take_answer(struct bfs_coll* c, struct bfs_slot* slot, struct bfs_message* message) {
  const struct bfs_piece* pieces;
  struct bfs_answer header;
  char* data;

  memcpy(&header, message->buffer, sizeof(header));
  pieces = (const struct bfs_piece*)(message->buffer + sizeof(header));
  data = message->buffer + sizeof(header) + header.n_pieces * (int64_t)sizeof(*pieces);
  sender_of(&c->gatherer, message->rank)->next = header.next;
  message->arrived = 1;
  slot->n_expected--;
  if (c->direction == BFS_READ && header.bytes > 0) {
    message->reply_bytes = (int64_t)sizeof(struct bfs_data) + header.bytes;
    message->reply = ADIOI_Malloc((size_t)message->reply_bytes);
    data = message->reply + sizeof(struct bfs_data);
  }
  for (int64_t i = 0; i < header.n_pieces; i++) {
    add_part(&slot->parts, pieces[i].offset, pieces[i].bytes, data);
    data += pieces[i].bytes;
  }
}

static int receive_answers(struct bfs_coll* c, struct bfs_slot* slot) {
  int moved = 0;

  for (;;) {
    struct bfs_message* message;
    MPI_Message handle;
    MPI_Status status;
    int bytes, found;

    MPI_Improbe(MPI_ANY_SOURCE, c->tag + BFS_TAG_ANSWER, c->comm, &found, &handle, &status);
    if (!found) break;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    message = ADIOI_Calloc(1, sizeof(*message));
    message->rank = status.MPI_SOURCE;
    message->buffer = ADIOI_Malloc((size_t)bytes);
    MPI_Imrecv(message->buffer, bytes, MPI_BYTE, &handle, &message->request);
    message->next = slot->messages;
    slot->messages = message;
    moved = 1;
  }
  for (struct bfs_message* message = slot->messages; message != NULL; message = message->next) {
    int done;

    if (message->arrived) continue;
    MPI_Test(&message->request, &done, MPI_STATUS_IGNORE);
    if (!done) continue;
    take_answer(c, slot, message);
    moved = 1;
  }
  return moved;
}

static void take_own(struct bfs_coll* c, struct bfs_slot* slot) {
  struct bfs_gatherer* gatherer = &c->gatherer;
  const struct bfs_window_request* request = &slot->request;
  const struct bfs_piece* piece;
  int64_t in_piece = 0;

  if (request->stop) {
    gatherer->own_next = BFS_END;
    return;
  }
  bfs_stream_take(c, &gatherer->own, request->limit, request->bytes_max,
                  (size_t)request->pieces_max, &slot->own);
  gatherer->own_next = bfs_stream_next(c, &gatherer->own);
  piece = slot->own.pieces;
  for (size_t i = 0; i < slot->own.n_memory; i++) {
    char* memory = slot->own.memory[i].iov_base;
    int64_t left = (int64_t)slot->own.memory[i].iov_len;

    while (left > 0) {
      const int64_t bytes = MPL_MIN(left, piece->bytes - in_piece);

      add_part(&slot->parts, piece->offset + in_piece, bytes, memory);
      memory += bytes;
      left -= bytes;
      in_piece += bytes;
      if (in_piece == piece->bytes) {
        piece++;
        in_piece = 0;
      }
    }
  }
}

/* ---- windows ---------------------------------------------------------------------------------- */

static int open_window(struct bfs_coll* c, int index) {
  struct bfs_gatherer* gatherer = &c->gatherer;
  struct bfs_slot* slot = gatherer->slots + index;
  struct bfs_window_request* request = &slot->request;
  const int64_t chunk = INT64_C(1) << c->chunk_shift;
  int64_t least = gatherer->own_next;
  int64_t n = 0;

  for (int i = 0; i < gatherer->n_senders; i++) least = MPL_MIN(least, gatherer->senders[i].next);
  if (least == BFS_END) return 0;
  request->limit = least / chunk * chunk;
  request->limit =
      request->limit > INT64_MAX - gatherer->span ? BFS_END : request->limit + gatherer->span;
  request->stop = c->code != 0;
  if (request->stop) request->limit = BFS_END;
  request->slot = index;
  for (int i = 0; i < gatherer->n_senders; i++) n += gatherer->senders[i].next < request->limit;
  n += gatherer->own_next < request->limit;
  request->bytes_max = MPL_MAX(gatherer->window_bytes / n, SENDER_BYTES_MIN);
  request->pieces_max = MPL_MAX(WINDOW_PIECES_MAX / n, SENDER_PIECES_MIN);

  if (slot->requests == NULL && gatherer->n_senders > 0)
    slot->requests = ADIOI_Malloc((size_t)gatherer->n_senders * sizeof(*slot->requests));
  slot->n_requests = 0;
  for (int i = 0; i < gatherer->n_senders; i++) {
    if (gatherer->senders[i].next >= request->limit) continue;
    MPI_Isend(request, (int)sizeof(*request), MPI_BYTE, gatherer->senders[i].rank,
              c->tag + BFS_TAG_REQUEST, c->comm, &slot->requests[slot->n_requests++]);
  }
  slot->n_expected = slot->n_requests;
  if (gatherer->own_next < request->limit) take_own(c, slot);
  slot->state = BFS_SLOT_COLLECT;
  gatherer->collecting = index;
  return 1;
}

/* The next window covers more of the file if this one brought little, less if it left something. */
static void adapt_span(struct bfs_coll* c, const struct bfs_slot* slot) {
  struct bfs_gatherer* gatherer = &c->gatherer;
  const int64_t chunk = INT64_C(1) << c->chunk_shift;
  int64_t bytes = 0;
  int64_t least = gatherer->own_next;

  for (size_t i = 0; i < slot->parts.n; i++) bytes += slot->parts.list[i].bytes;
  for (int i = 0; i < gatherer->n_senders; i++) least = MPL_MIN(least, gatherer->senders[i].next);
  if (least < slot->request.limit) {
    if (gatherer->span >= 2 * chunk) gatherer->span /= 2;
  } else if (bytes < gatherer->window_bytes / 2 && gatherer->span < BFS_END / 16) {
    gatherer->span *= bytes < gatherer->window_bytes / 16 ? 8 : 2;
  }
}

/* ---- the servers ------------------------------------------------------------------------------ */

static void add_extent(struct bfs_runs* lists, int64_t offset, int64_t bytes) {
  struct bfs_piece* last = lists->pieces + lists->n_pieces - 1;

  if (lists->n_pieces > 0 && last->offset + last->bytes == offset) {
    last->bytes += bytes;
  } else {
    lists->pieces =
        bfs_grow(lists->pieces, lists->n_pieces, &lists->pieces_capacity, sizeof(*lists->pieces));
    lists->pieces[lists->n_pieces++] = (struct bfs_piece){offset, bytes};
  }
  lists->bytes += bytes;
}

static void add_memory(struct bfs_runs* lists, char* memory, int64_t bytes) {
  lists->memory =
      bfs_grow(lists->memory, lists->n_memory, &lists->memory_capacity, sizeof(*lists->memory));
  lists->memory[lists->n_memory++] = (struct iovec){memory, (size_t)bytes};
}

/* What several ranks want is read once, into the memory of the first; the others get a copy of it. */
static void split_reads(struct bfs_slot* slot) {
  int64_t covered = 0;

  for (size_t i = 0; i < slot->parts.n; i++) {
    const struct bfs_part* part = slot->parts.list + i;
    const int64_t twice = MPL_MIN(MPL_MAX(covered - part->offset, 0), part->bytes);

    if (twice > 0) add_part(&slot->copies, part->offset, twice, part->memory);
    if (twice == part->bytes) continue;
    add_part(&slot->reads, part->offset + twice, part->bytes - twice, part->memory + twice);
    covered = part->offset + part->bytes;
  }
}

static void begin_server(struct bfs_coll* c, struct bfs_slot* slot) {
  benchfs_file_t* file = bfs_file(c->fd)->file;
  const struct bfs_parts* parts = &slot->parts;
  const struct benchfs_extent* extents;
  int result;

  slot->state = BFS_SLOT_SERVER;
  if (parts->n == 0 || c->code != 0) return;
  sort_parts(&slot->parts);
  if (c->direction == BFS_READ) {
    split_reads(slot);
    parts = &slot->reads;
  }
  for (size_t i = 0; i < parts->n; i++) {
    add_extent(&slot->lists, parts->list[i].offset, parts->list[i].bytes);
    add_memory(&slot->lists, parts->list[i].memory, parts->list[i].bytes);
  }
  extents = (const struct benchfs_extent*)slot->lists.pieces; /* offset and bytes, none negative */
  if (c->direction == BFS_WRITE) {
    c->wrote = 1;
    result = benchfs_write_list_start(file, extents, slot->lists.n_pieces, slot->lists.memory,
                                      slot->lists.n_memory, &slot->pending);
  } else {
    result = benchfs_read_list_start(file, extents, slot->lists.n_pieces, slot->lists.memory,
                                     slot->lists.n_memory, &slot->pending);
  }
  if (result != 0) {
    slot->pending = NULL;
    bfs_coll_fail(c, -result);
  }
}

/* Where the file ends, if `bytes` of what was wanted exist. */
static int64_t end_of_file(const struct bfs_runs* lists, int64_t bytes) {
  if (bytes == lists->bytes) return INT64_MAX;
  for (size_t i = 0; i < lists->n_pieces; i++) {
    if (bytes < lists->pieces[i].bytes) return lists->pieces[i].offset + bytes;
    bytes -= lists->pieces[i].bytes;
  }
  return INT64_MAX;
}

static int64_t present(int64_t offset, int64_t bytes, int64_t end) {
  return MPL_MIN(bytes, end - MPL_MIN(offset, end));
}

static void copy(const struct bfs_parts* reads, int64_t offset, int64_t bytes, char* to) {
  size_t low = 0;
  size_t high = reads->n;

  /* The last one that begins at or before offset. */
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;

    if (reads->list[middle].offset <= offset)
      low = middle;
    else
      high = middle;
  }
  for (; bytes > 0; low++) {
    const int64_t skip = offset - reads->list[low].offset;
    const int64_t n = MPL_MIN(bytes, reads->list[low].bytes - skip);

    if (n <= 0) continue;
    memcpy(to, reads->list[low].memory + skip, (size_t)n);
    to += n;
    offset += n;
    bytes -= n;
  }
}

static void begin_replies(struct bfs_coll* c, struct bfs_slot* slot, int64_t end) {
  struct bfs_data header = {end};

  for (size_t i = 0; i < slot->copies.n; i++) {
    const struct bfs_part* part = slot->copies.list + i;
    const int64_t bytes = present(part->offset, part->bytes, end);

    if (bytes > 0) copy(&slot->reads, part->offset, bytes, part->memory);
  }
  for (size_t i = 0; i < slot->own.n_pieces; i++)
    c->moved += present(slot->own.pieces[i].offset, slot->own.pieces[i].bytes, end);
  for (struct bfs_message* message = slot->messages; message != NULL; message = message->next) {
    message->request = MPI_REQUEST_NULL;
    if (message->reply == NULL) continue;
    memcpy(message->reply, &header, sizeof(header));
    MPI_Isend(message->reply, (int)message->reply_bytes, MPI_BYTE, message->rank,
              c->tag + BFS_TAG_DATA + (int)(slot - c->gatherer.slots), c->comm, &message->request);
  }
}

static int step_server(struct bfs_coll* c, struct bfs_slot* slot) {
  int64_t result = 0;

  if (slot->pending != NULL) {
    if (!benchfs_test(slot->pending, &result)) return 0;
    slot->pending = NULL;
    if (result < 0) bfs_coll_fail(c, (int)-result);
  }
  if (c->direction == BFS_READ)
    begin_replies(c, slot, c->code != 0 ? INT64_MIN : end_of_file(&slot->lists, result));
  slot->state = BFS_SLOT_REPLY;
  return 1;
}

static int step_reply(struct bfs_coll* c, struct bfs_slot* slot) {
  int done;

  if (!bfs_all_done(slot->n_requests, slot->requests)) return 0;
  slot->n_requests = 0;
  while (slot->messages != NULL) {
    struct bfs_message* message = slot->messages;

    if (c->direction == BFS_READ) {
      MPI_Test(&message->request, &done, MPI_STATUS_IGNORE);
      if (!done) return 0;
    }
    slot->messages = message->next;
    ADIOI_Free(message->buffer);
    bfs_free(message->reply);
    ADIOI_Free(message);
  }
  slot->parts.n = slot->reads.n = slot->copies.n = 0;
  slot->own.n_pieces = slot->own.n_memory = 0;
  slot->lists.n_pieces = slot->lists.n_memory = 0;
  slot->own.bytes = slot->lists.bytes = 0;
  slot->state = BFS_SLOT_IDLE;
  return 1;
}

/* ---- the whole --------------------------------------------------------------------------------- */

void bfs_gatherer_begin(struct bfs_coll* c) {
  struct bfs_gatherer* gatherer = &c->gatherer;
  const struct bfs_placement* placement = c->placement;
  const int64_t chunk = INT64_C(1) << c->chunk_shift;

  gatherer->n_slots = BFS_SLOTS;
  gatherer->window_bytes = MPL_MAX(c->buffer_bytes / gatherer->n_slots, SENDER_BYTES_MIN);
  gatherer->collecting = -1;
  gatherer->own_next = BFS_END;
  gatherer->index = -1;
  for (int i = 0; i < placement->n_aggregators; i++)
    if (placement->ranks[i] == c->rank) gatherer->index = i;
  if (gatherer->index < 0) return;

  gatherer->n_senders = (int)c->sums[BFS_SUMS + gatherer->index];
  if (c->possible[gatherer->index]) {
    gatherer->has_own = 1;
    gatherer->own = c->streams[gatherer->index];
    gatherer->own_next = bfs_stream_next(c, &gatherer->own);
    gatherer->n_senders--;
  }
  gatherer->span = (gatherer->window_bytes * placement->n_aggregators + chunk - 1) / chunk * chunk;
  if (gatherer->n_senders > 0) {
    struct bfs_slot* slot = gatherer->slots;

    gatherer->senders =
        ADIOI_Calloc((size_t)gatherer->n_senders, sizeof(*gatherer->senders));
    /* The unasked answers are the first window. */
    slot->request = (struct bfs_window_request){0, 0, 0, 0, 0};
    slot->n_expected = gatherer->n_senders;
    slot->state = BFS_SLOT_COLLECT;
    gatherer->collecting = 0;
  }
}

static int step_collect(struct bfs_coll* c) {
  struct bfs_gatherer* gatherer = &c->gatherer;
  struct bfs_slot* slot = gatherer->slots + gatherer->collecting;
  int moved = 0;

  if (slot->n_expected > 0) moved = receive_answers(c, slot);
  if (slot->n_expected > 0) return moved;
  gatherer->collecting = -1;
  if (slot->request.limit > 0) adapt_span(c, slot);
  begin_server(c, slot);
  return 1;
}

int bfs_gatherer_step(struct bfs_coll* c) {
  struct bfs_gatherer* gatherer = &c->gatherer;
  int moved = 0;

  if (gatherer->index < 0) return 0;
  if (gatherer->collecting >= 0) moved |= step_collect(c);
  for (int i = 0; i < gatherer->n_slots; i++) {
    struct bfs_slot* slot = gatherer->slots + i;

    if (slot->state == BFS_SLOT_SERVER) moved |= step_server(c, slot);
    if (slot->state == BFS_SLOT_REPLY) moved |= step_reply(c, slot);
    if (slot->state == BFS_SLOT_IDLE && gatherer->collecting < 0) moved |= open_window(c, i);
  }
  return moved;
}

int bfs_gatherer_finished(const struct bfs_coll* c) {
  const struct bfs_gatherer* gatherer = &c->gatherer;

  if (gatherer->index < 0) return 1;
  if (gatherer->collecting >= 0 || gatherer->own_next != BFS_END) return 0;
  for (int i = 0; i < gatherer->n_senders; i++)
    if (gatherer->senders[i].next != BFS_END) return 0;
  for (int i = 0; i < gatherer->n_slots; i++)
    if (gatherer->slots[i].state != BFS_SLOT_IDLE) return 0;
  return 1;
}

void bfs_gatherer_free(struct bfs_coll* c) {
  struct bfs_gatherer* gatherer = &c->gatherer;

  bfs_free(gatherer->senders);
  for (int i = 0; i < BFS_SLOTS; i++) {
    struct bfs_slot* slot = gatherer->slots + i;

    bfs_free(slot->requests);
    parts_free(&slot->parts);
    parts_free(&slot->reads);
    parts_free(&slot->copies);
    bfs_runs_free(&slot->own);
    bfs_runs_free(&slot->lists);
  }
}
