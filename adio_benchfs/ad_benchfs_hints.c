/*
 * ad_benchfs_hints.c - MPI_Info hints: checked, taken, and reported as they are in force.
 *
 * docs/hints.md says what each one does. Of a value that is not taken rank 0 says so on standard
 * error, with the hint and what would be taken; the value in force stays, as MPI wants it. ROMIO
 * itself would take any text for a number, and fail an open whose cb_config_list names no host: so
 * it is given only what has been checked here.
 */
#include <ctype.h>
#include <limits.h>

#include "ad_benchfs_coll.h"
#include "adio_cb_config_list.h"

#define CHUNK_BYTES_MIN (64ULL << 10)
#define CHUNK_BYTES_MAX (128ULL << 20)
#define PREFIX "benchfs_"

enum kind { CHUNK_SIZE, NUMBER, HOSTS, WORD };

struct hint {
  const char* key;
  enum kind kind;
  long long min, max;   /* of a number */
  const char* words[5]; /* of a word */
};

#define ANY_SWITCH \
  { "automatic", "enable", "disable", "requested", NULL }
#define SIEVING \
  { "automatic", "enable", "disable", NULL }

static const struct hint hints[] = {
    {"striping_unit", CHUNK_SIZE, 0, 0, {NULL}},
    {PREFIX "chunk_size", CHUNK_SIZE, 0, 0, {NULL}},
    {"striping_factor", NUMBER, 0, INT_MAX, {NULL}},
    {PREFIX "servers", NUMBER, 1, INT_MAX, {NULL}},
    {PREFIX "collective", WORD, 0, 0, {"auto", "owner", "direct", "generic", NULL}},
    {"cb_nodes", NUMBER, 1, INT_MAX, {NULL}},
    {"cb_config_list", HOSTS, 0, 0, {NULL}},
    {"cb_buffer_size", NUMBER, 1, INT_MAX, {NULL}},
    {"romio_cb_read", WORD, 0, 0, ANY_SWITCH},
    {"romio_cb_write", WORD, 0, 0, ANY_SWITCH},
    {"romio_no_indep_rw", WORD, 0, 0, {"true", "false", NULL}},
    {"romio_synchronized_flush", WORD, 0, 0, {"enable", "disable", NULL}},
    {"romio_visibility_immediate", WORD, 0, 0, {"false", NULL}},
    {"romio_ds_read", WORD, 0, 0, SIEVING},
    {"romio_ds_write", WORD, 0, 0, SIEVING},
    {"ind_rd_buffer_size", NUMBER, 1, INT_MAX, {NULL}},
    {"ind_wr_buffer_size", NUMBER, 1, INT_MAX, {NULL}},
    {"romio_min_fdomain_size", NUMBER, 0, INT_MAX, {NULL}},
};

/* Of ROMIO's other two-phase (romio_cb_pfr), which is never used with BenchFS: not taken, and not
 * reported. It ends a close without collective access before it
 * by a segmentation fault (MPICH 4.0.2). */
static const char* const unused[] = {
    "romio_cb_pfr",          "romio_cb_fr_type",      "romio_cb_fr_types",
    "romio_cb_fr_alignment", "romio_cb_ds_threshold", "romio_cb_alltoall",
};
#define UNUSED (sizeof(unused) / sizeof(unused[0]))

static const char* const strategies[] = {"auto", "owner", "direct", "generic"};

static int get(MPI_Info info, const char* key, char value[MPI_MAX_INFO_VAL + 1]) {
  int found;

  ADIOI_Info_get(info, key, MPI_MAX_INFO_VAL, value, &found);
  return found;
}

static void drop(MPI_Info info, const char* key) {
  char value[MPI_MAX_INFO_VAL + 1];

  if (get(info, key, value)) ADIOI_Info_delete(info, key);
}

/* ---- checking ----------------------------------------------------------------------------------
 */

static int number_of(const char* value, long long* number) {
  char* end;

  errno = 0;
  *number = strtoll(value, &end, 10);
  return errno == 0 && end != value && *end == '\0';
}

static int is_chunk_size(const char* value) {
  long long number;

  return number_of(value, &number) && number >= (long long)CHUNK_BYTES_MIN &&
         number <= (long long)CHUNK_BYTES_MAX && (number & (number - 1)) == 0;
}

/* In lower case or, as ROMIO has it, all in upper case. */
static int is_word(const char* value, const char* word) {
  size_t i = 0;

  if (strcmp(value, word) == 0) return 1;
  while (word[i] != '\0' && value[i] == toupper((unsigned char)word[i])) i++;
  return word[i] == '\0' && value[i] == '\0';
}

static int is_one_of(const char* value, const char* const* words) {
  for (; *words != NULL; words++)
    if (is_word(value, *words)) return 1;
  return 0;
}

