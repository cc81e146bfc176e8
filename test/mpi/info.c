/* info.c - hints: taken, checked, and reported as they are in force. */
#include "check.h"

static MPI_File file;

static void open_with(const char* key, const char* value) {
  MPI_Info info;

  MPI_Info_create(&info);
  if (key != NULL) MPI_Info_set(info, key, value);
  if (rank == 0) MPI_File_delete("benchfs:/info", MPI_INFO_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_open(MPI_COMM_WORLD, "benchfs:/info", MPI_MODE_CREATE | MPI_MODE_RDWR, info, &file));
  MPI_Info_free(&info);
}

/* The value that MPI_File_get_info gives, "" if it gives none. */
static const char* hint(const char* key) {
  static char value[MPI_MAX_INFO_VAL + 1];
  MPI_Info info;
  int found;

  OK(MPI_File_get_info(file, &info));
  MPI_Info_get(info, key, MPI_MAX_INFO_VAL, value, &found);
  if (!found) value[0] = '\0';
  MPI_Info_free(&info);
  return value;
}

int main(int argc, char** argv) {
  long chunk;

  test_begin(&argc, &argv);
  open_with(NULL, NULL);
  chunk = atol(hint("striping_unit"));
  CHECK(chunk >= 65536 && chunk <= 134217728);
  CHECK(atol(hint("benchfs_chunk_size")) == chunk);
  CHECK(atoi(hint("benchfs_servers")) >= 1);
  CHECK(atoi(hint("striping_factor")) == atoi(hint("benchfs_servers")) ||
        *hint("striping_factor") == 0);
  CHECK(strcmp(hint("benchfs_collective"), "auto") == 0);
  CHECK(strcmp(hint("romio_ds_write"), "disable") == 0);
  CHECK(strstr(hint("romio_filesystem_type"), "BENCHFS") != NULL);
  OK(MPI_File_close(&file));

  /* There is no data sieving, and none is claimed. */
  open_with("romio_ds_read", "enable");
  CHECK(strcmp(hint("romio_ds_read"), "disable") == 0);
  OK(MPI_File_close(&file));
  open_with("romio_ds_write", "enable");
  CHECK(strcmp(hint("romio_ds_write"), "disable") == 0);
  OK(MPI_File_close(&file));

  open_with("striping_unit", "131072");
  CHECK(atol(hint("striping_unit")) == 131072);
  OK(MPI_File_close(&file));

  /* A file keeps its chunk size. */
  OK(MPI_File_open(MPI_COMM_WORLD, "benchfs:/info", MPI_MODE_RDWR, MPI_INFO_NULL, &file));
  CHECK(atol(hint("striping_unit")) == 131072);
  OK(MPI_File_close(&file));

  open_with("benchfs_chunk_size", "1048576");
  CHECK(atol(hint("benchfs_chunk_size")) == 1048576);
  OK(MPI_File_close(&file));

  /* Ignored, with a word on standard error: the default is in force. */
  open_with("striping_unit", "100000");
  CHECK(atol(hint("striping_unit")) == chunk);
  OK(MPI_File_close(&file));
  open_with("benchfs_chunk_size", "1m");
  CHECK(atol(hint("striping_unit")) == chunk);
  OK(MPI_File_close(&file));
  open_with("benchfs_collective", "fastest");
  CHECK(strcmp(hint("benchfs_collective"), "auto") == 0);
  OK(MPI_File_close(&file));
  open_with("benchfs_no_such_hint", "1");
  CHECK(strcmp(hint("benchfs_no_such_hint"), "") == 0);
  OK(MPI_File_close(&file));
  /* Not BenchFS's: none of its business. */
  open_with("some_other_library", "1");
  OK(MPI_File_close(&file));
  if (rank == 0) MPI_File_delete("benchfs:/info", MPI_INFO_NULL);
  return test_end();
}
