/*
 * ad_benchfs_open.c - open and close.
 *
 * What ROMIO asks of all ranks before an open is asked in one agreement (ad_benchfs_team.h).
 *
 * Open is collective and costs the servers one lookup or create, however many ranks there are: rank
 * 0 asks, and broadcasts what came of it, a handle that every rank turns into its own file without
 * asking anyone, or the failure with its text.
 */
#include "ad_benchfs.h"

#include <stddef.h>
#include <unistd.h>

/* What rank 0 tells the others. A choice of aggregators that is larger, with hundreds of servers,
 * follows by itself. */
#define CHOICE_INLINE 224
struct announcement {
  int code;
  int handle_bytes;
  uint64_t file_bytes;  /* where a file opened with MPI_MODE_APPEND starts */
  uint64_t pointer_key; /* of the shared file pointer */
  int ds_write;         /* all ranks must know of one that sieves */
  char text[BFS_TEXT_BYTES];
  char handle[BENCHFS_HANDLE_BYTES];
  int choice_numbers;
  int choice[CHOICE_INLINE];
};

/* ---- around opens and closes, called by ROMIO
 * ----------------------------------------------------
 */

/* Whether it is the name of a file here. */
int ADIOI_BENCHFS_Named(const char* filename) {
  static const char prefix[] = "benchfs:";
  const char* forced = getenv("ROMIO_FSTYPE_FORCE");

  if (forced != NULL) filename = forced;
  return filename != NULL && strncmp(filename, prefix, sizeof(prefix) - 1) == 0;
}

/* Collective: what ROMIO checks on all ranks before an open, and a communicator for the file. */
int ADIOI_BENCHFS_Agree(MPI_Comm comm, int access_mode, MPI_Info info, MPI_Comm* made) {
  enum { BAD_INFO, MODE, MODE_NEGATED, NO_HINTS, VALUES };
  int64_t most[VALUES] = {0, access_mode, -(int64_t)access_mode, ADIOI_syshints == MPI_INFO_NULL};
  MPI_Info copy;
  int code;

  if (info != MPI_INFO_NULL) {
    most[BAD_INFO] = MPI_Info_dup(info, &copy) != MPI_SUCCESS;
    if (!most[BAD_INFO]) MPI_Info_free(&copy);
  }
  code = bfs_team_open(comm, most, VALUES, made);
  bfs_team_note(*made, most[NO_HINTS] != 0);
  if (code == MPI_SUCCESS && most[BAD_INFO])
    code = MPIO_Err_create_code(MPI_SUCCESS, MPIR_ERR_RECOVERABLE, "MPI_FILE_OPEN", __LINE__,
                                MPI_ERR_OTHER, "**info", 0);
  if (code == MPI_SUCCESS && most[MODE] != -most[MODE_NEGATED])
    code = MPIO_Err_create_code(MPI_SUCCESS, MPIR_ERR_RECOVERABLE, "MPI_FILE_OPEN", __LINE__,
                                MPI_ERR_NOT_SAME, "**fileamodediff", 0);
  return code;
}

/* Whether every rank has read the system's hints; else all read them now, together. */
int ADIOI_BENCHFS_All_have_hints(MPI_Comm made) {
  int ranks;

  MPI_Comm_size(made, &ranks);
  return ranks == 1 ? ADIOI_syshints != MPI_INFO_NULL : !bfs_team_noted(made);
}

void ADIOI_BENCHFS_Release(MPI_Comm* made) {
  bfs_team_close(made);
}

struct bfs_file* bfs_file_make(ADIO_File fd) {
  struct bfs_file* own = bfs_file(fd);

  if (own == NULL) {
    own = ADIOI_Calloc(1, sizeof(*own));
    if (own == NULL) return NULL;
    own->striping_factor_hint = -1;
    own->ds_read = ADIOI_HINT_AUTO;
    own->ds_write = ADIOI_HINT_AUTO;
    own->two_phase = MPI_COMM_NULL;
    fd->fs_ptr = own;
  }
  return own;
}

static void file_free(ADIO_File fd) {
  if (fd->fs_ptr != NULL) ADIOI_Free(fd->fs_ptr);
  fd->fs_ptr = NULL;
}

static int access_flags(int access_mode) {
  if (access_mode & ADIO_RDWR) return O_RDWR;
  return access_mode & ADIO_WRONLY ? O_WRONLY : O_RDONLY;
}

