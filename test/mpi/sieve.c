/*
 * sieve.c - data sieving, asked for by hint: what it reads and writes is what list access would,
 * whatever other ranks write to the same windows at the same time.
 *
 * The file is a row of cells of CELL bytes, cell i belongs to rank i % ranks. Windows of a few
 * cells hold cells of all ranks, so that a rank that writes back what it has read without a lock
 * undoes the writes of others.
 */
#include "check.h"

#define NAME "benchfs:/sieve"
#define CELL 24
#define PIECE 16 /* of a cell; the rest is a hole, or old data */
#define CELLS 600
#define ROUNDS 8
#define OLD 0xee

static MPI_File file;
static MPI_Datatype cells; /* this rank's pieces */
static unsigned char data[CELLS * PIECE];

static unsigned char value(int owner, int cell, int round) {
  return (unsigned char)(1 + (owner * 7 + cell * 3 + round * 31) % 200);
}

static void fill(int owner, int round) {
  for (int i = 0; i < CELLS; i++) memset(data + i * PIECE, value(owner, i, round), PIECE);
}

static void open_with(const char* read_sieving, const char* write_sieving, const char* buffer,
                      int mode) {
  MPI_Info info;

  MPI_Info_create(&info);
  MPI_Info_set(info, "striping_unit", "65536");
  MPI_Info_set(info, "romio_ds_read", read_sieving);
  MPI_Info_set(info, "romio_ds_write", write_sieving);
  MPI_Info_set(info, "ind_rd_buffer_size", buffer);
  MPI_Info_set(info, "ind_wr_buffer_size", buffer);
  MPI_Info_set(info, "benchfs_collective", "direct");
  if (!OK(MPI_File_open(MPI_COMM_WORLD, NAME, mode, info, &file))) MPI_Abort(MPI_COMM_WORLD, 1);
  MPI_Info_free(&info);
}

static void create(const char* buffer) {
  if (rank == 0) MPI_File_delete(NAME, MPI_INFO_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  open_with("enable", "enable", buffer, MPI_MODE_CREATE | MPI_MODE_RDWR);
}

static void view_cells(void) {
  OK(MPI_File_set_view(file, (MPI_Offset)rank * CELL, MPI_BYTE, cells, "native", MPI_INFO_NULL));
}

static void view_bytes(void) {
  OK(MPI_File_set_view(file, 0, MPI_BYTE, MPI_BYTE, "native", MPI_INFO_NULL));
}

/* All the file's bytes, by one rank, without sieving: they are contiguous. */
static unsigned char* whole(size_t* bytes) {
  unsigned char* all;
  MPI_Offset size;
  MPI_Status status;

  OK(MPI_File_get_size(file, &size));
  all = malloc((size_t)size + 1);
  OK(MPI_File_read_at(file, 0, all, (int)size, MPI_BYTE, &status));
  CHECK(bytes_of(&status) == (int)size);
  *bytes = (size_t)size;
  return all;
}

/* Every rank's pieces as of `round`; between them `between`, and what ranks wrote there themselves.
 */
static void check_file(int round, int between, int ends) {
  unsigned char* all;
  size_t bytes;
  long wrong = 0;

  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_sync(file));
  MPI_Barrier(MPI_COMM_WORLD);
  all = whole(&bytes);
  CHECK(!ends || bytes == (size_t)(CELLS * ranks - 1) * CELL + PIECE);
  for (size_t i = 0; i < bytes; i++) {
    const int cell = (int)(i / CELL);

    if ((int)(i % CELL) < PIECE && cell < CELLS * ranks)
      wrong += all[i] != value(cell % ranks, cell / ranks, round);
    else
      wrong += all[i] != between;
  }
  if (wrong > 0) fprintf(stderr, "rank %d: round %d: %ld wrong bytes\n", rank, round, wrong);
  CHECK(wrong == 0);
  free(all);
  MPI_Barrier(MPI_COMM_WORLD);
}

static void fill_old(void) {
  const size_t bytes = (size_t)CELLS * CELL;
  unsigned char* old = malloc(bytes);

  memset(old, OLD, bytes);
  OK(MPI_File_write_at_all(file, (MPI_Offset)bytes * rank, old, (int)bytes, MPI_BYTE,
                           MPI_STATUS_IGNORE));
  free(old);
}

static void check_read(int round) {
  MPI_Status status;
  int wrong = 0;

  memset(data, 0, sizeof(data));
  OK(MPI_File_read_at(file, 0, data, sizeof(data), MPI_BYTE, &status));
  CHECK(bytes_of(&status) == (int)sizeof(data));
  for (int i = 0; i < CELLS * PIECE; i++) wrong += data[i] != value(rank, i / PIECE, round);
  CHECK(wrong == 0);
}

/* All ranks write their pieces at once, over old data and into a new file, which ends where the
 * last piece does and keeps its holes empty. */
static void interleaved(const char* buffer, int new_file) {
  MPI_Status status;

  create(buffer);
  if (!new_file) fill_old();
  view_cells();
  for (int round = 0; round < ROUNDS; round++) {
    fill(rank, round);
    MPI_Barrier(MPI_COMM_WORLD);
    OK(MPI_File_write_at(file, 0, data, sizeof(data), MPI_BYTE, &status));
    CHECK(bytes_of(&status) == (int)sizeof(data));
    check_read(round);
    view_bytes();
    check_file(round, new_file ? 0 : OLD, new_file);
    view_cells();
  }
  OK(MPI_File_close(&file));
}

/* Half of the ranks sieve; the others write their cells one by one, contiguously, also by
 * nonblocking calls and at the individual pointer. */
