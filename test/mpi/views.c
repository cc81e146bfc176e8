/*
 * views.c - reads and writes through file views and memory types, against a model.
 *
 * The model of the file is an array in memory. Types are made from explicit lists of blocks, so
 * that the model needs no MPI. Each rank works in a region of its own, so that the model of one
 * rank is all it needs; the collective calls are made by all ranks at the same time, with different
 * types.
 */
#include "check.h"

#define REGION 200000 /* bytes of file per rank */
#define BLOCKS_MAX 40

struct layout { /* blocks of a type, in order, and its extent */
  int n;
  int at[BLOCKS_MAX];
  int bytes[BLOCKS_MAX];
  int extent;
  int size;
};

static unsigned seed;

static int random_below(int n) {
  seed = seed * 1103515245u + 12345u;
  return (int)((seed >> 8) % (unsigned)n);
}

/* Ascending blocks with and without gaps between them; some empty. */
static struct layout random_layout(void) {
  struct layout l = {0};
  int end = random_below(3) == 0 ? 0 : random_below(50);

  l.n = 1 + random_below(BLOCKS_MAX - 1);
  for (int i = 0; i < l.n; i++) {
    l.at[i] = end;
    l.bytes[i] = random_below(5) == 0 ? 0 : 1 + random_below(60);
    end += l.bytes[i] + (random_below(3) == 0 ? 0 : random_below(40));
    l.size += l.bytes[i];
  }
  if (l.size == 0) l.size = l.bytes[0] = 1;
  l.extent = 0;
  for (int i = 0; i < l.n; i++)
    if (l.at[i] + l.bytes[i] > l.extent) l.extent = l.at[i] + l.bytes[i];
  l.extent += random_below(2) * random_below(30);
  return l;
}

static MPI_Datatype type_of(const struct layout* l) {
  MPI_Aint at[BLOCKS_MAX];
  MPI_Datatype blocks, type;

  for (int i = 0; i < l->n; i++) at[i] = l->at[i];
  MPI_Type_create_hindexed(l->n, l->bytes, at, MPI_BYTE, &blocks);
  MPI_Type_create_resized(blocks, 0, l->extent, &type);
  MPI_Type_commit(&type);
  MPI_Type_free(&blocks);
  return type;
}

/* Place of byte `i` of the data in tiles of the layout. */
static int place(const struct layout* l, int i) {
  int tile = i / l->size, rest = i % l->size, block = 0;

  while (rest >= l->bytes[block]) rest -= l->bytes[block++];
  return tile * l->extent + l->at[block] + rest;
}

static unsigned char model[REGION], memory[REGION], expected[REGION];

static void fill(unsigned char* buffer, int bytes) {
  for (int i = 0; i < bytes; i++) buffer[i] = (unsigned char)random_below(256);
}

enum way { AT, AT_ALL, POINTER, POINTER_ALL, I_AT, I_AT_ALL, I_POINTER, I_POINTER_ALL, WAYS };

static int transfer(MPI_File file, enum way way, int write, MPI_Offset at, void* buffer, int count,
                    MPI_Datatype type, MPI_Status* status) {
  MPI_Request request = MPI_REQUEST_NULL;
  int code = MPI_SUCCESS, flag = 0;

  switch (way) {
    case AT:
      return write ? MPI_File_write_at(file, at, buffer, count, type, status)
                   : MPI_File_read_at(file, at, buffer, count, type, status);
    case AT_ALL:
      return write ? MPI_File_write_at_all(file, at, buffer, count, type, status)
                   : MPI_File_read_at_all(file, at, buffer, count, type, status);
    case POINTER:
      MPI_File_seek(file, at, MPI_SEEK_SET);
      return write ? MPI_File_write(file, buffer, count, type, status)
                   : MPI_File_read(file, buffer, count, type, status);
    case POINTER_ALL:
      MPI_File_seek(file, at, MPI_SEEK_SET);
      return write ? MPI_File_write_all(file, buffer, count, type, status)
                   : MPI_File_read_all(file, buffer, count, type, status);
    case I_AT:
      code = write ? MPI_File_iwrite_at(file, at, buffer, count, type, &request)
                   : MPI_File_iread_at(file, at, buffer, count, type, &request);
      break;
    case I_AT_ALL:
      code = write ? MPI_File_iwrite_at_all(file, at, buffer, count, type, &request)
                   : MPI_File_iread_at_all(file, at, buffer, count, type, &request);
      break;
    case I_POINTER:
      MPI_File_seek(file, at, MPI_SEEK_SET);
      code = write ? MPI_File_iwrite(file, buffer, count, type, &request)
                   : MPI_File_iread(file, buffer, count, type, &request);
      break;
    default:
      MPI_File_seek(file, at, MPI_SEEK_SET);
      code = write ? MPI_File_iwrite_all(file, buffer, count, type, &request)
                   : MPI_File_iread_all(file, buffer, count, type, &request);
  }
  if (code != MPI_SUCCESS) return code;
  while (!flag && code == MPI_SUCCESS) code = MPI_Test(&request, &flag, status);
  return code;
}

