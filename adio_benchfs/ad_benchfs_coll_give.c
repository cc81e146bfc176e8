/*
 * ad_benchfs_coll_give.c - the part of a collective operation that every rank with data has.
 *
 * It begins with an unasked answer to each aggregator that this rank may have data for: the first few
 * pieces, and where the rest begins. For a small operation that was all. From then on the aggregators
 * ask. Each answer holds a copy of what is written, so all answers together are bounded: a request
 * waits while others fill that room.
 */
#include "ad_benchfs_coll.h"

/* Of the unasked answer. */
#define FIRST_BYTES_MAX (64 << 10)
#define FIRST_PIECES_MAX 1024

static void send_answer(struct bfs_coll* c, struct bfs_source* source,
                        const struct bfs_window_request* request) {
  struct bfs_giver* giver = &c->giver;
  struct bfs_packet* packet = ADIOI_Calloc(1, sizeof(*packet));
  struct bfs_answer header;
  int64_t table_bytes;
  char* to;

  if (request->stop || c->code != 0) {
    header.next = BFS_END;
  } else {
    bfs_stream_take(c, &source->stream, request->limit, request->bytes_max,
                    (size_t)request->pieces_max, &packet->runs);
    header.next = bfs_stream_next(c, &source->stream);
  }
  header.bytes = packet->runs.bytes;
  header.n_pieces = (int64_t)packet->runs.n_pieces;
  if (header.next == BFS_END) {
    source->live = 0;
    giver->n_live--;
  }

  table_bytes = header.n_pieces * (int64_t)sizeof(struct bfs_piece);
  packet->answer_bytes = (int64_t)sizeof(header) + table_bytes;
  if (c->direction == BFS_WRITE) packet->answer_bytes += header.bytes;
  packet->answer = ADIOI_Malloc((size_t)packet->answer_bytes);
  memcpy(packet->answer, &header, sizeof(header));
  to = packet->answer + sizeof(header);
  if (table_bytes > 0) memcpy(to, packet->runs.pieces, (size_t)table_bytes);
  to += table_bytes;
  if (c->direction == BFS_WRITE) {
    for (size_t i = 0; i < packet->runs.n_memory; i++) {
      memcpy(to, packet->runs.memory[i].iov_base, packet->runs.memory[i].iov_len);
      to += packet->runs.memory[i].iov_len;
    }
  }
  packet->requests[1] = MPI_REQUEST_NULL;
  if (c->direction == BFS_READ && header.bytes > 0) {
    const int64_t data_bytes = (int64_t)sizeof(struct bfs_data) + header.bytes;

    packet->data = ADIOI_Malloc((size_t)data_bytes);
    MPI_Irecv(packet->data, (int)data_bytes, MPI_BYTE, source->rank,
              c->tag + BFS_TAG_DATA + request->slot, c->comm, &packet->requests[1]);
  }
  MPI_Isend(packet->answer, (int)packet->answer_bytes, MPI_BYTE, source->rank,
            c->tag + BFS_TAG_ANSWER, c->comm, &packet->requests[0]);
  giver->bytes_out += packet->answer_bytes;
  packet->next = giver->packets;
  giver->packets = packet;
}

void bfs_giver_begin(struct bfs_coll* c) {
  struct bfs_giver* giver = &c->giver;
  const struct bfs_placement* placement = c->placement;
  const int64_t* senders = c->sums + BFS_SUMS;

  giver->sources = ADIOI_Calloc((size_t)placement->n_aggregators, sizeof(*giver->sources));
  for (int i = 0; i < placement->n_aggregators; i++) {
    struct bfs_source* source = giver->sources + giver->n_sources;
    struct bfs_window_request first = {BFS_END, FIRST_BYTES_MAX, FIRST_PIECES_MAX, 0, 0};

    if (!c->possible[i] || placement->ranks[i] == c->rank) continue;
    first.bytes_max = MPL_MIN(first.bytes_max, c->gatherer.window_bytes / senders[i]);
    source->stream = c->streams[i];
    source->rank = placement->ranks[i];
    source->live = 1;
    giver->n_sources++;
    giver->n_live++;
    send_answer(c, source, &first);
  }
}