/* Whether the list gives at least one aggregator. Collective: rank 0 alone has the host names. */
static int names_hosts(ADIO_File fd, const char* value) {
  ADIO_cb_name_array names;
  int rank, ranks, n = 0;

  MPI_Comm_rank(fd->comm, &rank);
  MPI_Comm_size(fd->comm, &ranks);
  ADIOI_cb_gather_name_array(fd->comm, fd->comm, &names);
  if (rank == 0) {
    int* list = ADIOI_Malloc((size_t)ranks * sizeof(int));
    char* copy = ADIOI_Strdup(value);

    n = ADIOI_cb_config_list_parse(copy, names, list, ranks);
    ADIOI_Free(copy);
    ADIOI_Free(list);
  }
  MPI_Bcast(&n, 1, MPI_INT, 0, fd->comm);
  return n > 0;
}

static int is_good(ADIO_File fd, const struct hint* hint, const char* value) {
  long long number;

  switch (hint->kind) {
    case CHUNK_SIZE:
      return is_chunk_size(value);
    case NUMBER:
      return number_of(value, &number) && number >= hint->min && number <= hint->max;
    case HOSTS:
      /* Later ROMIO takes no notice of it. */
      return bfs_file(fd)->file != NULL || names_hosts(fd, value);
    case WORD:
      return is_one_of(value, hint->words);
  }
  return 0;
}