static void round_of(MPI_File file, int round) {
  const enum way way = (enum way)(round % WAYS);
  const int write = round / WAYS % 2 == 0;
  struct layout view = random_layout(), mem = random_layout();
  MPI_Datatype filetype, type;
  MPI_Status status;
  MPI_Offset position;
  int count, start, bytes;

  /* Every sixth time contiguous in memory or in the file, in turn. */
  if (round % 6 == 1) view = (struct layout){1, {0}, {37}, 37, 37};
  if (round % 6 == 3) mem = (struct layout){1, {0}, {11}, 11, 11};
  filetype = type_of(&view);
  type = type_of(&mem);
  start = random_below(3 * view.size);
  count = random_below(30);
  while (count > 0 && (place(&view, start + count * mem.size - 1) >= REGION ||
                       place(&mem, count * mem.size - 1) >= REGION))
    count /= 2;
  bytes = count * mem.size;

  OK(MPI_File_set_view(file, (MPI_Offset)rank * REGION, MPI_BYTE, filetype, "native",
                       MPI_INFO_NULL));
  fill(memory, REGION);
  memcpy(expected, memory, REGION);
  for (int i = 0; i < bytes; i++) {
    if (write)
      model[place(&view, start + i)] = memory[place(&mem, i)];
    else
      expected[place(&mem, i)] = model[place(&view, start + i)];
  }
  OK(transfer(file, way, write, start, memory, count, type, &status));
  CHECK(bytes_of(&status) == bytes);
  if (!CHECK(memcmp(memory, expected, REGION) == 0))
    fprintf(stderr, "rank %d: round %d: %s, way %d\n", rank, round, write ? "write" : "read", way);
  if (way % 4 >= 2) {
    OK(MPI_File_get_position(file, &position));
    CHECK(position == start + bytes);
  }
  MPI_Type_free(&filetype);
  MPI_Type_free(&type);
}

static void against_model(int rounds) {
  MPI_File file;

  OK(MPI_File_open(MPI_COMM_WORLD, "benchfs:/views",
                   MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_DELETE_ON_CLOSE, MPI_INFO_NULL,
                   &file));
  OK(MPI_File_set_size(file, 0)); /* whatever an earlier run may have left */
  OK(MPI_File_set_size(file, (MPI_Offset)ranks * REGION));
  seed = 12345u + 777u * (unsigned)rank;
  for (int round = 0; round < rounds; round++) round_of(file, round);

  OK(MPI_File_set_view(file, 0, MPI_BYTE, MPI_BYTE, "native", MPI_INFO_NULL));
  OK(MPI_File_read_at_all(file, (MPI_Offset)rank * REGION, memory, REGION, MPI_BYTE,
                          MPI_STATUS_IGNORE));
  CHECK(memcmp(memory, model, REGION) == 0);
  OK(MPI_File_close(&file));
}

/* A collective write with gaps into a new file: the gaps are zeros, and a read that passes the end
 * counts what there is. */
