/*
 * limits.c - large numbers: opens, offsets, extents, counts and names.
 *
 * Memory and files here are large in extent only: reserved address space, and sparse files.
 */
#include <dirent.h>
#include <limits.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define OPENS 10000
#define OPENS_SECONDS_MAX 60
#define OPENS_GROWTH_BYTES (4L << 20)

static const MPI_Offset tib = (MPI_Offset)1 << 40;
static const MPI_Offset gib = (MPI_Offset)1 << 30;
static MPI_File file;

static void open_new(const char* name) {
  if (rank == 0) MPI_File_delete(name, MPI_INFO_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  if (!OK(MPI_File_open(MPI_COMM_WORLD, name, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL,
                        &file)))
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static void close_and_delete(const char* name) {
  OK(MPI_File_close(&file));
  if (rank == 0) OK(MPI_File_delete(name, MPI_INFO_NULL));
  MPI_Barrier(MPI_COMM_WORLD);
}

/* Address space of which only what is touched becomes memory. */
static char* reserve(size_t bytes) {
  void* memory =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if (!CHECK(memory != MAP_FAILED)) MPI_Abort(MPI_COMM_WORLD, 1);
  return memory;
}

/* ---- many opens --------------------------------------------------------------------------------
 */

static long resident_bytes(void) {
  long pages = 0;
  FILE* statm = fopen("/proc/self/statm", "r");

  CHECK(statm != NULL && fscanf(statm, "%*s %ld", &pages) == 1);
  if (statm != NULL) fclose(statm);
  return pages * sysconf(_SC_PAGESIZE);
}

static int descriptors(void) {
  DIR* folder = opendir("/proc/self/fd");
  int n = 0;

  if (!CHECK(folder != NULL)) return 0;
  while (readdir(folder) != NULL) n++;
  closedir(folder);
  return n;
}

static void open_and_close(int times, const char* name) {
  char byte = 1;

  for (int i = 0; i < times; i++) {
    MPI_File one;

    if (!OK(MPI_File_open(MPI_COMM_SELF, name, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL,
                          &one)))
      return;
    if (i % 100 == 0) OK(MPI_File_write_at(one, i, &byte, 1, MPI_BYTE, MPI_STATUS_IGNORE));
    OK(MPI_File_close(&one));
  }
}

static void many_opens(void) {
  const char* name = "benchfs:/limits_opens";
  long memory;
  int open_files;
  double start;

  if (rank == 0) {
    open_and_close(500, name); /* what is made once is there now */
    memory = resident_bytes();
    open_files = descriptors();
    start = MPI_Wtime();
    open_and_close(OPENS, name);
    printf("%d opens and closes in %.1f s: %ld KiB and %d descriptors more\n", OPENS,
           MPI_Wtime() - start, (resident_bytes() - memory) / 1024, descriptors() - open_files);
    CHECK(MPI_Wtime() - start < OPENS_SECONDS_MAX);
    CHECK(resident_bytes() - memory < OPENS_GROWTH_BYTES);
    CHECK(descriptors() <= open_files);
    OK(MPI_File_delete(name, MPI_INFO_NULL));
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

/* ---- far offsets -------------------------------------------------------------------------------
 */

/* Each rank's bytes beyond 2^40, by explicit offset, through a view, and by collective access. */
static void far_offsets(void) {
  const char* name = "benchfs:/limits_far";
  const MPI_Offset far = tib + 12345;
  unsigned char out[64], in[64];
  MPI_Datatype strided;
  MPI_Offset size, position;
  MPI_Status status;

  open_new(name);
  memset(out, rank + 1, sizeof(out));
  OK(MPI_File_write_at(file, far + 64 * rank, out, 64, MPI_BYTE, &status));
  CHECK(bytes_of(&status) == 64);
  OK(MPI_File_sync(file));
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_get_size(file, &size));
  CHECK(size == far + 64 * ranks);
  memset(in, 0, sizeof(in));
  OK(MPI_File_read_at(file, far + 64 * ((rank + 1) % ranks), in, 64, MPI_BYTE, &status));
  for (int i = 0; i < 64; i++) CHECK(in[i] == (rank + 1) % ranks + 1);

  /* 8 pieces of 8 bytes, 2^37 apart: from 2 TiB on to almost 3 TiB. */
  MPI_Type_create_hvector(8, 8, (MPI_Aint)(tib / 8), MPI_BYTE, &strided);
  MPI_Type_commit(&strided);
  OK(MPI_File_set_view(file, 2 * tib + 8 * rank, MPI_BYTE, strided, "native", MPI_INFO_NULL));
  OK(MPI_File_write_at_all(file, 0, out, 64, MPI_BYTE, &status));
  CHECK(bytes_of(&status) == 64);
  OK(MPI_File_seek(file, 56, MPI_SEEK_SET));
  OK(MPI_File_get_byte_offset(file, 56, &position));
  CHECK(position == 2 * tib + 7 * (tib / 8) + 8 * rank);
  memset(in, 0, sizeof(in));
  OK(MPI_File_read(file, in, 8, MPI_BYTE, &status));
  CHECK(bytes_of(&status) == 8 && in[0] == rank + 1 && in[7] == rank + 1);
  MPI_Barrier(MPI_COMM_WORLD);
  memset(in, 0, sizeof(in));
  OK(MPI_File_read_at_all(file, 0, in, 64, MPI_BYTE, &status));
  for (int i = 0; i < 64; i++) CHECK(in[i] == rank + 1);
  OK(MPI_File_get_size(file, &size));
  CHECK(size == 2 * tib + 7 * (tib / 8) + 8 * ranks);
  MPI_Type_free(&strided);

  /* Without the view: there they are, with holes around. */
  OK(MPI_File_set_view(file, 0, MPI_BYTE, MPI_BYTE, "native", MPI_INFO_NULL));
  memset(in, 0xff, sizeof(in));
  OK(MPI_File_read_at(file, 2 * tib + 3 * (tib / 8) + 8 * rank, in, 64, MPI_BYTE, &status));
  CHECK(bytes_of(&status) == 64 && in[0] == rank + 1);
  CHECK(in[8 * (ranks - rank)] == 0 && in[63] == 0);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_set_size(file, 3 * tib));
  OK(MPI_File_get_size(file, &size));
  CHECK(size == 3 * tib);
  close_and_delete(name);
}

/* ---- large types -------------------------------------------------------------------------------
 */

/* A filetype of two blocks of 1.5 GiB with a gap of 1 GiB; and memory of two bytes 3 GiB apart. */
static void large_types(void) {
  const char* name = "benchfs:/limits_types";
  const size_t memory_bytes = (size_t)(4 * gib);
  char* memory = reserve(memory_bytes);
  int lengths[2] = {1, 1};
  MPI_Aint places[2] = {0, (MPI_Aint)(5 * gib / 2)};
  MPI_Datatype block, filetype, memory_type;
  MPI_Count size, count;
  MPI_Offset offset;
  MPI_Status status;
  char in[16];

  open_new(name);
  MPI_Type_contiguous((int)(3 * gib / 2), MPI_BYTE, &block);
  MPI_Type_create_hindexed(2, lengths, places, block, &filetype);
  MPI_Type_commit(&filetype);
  MPI_Type_size_x(filetype, &size);
  CHECK(size == 3 * gib);
  OK(MPI_File_set_view(file, 0, MPI_BYTE, filetype, "native", MPI_INFO_NULL));

  /* Across the gap, in the third repetition of the type; every rank at another place. */
  offset = 2 * 3 * gib + 3 * gib / 2 - 4;
  if (rank == 0) {
    OK(MPI_File_write_at(file, offset, "ABCDEFGH", 8, MPI_BYTE, &status));
    CHECK(bytes_of(&status) == 8);
  }
  OK(MPI_File_sync(file));
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_read_at_all(file, offset, in, 16, MPI_BYTE, &status));
  CHECK(bytes_of(&status) == 8 && memcmp(in, "ABCDEFGH", 8) == 0);
  OK(MPI_File_set_view(file, 0, MPI_BYTE, MPI_BYTE, "native", MPI_INFO_NULL));
  OK(MPI_File_read_at(file, 2 * 4 * gib + 3 * gib / 2 - 4, in, 4, MPI_BYTE, &status));
  CHECK(memcmp(in, "ABCD", 4) == 0);
  OK(MPI_File_read_at(file, 2 * 4 * gib + 5 * gib / 2, in, 4, MPI_BYTE, &status));
  CHECK(memcmp(in, "EFGH", 4) == 0);
  MPI_Barrier(MPI_COMM_WORLD);

  /* More than 2^31 bytes in few elements; the file ends before. */
  OK(MPI_File_set_size(file, 20));
  if (rank == 0) OK(MPI_File_write_at(file, 0, "0123456789abcdefghij", 20, MPI_BYTE, &status));
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_read_at(file, 4, memory, 2, block, &status));
  MPI_Get_elements_x(&status, MPI_BYTE, &count);
  CHECK(count == 16 && memcmp(memory, "456789abcdefghij", 16) == 0 && memory[16] == 0);
  memset(memory, 0, 16);
  OK(MPI_File_read_at_all(file, 10, memory, 2, block, &status));
  MPI_Get_elements_x(&status, MPI_BYTE, &count);
  CHECK(count == 10 && memcmp(memory, "abcdefghij", 10) == 0 && memory[10] == 0);
  memset(memory, 0, 16);
  MPI_Type_free(&filetype);

  /* Memory with an extent of more than 2^31. */
  places[1] = (MPI_Aint)(3 * gib);
  MPI_Type_create_hindexed(2, lengths, places, MPI_BYTE, &memory_type);
  MPI_Type_commit(&memory_type);
  OK(MPI_File_read_at(file, 6, memory, 1, memory_type, &status));
  CHECK(bytes_of(&status) == 2 && memory[0] == '6' && memory[3 * gib] == '7');
  memory[0] = (char)('A' + rank);
  memory[3 * gib] = (char)('a' + rank);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_write_at_all(file, 2 * rank, memory, 1, memory_type, &status));
  CHECK(bytes_of(&status) == 2);
  OK(MPI_File_read_at(file, 2 * ((rank + 1) % ranks), in, 2, MPI_BYTE, &status));
  CHECK(in[0] == 'A' + (rank + 1) % ranks && in[1] == 'a' + (rank + 1) % ranks);
  MPI_Type_free(&memory_type);
  MPI_Type_free(&block);
  munmap(memory, memory_bytes);
  close_and_delete(name);
}

