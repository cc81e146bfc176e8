/*
 * posix_over_mpi.h - fopen() for reading and unlink(), through MPI-IO, for tests that look at a
 * file with stdio or remove it. Forced into them with -include.
 */
#ifndef POSIX_OVER_MPI_H_INCLUDED
#define POSIX_OVER_MPI_H_INCLUDED

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static FILE* fopen_over_mpi(const char* name, const char* mode) {
  MPI_File file;
  MPI_Offset bytes;
  FILE* copy = tmpfile();
  char* content;

  if (mode[0] != 'r' || copy == NULL ||
      MPI_File_open(MPI_COMM_SELF, name, MPI_MODE_RDONLY, MPI_INFO_NULL, &file) != MPI_SUCCESS)
    return NULL;
  MPI_File_get_size(file, &bytes);
  content = malloc((size_t)bytes + 1);
  MPI_File_read_at(file, 0, content, (int)bytes, MPI_BYTE, MPI_STATUS_IGNORE);
  MPI_File_close(&file);
  fwrite(content, 1, (size_t)bytes, copy);
  free(content);
  rewind(copy);
  return copy;
}
#define fopen fopen_over_mpi

static int unlink_over_mpi(const char* name) {
  return MPI_File_delete(name, MPI_INFO_NULL) == MPI_SUCCESS ? 0 : -1;
}
#define unlink unlink_over_mpi

#endif /* POSIX_OVER_MPI_H_INCLUDED */
