/* shared.c - shared file pointers and ordered access. */
#include "check.h"

#define NAME "benchfs:/shared"
#define APPENDS 40
#define RECORD_MAX 300

static MPI_File file;

static void open_file(int mode) {
  if (rank == 0) MPI_File_delete(NAME, MPI_INFO_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_open(MPI_COMM_WORLD, NAME, mode | MPI_MODE_CREATE, MPI_INFO_NULL, &file));
}

static MPI_Offset position(void) {
  MPI_Offset at = -1;

  OK(MPI_File_get_position_shared(file, &at));
  return at;
}

/* A record says who wrote it, which one it is and how long it is; then comes its number, repeated.
 */
struct record {
  unsigned char writer, number;
  unsigned short bytes;
  unsigned char filling[RECORD_MAX];
};

static int make_record(struct record* r, int number) {
  const int filling = (number * 37 + rank * 11) % RECORD_MAX;

  r->writer = (unsigned char)rank;
  r->number = (unsigned char)number;
  r->bytes = (unsigned short)(4 + filling);
  memset(r->filling, rank * 50 + number, (size_t)filling);
  return r->bytes;
}

/* Every record of every rank is in the file once, none is torn, and nothing lies between them. */
static void check_log(void) {
  const size_t room = (size_t)ranks * APPENDS * sizeof(struct record);
  char* all = malloc(room);
  char* seen = calloc((size_t)ranks, APPENDS);
  MPI_Status status;
  int at = 0, count = 0, bytes;

  OK(MPI_File_read_at(file, 0, all, (int)room, MPI_BYTE, &status));
  bytes = bytes_of(&status);
  while (at + 4 <= bytes) {
    struct record r;

    memcpy(&r, all + at, 4);
    if (!CHECK(r.writer < ranks && r.number < APPENDS && r.bytes >= 4 && at + r.bytes <= bytes))
      break;
    memcpy(&r, all + at, r.bytes);
    for (int i = 0; i < r.bytes - 4; i++) {
      if (!CHECK(r.filling[i] == (unsigned char)(r.writer * 50 + r.number))) break;
    }
    CHECK(seen[r.writer * APPENDS + r.number]++ == 0);
    at += r.bytes;
    count++;
  }
  CHECK(at == bytes);
  CHECK(count == ranks * APPENDS);
  free(all);
  free(seen);
}

static void appends(int nonblocking) {
  struct record records[APPENDS];
  MPI_Request requests[APPENDS];
  MPI_Status statuses[APPENDS];
  MPI_Status status;
  MPI_Offset size;
  int mine = 0, sum;

  open_file(MPI_MODE_RDWR);
  for (int i = 0; i < APPENDS; i++) {
    const int bytes = make_record(&records[i], i);

    mine += bytes;
    if (nonblocking) {
      OK(MPI_File_iwrite_shared(file, &records[i], bytes, MPI_BYTE, &requests[i]));
    } else {
      OK(MPI_File_write_shared(file, &records[i], bytes, MPI_BYTE, &status));
      CHECK(bytes_of(&status) == bytes);
    }
  }
  if (nonblocking) OK(MPI_Waitall(APPENDS, requests, statuses));
  OK(MPI_File_sync(file));
  MPI_Allreduce(&mine, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  OK(MPI_File_get_size(file, &size));
  CHECK(size == sum);
  CHECK(position() == sum);
  check_log();
  OK(MPI_File_close(&file));
}

static int ordered(int round, int write) {
  int data[100];
  const int n = (rank + round) % 3 == 0 ? 0 : rank + round % 50 + 1;
  MPI_Status status;

  for (int i = 0; i < n; i++) data[i] = write ? rank * 1000 + round : -1;
  if (write && round % 2 == 0) {
    OK(MPI_File_write_ordered(file, data, n, MPI_INT, &status));
  } else if (write) {
    OK(MPI_File_write_ordered_begin(file, data, n, MPI_INT));
    OK(MPI_File_write_ordered_end(file, data, &status));
  } else if (round % 2 == 0) {
    OK(MPI_File_read_ordered(file, data, n, MPI_INT, &status));
  } else {
    OK(MPI_File_read_ordered_begin(file, data, n, MPI_INT));
    OK(MPI_File_read_ordered_end(file, data, &status));
  }
  CHECK(bytes_of(&status) == n * 4);
  for (int i = 0; i < n; i++) CHECK(data[i] == rank * 1000 + round);
  return n;
}

/* Rounds of ordered writes: in the file they are in rank order, round by round. */
static void ordered_rounds(void) {
  int word, total = 0;
  MPI_Status status;

  open_file(MPI_MODE_RDWR);
  OK(MPI_File_set_view(file, 0, MPI_INT, MPI_INT, "native", MPI_INFO_NULL));
  for (int round = 0; round < 10; round++) ordered(round, 1);
  for (int round = 0; round < 10; round++) {
    for (int r = 0; r < ranks; r++) {
      const int n = (r + round) % 3 == 0 ? 0 : r + round % 50 + 1;

      for (int i = 0; i < n; i++) {
        OK(MPI_File_read_at(file, total++, &word, 1, MPI_INT, &status));
        CHECK(word == r * 1000 + round);
      }
    }
  }
  CHECK(position() == total);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_seek_shared(file, 0, MPI_SEEK_SET));
  for (int round = 0; round < 10; round++) ordered(round, 0);
  CHECK(position() == total);
  OK(MPI_File_close(&file));
}

