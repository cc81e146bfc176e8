/* handlers.c - error handlers of files, and of MPI_FILE_NULL. */
#include "check.h"

static int calls;
static MPI_File called_with;

/* What a handler leaves in *code is what the MPI call returns in MPICH. */
static void handler(MPI_File* file, int* code, ...) {
  calls++;
  called_with = *file;
  *code = MPI_ERR_OTHER;
}

int main(int argc, char** argv) {
  MPI_Errhandler own, got;
  MPI_File file;
  int byte = 0;

  test_begin(&argc, &argv);
  OK(MPI_File_create_errhandler(handler, &own));

  /* The default is to return, for files and for MPI_FILE_NULL. */
  FAILS(MPI_File_open(MPI_COMM_WORLD, "benchfs:/handlers_none", MPI_MODE_RDONLY, MPI_INFO_NULL,
                      &file),
        MPI_ERR_NO_SUCH_FILE, "handlers_none");
  OK(MPI_File_open(MPI_COMM_WORLD, "benchfs:/handlers",
                   MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_DELETE_ON_CLOSE, MPI_INFO_NULL,
                   &file));
  OK(MPI_File_get_errhandler(file, &got));
  CHECK(got == MPI_ERRORS_RETURN);

  OK(MPI_File_set_errhandler(file, own));
  OK(MPI_File_get_errhandler(file, &got));
  CHECK(got == own);
  OK(MPI_Errhandler_free(&got));
  CHECK(MPI_File_read_at(file, -1, &byte, 1, MPI_BYTE, MPI_STATUS_IGNORE) == MPI_ERR_OTHER);
  CHECK(calls == 1 && called_with == file);
  OK(MPI_File_call_errhandler(file, MPI_ERR_IO));
  CHECK(calls == 2);
  OK(MPI_File_set_errhandler(file, MPI_ERRORS_RETURN));
  CHECK(MPI_File_read_at(file, -1, &byte, 1, MPI_BYTE, MPI_STATUS_IGNORE) != MPI_SUCCESS);
  CHECK(calls == 2);
  OK(MPI_File_close(&file));

  /* Of MPI_FILE_NULL: for failed opens, and inherited by files that are opened. */
  OK(MPI_File_set_errhandler(MPI_FILE_NULL, own));
  CHECK(MPI_File_open(MPI_COMM_WORLD, "benchfs:/handlers_none", MPI_MODE_RDONLY, MPI_INFO_NULL,
                      &file) == MPI_ERR_OTHER);
  CHECK(calls == 3 && called_with == MPI_FILE_NULL);
  OK(MPI_File_open(MPI_COMM_WORLD, "benchfs:/handlers",
                   MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_DELETE_ON_CLOSE, MPI_INFO_NULL,
                   &file));
  OK(MPI_File_set_errhandler(MPI_FILE_NULL, MPI_ERRORS_RETURN));
  OK(MPI_Errhandler_free(&own)); /* the file still has it */
  CHECK(MPI_File_read_at(file, -1, &byte, 1, MPI_BYTE, MPI_STATUS_IGNORE) == MPI_ERR_OTHER);
  CHECK(calls == 4 && called_with == file);
  OK(MPI_File_close(&file));
  return test_end();
}