static void holes_and_end(void) {
  MPI_Datatype vector;
  MPI_Status status;
  MPI_File file;
  int values[100], got[800];
  const int end = 2 * 100 - 1;

  OK(MPI_File_open(MPI_COMM_WORLD, "benchfs:/views_holes",
                   MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_DELETE_ON_CLOSE, MPI_INFO_NULL,
                   &file));
  OK(MPI_File_set_size(file, 0));
  MPI_Type_vector(100, 1, 2, MPI_INT, &vector);
  MPI_Type_commit(&vector);
  for (int i = 0; i < 100; i++) values[i] = 1000 * rank + i + 1;
  OK(MPI_File_set_view(file, (MPI_Offset)rank * 4 * 1000, MPI_INT, vector, "native",
                       MPI_INFO_NULL));
  OK(MPI_File_write_all(file, values, 100, MPI_INT, &status));
  CHECK(bytes_of(&status) == 400);
  OK(MPI_File_set_view(file, (MPI_Offset)rank * 4 * 1000, MPI_INT, MPI_INT, "native",
                       MPI_INFO_NULL));
  memset(got, 0xff, sizeof(got));
  OK(MPI_File_read_all(file, got, 800, MPI_INT, &status));
  if (rank < ranks - 1) {
    CHECK(bytes_of(&status) == 3200);
    for (int i = end; i < 800; i++) CHECK(got[i] == 0);
  } else {
    CHECK(bytes_of(&status) == end * 4);
    CHECK(got[end] == -1);
  }
  for (int i = 0; i < end; i++) CHECK(got[i] == (i % 2 ? 0 : 1000 * rank + i / 2 + 1));

  /* Behind the end there is nothing; at the end, through the view, what is left. */
  OK(MPI_File_set_view(file, 0, MPI_INT, MPI_INT, "native", MPI_INFO_NULL));
  OK(MPI_File_read_at_all(file, 1000000, got, 10, MPI_INT, &status));
  CHECK(bytes_of(&status) == 0);
  OK(MPI_File_set_view(file, (MPI_Offset)(ranks - 1) * 4000, MPI_INT, vector, "native",
                       MPI_INFO_NULL));
  OK(MPI_File_read_at(file, 95, got, 10, MPI_INT, &status));
  CHECK(bytes_of(&status) == 20 && got[4] == 1000 * (ranks - 1) + 100);
  MPI_Type_free(&vector);
  OK(MPI_File_close(&file));
}

/* More pieces than one batch of list I/O takes, in the file and in memory. */
static void many_pieces(void) {
  const int n = 50000;
  MPI_Datatype vector, spread;
  MPI_Request request;
  MPI_Status status;
  MPI_File file;
  int *values = malloc((size_t)n * 3 * sizeof(int)), wrong = 0;

  OK(MPI_File_open(MPI_COMM_WORLD, "benchfs:/views_many",
                   MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_DELETE_ON_CLOSE, MPI_INFO_NULL,
                   &file));
  MPI_Type_vector(n, 1, ranks, MPI_INT, &vector);
  MPI_Type_commit(&vector);
  OK(MPI_File_set_view(file, rank * 4, MPI_INT, vector, "native", MPI_INFO_NULL));
  for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
    for (int i = 0; i < 3 * n; i++)
      values[i] = i % 3 ? -1 : (rank + 1 + nonblocking) * 100000 + i / 3;
    MPI_Type_vector(n, 1, 3, MPI_INT, &spread);
    MPI_Type_commit(&spread);
    if (nonblocking) {
      OK(MPI_File_iwrite_at_all(file, 0, values, 1, spread, &request));
      MPI_Type_free(&spread); /* allowed: MPI keeps what it needs */
      OK(MPI_Wait(&request, &status));
    } else {
      OK(MPI_File_write_at_all(file, 0, values, 1, spread, &status));
      MPI_Type_free(&spread);
    }
    CHECK(bytes_of(&status) == 4 * n);
    memset(values, 0, (size_t)n * 3 * sizeof(int));
    OK(MPI_File_read_at_all(file, 0, values, n, MPI_INT, &status));
    CHECK(bytes_of(&status) == 4 * n);
    for (int i = 0; i < n; i++) wrong += values[i] != (rank + 1 + nonblocking) * 100000 + i;
  }
  CHECK(wrong == 0);
  MPI_Type_free(&vector);
  free(values);
  OK(MPI_File_close(&file));
}

int main(int argc, char** argv) {
  test_begin(&argc, &argv);
  against_model(argc > 1 ? atoi(argv[1]) : 160);
  holes_and_end();
  many_pieces();
  return test_end();
}