static void beside_others(const char* buffer) {
  MPI_Request requests[8];
  MPI_Status statuses[8];

  create(buffer);
  fill_old();
  for (int round = 0; round < ROUNDS; round++) {
    fill(rank, round);
    view_bytes();
    if (rank % 2 == 0) {
      view_cells();
      MPI_Barrier(MPI_COMM_WORLD);
      OK(MPI_File_write_at(file, 0, data, sizeof(data), MPI_BYTE, MPI_STATUS_IGNORE));
    } else {
      view_bytes();
      MPI_Barrier(MPI_COMM_WORLD);
      for (int i = 0; i < CELLS; i += 8) {
        int n = 0;

        for (; n < 8 && i + n < CELLS; n++) {
          const MPI_Offset at = ((MPI_Offset)(i + n) * ranks + rank) * CELL;

          requests[n] = MPI_REQUEST_NULL;
          switch ((i / 8 + round) % 3) {
            case 0:
              OK(MPI_File_write_at(file, at, data + (i + n) * PIECE, PIECE, MPI_BYTE,
                                   MPI_STATUS_IGNORE));
              break;
            case 1:
              OK(MPI_File_iwrite_at(file, at, data + (i + n) * PIECE, PIECE, MPI_BYTE,
                                    &requests[n]));
              break;
            default:
              OK(MPI_File_seek(file, at, MPI_SEEK_SET));
              OK(MPI_File_write(file, data + (i + n) * PIECE, PIECE, MPI_BYTE, MPI_STATUS_IGNORE));
          }
        }
        OK(MPI_Waitall(n, requests, statuses));
      }
    }
    view_bytes();
    check_file(round, OLD, 0);
  }
  OK(MPI_File_close(&file));
}

/* A nonblocking collective write, in which every second rank has data, is under way while the
 * others write theirs by themselves. */
static void beside_collective(const char* buffer) {
  MPI_Request request;

  create(buffer);
  fill_old();
  view_cells();
  for (int round = 0; round < ROUNDS; round++) {
    const int together = (rank + round) % 2 == 0 ? (int)sizeof(data) : 0;

    fill(rank, round);
    MPI_Barrier(MPI_COMM_WORLD);
    OK(MPI_File_iwrite_at_all(file, 0, data, together, MPI_BYTE, &request));
    OK(MPI_File_write_at(file, 0, data, (int)sizeof(data) - together, MPI_BYTE, MPI_STATUS_IGNORE));
    OK(MPI_Wait(&request, MPI_STATUS_IGNORE));
    view_bytes();
    check_file(round, OLD, 0);
    view_cells();
  }
  OK(MPI_File_close(&file));
}

/* Counts at the end of the file are those of list access; so is memory that is not contiguous. */
static void ends(void) {
  const int cut = (CELLS - 2) * PIECE + 5; /* data that this rank still finds */
  MPI_Datatype spread;
  MPI_Status status;
  unsigned char* wide = malloc(sizeof(data) * 2);
  int wrong = 0;

  create("4096");
  view_cells();
  fill(rank, 1);
  MPI_Type_vector(CELLS * PIECE / 8, 8, 16, MPI_BYTE, &spread);
  MPI_Type_commit(&spread);
  for (int i = 0; i < CELLS * PIECE; i++) wide[i / 8 * 16 + i % 8] = data[i];
  OK(MPI_File_write_at(file, 0, wide, 1, spread, &status));
  CHECK(bytes_of(&status) == (int)sizeof(data));
  memset(wide, 0, sizeof(data) * 2);
  OK(MPI_File_read_at(file, 0, wide, 1, spread, &status));
  CHECK(bytes_of(&status) == (int)sizeof(data));
  for (int i = 0; i < CELLS * PIECE; i++) wrong += wide[i / 8 * 16 + i % 8] != data[i];
  CHECK(wrong == 0);
  MPI_Type_free(&spread);
  free(wide);
  MPI_Barrier(MPI_COMM_WORLD);

  /* Within the last cell but one of rank 0. */
  OK(MPI_File_set_size(file, (MPI_Offset)(CELLS - 2) * ranks * CELL + 5));
  OK(MPI_File_read_at(file, 0, data, sizeof(data), MPI_BYTE, &status));
  CHECK(bytes_of(&status) == (rank == 0 ? cut : cut - 5));
  OK(MPI_File_read_at(file, cut, data, 100, MPI_BYTE, &status));
  CHECK(bytes_of(&status) == 0);
  OK(MPI_File_seek(file, 0, MPI_SEEK_SET));
  OK(MPI_File_read(file, data, sizeof(data), MPI_BYTE, &status));
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_close(&file));
}

/* Without the right to read there is nothing to write back. */
static void write_only(void) {
  if (rank == 0) MPI_File_delete(NAME, MPI_INFO_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  open_with("enable", "enable", "1000", MPI_MODE_CREATE | MPI_MODE_WRONLY);
  view_cells();
  fill(rank, 3);
  OK(MPI_File_write_at(file, 0, data, sizeof(data), MPI_BYTE, MPI_STATUS_IGNORE));
  OK(MPI_File_close(&file));
  open_with("enable", "enable", "1000", MPI_MODE_RDWR);
  check_file(3, 0, 1);
  OK(MPI_File_close(&file));
}

int main(int argc, char** argv) {
  test_begin(&argc, &argv);
  MPI_Type_vector(CELLS, PIECE, CELL * ranks, MPI_BYTE, &cells);
  MPI_Type_commit(&cells);
  interleaved("1000", 0);
  interleaved("100000", 0);
  interleaved("1000", 1);
  interleaved("1", 0);
  beside_others("3000");
  beside_collective("2000");
  ends();
  write_only();
  MPI_Type_free(&cells);
  if (rank == 0) MPI_File_delete(NAME, MPI_INFO_NULL);
  return test_end();
}
