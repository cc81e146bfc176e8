/*
 * ad_benchfs_open.c - open and close.
 *
 * Open is collective and costs the servers one lookup or create, however many ranks there are: rank
 * 0 asks, and broadcasts what came of it, a handle that every rank turns into its own file without
 * asking anyone, or the failure with its text.
 */
#include "ad_benchfs.h"

#include <stddef.h>
#include <unistd.h>

/* What rank 0 tells the others. */
struct announcement {
  int code;
  int handle_bytes;
  uint64_t file_bytes;  /* where a file opened with MPI_MODE_APPEND starts */
  uint64_t pointer_key; /* of the shared file pointer */
  int ds_write;         /* all ranks must know of one that sieves */
  char text[BFS_TEXT_BYTES];
  char handle[BENCHFS_HANDLE_BYTES];
};

struct bfs_file* bfs_file_make(ADIO_File fd) {
  struct bfs_file* own = bfs_file(fd);

  if (own == NULL) {
    own = ADIOI_Calloc(1, sizeof(*own));
    if (own == NULL) return NULL;
    own->striping_factor_hint = -1;
    own->ds_read = ADIOI_HINT_AUTO;
    own->ds_write = ADIOI_HINT_AUTO;
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

static void opened(ADIO_File fd, uint64_t file_bytes) {
  struct bfs_file* own = bfs_file(fd);
  int code, ranks;

  fd->is_open = 1;
  fd->dirty_write = 0;
  fd->fd_sys = -1;
  fd->fp_sys_posn = -1;
  /* Sieving reads what it writes back. */
  if (own->ds_write == ADIOI_HINT_ENABLE && !(fd->access_mode & ADIO_RDWR))
    own->ds_write = ADIOI_HINT_DISABLE;
  if (fd->access_mode & ADIO_APPEND) fd->fp_ind = (ADIO_Offset)file_bytes;
  MPI_Comm_size(fd->comm, &ranks);
  if (ranks > 1)
    MPI_Comm_dup(fd->comm, &own->comm);
  else
    own->comm = fd->comm;
  bfs_placement_make(fd, bfs_session(&code));
  bfs_hints_report(fd, bfs_session(&code));
}

static void close_here(ADIO_File fd) {
  struct bfs_file* own = bfs_file(fd);

  if (own != NULL && own->file != NULL) benchfs_close(own->file);
  file_free(fd);
}

/* For opens that are not collective; ROMIO makes them only when it defers an open, which this
 * driver does not let it. */
void ADIOI_BENCHFS_Open(ADIO_File fd, int* error_code) {
  struct benchfs_stat stat = {0};
  int code = open_here(fd, fd->access_mode);

  if (code == 0 && (fd->access_mode & ADIO_APPEND))
    code = -benchfs_fstat(bfs_file(fd)->file, &stat);
  if (code != 0) {
    *error_code = BFS_ERROR(code, benchfs_error());
    close_here(fd);
    return;
  }
  opened(fd, stat.size);
  *error_code = MPI_SUCCESS;
}

void ADIOI_BENCHFS_OpenColl(ADIO_File fd, int rank, int access_mode, int* error_code) {
  struct announcement message;
  struct bfs_verdict verdict;
  int code = 0;

  fd->access_mode = access_mode;
  memset(&message, 0, sizeof(message));
  if (rank == 0) {
    code = open_here(fd, access_mode);
    if (code == 0) code = export_here(fd, access_mode, &message);
    message.code = code;
    message.pointer_key = bfs_pointer_key();
    if (code == 0) message.ds_write = bfs_file(fd)->ds_write;
    if (code != 0) snprintf(message.text, sizeof(message.text), "%s", bfs_local_text(code));
  }
  MPI_Bcast(&message, (int)sizeof(message), MPI_BYTE, 0, fd->comm);
  if (message.code != 0) {
    *error_code = BFS_ERROR(message.code, message.text);
    close_here(fd);
    return;
  }

  if (rank != 0) code = import_here(fd, access_mode, &message);
  verdict = bfs_agree(fd->comm, code);
  if (verdict.code != 0) {
    *error_code = bfs_collective_error(fd, "open", code, verdict);
    close_here(fd);
    return;
  }
  bfs_file(fd)->pointer_key = message.pointer_key;
  bfs_file(fd)->ds_write = message.ds_write;
  opened(fd, message.file_bytes);
  *error_code = MPI_SUCCESS;
}

/* Collective: no rank returns before all have closed. A program may delete the file right after, on
 * one rank, and so does ROMIO for MPI_MODE_DELETE_ON_CLOSE. All paths that lead here are taken by
 * all ranks of fd->comm, as open either succeeds on all of them or on none. */
void ADIOI_BENCHFS_Close(ADIO_File fd, int* error_code) {
  struct bfs_file* own = bfs_file(fd);
  struct bfs_verdict verdict;
  int code;

  *error_code = MPI_SUCCESS;
  fd->is_open = 0;
  if (own != NULL && own->file != NULL) {
    bfs_pointer_forget(fd);
    if (own->comm != fd->comm) MPI_Comm_free(&own->comm);
    bfs_placement_free(own);
    code = -benchfs_close(own->file);
    verdict = bfs_agree(fd->comm, code);
    *error_code = bfs_collective_error(fd, "close of", code, verdict);
  }
  file_free(fd);
}
