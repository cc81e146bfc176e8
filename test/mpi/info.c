/*
 * info.c - every hint of docs/hints.md: its default is reported, a good value is in force, and a
 * bad one is ignored with a warning of rank 0 that names the hint and what it takes.
 */
#include <fcntl.h>
#include <unistd.h>

#include "check.h"

#define NAME "benchfs:/info"

static MPI_File file;
static char warnings[16384]; /* of rank 0, from the last call */

/* Standard error to a file from begin to end. */
static int kept = -1, caught = -1;

static void catch_begin(void) {
  FILE* temporary = tmpfile();

  fflush(stderr);
  kept = dup(STDERR_FILENO);
  caught = dup(fileno(temporary));
  dup2(caught, STDERR_FILENO);
  fclose(temporary);
}

static void catch_end(void) {
  ssize_t bytes;

  fflush(stderr);
  dup2(kept, STDERR_FILENO);
  bytes = pread(caught, warnings, sizeof(warnings) - 1, 0);
  warnings[bytes > 0 ? bytes : 0] = '\0';
  close(kept);
  close(caught);
}

static MPI_Info info_of(const char* key, const char* value) {
  MPI_Info info;

  MPI_Info_create(&info);
  if (key != NULL) MPI_Info_set(info, key, value);
  return info;
}

