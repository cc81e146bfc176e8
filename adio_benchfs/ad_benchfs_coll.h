/*
 * ad_benchfs_coll.h - what the files of the collective engine share.
 *
 * A collective operation is one state machine, struct bfs_coll, whether it was started by a blocking
 * call, a nonblocking or a split one. bfs_coll_begin() returns at once, bfs_coll_step() never blocks.
 *
 *   plan       one small allreduce: bytes, pieces, and how many ranks have data for each aggregator
 *   transfer   `direct`: this rank's own list I/O; or `owner`, below
 *   flush      what was written becomes part of the file's size
 *   agree      all ranks get the worst outcome of any
 *
 * With `owner` each aggregator rank collects the pieces that lie in its servers' chunks. It draws
 * them from the ranks that have any, window by window: a request says how far and how much, one
 * answer brings a table of pieces with the data (write) or without (read). There are no rounds common
 * to all ranks; several windows of an aggregator are in flight at once. A failure does not end any of
 * this: the aggregator tells its ranks to stop, and they answer that they have no more.
 */
#ifndef AD_BENCHFS_COLL_H_INCLUDED
#define AD_BENCHFS_COLL_H_INCLUDED

#include "ad_benchfs.h"

struct bfs_coll;

/* ---- layouts and streams (ad_benchfs_coll_stream.c) ------------------------------------------- */

/* A flattened type, repeated without end, for access at any position: block i holds the bytes
 * [before[i], before[i + 1]) of the type's data. */
struct bfs_block {
  int64_t offset; /* from the start of the tile */
  int64_t before;
};
struct bfs_layout {
  struct bfs_block* blocks; /* n_blocks, and one that closes the list */
  size_t n_blocks;
  int64_t size;   /* bytes of data in one tile */
  int64_t extent; /* from one tile to the next */
  int64_t start;  /* file offset or address of tile 0 */
  int64_t end;    /* of the last byte, from the start of the tile */
  int ascending;  /* offsets never decrease, from tile to tile either */
  struct bfs_block contiguous[2];
};
void bfs_layout_view(struct bfs_layout* layout, ADIO_File fd);
void bfs_layout_memory(struct bfs_layout* layout, const void* buf, MPI_Datatype datatype);
void bfs_layout_free(struct bfs_layout* layout);

struct bfs_point {
  int64_t tile;
  size_t block;
  int64_t position; /* file offset or address */
  int64_t left;     /* contiguous bytes from there */
};

/* Pieces of the file, in the order of the stream, and the memory of their bytes in the same order. */
struct bfs_piece {
  int64_t offset;
  int64_t bytes;
};
struct bfs_runs {
  struct bfs_piece* pieces;
  struct iovec* memory;
  size_t n_pieces, pieces_capacity;
  size_t n_memory, memory_capacity;
  int64_t bytes;
};
void bfs_runs_free(struct bfs_runs* runs);

/* What of this rank's access lies in the chunks of one aggregator. */
#define BFS_ALL (-1) /* of all of them */
#define BFS_END INT64_MAX
struct bfs_stream {
  int aggregator;
  int64_t done;       /* position in the access */
  int64_t mine_until; /* end of the chunk that is known to be the aggregator's */
  int64_t memory_done;
  struct bfs_point file;
  struct bfs_point memory;
};
void bfs_stream_start(const struct bfs_coll* c, struct bfs_stream* stream, int aggregator);
/* File offset of the next byte, BFS_END if there is none. */
int64_t bfs_stream_next(const struct bfs_coll* c, struct bfs_stream* stream);
/* Appends what comes next before file offset `limit`, within the two bounds. */
void bfs_stream_take(const struct bfs_coll* c, struct bfs_stream* stream, int64_t limit,
                     int64_t bytes_max, size_t pieces_max, struct bfs_runs* runs);
/* One walk over the access that puts every aggregator's stream where its data begins. It ends early if
 * that takes long: then a stream may turn out to be empty. possible[i]: it may have data. */
