/*
 * ad_benchfs_nb.c - nonblocking reads and writes, independent and collective.
 *
 * The transfer is started before the call returns. From then on an operation is a small state
 * machine (next batch, agreement of a collective one, completion) that is moved on by MPI_Test and
 * MPI_Wait: MPICH calls poll_fn or wait_fn of an extended generalized request there. Each call
 * moves on all operations of the process, because the ranks may wait for theirs in different
 * orders, and drives MPI, because MPICH does not while it is in here. poll_fn never blocks.
 * Failures come out of query_fn.
 */
#include "ad_benchfs_coll.h"
#include "mpiu_greq.h"

struct operation {
  struct operation* next; /* of all active ones, oldest first */
  ADIO_File fd;           /* open until the operation is done: MPI-4.0 section 14.2.2 */
  MPI_Request request;
  enum bfs_direction direction;
  int collective;
  int done;
  int code;
  uint64_t moved;
  int error_code; /* the outcome, once done */
  struct bfs_access access;
  struct bfs_batch batch;
  MPI_Datatype memory_type;   /* our own reference while further batches need it */
  benchfs_request_t* pending; /* NULL: none */
  char text[BFS_TEXT_BYTES];  /* of the failure `code` */
  struct bfs_coll coll;       /* does it all, if collective */
};

/* Operations that are not done. The mutex also covers what is in them; no one who holds it waits
 * for anything. */
static pthread_mutex_t active_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct operation* active;
static MPIX_Grequest_class request_class;
static int request_class_made;

static void fail(struct operation* op, int code, const char* text) {
  if (op->code == 0) {
    op->code = code;
    snprintf(op->text, sizeof(op->text), "%s", text);
  }
  op->access.left = 0;
}

/* Starts the next batch, if there is one. */
static void start_batch(struct operation* op) {
  benchfs_file_t* file = bfs_file(op->fd)->file;
  struct bfs_batch* batch = &op->batch;
  int result;

  if (op->access.left == 0) return;
  result = -bfs_batch_fill(batch, &op->access);
  if (result == 0) {
    if (op->direction == BFS_WRITE) {
      result = benchfs_write_list_start(file, batch->extents, batch->n_extents, batch->memory,
                                        batch->n_memory, &op->pending);
    } else {
      result = benchfs_read_list_start(file, batch->extents, batch->n_extents, batch->memory,
                                       batch->n_memory, &op->pending);
    }
  }
  if (result != 0) {
    op->pending = NULL;
    fail(op, -result, bfs_local_text(-result));
  }
}

static void batch_done(struct operation* op, int64_t result) {
  op->pending = NULL;
  if (result < 0) {
    fail(op, (int)-result, benchfs_error());
    return;
  }
  op->moved += (uint64_t)result;
  if ((uint64_t)result < op->batch.bytes) op->access.left = 0; /* the end of the file */
}

static void finish(struct operation* op) {
  op->error_code = MPI_SUCCESS;
  if (op->code != 0) op->error_code = BFS_ERROR(op->code, op->text);
  if (op->memory_type != MPI_DATATYPE_NULL) MPI_Type_free(&op->memory_type);
  bfs_batch_free(&op->batch);
  op->done = 1;
}

static int step_collective(struct operation* op) {
  const int moved = bfs_coll_step(&op->coll);

  if (op->coll.phase != BFS_DONE) return moved;
  op->moved = (uint64_t)op->coll.moved;
  op->error_code = op->coll.error_code;
  snprintf(op->text, sizeof(op->text), "%s", op->coll.text);
  bfs_coll_end(&op->coll);
  op->done = 1;
  return 1;
}

/* Returns whether anything happened; op->done says whether it was the last thing. */
static int step(struct operation* op) {
  int moved = 0;
  int64_t result;

  if (op->collective) return step_collective(op);
  while (op->pending != NULL) {
    if (!benchfs_test(op->pending, &result)) return moved;
    batch_done(op, result);
    start_batch(op);
    moved = 1;
  }
  finish(op);
  return 1;
}