static int open_flags(int access_mode) {
  int flags = access_flags(access_mode);

  if (access_mode & ADIO_CREATE) flags |= O_CREAT;
  if (access_mode & ADIO_EXCL) flags |= O_EXCL;
  return flags;
}

static uint32_t permissions(ADIO_File fd) {
  mode_t mask;

  if (fd->perm != ADIO_PERM_NULL) return (uint32_t)fd->perm;
  mask = umask(022);
  umask(mask);
  return 0666 & ~(uint32_t)mask;
}

/* Opens fd->filename in this process; benchfs_error() has the text of a failure. */
static int open_here(ADIO_File fd, int access_mode) {
  struct bfs_file* own = bfs_file_make(fd);
  int code = ENOMEM;
  benchfs_t* fs = own == NULL ? NULL : bfs_session(&code);

  if (fs != NULL) {
    /* What another rank did to the path before a barrier counts. */
    benchfs_cache_drop(fs);
    code = -benchfs_open(fs, fd->filename, open_flags(access_mode), permissions(fd),
                         own->chunk_bytes_hint, &own->file);
    if (code != 0) own->file = NULL;
  }
  return code;
}

static int export_here(ADIO_File fd, int access_mode, struct announcement* message) {
  struct benchfs_stat stat;
  benchfs_file_t* file = bfs_file(fd)->file;

  message->handle_bytes = benchfs_export(file, message->handle, sizeof(message->handle));
  if (message->handle_bytes < 0) return -message->handle_bytes;
  if (access_mode & ADIO_APPEND) {
    int result = benchfs_fstat(file, &stat);

    if (result != 0) return -result;
    message->file_bytes = stat.size;
  }
  return 0;
}

static int import_here(ADIO_File fd, int access_mode, const struct announcement* message) {
  struct bfs_file* own = bfs_file_make(fd);
  int code = ENOMEM;
  benchfs_t* fs = own == NULL ? NULL : bfs_session(&code);

  if (fs != NULL) {
    code = -benchfs_import(fs, message->handle, (size_t)message->handle_bytes,
                           access_flags(access_mode), &own->file);
    if (code != 0) own->file = NULL;
  }
  return code;
}

static void opened(ADIO_File fd, uint64_t file_bytes, int* choice, int choice_numbers) {
  struct bfs_file* own = bfs_file(fd);
  int code;

  fd->is_open = 1;
  fd->dirty_write = 0;
  fd->fd_sys = -1;
  fd->fp_sys_posn = -1;
  /* Sieving reads what it writes back. */
  if (own->ds_write == ADIOI_HINT_ENABLE && !(fd->access_mode & ADIO_RDWR))
    own->ds_write = ADIOI_HINT_DISABLE;
  if (fd->access_mode & ADIO_APPEND) fd->fp_ind = (ADIO_Offset)file_bytes;
  bfs_placement_take(fd, bfs_session(&code), choice, choice_numbers);
  bfs_hints_report(fd, bfs_session(&code));
}

static void close_here(ADIO_File fd) {
  struct bfs_file* own = bfs_file(fd);

  if (own != NULL && own->file != NULL) benchfs_close(own->file);
  file_free(fd);
}

/* Only made when ROMIO defers an open, which this driver does not let it; collective, as the driver
 * needs to know which rank does what. */
void ADIOI_BENCHFS_Open(ADIO_File fd, int* error_code) {
  int rank;

  MPI_Comm_rank(fd->comm, &rank);
  ADIOI_BENCHFS_OpenColl(fd, rank, fd->access_mode, error_code);
}

/* On rank 0: opens the file, and says what the others need to know. Returns the choice of
 * aggregators, or NULL after a failure. */
static int* announce(ADIO_File fd, int access_mode, struct announcement* message) {
  int* choice = NULL;
  int code = open_here(fd, access_mode);

  if (code == 0) code = export_here(fd, access_mode, message);
  message->code = code;
  message->pointer_key = bfs_pointer_key();
  if (code != 0) {
    snprintf(message->text, sizeof(message->text), "%s", bfs_local_text(code));
    return NULL;
  }
  message->ds_write = bfs_file(fd)->ds_write;
  choice = bfs_placement_choose(fd, bfs_session(&code), &message->choice_numbers);
  if (message->choice_numbers <= CHOICE_INLINE)
    memcpy(message->choice, choice, (size_t)message->choice_numbers * sizeof(int));
  return choice;
}