static void positions(void) {
  int words[4] = {1, 2, 3, 4};
  MPI_Status status;
  MPI_Datatype spread;
  MPI_Offset offset;
  char byte;

  open_file(MPI_MODE_RDWR);
  CHECK(position() == 0);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_write_ordered(file, words, rank == 0 ? 4 : 0, MPI_INT, &status));
  CHECK(position() == 16);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_seek_shared(file, -6, MPI_SEEK_CUR));
  CHECK(position() == 10);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_seek_shared(file, -4, MPI_SEEK_END));
  CHECK(position() == 12);
  MPI_Barrier(MPI_COMM_WORLD);
  /* What is wrong with it is found on one rank, and is every rank's outcome. */
  FAILS(MPI_File_seek_shared(file, -100, MPI_SEEK_CUR), MPI_ERR_ARG, "");
  CHECK(position() == 12);

  /* The individual pointer is another one. */
  OK(MPI_File_get_position(file, &offset));
  CHECK(offset == 0);
  MPI_Barrier(MPI_COMM_WORLD);

  /* A new view sets it to 0, and it counts etypes of the view. */
  MPI_Type_vector(2, 1, 2, MPI_INT, &spread);
  MPI_Type_commit(&spread);
  OK(MPI_File_set_view(file, 4, MPI_INT, spread, "native", MPI_INFO_NULL));
  CHECK(position() == 0);
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) {
    OK(MPI_File_read_shared(file, words, 2, MPI_INT, &status));
    CHECK(words[0] == 2 && words[1] == 4);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  CHECK(position() == 2);
  OK(MPI_File_get_byte_offset(file, 2, &offset));
  CHECK(offset == 16);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_set_view(file, 0, MPI_BYTE, MPI_BYTE, "native", MPI_INFO_NULL));
  CHECK(position() == 0);
  OK(MPI_File_close(&file));
  MPI_Type_free(&spread);

  /* It is one per open. */
  OK(MPI_File_open(MPI_COMM_SELF, NAME, MPI_MODE_RDWR, MPI_INFO_NULL, &file));
  CHECK(position() == 0);
  OK(MPI_File_read_shared(file, &byte, 1, MPI_BYTE, &status));
  CHECK(position() == 1);
  OK(MPI_File_close(&file));

  OK(MPI_File_open(MPI_COMM_WORLD, NAME, MPI_MODE_RDWR | MPI_MODE_APPEND, MPI_INFO_NULL, &file));
  CHECK(position() == 16);
  OK(MPI_File_close(&file));
}

static void sequential(void) {
  int word = rank, words[64];
  MPI_Status status;

  open_file(MPI_MODE_WRONLY | MPI_MODE_SEQUENTIAL);
  OK(MPI_File_write_ordered(file, &word, 1, MPI_INT, &status));
  OK(MPI_File_set_view(file, MPI_DISPLACEMENT_CURRENT, MPI_INT, MPI_INT, "native", MPI_INFO_NULL));
  word = 100 + rank;
  OK(MPI_File_write_ordered(file, &word, 1, MPI_INT, &status));
  FAILS(MPI_File_write_at(file, 0, &word, 1, MPI_INT, &status), MPI_ERR_UNSUPPORTED_OPERATION, "");
  OK(MPI_File_close(&file));

  OK(MPI_File_open(MPI_COMM_SELF, NAME, MPI_MODE_RDONLY | MPI_MODE_SEQUENTIAL, MPI_INFO_NULL,
                   &file));
  OK(MPI_File_read_shared(file, words, 64, MPI_INT, &status));
  CHECK(bytes_of(&status) == ranks * 8);
  for (int i = 0; i < ranks; i++) CHECK(words[i] == i && words[ranks + i] == 100 + i);
  OK(MPI_File_close(&file));
}

int main(int argc, char** argv) {
  test_begin(&argc, &argv);
  appends(0);
  appends(1);
  ordered_rounds();
  positions();
  sequential();
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) MPI_File_delete(NAME, MPI_INFO_NULL);
  return test_end();
}