/* ---- large counts ------------------------------------------------------------------------------
 */

static MPI_Count moved(const MPI_Status* status) {
  MPI_Count count = -1;

  MPI_Get_elements_x(status, MPI_BYTE, &count);
  return count;
}

#define READS(call, wanted)                                                       \
  do {                                                                            \
    OK(call);                                                                     \
    CHECK(moved(&status) == (wanted));                                            \
    CHECK(memcmp(memory, "0123456789abcdefghij" + 20 - (wanted), (wanted)) == 0); \
    CHECK(memory[(wanted)] == 0);                                                 \
    memset(memory, 0, 32);                                                        \
  } while (0)

/* Reads of more elements than an int counts, of which the file has the first few. */
static void large_counts(void) {
  const char* name = "benchfs:/limits_counts";
  const MPI_Count many = (MPI_Count)INT_MAX + 1000;
  char* memory = reserve((size_t)many + 4096);
  MPI_Datatype apart;
  MPI_Request request;
  MPI_Status status;

  open_new(name);
  if (rank == 0) OK(MPI_File_write_at_c(file, 0, "0123456789abcdefghij", 20, MPI_BYTE, &status));
  OK(MPI_File_sync(file));
  MPI_Barrier(MPI_COMM_WORLD);
  READS(MPI_File_read_at_c(file, 10, memory, many, MPI_BYTE, &status), 10);
  OK(MPI_File_seek(file, 4, MPI_SEEK_SET));
  READS(MPI_File_read_c(file, memory, many, MPI_BYTE, &status), 16);
  READS(MPI_File_read_at_all_c(file, 12, memory, many, MPI_BYTE, &status), 8);
  OK(MPI_File_read_at_all_begin_c(file, 13, memory, many, MPI_BYTE));
  READS(MPI_File_read_at_all_end(file, memory, &status), 7);
  OK(MPI_File_iread_at_c(file, 14, memory, many, MPI_BYTE, &request));
  READS(MPI_Wait(&request, &status), 6);
  OK(MPI_File_iread_at_all_c(file, 15, memory, many, MPI_BYTE, &request));
  READS(MPI_Wait(&request, &status), 5);

  /* Elements with gaps cannot be taken together in any number of them: 2^31 + 11 is a prime.
   * Nothing is read then, and nothing aborts. */
  MPI_Type_create_resized(MPI_BYTE, 0, 2, &apart);
  MPI_Type_commit(&apart);
  FAILS(MPI_File_read_at_c(file, 0, memory, ((MPI_Count)1 << 31) + 11, apart, &status),
        MPI_ERR_COUNT, "");
  CHECK(memory[0] == 0);
  FAILS(MPI_File_read_at_c(file, 0, memory, many, MPI_DATATYPE_NULL, &status), MPI_ERR_TYPE, "");
  MPI_Type_free(&apart);
  munmap(memory, (size_t)many + 4096);
  close_and_delete(name);
}

