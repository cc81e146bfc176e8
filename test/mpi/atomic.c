/*
 * atomic.c - atomic mode: overlapping writes of all ranks, and reads that must never see a mixture.
 *
 * All ranks write the same bytes of the file again and again, over many chunks, each with a value
 * of its own, and read them between. What is read is one write's value from end to end.
 */
#include "check.h"

#define NAME "benchfs:/atomic"
#define CHUNK 65536
#define BYTES (3 * CHUNK + 1000)
#define ROUNDS 20

static MPI_File file;
static unsigned char data[BYTES];

static void fill(int round) {
  memset(data, 1 + (round * ranks + rank) % 250, sizeof(data));
}

static void check_uniform(const MPI_Status* status) {
  const int bytes = bytes_of(status);

  CHECK(bytes == BYTES || bytes == 0);
  for (int i = 1; i < bytes; i++) {
    if (!CHECK(data[i] == data[0])) break;
  }
}

static void independent(int nonblocking) {
  MPI_Request request;
  MPI_Status status;

  for (int round = 0; round < ROUNDS; round++) {
    fill(round);
    if (nonblocking) {
      OK(MPI_File_iwrite_at(file, 100, data, BYTES, MPI_BYTE, &request));
      OK(MPI_Wait(&request, &status));
    } else {
      OK(MPI_File_write_at(file, 100, data, BYTES, MPI_BYTE, &status));
    }
    CHECK(bytes_of(&status) == BYTES);
    if (nonblocking) {
      OK(MPI_File_iread_at(file, 100, data, BYTES, MPI_BYTE, &request));
      OK(MPI_Wait(&request, &status));
    } else {
      OK(MPI_File_read_at(file, 100, data, BYTES, MPI_BYTE, &status));
    }
    check_uniform(&status);
  }
}

static void collective(int nonblocking) {
  MPI_Request request;
  MPI_Status status;

  for (int round = 0; round < ROUNDS; round++) {
    fill(round);
    if (nonblocking) {
      OK(MPI_File_iwrite_at_all(file, 100, data, BYTES, MPI_BYTE, &request));
      OK(MPI_Wait(&request, &status));
    } else {
      OK(MPI_File_write_at_all(file, 100, data, BYTES, MPI_BYTE, &status));
    }
    OK(MPI_File_read_at_all(file, 100, data, BYTES, MPI_BYTE, &status));
    check_uniform(&status);
    MPI_Barrier(MPI_COMM_WORLD);
  }
}

/* Every second 512 bytes: one access is many pieces on all servers. */
static void strided(void) {
  MPI_Datatype spread;
  MPI_Status status;

  MPI_Type_vector(BYTES / 512 + 1, 512, 1024, MPI_BYTE, &spread);
  MPI_Type_commit(&spread);
  OK(MPI_File_set_view(file, 0, MPI_BYTE, spread, "native", MPI_INFO_NULL));
  for (int round = 0; round < ROUNDS; round++) {
    fill(round);
    OK(MPI_File_write_at(file, 0, data, BYTES, MPI_BYTE, &status));
    OK(MPI_File_read_at(file, 0, data, BYTES, MPI_BYTE, &status));
    check_uniform(&status);
  }
  MPI_Type_free(&spread);
  OK(MPI_File_set_view(file, 0, MPI_BYTE, MPI_BYTE, "native", MPI_INFO_NULL));
}

/* Without a sync: what one rank has written, another that is told so reads, the new size included.
 */
static void visible_at_once(void) {
  const MPI_Offset at = 2000000;
  MPI_Status status;
  int word = 0;

  if (rank == 0) {
    word = 4711;
    OK(MPI_File_write_at(file, at, &word, 1, MPI_INT, &status));
  }
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_read_at(file, at, &word, 1, MPI_INT, &status));
  CHECK(bytes_of(&status) == 4 && word == 4711);
}

/* A request that its owner does not wait for keeps nobody from the same bytes. */
static void no_hostage(void) {
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Status status;

  fill(0);
  if (rank == 0) OK(MPI_File_iwrite_at(file, 100, data, BYTES, MPI_BYTE, &request));
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank != 0) OK(MPI_File_write_at(file, 100, data, BYTES, MPI_BYTE, &status));
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_Wait(&request, MPI_STATUS_IGNORE));
}

int main(int argc, char** argv) {
  MPI_Info info;
  int flag = -1;

  test_begin(&argc, &argv);
  MPI_Info_create(&info);
  MPI_Info_set(info, "striping_unit", "65536");
  /* Not in atomic mode. */
  MPI_Info_set(info, "romio_ds_write", "enable");
  MPI_Info_set(info, "romio_ds_read", "enable");
  if (rank == 0) MPI_File_delete(NAME, MPI_INFO_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_open(MPI_COMM_WORLD, NAME, MPI_MODE_CREATE | MPI_MODE_RDWR, info, &file));
  MPI_Info_free(&info);
  OK(MPI_File_set_atomicity(file, 1));
  OK(MPI_File_get_atomicity(file, &flag));
  CHECK(flag == 1);
  independent(0);
  independent(1);
  MPI_Barrier(MPI_COMM_WORLD);
  collective(0);
  collective(1);
  no_hostage();
  visible_at_once();
  MPI_Barrier(MPI_COMM_WORLD);
  strided();
  OK(MPI_File_set_atomicity(file, 0));
  OK(MPI_File_get_atomicity(file, &flag));
  CHECK(flag == 0);
  OK(MPI_File_close(&file));
  if (rank == 0) MPI_File_delete(NAME, MPI_INFO_NULL);
  return test_end();
}
