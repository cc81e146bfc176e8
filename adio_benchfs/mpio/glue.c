/*
 * glue.c - file handles and the datatype check of libbenchfs_mpio.
 *
 * ROMIO leaves these to the MPI library it is part of. Here it is part of none: the library is
 * loaded over an MPI library as it is installed, and may only use what that one exports.
 */
#include "mpioimpl.h"

#include "adio_extern.h"
#include "errors.h"

int MPIR_Ext_init(void) {
  return MPI_SUCCESS;
}

/* Whether a type is committed cannot be asked with public calls; MPI itself will complain where it
 * matters. */
int MPIR_Ext_datatype_iscommitted(MPI_Datatype datatype) {
  return datatype == MPI_DATATYPE_NULL ? MPI_ERR_TYPE : MPI_SUCCESS;
}

/* Called at each open, right before the new file gets ADIOI_DFLT_ERR_HANDLER. */
MPI_File MPIO_File_create(int size) {
  ADIOI_DFLT_ERR_HANDLER = mpio_default_errhandler();
  return (MPI_File)ADIOI_Calloc(1, (size_t)size);
}

ADIO_File MPIO_File_resolve(MPI_File file) {
  return file;
}

void MPIO_File_free(MPI_File* file) {
  ADIOI_Free(*file);
  *file = MPI_FILE_NULL;
}

/* Fortran handles are indices of a table; 0 is MPI_FILE_NULL. Slots of closed files are used again:
 * ADIO_Close puts MPI_FILE_NULL there. */
MPI_File MPIO_File_f2c(MPI_Fint handle) {
  if (handle <= 0 || handle > ADIOI_Ftable_ptr) return MPI_FILE_NULL;
  return ADIOI_Ftable[handle];
}

MPI_Fint MPIO_File_c2f(MPI_File file) {
  int slot;

  if (file == MPI_FILE_NULL || file->cookie != ADIOI_FILE_COOKIE) return 0;
  if (file->fortran_handle != -1) return file->fortran_handle;
  for (slot = 1; slot <= ADIOI_Ftable_ptr && ADIOI_Ftable[slot] != MPI_FILE_NULL; slot++) {
  }
  if (slot > ADIOI_Ftable_ptr) {
    if (slot >= ADIOI_Ftable_max) {
      int larger = ADIOI_Ftable_max == 0 ? 64 : ADIOI_Ftable_max * 2;

      ADIOI_Ftable = ADIOI_Realloc(ADIOI_Ftable, (size_t)larger * sizeof(*ADIOI_Ftable));
      ADIOI_Ftable_max = larger;
    }
    ADIOI_Ftable_ptr = slot;
  }
  ADIOI_Ftable[slot] = file;
  file->fortran_handle = slot;
  return slot;
}
