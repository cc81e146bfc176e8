/*
 * nonblocking.c - nonblocking operations complete in any order, along with messages, and without
 * help of the rank they do not belong to.
 */
#include "check.h"

#define N 100000

static int out[4][N], in[4][N];

static void open_file(const char* name, MPI_File* file) {
  OK(MPI_File_open(MPI_COMM_WORLD, name, MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_DELETE_ON_CLOSE,
                   MPI_INFO_NULL, file));
}

/* One MPI_Waitall over writes, a message in each direction and a nonblocking allreduce; the
 * messages are sent last, so the transfers must not keep anyone from getting there. */
static void with_messages(void) {
  const int left = (rank + ranks - 1) % ranks, right = (rank + 1) % ranks;
  MPI_Request requests[6];
  MPI_Status statuses[6];
  MPI_File file;
  int from_left = -1, sum = 0, one = 1;

  open_file("benchfs:/nb_messages", &file);
  for (int k = 0; k < 4; k++)
    for (int i = 0; i < N; i++) out[k][i] = rank * 1000003 + k * 101 + i;
  for (int k = 0; k < 2; k++)
    OK(MPI_File_iwrite_at(file, ((MPI_Offset)rank * 4 + k) * sizeof(out[0]), out[k], N, MPI_INT,
                          &requests[k]));
  OK(MPI_File_iwrite_at_all(file, ((MPI_Offset)rank * 4 + 2) * sizeof(out[0]), out[2], N, MPI_INT,
                            &requests[2]));
  OK(MPI_Irecv(&from_left, 1, MPI_INT, left, 7, MPI_COMM_WORLD, &requests[3]));
  OK(MPI_Isend(&rank, 1, MPI_INT, right, 7, MPI_COMM_WORLD, &requests[4]));
  OK(MPI_Iallreduce(&one, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD, &requests[5]));
  OK(MPI_Waitall(6, requests, statuses));
  CHECK(from_left == left && sum == ranks);
  for (int k = 0; k < 3; k++) CHECK(bytes_of(&statuses[k]) == (int)sizeof(out[0]));

  OK(MPI_File_sync(file));
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_sync(file));
  for (int k = 0; k < 3; k++)
    OK(MPI_File_iread_at(file, ((MPI_Offset)right * 4 + k) * sizeof(out[0]), in[k], N, MPI_INT,
                         &requests[k]));
  OK(MPI_Waitall(3, requests, statuses));
  for (int k = 0; k < 3; k++) {
    int wrong = 0;

    for (int i = 0; i < N; i++) wrong += in[k][i] != right * 1000003 + k * 101 + i;
    CHECK(wrong == 0 && bytes_of(&statuses[k]) == (int)sizeof(in[0]));
  }
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_close(&file));
}

/* Collective operations on two files, waited for in opposite orders. */
static void opposite_orders(void) {
  MPI_Request requests[4];
  MPI_File files[2];

  open_file("benchfs:/nb_first", &files[0]);
  open_file("benchfs:/nb_second", &files[1]);
  for (int k = 0; k < 4; k++)
    OK(MPI_File_iwrite_at_all(files[k % 2], (MPI_Offset)(k / 2 * ranks + rank) * sizeof(out[0]),
                              out[k], N, MPI_INT, &requests[k]));
  for (int k = 0; k < 4; k++) OK(MPI_Wait(&requests[rank % 2 ? 3 - k : k], MPI_STATUS_IGNORE));
  /* With a blocking collective between start and wait. */
  OK(MPI_File_iread_at_all(files[0], (MPI_Offset)rank * sizeof(in[0]), in[0], N, MPI_INT,
                           &requests[0]));
  OK(MPI_File_read_at_all(files[1], (MPI_Offset)rank * sizeof(in[1]), in[1], N, MPI_INT,
                          MPI_STATUS_IGNORE));
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_Wait(&requests[0], MPI_STATUS_IGNORE));
  CHECK(memcmp(in[0], out[0], sizeof(in[0])) == 0);
  CHECK(memcmp(in[1], out[1], sizeof(in[1])) == 0);
  OK(MPI_File_close(&files[0]));
  OK(MPI_File_close(&files[1]));
}

/* Testall, Testany, Waitany and Waitsome finish them too; short reads count right; nothing at all
 * is complete at once; and the individual pointer moves when the operation starts. */
static void other_ways(void) {
  MPI_Request requests[4];
  MPI_Status statuses[4], status;
  MPI_Offset position;
  MPI_File file;
  int flag = 0, index, n = 0, indices[4], done = 0;

  open_file("benchfs:/nb_ways", &file);
  OK(MPI_File_seek(file, (MPI_Offset)rank * 4 * sizeof(out[0]), MPI_SEEK_SET));
  for (int k = 0; k < 4; k++) OK(MPI_File_iwrite(file, out[k], N, MPI_INT, &requests[k]));
  OK(MPI_File_get_position(file, &position));
  CHECK(position == ((MPI_Offset)rank + 1) * 4 * (MPI_Offset)sizeof(out[0]));
  while (!flag) OK(MPI_Testall(4, requests, &flag, statuses));
  for (int k = 0; k < 4; k++) CHECK(bytes_of(&statuses[k]) == (int)sizeof(out[0]));

  for (int k = 0; k < 4; k++)
    OK(MPI_File_iread_at(file, ((MPI_Offset)rank * 4 + k) * sizeof(out[0]), in[k], N, MPI_INT,
                         &requests[k]));
  OK(MPI_Waitany(4, requests, &index, &status));
  CHECK(index >= 0 && index < 4);
  for (done = 1; done < 4; done += n) OK(MPI_Waitsome(4, requests, &n, indices, statuses));
  for (int k = 0; k < 4; k++) CHECK(memcmp(in[k], out[k], sizeof(in[0])) == 0);

  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_sync(file));
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_iread_at(file, (MPI_Offset)ranks * 4 * sizeof(out[0]) - 12, in[0], N, MPI_INT,
                       &requests[0]));
  OK(MPI_Wait(&requests[0], &status));
  CHECK(bytes_of(&status) == 12);
  OK(MPI_File_iread_at_all(file, (MPI_Offset)ranks * 4 * sizeof(out[0]) + 5, in[0], N, MPI_INT,
                           &requests[0]));
  OK(MPI_Wait(&requests[0], &status));
  CHECK(bytes_of(&status) == 0);
  OK(MPI_File_iwrite_at(file, 0, out[0], 0, MPI_INT, &requests[0]));
  OK(MPI_Wait(&requests[0], &status));
  CHECK(bytes_of(&status) == 0);
  OK(MPI_File_close(&file));
}

int main(int argc, char** argv) {
  test_begin(&argc, &argv);
  with_messages();
  opposite_orders();
  other_ways();
  return test_end();
}
