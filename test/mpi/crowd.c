/*
 * crowd.c - more ranks than cores: all open, write with a collective call, each reads what another
 * wrote, independently and collectively, close, again and again; a call that is not for all ranks
 * in between. No rank may be kept from its turn by those that wait for it.
 */
#include "check.h"

#define PIECE 1000
#define PIECES 20
#define ROUNDS 3

static void fill(unsigned char* data, int owner, int round) {
  for (int i = 0; i < PIECE * PIECES; i++) data[i] = (unsigned char)(i * 7 + owner * 31 + round);
}

static void view_of(MPI_File file, int owner) {
  MPI_Datatype mine;

  MPI_Type_vector(PIECES, PIECE, PIECE * ranks, MPI_BYTE, &mine);
  MPI_Type_commit(&mine);
  OK(MPI_File_set_view(file, (MPI_Offset)owner * PIECE, MPI_BYTE, mine, "native", MPI_INFO_NULL));
  MPI_Type_free(&mine);
}

static void pass(int round, const char* collective) {
  static unsigned char data[PIECE * PIECES], wanted[PIECE * PIECES];
  const int other = (rank + 1 + round) % ranks;
  MPI_Status status;
  MPI_Offset size;
  MPI_File file;
  MPI_Info info;

  MPI_Info_create(&info);
  MPI_Info_set(info, "benchfs_collective", collective);
  OK(MPI_File_open(MPI_COMM_WORLD, "benchfs:/crowd", MPI_MODE_CREATE | MPI_MODE_RDWR, info, &file));
  MPI_Info_free(&info);
  view_of(file, rank);
  fill(data, rank, round);
  OK(MPI_File_write_all(file, data, PIECE * PIECES, MPI_BYTE, &status));
  CHECK(bytes_of(&status) == PIECE * PIECES);
  view_of(file, other);
  fill(wanted, other, round);
  memset(data, 0, sizeof(data));
  OK(MPI_File_read_all(file, data, PIECE * PIECES, MPI_BYTE, &status));
  CHECK(bytes_of(&status) == PIECE * PIECES && memcmp(data, wanted, sizeof(data)) == 0);
  memset(data, 0, sizeof(data));
  OK(MPI_File_read_at(file, 0, data, PIECE * PIECES, MPI_BYTE, &status));
  CHECK(bytes_of(&status) == PIECE * PIECES && memcmp(data, wanted, sizeof(data)) == 0);
  /* The end of the file, by a pointer that all ranks move on. */
  OK(MPI_File_set_view(file, (MPI_Offset)PIECE * PIECES * ranks, MPI_INT, MPI_INT, "native",
                       MPI_INFO_NULL));
  OK(MPI_File_write_shared(file, &rank, 1, MPI_INT, &status));
  OK(MPI_File_write_ordered(file, &rank, 1, MPI_INT, &status));
  OK(MPI_File_sync(file));
  OK(MPI_File_get_size(file, &size));
  CHECK(size == (MPI_Offset)ranks * (PIECE * PIECES + 2 * (int)sizeof(int)));
  OK(MPI_File_set_size(file, (MPI_Offset)PIECE * PIECES * ranks));
  OK(MPI_File_close(&file));
}

int main(int argc, char** argv) {
  static const char* const collective[] = {"owner", "direct", "generic"};

  test_begin(&argc, &argv);
  for (int round = 0; round < ROUNDS; round++) pass(round, collective[round]);
  if (rank == 0) OK(MPI_File_delete("benchfs:/crowd", MPI_INFO_NULL));
  return test_end();
}