/* The choice on all ranks; on rank 0 it is `mine`. */
static int* choice_of(ADIO_File fd, const struct announcement* message, int* mine) {
  const int n = message->choice_numbers;
  int* choice = mine != NULL ? mine : ADIOI_Malloc((size_t)n * sizeof(int));

  if (n > CHOICE_INLINE)
    MPI_Bcast(choice, n, MPI_INT, 0, fd->comm);
  else if (mine == NULL)
    memcpy(choice, message->choice, (size_t)n * sizeof(int));
  return choice;
}

void ADIOI_BENCHFS_OpenColl(ADIO_File fd, int rank, int access_mode, int* error_code) {
  struct announcement message;
  struct bfs_verdict verdict;
  int* choice = NULL;
  int code = 0;

  fd->access_mode = access_mode;
  memset(&message, 0, sizeof(message));
  if (rank == 0) {
    choice = announce(fd, access_mode, &message);
    code = message.code;
  }
  bfs_team_tell(fd->comm, &message, (int)sizeof(message));
  if (message.code != 0) {
    *error_code = BFS_ERROR(message.code, message.text);
    close_here(fd);
    return;
  }
  choice = choice_of(fd, &message, choice);

  if (rank != 0) code = import_here(fd, access_mode, &message);
  verdict = bfs_agree(fd->comm, code);
  if (verdict.code != 0) {
    *error_code = bfs_collective_error(fd, "open", code, verdict);
    ADIOI_Free(choice);
    close_here(fd);
    return;
  }
  bfs_file(fd)->pointer_key = message.pointer_key;
  bfs_file(fd)->ds_write = message.ds_write;
  opened(fd, message.file_bytes, choice, message.choice_numbers);
  *error_code = MPI_SUCCESS;
}

/* Closes this rank's file, or gives the reason why it could not. *end: how far this process has
 * written if the home does not know that yet, else -1. */
static int close_one(struct bfs_file* own, int64_t* end) {
  uint64_t written;

  *end = benchfs_take_size(own->file, &written) ? (int64_t)written : -1;
  return -benchfs_close(own->file);
}

/* On rank 0, once all others have closed. */
static int close_last(ADIO_File fd, int64_t end, int64_t pointer_made) {
  struct bfs_file* own = bfs_file(fd);

  own->pointer_made = pointer_made != 0;
  bfs_pointer_forget(fd);
  if (end >= 0) benchfs_give_size(own->file, (uint64_t)end);
  return -benchfs_close(own->file);
}

/* Collective, and ROMIO has no barrier in front. The others close first, which costs no message:
 * rank 0 holds the file for all, and tells its size, the largest that any of them has. No rank
 * returns before that. A program may delete the file right after, on one rank, and so does ROMIO
 * for MPI_MODE_DELETE_ON_CLOSE. All paths that lead here are taken by all ranks of fd->comm, as
 * open either succeeds on all of them or on none. */
void ADIOI_BENCHFS_Close(ADIO_File fd, int* error_code) {
  enum { CODE, END, POINTER, VALUES };
  struct bfs_file* own = bfs_file(fd);
  int64_t most[VALUES];
  int rank, code = 0;

  *error_code = MPI_SUCCESS;
  fd->is_open = 0;
  if (own != NULL && own->file != NULL) {
    MPI_Comm_rank(fd->comm, &rank);
    most[END] = -1;
    most[POINTER] = own->pointer_made;
    if (rank != 0) code = close_one(own, &most[END]);
    most[CODE] = bfs_verdict_number(fd->comm, code);
    bfs_team_most(fd->comm, most, VALUES);
    if (rank == 0) {
      int64_t worst;

      code = close_last(fd, most[END], most[POINTER]);
      worst = bfs_verdict_number(fd->comm, code);
      most[CODE] = MPL_MAX(most[CODE], worst);
    }
    bfs_team_tell(fd->comm, &most[CODE], (int)sizeof(most[CODE]));
    *error_code = bfs_collective_error(fd, "close of", code, bfs_verdict_of(most[CODE]));
    if (own->two_phase != MPI_COMM_NULL) MPI_Comm_free(&own->two_phase);
    bfs_placement_free(own);
  }
  file_free(fd);
}