static void warn(ADIO_File fd, const struct hint* hint, const char* key, const char* value) {
  char accepted[128] = "no such hint";
  size_t length = 0;
  int rank;

  MPI_Comm_rank(fd->comm, &rank);
  if (rank != 0) return;
  if (hint != NULL) {
    switch (hint->kind) {
      case CHUNK_SIZE:
        snprintf(accepted, sizeof(accepted), "a power of two from %llu to %llu is wanted",
                 CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        break;
      case NUMBER:
        snprintf(accepted, sizeof(accepted), "a number from %lld to %lld is wanted", hint->min,
                 hint->max);
        break;
      case HOSTS:
        snprintf(accepted, sizeof(accepted),
                 "HOST:RANKS,... with hosts of this program is wanted (* is any)");
        break;
      case WORD:
        for (int i = 0; hint->words[i] != NULL; i++)
          length += (size_t)snprintf(accepted + length, sizeof(accepted) - length, "%s%s",
                                     i == 0                       ? ""
                                     : hint->words[i + 1] == NULL ? " or "
                                                                  : ", ",
                                     hint->words[i]);
        snprintf(accepted + length, sizeof(accepted) - length, " is wanted");
    }
  }
  fprintf(stderr, "benchfs: %s: hint %s=%s is ignored: %s\n", fd->filename, key, value, accepted);
}

static const struct hint* find(const char* key) {
  for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
    if (strcmp(key, hints[i].key) == 0) return hints + i;
  return NULL;
}

/* A copy of what the program gave, without what is not taken. */
static MPI_Info checked(ADIO_File fd, MPI_Info users_info) {
  char key[MPI_MAX_INFO_KEY + 1];
  char value[MPI_MAX_INFO_VAL + 1];
  MPI_Info info;
  int keys, found;

  MPI_Info_dup(users_info, &info);
  MPI_Info_get_nkeys(users_info, &keys);
  for (int i = 0; i < keys; i++) {
    const struct hint* hint;

    MPI_Info_get_nthkey(users_info, i, key);
    hint = find(key);
    if (hint == NULL && strncmp(key, PREFIX, strlen(PREFIX)) != 0) continue;
    ADIOI_Info_get(users_info, key, MPI_MAX_INFO_VAL, value, &found);
    if (hint != NULL && is_good(fd, hint, value)) continue;
    warn(fd, hint, key, value);
    MPI_Info_delete(info, key);
  }
  for (size_t i = 0; i < UNUSED; i++) drop(info, unused[i]);
  return info;
}

/* ---- taking ------------------------------------------------------------------------------------
 */

static void take_switch(MPI_Info info, const char* key, int* into) {
  char value[MPI_MAX_INFO_VAL + 1];

  if (!get(info, key, value)) return;
  *into = is_word(value, "enable")    ? ADIOI_HINT_ENABLE
          : is_word(value, "disable") ? ADIOI_HINT_DISABLE
                                      : ADIOI_HINT_AUTO;
}

static void take_own(struct bfs_file* own, MPI_Info info) {
  char value[MPI_MAX_INFO_VAL + 1];

  /* What follows is decided at open. Later a hint is harmless. */
  if (own->file == NULL) {
    if (get(info, "striping_unit", value)) own->chunk_bytes_hint = strtoull(value, NULL, 10);
    if (get(info, PREFIX "chunk_size", value)) own->chunk_bytes_hint = strtoull(value, NULL, 10);
    if (get(info, "cb_nodes", value)) own->cb_nodes_hint = atoi(value);
    own->hosts_asked |= get(info, "cb_config_list", value);
    take_switch(info, "romio_ds_write", &own->ds_write);
  }
  take_switch(info, "romio_ds_read", &own->ds_read);
  if (get(info, "striping_factor", value)) own->striping_factor_hint = atoi(value);
  if (get(info, PREFIX "collective", value)) {
    for (int i = 0; i < (int)(sizeof(strategies) / sizeof(strategies[0])); i++)
      if (is_word(value, strategies[i])) own->strategy = (enum bfs_strategy)i;
  }
}

/* For its own two-phase ROMIO takes one rank of each host, unless the program wants others. On one
 * host that needs no names of all ranks, and no broadcasts. */
static void take_default_aggregator(ADIO_File fd) {
  const struct bfs_file* own = bfs_file(fd);

  if (own->hosts_asked || fd->hints->ranklist != NULL || !bfs_team_one_host(fd->comm)) return;
  fd->hints->ranklist = ADIOI_Calloc(1, sizeof(int));
  fd->hints->cb_nodes = 1;
}

void ADIOI_BENCHFS_SetInfo(ADIO_File fd, MPI_Info users_info, int* error_code) {
  struct bfs_file* own = bfs_file_make(fd);
  const int buffer_bytes = fd->hints->cb_buffer_size;
  MPI_Info info = MPI_INFO_NULL;

  if (own == NULL) {
    *error_code = BFS_ERROR(ENOMEM, "benchfs: out of memory");
    return;
  }
  *error_code = MPI_SUCCESS;
  if (users_info != MPI_INFO_NULL) {
    info = checked(fd, users_info);
    take_own(own, info);
  }
  ADIOI_GEN_SetInfo(fd, info, error_code);
  take_default_aggregator(fd);
  if (info != MPI_INFO_NULL) MPI_Info_free(&info);
  /* ROMIO's own data sieving is not used. */
  fd->hints->ds_read = ADIOI_HINT_DISABLE;
  fd->hints->ds_write = ADIOI_HINT_DISABLE;
  for (size_t i = 0; i < UNUSED; i++) drop(fd->info, unused[i]);
  if (own->file != NULL) {
    int code;

    /* ROMIO's two-phase uses one buffer, allocated at open. */
    if (fd->hints->cb_buffer_size != buffer_bytes) {
      ADIOI_Free(fd->io_buf);
      fd->io_buf = ADIOI_Malloc((size_t)fd->hints->cb_buffer_size);
    }
    bfs_hints_report(fd, bfs_session(&code));
  }
}

/* ---- reporting ---------------------------------------------------------------------------------
 */

static void report_number(ADIO_File fd, const char* key, uint64_t number) {
  char value[32];

  snprintf(value, sizeof(value), "%llu", (unsigned long long)number);
  ADIOI_Info_set(fd->info, key, value);
}

static void report_switch(ADIO_File fd, const char* key, int hint) {
  ADIOI_Info_set(fd->info, key,
                 hint == ADIOI_HINT_ENABLE    ? "enable"
                 : hint == ADIOI_HINT_DISABLE ? "disable"
                                              : "automatic");
}

/* As ROMIO writes it: as many ranks as there is room for. */
static void report_aggregators(ADIO_File fd, const int* ranks, int n) {
  char value[MPI_MAX_INFO_VAL + 1] = "";
  size_t length = 0;

  for (int i = 0; i < n; i++) {
    char word[16];
    const size_t more = (size_t)snprintf(word, sizeof(word), "%d ", ranks[i]);

    if (length + more > MPI_MAX_INFO_VAL - 1) break;
    memcpy(value + length, word, more + 1);
    length += more;
  }
  report_number(fd, "cb_nodes", (uint64_t)n);
  ADIOI_Info_set(fd->info, "romio_aggregator_list", value);
}

void bfs_hints_report(ADIO_File fd, benchfs_t* fs) {
  struct bfs_file* own = bfs_file(fd);
  const int servers = benchfs_server_count(fs);
  const uint64_t chunk_bytes = benchfs_chunk_bytes(own->file);

  report_number(fd, "striping_unit", chunk_bytes);
  report_number(fd, PREFIX "chunk_size", chunk_bytes);
  fd->hints->striping_unit = (int)chunk_bytes;
  fd->hints->striping_factor = servers;
  report_number(fd, PREFIX "servers", (uint64_t)servers);
  /* Reporting another number than the program asked for would be fine, but ROMIO's own test takes
   * it for an error. */
  if (own->striping_factor_hint < 0 || own->striping_factor_hint == servers)
    report_number(fd, "striping_factor", (uint64_t)servers);
  else
    drop(fd->info, "striping_factor");

  report_switch(fd, "romio_ds_read", own->ds_read);
  report_switch(fd, "romio_ds_write", own->ds_write);
  report_number(fd, "ind_wr_buffer_size", (uint64_t)fd->hints->ind_wr_buffer_size);
  ADIOI_Info_set(fd->info, PREFIX "collective", strategies[own->strategy]);
  if (own->strategy == BFS_GENERIC)
    report_aggregators(fd, fd->hints->ranklist, fd->hints->cb_nodes);
  else
    report_aggregators(fd, own->placement->ranks, own->placement->n_aggregators);
  ADIOI_Info_set(fd->info, "romio_synchronized_flush",
                 fd->hints->synchronizing_flush == ADIOI_HINT_ENABLE ? "enable" : "disable");
  /* A size that grew is not: MPI_File_sync tells it. */
  ADIOI_Info_set(fd->info, "romio_visibility_immediate", "false");
}
