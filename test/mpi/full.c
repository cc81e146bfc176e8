/*
 * full.c - a server with max_storage 4 MiB: what does not fit is MPI_ERR_NO_SPACE, on all ranks of
 * a collective call, and what was written before is intact.
 *
 *   full FILE
 */
#include "check.h"

#define BYTES (1 << 20)

static char data[BYTES], back[BYTES];

static void fill(int round) {
  for (int i = 0; i < BYTES; i++) data[i] = (char)(i * 31 + rank * 7 + round);
}

static int intact(MPI_File file, MPI_Offset offset) {
  MPI_Status status;

  return OK(MPI_File_read_at(file, offset, back, BYTES, MPI_BYTE, &status)) &&
         bytes_of(&status) == BYTES && memcmp(back, data, BYTES) == 0;
}

int main(int argc, char** argv) {
  MPI_File file;
  MPI_Status status;
  MPI_Request request;
  MPI_Offset mine;

  test_begin(&argc, &argv);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN); /* of MPI_Wait */
  mine = (MPI_Offset)rank * BYTES; /* 2 ranks: half of it is full after the first write */
  if (argc != 2 || ranks != 2 ||
      !OK(MPI_File_open(MPI_COMM_WORLD, argv[1], MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL,
                        &file)))
    MPI_Abort(MPI_COMM_WORLD, 1);
  fill(1);
  OK(MPI_File_write_at_all(file, mine, data, BYTES, MPI_BYTE, &status));
  OK(MPI_File_write_at_all(file, 2 * BYTES + mine, data, BYTES, MPI_BYTE, &status));
  MPI_Barrier(MPI_COMM_WORLD);

  FAILS(MPI_File_write_at(file, 8 * BYTES + mine, data, BYTES, MPI_BYTE, &status), MPI_ERR_NO_SPACE,
        "/full");
  FAILS(MPI_File_write_at_all(file, 16 * BYTES + mine, data, BYTES, MPI_BYTE, &status),
        MPI_ERR_NO_SPACE, "/full");
  OK(MPI_File_iwrite_at(file, 32 * BYTES + mine, data, BYTES, MPI_BYTE, &request));
  FAILS(MPI_Wait(&request, &status), MPI_ERR_NO_SPACE, "");
  CHECK(intact(file, mine));
  CHECK(intact(file, 2 * BYTES + mine));

  /* What is there may be written again, and what is cut off makes room. */
  fill(2);
  OK(MPI_File_write_at_all(file, mine, data, BYTES, MPI_BYTE, &status));
  CHECK(intact(file, mine));
  OK(MPI_File_set_size(file, 2 * BYTES));
  OK(MPI_File_write_at_all(file, 8 * BYTES + mine, data, BYTES, MPI_BYTE, &status));
  CHECK(intact(file, 8 * BYTES + mine));
  OK(MPI_File_close(&file));
  if (rank == 0) OK(MPI_File_delete(argv[1], MPI_INFO_NULL));
  return test_end();
}
