/*
 * ad_benchfs_error.c - from errno values to MPI error classes, and to texts that name path and
 * cause.
 */
#include "ad_benchfs.h"

struct bfs_class {
  int code;
  int mpi_class;
  const char* generic; /* MPICH's own message for the class */
};

static const struct bfs_class classes[] = {
    {EACCES, MPI_ERR_ACCESS, "**fileaccess"},
    {EPERM, MPI_ERR_ACCESS, "**fileaccess"},
    {ENOENT, MPI_ERR_NO_SUCH_FILE, "**filenoexist"},
    {EEXIST, MPI_ERR_FILE_EXISTS, "**fileexist"},
    {EISDIR, MPI_ERR_BAD_FILE, "**filenamedir"},
    {ENOTDIR, MPI_ERR_BAD_FILE, "**filenamedir"},
    {ELOOP, MPI_ERR_BAD_FILE, "**filenamedir"},
    {ENAMETOOLONG, MPI_ERR_BAD_FILE, "**filenamelong"},
    {EROFS, MPI_ERR_READ_ONLY, "**ioneedrd"},
    {EBUSY, MPI_ERR_FILE_IN_USE, "**fileinuse"},
    {ENOSPC, MPI_ERR_NO_SPACE, "**filenospace"},
    {EDQUOT, MPI_ERR_QUOTA, "**filequota"},
    {ENOMEM, MPI_ERR_NO_MEM, "**nomem"},
    {EINVAL, MPI_ERR_ARG, "**arg"},
    {ENOTSUP, MPI_ERR_UNSUPPORTED_OPERATION, "**io"},
};

int bfs_error_code(const char* function, int line, int code, const char* text) {
  int mpi_class = MPI_ERR_IO;
  const char* generic = "**io";

  for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
    if (classes[i].code == code) {
      mpi_class = classes[i].mpi_class;
      generic = classes[i].generic;
      break;
    }
  }
  return MPIO_Err_create_code(MPI_SUCCESS, MPIR_ERR_RECOVERABLE, function, line, mpi_class, generic,
                              "%s", text);
}

const char* bfs_local_text(int code) {
  /* The one failure that does not come from the client library alone. */
  return code == ENOMEM ? "benchfs: out of memory" : benchfs_error();
}

void bfs_remote_text(char text[BFS_TEXT_BYTES], const char* operation, const char* path, int code,
                     int rank) {
  const char* what = code & BFS_NO_SESSION ? "no connection to the BenchFS cluster: " : "";

  snprintf(text, BFS_TEXT_BYTES, "%s %s: failed on rank %d: %s%s", operation, path, rank, what,
           strerror(code & ~BFS_NO_SESSION));
}

int bfs_collective_error(ADIO_File fd, const char* operation, int code,
                         struct bfs_verdict verdict) {
  char text[BFS_TEXT_BYTES];

  if (verdict.code == 0) return MPI_SUCCESS;
  if (code != 0) {
    snprintf(text, sizeof(text), "%s", bfs_local_text(code));
  } else {
    bfs_remote_text(text, operation, fd->filename, verdict.code, verdict.rank);
  }
  return BFS_ERROR(verdict.code, text);
}
