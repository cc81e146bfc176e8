/*
 * ad_benchfs.h - what the files of the BenchFS driver for ROMIO share.
 *
 * The driver translates ROMIO's ADIO operations to the C interface of BenchFS (benchfs.h). It is C
 * because adio.h is C11 only. One ADIO_File belongs to one MPI_File_open; what the driver keeps for
 * it hangs on fd->fs_ptr as a struct bfs_file.
 */
#ifndef AD_BENCHFS_H_INCLUDED
#define AD_BENCHFS_H_INCLUDED

#include "adio.h"
#include "adio_extern.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ad_benchfs_team.h"
#include "ad_benchfs_wait.h"
#include "benchfs.h"

/* The type of an element count in the ADIO interface. */
#if defined(MPICH_NUMVERSION) && MPICH_NUMVERSION >= 40100000
typedef MPI_Aint bfs_count_t;
#else
typedef int bfs_count_t;
#endif

enum bfs_strategy { BFS_AUTO, BFS_OWNER, BFS_DIRECT, BFS_GENERIC };
struct bfs_placement;

struct bfs_file {
  benchfs_file_t* file;         /* NULL until opened */
  uint64_t chunk_bytes_hint;    /* for a file that is created; 0: the cluster's default */
  int striping_factor_hint;     /* what the program asked for; -1: nothing */
  enum bfs_strategy strategy;   /* as the hint says */
  int cb_nodes_hint;            /* as asked for before the open; 0: not */
  int hosts_asked;              /* cb_config_list was set before the open */
  struct bfs_placement* placement;
  MPI_Comm two_phase;           /* a duplicate of fd->comm for ROMIO's, once it was needed */
  int ds_read, ds_write;        /* data sieving as the hints say */
  _Atomic int collective_writes; /* under way */
  unsigned collectives;         /* number of those begun, the same on all ranks */
  int recording;                /* failures of contiguous operations are recorded, not returned: */
  int recorded;                 /* the first one */
  unsigned agreements;          /* number of nonblocking agreements begun, the same on all ranks */
  uint64_t pointer_key;         /* of the shared file pointer of this view, the same on all ranks */
  int pointer_made;             /* this rank was the first to move it, or set it */
};

static inline struct bfs_file* bfs_file(ADIO_File fd) {
  return (struct bfs_file*)fd->fs_ptr;
}

/* The driver's own part of fd, made at the first call. NULL: no memory. (ad_benchfs_open.c) */
struct bfs_file* bfs_file_make(ADIO_File fd);

/* ---- errors (ad_benchfs_error.c) -------------------------------------------------------------
 * A failure travels as one positive int that can be reduced and broadcast: an errno value, plus
 * BFS_NO_SESSION if the connection to the cluster could not be made (its ENOENT says nothing about
 * the file). 0 is success. */
#define BFS_NO_SESSION 0x10000
#define BFS_TEXT_BYTES 512

/* The MPI error code for `code`, with `text` as its message. */
int bfs_error_code(const char* function, int line, int code, const char* text);
#define BFS_ERROR(code, text) bfs_error_code(__func__, __LINE__, (code), (text))
/* The text of this process's last failure, which was `code`. */
const char* bfs_local_text(int code);
/* A text for a failure on another rank. */
void bfs_remote_text(char text[BFS_TEXT_BYTES], const char* operation, const char* path, int code,
                     int rank);

/* ---- session (ad_benchfs_session.c) ------------------------------------------------------------
 * The process's one session, opened at the first call and closed by MPI_Finalize. On failure NULL,
 * *code is set and benchfs_error() has the text. */
benchfs_t* bfs_session(int* code);

/* ---- agreement (ad_benchfs_agree.c) ------------------------------------------------------------
 * All ranks learn the largest code and the first rank that has it. */
struct bfs_verdict {
  int code;
  int rank;
};
/* Collective, blocking; `comm` is a file's. */
struct bfs_verdict bfs_agree(MPI_Comm comm, int code);
/* For agreements on more than that: what this rank contributes, and what the largest says. */
int64_t bfs_verdict_number(MPI_Comm comm, int code);
struct bfs_verdict bfs_verdict_of(int64_t number);

/* The same without blocking, by messages along a binary tree of ranks, so that it is independent of
 * the order of other collectives. */
struct bfs_agreement {
  MPI_Comm comm;
  int tag;
  int rank;
  int size;
  int phase;
  int given; /* this rank has contributed */
  struct bfs_verdict verdict;
  struct bfs_verdict incoming[2];
  MPI_Request requests[2];
};
/* Collective, but returns at once. The agreement must stay where it is until it has finished. */
void bfs_agreement_begin(struct bfs_agreement* agreement, ADIO_File fd);
/* This rank's contribution; called once, at any time after begin. */
void bfs_agreement_give(struct bfs_agreement* agreement, int code);
/* Never blocks; 1 once agreement->verdict holds. */
int bfs_agreement_step(struct bfs_agreement* agreement);

