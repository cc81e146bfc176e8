/* open.c - names, access modes and errors of open, close and delete: the same on every rank. */
#include "check.h"

static MPI_File file;

static int open_file(const char* name, int mode) {
  return MPI_File_open(MPI_COMM_WORLD, name, mode, MPI_INFO_NULL, &file);
}

static int exists(const char* name) {
  int code = MPI_File_open(MPI_COMM_SELF, name, MPI_MODE_RDONLY, MPI_INFO_NULL, &file);

  if (code == MPI_SUCCESS) MPI_File_close(&file);
  return code == MPI_SUCCESS;
}

static void delete_everywhere(const char* name) {
  if (rank == 0) MPI_File_delete(name, MPI_INFO_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
}

/* "/f", "f" and "//./f" are the same file. */
static void names(void) {
  MPI_Status status;
  int value = 4711, got = 0;

  OK(open_file("benchfs:/open_name", MPI_MODE_CREATE | MPI_MODE_RDWR));
  if (rank == 0) OK(MPI_File_write_at(file, 0, &value, 1, MPI_INT, &status));
  OK(MPI_File_close(&file));
  CHECK(file == MPI_FILE_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(open_file("benchfs:open_name", MPI_MODE_RDONLY));
  OK(MPI_File_read_at_all(file, 0, &got, 1, MPI_INT, &status));
  CHECK(got == value && bytes_of(&status) == 4);
  OK(MPI_File_close(&file));
  OK(open_file("benchfs://./open_name", MPI_MODE_RDONLY));
  OK(MPI_File_close(&file));
  delete_everywhere("benchfs:open_name");
  CHECK(!exists("benchfs:/open_name"));
  /* A colon later in the name is part of it. */
  OK(open_file("benchfs:/open_12:30", MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_DELETE_ON_CLOSE));
  OK(MPI_File_close(&file));
}

static void errors(void) {
  char long_name[300];

  FAILS(open_file("benchfs:/open_none", MPI_MODE_RDONLY), MPI_ERR_NO_SUCH_FILE, "/open_none");
  CHECK(file == MPI_FILE_NULL);
  FAILS(open_file("benchfs:/open_none", MPI_MODE_RDWR), MPI_ERR_NO_SUCH_FILE, "/open_none");
  FAILS(open_file("benchfs:/open_dir_none/file", MPI_MODE_CREATE | MPI_MODE_RDWR),
        MPI_ERR_NO_SUCH_FILE, "/open_dir_none/file");
  CHECK(!exists("benchfs:/open_none"));
  FAILS(open_file("benchfs:/", MPI_MODE_RDWR), MPI_ERR_BAD_FILE, "/");
  memset(long_name, 'x', sizeof(long_name));
  memcpy(long_name, "benchfs:/", 9);
  long_name[sizeof(long_name) - 1] = '\0';
  FAILS(open_file(long_name, MPI_MODE_CREATE | MPI_MODE_RDWR), MPI_ERR_BAD_FILE, "xxx");

  OK(open_file("benchfs:/open_file", MPI_MODE_CREATE | MPI_MODE_WRONLY));
  OK(MPI_File_close(&file));
  FAILS(open_file("benchfs:/open_file/below", MPI_MODE_CREATE | MPI_MODE_RDWR), MPI_ERR_BAD_FILE,
        "below");
  delete_everywhere("benchfs:/open_file");

  FAILS(MPI_File_delete("benchfs:/open_none", MPI_INFO_NULL), MPI_ERR_NO_SUCH_FILE, "/open_none");
  CHECK(open_file("benchfs:/open_seq", MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_SEQUENTIAL) !=
        MPI_SUCCESS);
  CHECK(open_file("benchfs:/open_amode", MPI_MODE_RDONLY | MPI_MODE_CREATE) != MPI_SUCCESS);
  CHECK(open_file("benchfs:/open_amode", rank == 0 ? MPI_MODE_RDONLY : MPI_MODE_RDWR) !=
            MPI_SUCCESS ||
        ranks == 1);
}

static void exclusive(void) {
  const int mode = MPI_MODE_CREATE | MPI_MODE_EXCL | MPI_MODE_RDWR;
  int amode;

  OK(open_file("benchfs:/open_excl", mode));
  OK(MPI_File_get_amode(file, &amode));
  CHECK(amode == mode || amode == (mode & ~MPI_MODE_EXCL));
  OK(MPI_File_close(&file));
  FAILS(open_file("benchfs:/open_excl", mode), MPI_ERR_FILE_EXISTS, "/open_excl");
  delete_everywhere("benchfs:/open_excl");
}

static void delete_on_close(void) {
  int value = 1;

  OK(open_file("benchfs:/open_delete", MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_DELETE_ON_CLOSE));
  OK(MPI_File_write_at(file, rank * 4, &value, 1, MPI_INT, MPI_STATUS_IGNORE));
  OK(MPI_File_close(&file));
  CHECK(!exists("benchfs:/open_delete"));
}

static void append(void) {
  int values[2] = {1, 2};
  MPI_Offset position, size;

  delete_everywhere("benchfs:/open_append");
  OK(open_file("benchfs:/open_append", MPI_MODE_CREATE | MPI_MODE_RDWR));
  if (rank == 0) OK(MPI_File_write_at(file, 0, values, 2, MPI_INT, MPI_STATUS_IGNORE));
  OK(MPI_File_close(&file));
  MPI_Barrier(MPI_COMM_WORLD);
  OK(open_file("benchfs:/open_append", MPI_MODE_APPEND | MPI_MODE_RDWR));
  OK(MPI_File_get_position(file, &position));
  CHECK(position == 8);
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == ranks - 1) OK(MPI_File_write(file, values, 1, MPI_INT, MPI_STATUS_IGNORE));
  OK(MPI_File_sync(file));
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_get_size(file, &size));
  CHECK(size == 12);
  OK(MPI_File_close(&file));
  delete_everywhere("benchfs:/open_append");
}

