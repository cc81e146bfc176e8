/* errors.h - error handlers of files in libbenchfs_mpio. */
#ifndef BENCHFS_MPIO_ERRORS_H_INCLUDED
#define BENCHFS_MPIO_ERRORS_H_INCLUDED

#include "adio.h"

/* The error handler of MPI_FILE_NULL, which new files inherit, with a reference for the caller. */
MPI_Errhandler mpio_default_errhandler(void);

#endif /* BENCHFS_MPIO_ERRORS_H_INCLUDED */