/* Moves on all active operations. Returns whether anything happened. */
static int step_all(void) {
  struct operation** link = &active;
  int moved = 0;

  while (*link != NULL) {
    struct operation* op = *link;

    moved |= step(op);
    if (op->done) {
      *link = op->next;
      /* From here on the operation belongs to MPI, which may free it at once. */
      MPI_Grequest_complete(op->request);
    } else {
      link = &op->next;
    }
  }
  return moved;
}

int bfs_requests_progress(void) {
  int moved = 0;

  /* If another thread is at it, that will do. */
  if (active != NULL && pthread_mutex_trylock(&active_mutex) == 0) {
    moved = step_all();
    pthread_mutex_unlock(&active_mutex);
  }
  return moved;
}

/* Returns whether anything happened. */
static int drive(struct bfs_idle* idle) {
  int flag;

  if (bfs_requests_progress()) {
    *idle = (struct bfs_idle){0};
    return 1;
  }
  MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_SELF, &flag, MPI_STATUS_IGNORE);
  return 0;
}

static int poll_fn(void* extra_state, MPI_Status* status) {
  static __thread struct bfs_idle idle;

  (void)extra_state;
  (void)status;
  if (!drive(&idle)) bfs_idle_awake(&idle);
  return MPI_SUCCESS;
}

static int wait_fn(int count, void** states, double timeout, MPI_Status* status) {
  struct bfs_idle idle = {0};

  (void)timeout;
  (void)status;
  for (int i = 0; i < count; i++) {
    const struct operation* op = states[i];

    while (!op->done) {
      if (!drive(&idle)) bfs_idle(&idle);
    }
  }
  return MPI_SUCCESS;
}

/* MPICH hands an error from here to the handler of MPI_COMM_WORLD, not to that of the file. If that
 * one is to abort, this is the last chance to say why. */
static void explain_abort(const struct operation* op) {
  MPI_Errhandler handler;

  MPI_Comm_get_errhandler(MPI_COMM_WORLD, &handler);
  if (handler == MPI_ERRORS_ARE_FATAL) {
    fprintf(stderr, "benchfs: %s\n", op->text);
  } else if (handler != MPI_ERRORS_RETURN) {
    MPI_Errhandler_free(&handler);
  }
}

static int query_fn(void* extra_state, MPI_Status* status) {
  const struct operation* op = extra_state;

  MPIR_Status_set_bytes(status, MPI_BYTE, (MPI_Count)op->moved);
  MPI_Status_set_cancelled(status, 0);
  status->MPI_SOURCE = MPI_UNDEFINED;
  status->MPI_TAG = MPI_UNDEFINED;
  if (op->error_code != MPI_SUCCESS) explain_abort(op);
  return op->error_code;
}

static int free_fn(void* extra_state) {
  ADIOI_Free(extra_state);
  return MPI_SUCCESS;
}

static int cancel_fn(void* extra_state, int complete) {
  (void)extra_state;
  (void)complete;
  return MPI_SUCCESS;
}

/* Gives op to MPI as *request, and to the list. */
static void publish(struct operation* op, MPI_Request* request) {
  struct operation** link = &active;

  pthread_mutex_lock(&active_mutex);
  if (!request_class_made) {
    MPIX_Grequest_class_create(query_fn, free_fn, cancel_fn, poll_fn, wait_fn, &request_class);
    request_class_made = 1;
  }
  MPIX_Grequest_class_allocate(request_class, op, request);
  op->request = *request;
  while (*link != NULL) link = &(*link)->next;
  *link = op;
  pthread_mutex_unlock(&active_mutex);
}

/* Whether the transfer cannot run in the background: where it is locked, because a lock is held only
 * inside a call, and with external32, because ROMIO frees the converted buffer when the call
 * returns. */