static void open_info(MPI_Info info) {
  if (rank == 0) MPI_File_delete(NAME, MPI_INFO_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  catch_begin();
  if (!OK(MPI_File_open(MPI_COMM_WORLD, NAME, MPI_MODE_CREATE | MPI_MODE_RDWR, info, &file)))
    MPI_Abort(MPI_COMM_WORLD, 1);
  catch_end();
}

static void open_with(const char* key, const char* value) {
  MPI_Info info = info_of(key, value);

  open_info(info);
  MPI_Info_free(&info);
}

static void set_later(const char* key, const char* value) {
  MPI_Info info = info_of(key, value);

  catch_begin();
  OK(MPI_File_set_info(file, info));
  catch_end();
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

static void check_is(const char* key, const char* wanted, const char* why) {
  if (strcmp(hint(key), wanted) == 0) return;
  fprintf(stderr, "rank %d: %s is \"%s\" instead of \"%s\": %s\n", rank, key, hint(key), wanted,
          why);
  failures++;
}

/* The last call warned, on rank 0 alone, of the hint, its value, and what is taken. */
static void check_warned(const char* key, const char* value, const char* range) {
  char both[200];

  snprintf(both, sizeof(both), "hint %s=%s is ignored: ", key, value);
  if (rank != 0) {
    CHECK(warnings[0] == '\0');
  } else if (strstr(warnings, both) == NULL || strstr(warnings, range) == NULL) {
    fprintf(stderr, "no \"%s\" with \"%s\" but \"%s\"\n", both, range, warnings);
    failures++;
  }
}

struct one {
  const char* key;
  const char* fallback; /* by default; NULL: depends */
  const char* good;     /* NULL: there is none but the default */
  const char* reported; /* then */
  int later;            /* MPI_File_set_info takes it, too */
  const char* range;    /* in the warning; NULL: any value goes */
  int n_bad;
  const char* bad[5];
};

#define SIEVING "automatic, enable or disable is wanted"
#define SWITCH "automatic, enable, disable or requested is wanted"
#define POWER "a power of two from 65536 to 134217728 is wanted"
#define POSITIVE "a number from 1 to 2147483647 is wanted"
#define BAD_POSITIVE                      \
  5, {                                    \
    "0", "-1", "many", "1k", "2147483648" \
  }

static const struct one all[] = {
    {"striping_unit",
     NULL,
     "131072",
     "131072",
     0,
     POWER,
     4,
     {"100000", "32768", "268435456", "64k"}},
    {"benchfs_chunk_size", NULL, "1048576", "1048576", 0, POWER, 3, {"1m", "-65536", "3000000"}},
    {"striping_factor", NULL, "0", "", 1, "a number from 0 to", 3, {"-1", "many", "2147483648"}},
    {"benchfs_servers", NULL, NULL, NULL, 0, POSITIVE, BAD_POSITIVE},
    {"benchfs_collective",
     "auto",
     "direct",
     "direct",
     1,
     "auto, owner, direct or generic is wanted",
     2,
     {"fastest", "Owner"}},
    {"cb_nodes", NULL, "1", "1", 0, POSITIVE, BAD_POSITIVE},
    {"cb_config_list", "*:1", "*:*", "*:*", 0, "HOST:RANKS", 2, {"no-such-host:1", "*:0"}},
    {"cb_buffer_size", "16777216", "65536", "65536", 1, POSITIVE, BAD_POSITIVE},
    {"romio_cb_read", "automatic", "disable", "disable", 1, SWITCH, 2, {"true", "Enable"}},
    {"romio_cb_write", "automatic", "requested", "enable", 1, SWITCH, 1, {"1"}},
    {"romio_no_indep_rw",
     "false",
     "true",
     "true",
     1,
     "true or false is wanted",
     2,
     {"enable", "1"}},
    {"romio_synchronized_flush",
     "disable",
     "enable",
     "enable",
     1,
     "enable or disable is wanted",
     1,
     {"true"}},
    {"romio_visibility_immediate", "false", NULL, NULL, 1, "false is wanted", 1, {"true"}},
    {"romio_ds_read", "automatic", "enable", "enable", 1, SIEVING, 2, {"requested", "1"}},
    {"romio_ds_write", "automatic", "enable", "enable", 0, SIEVING, 2, {"requested", "yes"}},
    {"romio_min_fdomain_size",
     "",
     "1048576",
     "1048576",
     1,
     "a number from 0 to",
     2,
     {"-1", "4MiB"}},
    {"ind_rd_buffer_size", "4194304", "1048576", "1048576", 1, POSITIVE, BAD_POSITIVE},
    {"ind_wr_buffer_size", "524288", "1048576", "1048576", 1, POSITIVE, BAD_POSITIVE},
    /* Without effect, so not in force. */
    {"romio_cb_pfr", "", "enable", "", 1, NULL, 0, {NULL}},
    {"romio_cb_fr_type", "", "-1", "", 1, NULL, 0, {NULL}},
    {"romio_cb_fr_types", "", "aar", "", 1, NULL, 0, {NULL}},
    {"romio_cb_fr_alignment", "", "4096", "", 1, NULL, 0, {NULL}},
    {"romio_cb_ds_threshold", "", "50", "", 1, NULL, 0, {NULL}},
    {"romio_cb_alltoall", "", "disable", "", 1, NULL, 0, {NULL}},
    {"benchfs_no_such_hint", "", NULL, NULL, 1, "no such hint", 1, {"1"}},
    /* Not BenchFS's, and not ROMIO's: none of its business. */
    {"some_other_library", "", "1", "", 1, NULL, 0, {NULL}},
};

#define HINTS (sizeof(all) / sizeof(all[0]))
static char defaults[HINTS][MPI_MAX_INFO_VAL + 1];

static void try_defaults(void) {
  open_with(NULL, NULL);
  CHECK(warnings[0] == '\0');
  for (size_t i = 0; i < HINTS; i++) {
    if (all[i].fallback != NULL) check_is(all[i].key, all[i].fallback, "by default");
    snprintf(defaults[i], sizeof(defaults[i]), "%s", hint(all[i].key));
  }
  OK(MPI_File_close(&file));
}

static void try_good(void) {
  for (size_t i = 0; i < HINTS; i++) {
    if (all[i].good == NULL) continue;
    open_with(all[i].key, all[i].good);
    CHECK(warnings[0] == '\0');
    check_is(all[i].key, all[i].reported, "asked for at open");
    OK(MPI_File_close(&file));
  }
}

/* All bad values of the same number in one open. */
static void try_bad(void) {
  for (int n = 0, more = 1; more; n++) {
    MPI_Info info;

    more = 0;
    MPI_Info_create(&info);
    for (size_t i = 0; i < HINTS; i++) {
      if (all[i].n_bad <= n) continue;
      MPI_Info_set(info, all[i].key, all[i].bad[n]);
      more = 1;
    }
    open_info(info);
    for (size_t i = 0; i < HINTS; i++) {
      if (all[i].n_bad <= n) continue;
      check_warned(all[i].key, all[i].bad[n], all[i].range);
      check_is(all[i].key, defaults[i], "a bad value at open");
    }
    MPI_Info_free(&info);
    OK(MPI_File_close(&file));
  }
}

static void try_later(void) {
  open_with(NULL, NULL);
  for (size_t i = 0; i < HINTS; i++) {
    char before[MPI_MAX_INFO_VAL + 1];

    snprintf(before, sizeof(before), "%s", hint(all[i].key));
    for (int n = 0; all[i].later && n < all[i].n_bad; n++) {
      set_later(all[i].key, all[i].bad[n]);
      check_warned(all[i].key, all[i].bad[n], all[i].range);
      check_is(all[i].key, before, "a bad value later");
    }
    if (all[i].good == NULL) continue;
    set_later(all[i].key, all[i].good);
    CHECK(warnings[0] == '\0');
    check_is(all[i].key, all[i].later ? all[i].reported : before, "asked for later");
  }
  OK(MPI_File_close(&file));
}

/* One chunk size, one number of servers, whatever they are called. */
static void consistent(void) {
  long chunk, servers;
  char more[24];

  open_with(NULL, NULL);
  chunk = atol(hint("striping_unit"));
  CHECK(chunk >= 65536 && chunk <= 134217728);
  CHECK(atol(hint("benchfs_chunk_size")) == chunk);
  servers = atol(hint("benchfs_servers"));
  CHECK(servers >= 1);
  CHECK(atol(hint("striping_factor")) == servers);
  CHECK(atoi(hint("cb_nodes")) == (servers < ranks ? servers : ranks));
  CHECK(strstr(hint("romio_filesystem_type"), "BENCHFS") != NULL);
  OK(MPI_File_close(&file));

  /* Another number of servers is not to be had: then MPI_File_get_info does not speak of it. */
  snprintf(more, sizeof(more), "%ld", servers + 1);
  open_with("striping_factor", more);
  check_is("striping_factor", "", "not to be had");
  CHECK(atol(hint("benchfs_servers")) == servers);
  OK(MPI_File_close(&file));

  /* Only rank 0 asks for data sieving, and all know; not without the right to read. */
  for (int right = 0; right < 2; right++) {
    MPI_Info asked = info_of("romio_ds_write", rank == 0 ? "enable" : "disable");

    OK(MPI_File_open(MPI_COMM_WORLD, NAME, right ? MPI_MODE_RDWR : MPI_MODE_WRONLY, asked, &file));
    check_is("romio_ds_write", right ? "enable" : "disable", "as on rank 0");
    MPI_Info_free(&asked);
    OK(MPI_File_close(&file));
  }

  /* benchfs_chunk_size wins; and a file keeps its chunk size. */
  open_with("striping_unit", "131072");
  OK(MPI_File_close(&file));
  OK(MPI_File_open(MPI_COMM_WORLD, NAME, MPI_MODE_RDWR, MPI_INFO_NULL, &file));
  check_is("striping_unit", "131072", "kept");
  set_later("striping_unit", "65536");
  check_is("striping_unit", "131072", "kept");
  OK(MPI_File_close(&file));
  if (rank == 0) MPI_File_delete(NAME, MPI_INFO_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  MPI_Info info = info_of("striping_unit", "131072");
  MPI_Info_set(info, "benchfs_chunk_size", "262144");
  OK(MPI_File_open(MPI_COMM_WORLD, NAME, MPI_MODE_CREATE | MPI_MODE_RDWR, info, &file));
  MPI_Info_free(&info);
  check_is("striping_unit", "262144", "benchfs_chunk_size wins");
  OK(MPI_File_close(&file));

  /* More aggregators than ranks: all ranks. */
  snprintf(more, sizeof(more), "%d", ranks);
  open_with("cb_nodes", "1000000");
  check_is("cb_nodes", more, "all ranks");
  CHECK(strncmp(hint("romio_aggregator_list"), "0 ", 2) == 0 || ranks > 1);
  OK(MPI_File_close(&file));

  /* What MPI_File_get_info gives can be given back. */
  open_with(NULL, NULL);
  OK(MPI_File_get_info(file, &info));
  catch_begin();
  OK(MPI_File_set_info(file, info));
  OK(MPI_File_set_view(file, 0, MPI_BYTE, MPI_BYTE, "native", info));
  catch_end();
  CHECK(warnings[0] == '\0');
  OK(MPI_File_close(&file));
  MPI_Barrier(MPI_COMM_WORLD);
  catch_begin();
  OK(MPI_File_open(MPI_COMM_WORLD, NAME, MPI_MODE_RDWR, info, &file));
  catch_end();
  CHECK(warnings[0] == '\0');
  MPI_Info_free(&info);
  OK(MPI_File_close(&file));
}

/* Buffers of any size, set at any time, move the same data. */
static void buffers(void) {
  static const char* const strategies[] = {"owner", "generic"};
  static const char* const sizes[] = {"100000", "33554432"};
  char* data = malloc(1 << 18);

  for (int s = 0; s < 2; s++) {
    open_with("benchfs_collective", strategies[s]);
    for (int i = 0; i < 2; i++) {
      MPI_Status status;
      int wrong = 0;

      set_later("cb_buffer_size", sizes[i]);
      memset(data, rank + i + 1, 1 << 18);
      OK(MPI_File_write_at_all(file, (MPI_Offset)rank << 18, data, 1 << 18, MPI_BYTE, &status));
      memset(data, 0, 1 << 18);
      OK(MPI_File_read_at_all(file, (MPI_Offset)((rank + 1) % ranks) << 18, data, 1 << 18, MPI_BYTE,
                              &status));
      for (int b = 0; b < 1 << 18; b++) wrong += data[b] != (rank + 1) % ranks + i + 1;
      CHECK(wrong == 0);
    }
    OK(MPI_File_close(&file));
  }
  free(data);
}

int main(int argc, char** argv) {
  test_begin(&argc, &argv);
  try_defaults();
  try_good();
  try_bad();
  try_later();
  consistent();
  buffers();
  if (rank == 0) MPI_File_delete(NAME, MPI_INFO_NULL);
  return test_end();
}