/* ---- accesses (ad_benchfs_view.c) --------------------------------------------------------------
 * An access is a run of bytes of the file view and the memory it goes to or comes from. It is
 * walked once, in batches of a bounded number of pieces: nothing proportional to the number of
 * pieces of a view is ever built. */
struct bfs_cursor {           /* a flattened type, repeated without end */
  const ADIO_Offset* indices; /* NULL: contiguous */
  const ADIO_Offset* lengths;
  MPI_Count blocks;
  MPI_Count block; /* the current one */
  MPI_Aint extent;
  ADIO_Offset tile_start; /* file offset or address where the current repetition starts */
  ADIO_Offset position;   /* file offset or address of the next byte */
  ADIO_Offset left;       /* contiguous bytes from there */
};

struct bfs_access {
  struct bfs_cursor file;
  struct bfs_cursor memory;
  uint64_t left;          /* bytes not yet put into a batch */
  ADIO_Offset view_start; /* where it starts, in bytes of data visible through the view */
};

#define BFS_BATCH_PIECES 8192
#define BFS_BATCH_INLINE 16
struct bfs_batch {
  struct benchfs_extent* extents;
  struct iovec* memory;
  size_t n_extents;
  size_t n_memory;
  size_t extents_capacity;
  size_t memory_capacity;
  uint64_t bytes;
  struct benchfs_extent inline_extents[BFS_BATCH_INLINE];
  struct iovec inline_memory[BFS_BATCH_INLINE];
};

/* `offset` is in etypes of the view and counts only if file_ptr_type is ADIO_EXPLICIT_OFFSET. */
void bfs_access_init(struct bfs_access* access, ADIO_File fd, const void* buf, bfs_count_t count,
                     MPI_Datatype datatype, int file_ptr_type, ADIO_Offset offset);
/* File offset of the byte of the view that is `bytes` after the start of the access. */
ADIO_Offset bfs_access_offset(const struct bfs_access* access, ADIO_File fd, uint64_t bytes);

void bfs_batch_init(struct bfs_batch* batch);
/* The next pieces of `access`. 0 or ENOMEM. The batch is empty only when the access is. */
int bfs_batch_fill(struct bfs_batch* batch, struct bfs_access* access);
/* The next pieces before file offset `limit`; the batch is also empty if there are none. */
int bfs_batch_fill_to(struct bfs_batch* batch, struct bfs_access* access, ADIO_Offset limit);
void bfs_batch_free(struct bfs_batch* batch);
/* File offset of the next piece of an access that is not empty, and how long it is. */
ADIO_Offset bfs_access_next(struct bfs_access* access, ADIO_Offset* bytes);
/* Whether a later byte of the view never lies before an earlier one in the file. */
int bfs_view_ascending(const struct bfs_cursor* view);

/* ---- transfers (ad_benchfs_io.c) ---------------------------------------------------------------
 * Moves the whole access, under a lock where there has to be one. Returns the bytes moved (short at the end
 * of the file only); *code is 0 or the failure, whose text is bfs_local_text(). */
enum bfs_direction { BFS_READ, BFS_WRITE };
uint64_t bfs_transfer(ADIO_File fd, struct bfs_access* access, enum bfs_direction direction,
                      int* code);
/* The MPI error code of a collective operation: `code` is how it went here, `verdict` what was
 * agreed. */
int bfs_collective_error(ADIO_File fd, const char* operation, int code, struct bfs_verdict verdict);

/* ---- collective operations (ad_benchfs_coll*.c) -------------------------------------------------
 * The choice of aggregators of an open file, on rank 0: *n numbers. All ranks take it, and its memory. */
int* bfs_placement_choose(ADIO_File fd, benchfs_t* fs, int* n);
void bfs_placement_take(ADIO_File fd, benchfs_t* fs, int* choice, int n);
void bfs_placement_free(struct bfs_file* own);

/* ---- atomic mode (ad_benchfs_atomic.c) ---------------------------------------------------------
 * The lock of one access, from its first byte of the file to its last. */
struct bfs_lock {
  int held;
  uint64_t token;
};
/* The kind of lock that an access of fd takes which writes nothing but its own data: BFS_UNLOCKED, shared
 * or exclusive. */
#define BFS_UNLOCKED (-1)
int bfs_lock_mode(ADIO_File fd, enum bfs_direction direction);
/* Takes that lock. 0 or the failure, whose text is bfs_local_text(). */
int bfs_atomic_lock(ADIO_File fd, struct bfs_lock* lock, const struct bfs_access* access,
                    enum bfs_direction direction);
/* 0 bytes: to the end of the largest file. */
int bfs_atomic_lock_range(ADIO_File fd, struct bfs_lock* lock, ADIO_Offset first, ADIO_Offset bytes,
                          int mode);
/* Makes the file's size known, and gives the lock back if it is held. Returns `code`, which is how the
 * access went, or if that is 0 the failure of these. */