/* ---- names -------------------------------------------------------------------------------------
 */

static void good_name(const char* name) {
  char byte = (char)rank;
  MPI_File again;

  open_new(name);
  OK(MPI_File_write_at_all(file, rank, &byte, 1, MPI_BYTE, MPI_STATUS_IGNORE));
  OK(MPI_File_open(MPI_COMM_SELF, name, MPI_MODE_RDONLY, MPI_INFO_NULL, &again));
  OK(MPI_File_close(&again));
  close_and_delete(name);
  FAILS(MPI_File_open(MPI_COMM_WORLD, name, MPI_MODE_RDONLY, MPI_INFO_NULL, &again),
        MPI_ERR_NO_SUCH_FILE, "");
}

static void bad_name(const char* name) {
  MPI_File none;

  FAILS(MPI_File_open(MPI_COMM_WORLD, name, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL, &none),
        MPI_ERR_BAD_FILE, "");
  FAILS(MPI_File_delete(name, MPI_INFO_NULL), MPI_ERR_BAD_FILE, "");
}

static void names(void) {
  static char name[8192];

  good_name("benchfs:/limits:with:colons");
  good_name("benchfs:limits_12:30:00.nc");
  good_name("benchfs::limits");
  good_name("benchfs:benchfs:limits");
  strcpy(name, "benchfs:/");
  memset(name + 9, 'n', 255);
  name[9 + 255] = '\0';
  good_name(name);
  memset(name + 9, ':', 255);
  good_name(name);
  name[9 + 255] = ':';
  name[9 + 256] = '\0';
  bad_name(name);
  /* 4095 bytes are a path, of folders that do not exist; 4096 are none. */
  memset(name + 8, 'p', sizeof(name) - 8);
  for (int i = 8; i < 8 + 4095; i += 200) name[i] = '/';
  name[8 + 4095] = '\0';
  FAILS(MPI_File_open(MPI_COMM_WORLD, name, MPI_MODE_RDONLY, MPI_INFO_NULL, &file),
        MPI_ERR_NO_SUCH_FILE, "");
  name[8 + 4095] = 'p';
  name[8 + 4096] = '\0';
  bad_name(name);
}

int main(int argc, char** argv) {
  test_begin(&argc, &argv);
  many_opens();
  far_offsets();
  large_types();
  large_counts();
  names();
  return test_end();
}
