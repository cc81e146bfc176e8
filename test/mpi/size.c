/* size.c - file sizes: set, preallocated, far away, and as every rank sees them. */
#include "check.h"

static MPI_File file;

static MPI_Offset size(void) {
  MPI_Offset bytes = -1;

  OK(MPI_File_get_size(file, &bytes));
  return bytes;
}

int main(int argc, char** argv) {
  const MPI_Offset far = (MPI_Offset)5 << 30; /* beyond 32 bits, and sparse */
  char buffer[100], byte = 7;
  MPI_Offset position;
  MPI_Status status;

  test_begin(&argc, &argv);
  OK(MPI_File_open(MPI_COMM_WORLD, "benchfs:/size",
                   MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_DELETE_ON_CLOSE, MPI_INFO_NULL,
                   &file));
  OK(MPI_File_set_size(file, 0));
  CHECK(size() == 0);
  OK(MPI_File_preallocate(file, 1000));
  CHECK(size() == 1000);
  OK(MPI_File_preallocate(file, 500)); /* never shortens */
  CHECK(size() == 1000);
  OK(MPI_File_set_size(file, 300));
  CHECK(size() == 300);

  /* A write of each rank, then a smaller size: what was written does not bring the old size back.
   */
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_write_at(file, 4000 + rank, &byte, 1, MPI_BYTE, &status));
  OK(MPI_File_set_size(file, 100));
  CHECK(size() == 100);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_sync(file));
  MPI_Barrier(MPI_COMM_WORLD);
  CHECK(size() == 100);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_set_size(file, 5000));
  memset(buffer, 1, sizeof(buffer));
  OK(MPI_File_read_at_all(file, 3990, buffer, 100, MPI_BYTE, &status));
  CHECK(bytes_of(&status) == 100);
  for (int i = 0; i < 100; i++) CHECK(buffer[i] == 0);

  /* One rank writes far away; after the sync all see it. */
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == ranks - 1) OK(MPI_File_write_at(file, far, &byte, 1, MPI_BYTE, &status));
  OK(MPI_File_sync(file));
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_sync(file));
  CHECK(size() == far + 1);
  OK(MPI_File_seek(file, -1, MPI_SEEK_END));
  OK(MPI_File_get_position(file, &position));
  CHECK(position == far);
  buffer[0] = 0;
  OK(MPI_File_read(file, buffer, 10, MPI_BYTE, &status));
  CHECK(bytes_of(&status) == 1 && buffer[0] == 7);
  OK(MPI_File_get_position(file, &position));
  CHECK(position == far + 1);
  OK(MPI_File_read_at_all(file, far / 2 + rank, buffer, 100, MPI_BYTE, &status));
  CHECK(bytes_of(&status) == 100);
  for (int i = 0; i < 100; i++) CHECK(buffer[i] == 0);

  /* A collective write is part of the size for all when it returns. */
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_write_at_all(file, 2 * far + rank, &byte, 1, MPI_BYTE, &status));
  CHECK(size() == 2 * far + ranks);
  MPI_Barrier(MPI_COMM_WORLD);

  if (ranks > 1) {
    CHECK(MPI_File_set_size(file, rank) != MPI_SUCCESS);
    CHECK(MPI_File_preallocate(file, rank + 1) != MPI_SUCCESS);
  }
  CHECK(MPI_File_set_size(file, -1) != MPI_SUCCESS);
  CHECK(size() == 2 * far + ranks);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_close(&file));
  return test_end();
}