int bfs_atomic_unlock(ADIO_File fd, struct bfs_lock* lock, int code);

/* ---- data sieving (ad_benchfs_sieve.c) ---------------------------------------------------------
 * Whether it is to be used for the access; and the access with it, like bfs_transfer(). */
int bfs_sieves(ADIO_File fd, const struct bfs_access* access, enum bfs_direction direction);
uint64_t bfs_sieve(ADIO_File fd, struct bfs_access* access, enum bfs_direction direction, int* code);

/* ---- shared file pointers (ad_benchfs_shared.c) ------------------------------------------------- */
uint64_t bfs_pointer_key(void);
/* The server need not keep it any longer; once no rank uses it. */
void bfs_pointer_forget(ADIO_File fd);
/* Called by ROMIO. */
void ADIOI_BENCHFS_Get_shared_fp(ADIO_File fd, ADIO_Offset incr, ADIO_Offset* shared_fp,
                                 int* error_code);
void ADIOI_BENCHFS_Get_ordered_fp(ADIO_File fd, ADIO_Offset incr, ADIO_Offset* shared_fp,
                                  int* error_code);
void ADIOI_BENCHFS_Set_shared_fp(ADIO_File fd, ADIO_Offset offset, int* error_code);
void ADIOI_BENCHFS_Reset_shared_fp(ADIO_File fd);

/* ---- hints (ad_benchfs_hints.c) ----------------------------------------------------------------
 */
/* Put what the file system decided at open into fd->info. */
void bfs_hints_report(ADIO_File fd, benchfs_t* fs);

/* ---- the ADIO operations -----------------------------------------------------------------------
 */
void ADIOI_BENCHFS_Open(ADIO_File fd, int* error_code);
void ADIOI_BENCHFS_OpenColl(ADIO_File fd, int rank, int access_mode, int* error_code);
void ADIOI_BENCHFS_Close(ADIO_File fd, int* error_code);
void ADIOI_BENCHFS_SetInfo(ADIO_File fd, MPI_Info users_info, int* error_code);
void ADIOI_BENCHFS_Fcntl(ADIO_File fd, int flag, ADIO_Fcntl_t* fcntl_struct, int* error_code);
void ADIOI_BENCHFS_Flush(ADIO_File fd, int* error_code);
void ADIOI_BENCHFS_Resize(ADIO_File fd, ADIO_Offset size, int* error_code);
void ADIOI_BENCHFS_Delete(const char* filename, int* error_code);
int ADIOI_BENCHFS_Feature(ADIO_File fd, int flag);
int ADIOI_BENCHFS_SetLock(ADIO_File fd, int cmd, int type, ADIO_Offset offset, int whence,
                          ADIO_Offset len);

#define BFS_DECLARE_READ(name)                                                                    \
  void name(ADIO_File fd, void* buf, bfs_count_t count, MPI_Datatype datatype, int file_ptr_type, \
            ADIO_Offset offset, ADIO_Status* status, int* error_code)
#define BFS_DECLARE_WRITE(name)                                                      \
  void name(ADIO_File fd, const void* buf, bfs_count_t count, MPI_Datatype datatype, \
            int file_ptr_type, ADIO_Offset offset, ADIO_Status* status, int* error_code)
#define BFS_DECLARE_IREAD(name)                                                                   \
  void name(ADIO_File fd, void* buf, bfs_count_t count, MPI_Datatype datatype, int file_ptr_type, \
            ADIO_Offset offset, ADIO_Request* request, int* error_code)
#define BFS_DECLARE_IWRITE(name)                                                     \
  void name(ADIO_File fd, const void* buf, bfs_count_t count, MPI_Datatype datatype, \
            int file_ptr_type, ADIO_Offset offset, ADIO_Request* request, int* error_code)

BFS_DECLARE_READ(ADIOI_BENCHFS_ReadContig);
BFS_DECLARE_WRITE(ADIOI_BENCHFS_WriteContig);
BFS_DECLARE_READ(ADIOI_BENCHFS_ReadStrided);
BFS_DECLARE_WRITE(ADIOI_BENCHFS_WriteStrided);
BFS_DECLARE_READ(ADIOI_BENCHFS_ReadStridedColl);
BFS_DECLARE_WRITE(ADIOI_BENCHFS_WriteStridedColl);
BFS_DECLARE_IREAD(ADIOI_BENCHFS_IreadContig);
BFS_DECLARE_IWRITE(ADIOI_BENCHFS_IwriteContig);
BFS_DECLARE_IREAD(ADIOI_BENCHFS_IreadStrided);
BFS_DECLARE_IWRITE(ADIOI_BENCHFS_IwriteStrided);
BFS_DECLARE_IREAD(ADIOI_BENCHFS_IreadStridedColl);
BFS_DECLARE_IWRITE(ADIOI_BENCHFS_IwriteStridedColl);

#endif /* AD_BENCHFS_H_INCLUDED */