void bfs_streams_scout(const struct bfs_coll* c, struct bfs_stream* streams, char* possible);

/* ---- aggregators (ad_benchfs_coll_place.c) ---------------------------------------------------- */

struct bfs_placement {
  int n_servers;
  int n_aggregators;
  int* ranks; /* of the aggregators */
  int* first; /* of a server's aggregators, */
  int* count; /* which take its chunks in turn */
  int* blob;  /* all of these arrays */
};
int bfs_aggregator_of(const struct bfs_coll* c, int64_t offset);

/* ---- messages --------------------------------------------------------------------------------- */

/* At most as many windows of one aggregator are in flight. */
#define BFS_SLOTS 4
enum { BFS_TAG_REQUEST, BFS_TAG_ANSWER, BFS_TAG_DATA, BFS_TAGS = BFS_TAG_DATA + BFS_SLOTS };

struct bfs_window_request { /* aggregator to rank */
  int64_t limit;
  int64_t bytes_max;
  int64_t pieces_max;
  int32_t slot;
  int32_t stop; /* answer that there is no more */
};
struct bfs_answer { /* rank to aggregator; then the table, then what is to be written */
  int64_t next; /* where the rest begins; BFS_END: nowhere */
  int64_t bytes;
  int64_t n_pieces;
};
struct bfs_data { /* aggregator to rank, before what was read */
  int64_t end;    /* what is at or after this file offset does not exist */
};

/* ---- an operation ----------------------------------------------------------------------------- */

enum bfs_phase {
  BFS_PLAN,
  BFS_GENERIC_WANTED, /* the caller is to run ROMIO's two-phase instead */
  BFS_TRANSFER_DIRECT,
  BFS_TRANSFER_OWNER,
  BFS_FLUSH,
  BFS_AGREE,
  BFS_DONE
};

/* An answer that is on its way, and the data that it will be answered with. */
struct bfs_packet {
  struct bfs_packet* next;
  MPI_Request requests[2]; /* the answer; the data */
  char* answer;
  int64_t answer_bytes;
  char* data; /* struct bfs_data and the bytes; NULL: none expected */
  struct bfs_runs runs;
};

/* This rank's data for one aggregator on another rank. */
struct bfs_source {
  struct bfs_stream stream;
  int rank;
  int live;  /* the aggregator does not know yet that there is no more */
  int asked; /* and waits for an answer to: */
  struct bfs_window_request request;
};

/* What makes this rank give its data. (ad_benchfs_coll_give.c) */
struct bfs_giver {
  struct bfs_source* sources;
  int n_sources;
  int n_live;
  int n_asked;
  int receiving; /* a receive of a request is posted */
  MPI_Request receive;
  struct bfs_window_request incoming;
  struct bfs_packet* packets;
  int64_t bytes_out;
};
void bfs_giver_begin(struct bfs_coll* c);
int bfs_giver_step(struct bfs_coll* c); /* whether anything happened */
int bfs_giver_finished(const struct bfs_coll* c);
void bfs_giver_free(struct bfs_coll* c);

struct bfs_sender {
  int rank;
  int64_t next;
};

/* An answer on the aggregator's side. */
struct bfs_message {
  struct bfs_message* next;
  MPI_Request request;
  int rank;
  int arrived;
  char* buffer;
  char* reply; /* struct bfs_data and what was read */
  int64_t reply_bytes;
};

/* A contiguous piece of the file and of memory. */
struct bfs_part {
  int64_t offset;
  int64_t bytes;
  char* memory;
};
struct bfs_parts {
  struct bfs_part* list;
  size_t n, capacity;
};