/* Puts what was read where the program wants it. */
static void scatter(struct bfs_coll* c, const struct bfs_packet* packet) {
  const struct bfs_piece* piece = packet->runs.pieces;
  const char* from = packet->data + sizeof(struct bfs_data);
  int64_t in_piece = 0;
  struct bfs_data header;

  memcpy(&header, packet->data, sizeof(header));
  for (size_t i = 0; i < packet->runs.n_memory; i++) {
    char* to = packet->runs.memory[i].iov_base;
    int64_t left = (int64_t)packet->runs.memory[i].iov_len;

    while (left > 0) {
      const int64_t bytes = MPL_MIN(left, piece->bytes - in_piece);
      int64_t present = header.end - MPL_MIN(piece->offset + in_piece, header.end);

      present = MPL_MIN(present, bytes);
      memcpy(to, from, (size_t)present);
      c->moved += present;
      to += bytes;
      from += bytes;
      left -= bytes;
      in_piece += bytes;
      if (in_piece == piece->bytes) {
        piece++;
        in_piece = 0;
      }
    }
  }
}

static int finish_packets(struct bfs_coll* c) {
  struct bfs_packet** link = &c->giver.packets;
  int moved = 0;

  while (*link != NULL) {
    struct bfs_packet* packet = *link;

    if (!bfs_all_done(2, packet->requests)) {
      link = &packet->next;
      continue;
    }
    if (packet->data != NULL) scatter(c, packet);
    c->giver.bytes_out -= packet->answer_bytes;
    *link = packet->next;
    ADIOI_Free(packet->answer);
    bfs_free(packet->data);
    bfs_runs_free(&packet->runs);
    ADIOI_Free(packet);
    moved = 1;
  }
  return moved;
}

static int receive_requests(struct bfs_coll* c) {
  struct bfs_giver* giver = &c->giver;
  int moved = 0;

  /* Every live source will be asked again; one that has been asked, not before it has answered. */
  while (giver->receiving || giver->n_live > giver->n_asked) {
    MPI_Status status;
    int done;

    if (!giver->receiving) {
      MPI_Irecv(&giver->incoming, (int)sizeof(giver->incoming), MPI_BYTE, MPI_ANY_SOURCE,
                c->tag + BFS_TAG_REQUEST, c->comm, &giver->receive);
      giver->receiving = 1;
    }
    MPI_Test(&giver->receive, &done, &status);
    if (!done) break;
    giver->receiving = 0;
    for (int i = 0; i < giver->n_sources; i++) {
      struct bfs_source* source = giver->sources + i;

      if (source->rank != status.MPI_SOURCE || !source->live || source->asked) continue;
      source->request = giver->incoming;
      source->asked = 1;
      giver->n_asked++;
      break;
    }
    moved = 1;
  }
  return moved;
}

static int give(struct bfs_coll* c) {
  struct bfs_giver* giver = &c->giver;
  int moved = 0;

  for (int i = 0; i < giver->n_sources && giver->n_asked > 0; i++) {
    struct bfs_source* source = giver->sources + i;

    if (!source->asked) continue;
    if (giver->bytes_out >= c->buffer_bytes) break;
    source->asked = 0;
    giver->n_asked--;
    send_answer(c, source, &source->request);
    moved = 1;
  }
  return moved;
}

int bfs_giver_step(struct bfs_coll* c) {
  int moved = receive_requests(c);

  moved |= give(c);
  if (c->giver.packets != NULL) moved |= finish_packets(c);
  return moved;
}

int bfs_giver_finished(const struct bfs_coll* c) {
  return c->giver.n_live == 0 && c->giver.packets == NULL;
}

void bfs_giver_free(struct bfs_coll* c) {
  bfs_free(c->giver.sources);
  c->giver.sources = NULL;
}