/* A file that is open write-only can be written with gaps, in views, collectively; and not be read.
 */
static void write_only(void) {
  MPI_Datatype vector;
  int values[4] = {1, 2, 3, 4}, got[2] = {0, 0};

  delete_everywhere("benchfs:/open_wronly");
  MPI_Type_vector(2, 1, 2, MPI_INT, &vector);
  MPI_Type_commit(&vector);
  OK(open_file("benchfs:/open_wronly", MPI_MODE_CREATE | MPI_MODE_WRONLY));
  FAILS(MPI_File_read_at(file, 0, got, 1, MPI_INT, MPI_STATUS_IGNORE), MPI_ERR_ACCESS, "");
  OK(MPI_File_set_view(file, rank * 16, MPI_INT, vector, "native", MPI_INFO_NULL));
  OK(MPI_File_write_all(file, values, 2, MPI_INT, MPI_STATUS_IGNORE));
  OK(MPI_File_close(&file));
  OK(open_file("benchfs:/open_wronly", MPI_MODE_RDONLY));
  CHECK(MPI_File_write_at(file, 0, values, 1, MPI_INT, MPI_STATUS_IGNORE) != MPI_SUCCESS);
  OK(MPI_File_read_at(file, rank * 16 + 4, got, 2, MPI_INT, MPI_STATUS_IGNORE));
  CHECK(got[0] == 0 && got[1] == 2);
  OK(MPI_File_close(&file));
  MPI_Type_free(&vector);
  delete_everywhere("benchfs:/open_wronly");
}

/* Open on all ranks, and deleted by one of them, or by the last: it is used as ever until the close. */
static void deleted_while_open(void) {
  const char* name = "benchfs:/open_deleted";
  MPI_Offset size = 0;
  int value = rank + 1, got = 0;

  for (int who = 0; who < ranks; who += ranks > 1 ? ranks - 1 : 1) {
    OK(open_file(name, MPI_MODE_CREATE | MPI_MODE_RDWR));
    OK(MPI_File_write_at_all(file, rank * 4, &value, 1, MPI_INT, MPI_STATUS_IGNORE));
    OK(MPI_File_sync(file));
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == who) OK(MPI_File_delete(name, MPI_INFO_NULL));
    MPI_Barrier(MPI_COMM_WORLD);
    OK(MPI_File_read_at(file, (rank + 1) % ranks * 4, &got, 1, MPI_INT, MPI_STATUS_IGNORE));
    CHECK(got == (rank + 1) % ranks + 1);
    OK(MPI_File_write_at(file, (ranks + rank) * 4, &value, 1, MPI_INT, MPI_STATUS_IGNORE));
    OK(MPI_File_sync(file));
    MPI_Barrier(MPI_COMM_WORLD);
    OK(MPI_File_get_size(file, &size));
    CHECK(size == ranks * 8);
    OK(MPI_File_read_at(file, (ranks + (rank + 1) % ranks) * 4, &got, 1, MPI_INT,
                        MPI_STATUS_IGNORE));
    CHECK(got == (rank + 1) % ranks + 1);
    OK(MPI_File_close(&file));
    FAILS(open_file(name, MPI_MODE_RDONLY), MPI_ERR_NO_SUCH_FILE, "");
  }
}

/* Two files, a communicator of one, and many opens of one file at a time. */
static void many(void) {
  MPI_File files[16];
  char name[64];
  int value = rank, got = -1;

  for (int i = 0; i < 16; i++) {
    snprintf(name, sizeof(name), "benchfs:/open_many_%d", i % 8);
    OK(MPI_File_open(MPI_COMM_WORLD, name, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL,
                     &files[i]));
  }
  OK(MPI_File_write_at_all(files[3], rank * 4, &value, 1, MPI_INT, MPI_STATUS_IGNORE));
  OK(MPI_File_read_at_all(files[11], rank * 4, &got, 1, MPI_INT, MPI_STATUS_IGNORE));
  CHECK(got == rank);
  for (int i = 0; i < 16; i++) OK(MPI_File_close(&files[i]));
  for (int i = 0; i < 8; i++) {
    snprintf(name, sizeof(name), "benchfs:/open_many_%d", i);
    delete_everywhere(name);
  }
  snprintf(name, sizeof(name), "benchfs:/open_self_%d", rank);
  OK(MPI_File_open(MPI_COMM_SELF, name, MPI_MODE_CREATE | MPI_MODE_EXCL | MPI_MODE_RDWR,
                   MPI_INFO_NULL, &file));
  OK(MPI_File_close(&file));
  OK(MPI_File_delete(name, MPI_INFO_NULL));
}

int main(int argc, char** argv) {
  test_begin(&argc, &argv);
  names();
  errors();
  exclusive();
  delete_on_close();
  deleted_while_open();
  append();
  write_only();
  many();
  return test_end();
}
