/*
 * ad_benchfs_hints.c - MPI_Info hints: read, validated, and reported as they are in force.
 *
 * striping_unit        chunk size of a file that is created (int)
 * benchfs_chunk_size   the same, for sizes that do not fit an int; wins over striping_unit
 * striping_factor      cannot be chosen: a file is spread over all servers. Their number is
 * reported, unless the program asked for another one, which MPI would call honoured
 * benchfs_servers read only: the same, always
 * benchfs_collective   how collective operations move data: auto, owner, direct or generic
 * cb_nodes, cb_config_list   which ranks aggregate, at open; cb_nodes is reported as it is in force
 * ROMIO's own hints are ROMIO's affair. Of a hint that is BenchFS's own, or a striping_unit, that
 * cannot be honoured rank 0 says so on standard error; it is ignored, as MPI wants it.
 */
#include "ad_benchfs_coll.h"

#define CHUNK_BYTES_MIN (64ULL << 10)
#define CHUNK_BYTES_MAX (128ULL << 20)
#define PREFIX "benchfs_"

static void warn(ADIO_File fd, const char* key, const char* value, const char* accepted) {
  int rank;

  MPI_Comm_rank(fd->comm, &rank);
  if (rank == 0) {
    fprintf(stderr, "benchfs: %s: hint %s=%s is ignored: %s\n", fd->filename, key, value, accepted);
  }
}

static int chunk_bytes(const char* value, uint64_t* bytes) {
  char* end;
  unsigned long long number;

  errno = 0;
  number = strtoull(value, &end, 10);
  if (errno != 0 || end == value || *end != '\0' || *value == '-') return 0;
  if (number < CHUNK_BYTES_MIN || number > CHUNK_BYTES_MAX || (number & (number - 1)) != 0)
    return 0;
  *bytes = number;
  return 1;
}

static void set_chunk_bytes(ADIO_File fd, struct bfs_file* own, const char* key,
                            const char* value) {
  if (own->file != NULL) {
    /* A file keeps the chunk size it was created with; repeating the hint is harmless. */
    return;
  }
  if (!chunk_bytes(value, &own->chunk_bytes_hint))
    warn(fd, key, value, "a power of two from 65536 to 134217728 is wanted");
}

static const char* const strategies[] = {"auto", "owner", "direct", "generic"};

static void set_strategy(ADIO_File fd, struct bfs_file* own, const char* key, const char* value) {
  for (int i = 0; i < (int)(sizeof(strategies) / sizeof(strategies[0])); i++) {
    if (strcmp(value, strategies[i]) == 0) {
      own->strategy = (enum bfs_strategy)i;
      return;
    }
  }
  warn(fd, key, value, "auto, owner, direct or generic is wanted");
}

static void set_own(ADIO_File fd, struct bfs_file* own, const char* key, const char* value) {
  if (strcmp(key, PREFIX "chunk_size") == 0) {
    set_chunk_bytes(fd, own, key, value);
  } else if (strcmp(key, PREFIX "collective") == 0) {
    set_strategy(fd, own, key, value);
  } else {
    warn(fd, key, value, "no such hint");
  }
}

void ADIOI_BENCHFS_SetInfo(ADIO_File fd, MPI_Info users_info, int* error_code) {
  struct bfs_file* own = bfs_file_make(fd);
  char key[MPI_MAX_INFO_KEY + 1];
  char value[MPI_MAX_INFO_VAL + 1];
  int keys = 0;
  int found;

  if (own == NULL) {
    *error_code = BFS_ERROR(ENOMEM, "benchfs: out of memory");
    return;
  }
  *error_code = MPI_SUCCESS;
  ADIOI_GEN_SetInfo(fd, users_info, error_code);
  /* List I/O does without data sieving. For writes ROMIO itself says so. */
  if (fd->hints->ds_read == ADIOI_HINT_ENABLE) {
    fd->hints->ds_read = ADIOI_HINT_DISABLE;
    ADIOI_Info_set(fd->info, "romio_ds_read", "disable");
  }

  if (users_info != MPI_INFO_NULL) {
    ADIOI_Info_get(users_info, "striping_unit", MPI_MAX_INFO_VAL, value, &found);
    if (found) set_chunk_bytes(fd, own, "striping_unit", value);
    ADIOI_Info_get(users_info, "striping_factor", MPI_MAX_INFO_VAL, value, &found);
    if (found) own->striping_factor_hint = MPL_MAX(atoi(value), 0);
    if (own->file == NULL) {
      ADIOI_Info_get(users_info, "cb_nodes", MPI_MAX_INFO_VAL, value, &found);
      own->aggregators_asked |= found;
      ADIOI_Info_get(users_info, "cb_config_list", MPI_MAX_INFO_VAL, value, &found);
      own->aggregators_asked |= found;
    }
    MPI_Info_get_nkeys(users_info, &keys);
  }
  for (int i = 0; i < keys; i++) {
    MPI_Info_get_nthkey(users_info, i, key);
    if (strncmp(key, PREFIX, strlen(PREFIX)) != 0) continue;
    ADIOI_Info_get(users_info, key, MPI_MAX_INFO_VAL, value, &found);
    if (found) set_own(fd, own, key, value);
  }
  if (own->file != NULL) {
    int code;

    bfs_hints_report(fd, bfs_session(&code));
  }
}

void bfs_hints_report(ADIO_File fd, benchfs_t* fs) {
  struct bfs_file* own = bfs_file(fd);
  const int servers = benchfs_server_count(fs);
  char value[32];
  int found;

  snprintf(value, sizeof(value), "%llu", (unsigned long long)benchfs_chunk_bytes(own->file));
  ADIOI_Info_set(fd->info, "striping_unit", value);
  ADIOI_Info_set(fd->info, PREFIX "chunk_size", value);
  fd->hints->striping_unit = (int)benchfs_chunk_bytes(own->file);

  fd->hints->striping_factor = servers;
  snprintf(value, sizeof(value), "%d", servers);
  ADIOI_Info_set(fd->info, PREFIX "servers", value);
  if (own->striping_factor_hint < 0 || own->striping_factor_hint == servers) {
    ADIOI_Info_set(fd->info, "striping_factor", value);
  } else {
    ADIOI_Info_get(fd->info, "striping_factor", (int)sizeof(value) - 1, value, &found);
    if (found) ADIOI_Info_delete(fd->info, "striping_factor");
  }
  ADIOI_Info_set(fd->info, PREFIX "collective", strategies[own->strategy]);
  if (own->strategy != BFS_GENERIC) {
    snprintf(value, sizeof(value), "%d", own->placement->n_aggregators);
    ADIOI_Info_set(fd->info, "cb_nodes", value);
  }
}