static int inside_call(ADIO_File fd, enum bfs_direction direction) {
  return bfs_lock_mode(fd, direction) != BFS_UNLOCKED || fd->is_external32;
}

static void transfer_now(struct operation* op) {
  op->moved = bfs_transfer(op->fd, &op->access, op->direction, &op->code);
  if (op->code != 0) fail(op, op->code, bfs_local_text(op->code));
}

static void start(ADIO_File fd, const void* buf, bfs_count_t count, MPI_Datatype datatype,
                  int file_ptr_type, ADIO_Offset offset, enum bfs_direction direction,
                  int collective, MPI_Request* request, int* error_code) {
  struct operation* op = ADIOI_Calloc(1, sizeof(*op));
  uint64_t bytes;

  *request = MPI_REQUEST_NULL;
  if (op == NULL) {
    *error_code = BFS_ERROR(ENOMEM, "benchfs: out of memory");
    return;
  }
  if (collective) {
    op->collective = 1;
    op->direction = direction;
    bfs_coll_begin(&op->coll, fd, buf, count, datatype, file_ptr_type, offset, direction, 1);
    if (file_ptr_type == ADIO_INDIVIDUAL && op->coll.total > 0)
      fd->fp_ind = bfs_access_offset(&op->coll.access, fd, (uint64_t)op->coll.total);
    publish(op, request);
    *error_code = MPI_SUCCESS;
    return;
  }
  op->fd = fd;
  op->direction = direction;
  op->memory_type = MPI_DATATYPE_NULL;
  bfs_batch_init(&op->batch);
  bfs_access_init(&op->access, fd, buf, count, datatype, file_ptr_type, offset);
  bytes = op->access.left;
  if (file_ptr_type == ADIO_INDIVIDUAL && bytes > 0)
    fd->fp_ind = bfs_access_offset(&op->access, fd, bytes);
  if (direction == BFS_WRITE && bytes > 0) fd->dirty_write = 1;

  if (inside_call(fd, direction)) {
    transfer_now(op);
  } else {
    start_batch(op);
    /* The program may free its type now; the batches to come need it. */
    if (op->access.left > 0 && op->access.memory.indices != NULL)
      MPI_Type_dup(datatype, &op->memory_type);
  }
  publish(op, request);
  *error_code = MPI_SUCCESS;
}

/* The contiguous operations get a file offset in bytes, the others one in etypes of the view. */
static ADIO_Offset in_etypes(ADIO_File fd, int file_ptr_type, ADIO_Offset offset) {
  return file_ptr_type == ADIO_INDIVIDUAL ? 0 : (offset - fd->disp) / fd->etype_size;
}

BFS_DECLARE_IREAD(ADIOI_BENCHFS_IreadContig) {
  start(fd, buf, count, datatype, file_ptr_type, in_etypes(fd, file_ptr_type, offset), BFS_READ, 0,
        request, error_code);
}

BFS_DECLARE_IWRITE(ADIOI_BENCHFS_IwriteContig) {
  start(fd, buf, count, datatype, file_ptr_type, in_etypes(fd, file_ptr_type, offset), BFS_WRITE, 0,
        request, error_code);
}

BFS_DECLARE_IREAD(ADIOI_BENCHFS_IreadStrided) {
  start(fd, buf, count, datatype, file_ptr_type, offset, BFS_READ, 0, request, error_code);
}

BFS_DECLARE_IWRITE(ADIOI_BENCHFS_IwriteStrided) {
  start(fd, buf, count, datatype, file_ptr_type, offset, BFS_WRITE, 0, request, error_code);
}

BFS_DECLARE_IREAD(ADIOI_BENCHFS_IreadStridedColl) {
  start(fd, buf, count, datatype, file_ptr_type, offset, BFS_READ, 1, request, error_code);
}

BFS_DECLARE_IWRITE(ADIOI_BENCHFS_IwriteStridedColl) {
  start(fd, buf, count, datatype, file_ptr_type, offset, BFS_WRITE, 1, request, error_code);
}