struct bfs_slot {
  enum { BFS_SLOT_IDLE, BFS_SLOT_COLLECT, BFS_SLOT_SERVER, BFS_SLOT_REPLY } state;
  int n_expected; /* answers that have not arrived */
  int n_requests;
  MPI_Request* requests; /* that sent the window's requests */
  struct bfs_window_request request;
  struct bfs_message* messages;
  struct bfs_runs own; /* of this rank itself */
  struct bfs_parts parts;
  struct bfs_parts reads;  /* what is read, none of it twice */
  struct bfs_parts copies; /* what is copied from there */
  struct bfs_runs lists;   /* as the client library wants it */
  benchfs_request_t* pending;
};

/* What an aggregator has beside. (ad_benchfs_coll_gather.c) */
struct bfs_gatherer {
  int index; /* -1: this rank is no aggregator */
  int n_senders;
  int senders_known;
  struct bfs_sender* senders; /* the first answer of each makes it known */
  int has_own;
  struct bfs_stream own;
  int64_t own_next;
  int64_t window_bytes; /* of data */
  int64_t span;         /* of file that the next window covers */
  struct bfs_slot slots[BFS_SLOTS];
  int n_slots;
  int collecting; /* the slot that waits for answers; -1: none */
};
void bfs_gatherer_begin(struct bfs_coll* c);
int bfs_gatherer_step(struct bfs_coll* c);
int bfs_gatherer_finished(const struct bfs_coll* c);
void bfs_gatherer_free(struct bfs_coll* c);

/* The sums over all ranks that the plan is made of; then one per aggregator. */
enum {
  BFS_SUM_BYTES,
  BFS_SUM_PIECES,
  BFS_SUM_STRATEGY,
  BFS_SUM_SQUARE,
  BFS_SUM_RANKS, /* that take part */
  BFS_SUM_LOCAL, /* that can do without messages */
  BFS_SUMS
};

struct bfs_coll {
  ADIO_File fd; /* open until the operation is done: MPI-4.0 section 14.2.2 */
  enum bfs_direction direction;
  int nonblocking;
  enum bfs_phase phase;
  enum bfs_strategy strategy; /* as agreed */
  MPI_Comm comm;
  int tag; /* the first of BFS_TAGS */
  int rank, ranks;
  const struct bfs_placement* placement;
  unsigned chunk_shift;
  int64_t buffer_bytes; /* cb_buffer_size */

  struct bfs_access access;
  struct bfs_layout file;
  struct bfs_layout memory;
  int64_t total;

  int64_t* sums; /* this rank's, then those of all */
  MPI_Request planning;
  struct bfs_stream* streams; /* by aggregator; once the plan is made the source's or the gatherer's */
  char* possible;
  struct bfs_giver giver;
  struct bfs_gatherer gatherer;
  struct bfs_stream own; /* direct */
  struct bfs_runs batch;
  benchfs_request_t* pending; /* direct and flush */
  int wrote;

  int64_t moved;
  int code; /* how it went here */
  char text[BFS_TEXT_BYTES];
  struct bfs_agreement agreement;
  int error_code; /* the outcome, once done */
};

/* Collective; returns at once. `nonblocking`: memory given to the operation until it is done. The
 * file pointer is the caller's affair. */
void bfs_coll_begin(struct bfs_coll* c, ADIO_File fd, const void* buf, bfs_count_t count,
                    MPI_Datatype datatype, int file_ptr_type, ADIO_Offset offset,
                    enum bfs_direction direction, int nonblocking);
/* Never blocks; returns whether anything happened. Done when c->phase is BFS_DONE. */
int bfs_coll_step(struct bfs_coll* c);
void bfs_coll_end(struct bfs_coll* c);

/* The first failure counts. */
void bfs_coll_fail(struct bfs_coll* c, int code);
int bfs_all_done(int n, MPI_Request* requests);
/* Room for one more element; the elements move. */
void* bfs_grow(void* list, size_t n, size_t* capacity, size_t element_bytes);
/* ROMIO's own functions abort: malloc when there is no memory, free of NULL. */
static inline void bfs_free(void* memory) {
  if (memory != NULL) ADIOI_Free(memory);
}

#endif /* AD_BENCHFS_COLL_H_INCLUDED */
