/*
 * ad_benchfs_coll_place.c - which ranks aggregate for which servers.
 *
 * By default there is one aggregator for each server: a rank on the server's host if there is one
 * that has no server yet, else one on the host with the fewest aggregators. With fewer ranks than
 * servers a rank has several. If the program set cb_nodes, there are that many, and of a program
 * that set cb_config_list ROMIO has made a list of ranks. The servers are dealt out over them,
 * again to ranks on their hosts first; if they are more than the servers, several aggregators take
 * a server's chunks in turn. Rank 0 chooses, as it alone has everybody's host name, and tells the
 * others at the open.
 */
#include "ad_benchfs_coll.h"
#include "adio_cb_config_list.h"

struct choice {
  int n_ranks;
  int n_servers;
  int* hosts;      /* of a rank: the least rank on the same host */
  int* used;       /* on the host whose least rank it is: aggregators */
  int* candidates; /* ranks that are not aggregators yet */
  int n_candidates;
  int n_wanted;   /* aggregators, if there are candidates; */
  int* server_of; /* by aggregator, in the order they were chosen, */
  int* ranks;     /* and its rank; */
  int n;          /* so far */
};

struct named_rank {
  const char* name;
  int rank;
};

static int by_name(const void* a, const void* b) {
  const struct named_rank* x = a;
  const struct named_rank* y = b;
  const int order = strcmp(x->name, y->name);

  return order != 0 ? order : x->rank - y->rank;
}

static void find_hosts(struct choice* choice, char** names) {
  struct named_rank* list = ADIOI_Malloc((size_t)choice->n_ranks * sizeof(*list));

  for (int i = 0; i < choice->n_ranks; i++) list[i] = (struct named_rank){names[i], i};
  qsort(list, (size_t)choice->n_ranks, sizeof(*list), by_name);
  for (int i = 0, first = 0; i < choice->n_ranks; i++) {
    if (strcmp(list[i].name, list[first].name) != 0) first = i;
    choice->hosts[list[i].rank] = list[first].rank;
  }
  ADIOI_Free(list);
}

/* Host names, whichever of them is written with the domain. */
static int same_host(const char* a, const char* b) {
  const size_t length = strcspn(a, ".");

  return length == strcspn(b, ".") && strncmp(a, b, length) == 0;
}

static int wants_more(const struct choice* choice) {
  return choice->n_candidates > 0 && choice->n < choice->n_wanted;
}

static void choose(struct choice* choice, int candidate, int server) {
  const int rank = choice->candidates[candidate];

  /* The order of the others stays: lower ranks first. */
  memmove(choice->candidates + candidate, choice->candidates + candidate + 1,
          (size_t)(choice->n_candidates - candidate - 1) * sizeof(int));
  choice->n_candidates--;
  choice->used[choice->hosts[rank]]++;
  choice->ranks[choice->n] = rank;
  choice->server_of[choice->n] = server;
  choice->n++;
}

static int candidate_on(const struct choice* choice, char** names, const char* host) {
  for (int i = 0; i < choice->n_candidates; i++)
    if (same_host(names[choice->candidates[i]], host)) return i;
  return -1;
}

static int candidate_anywhere(const struct choice* choice) {
  int best = 0;

  for (int i = 1; i < choice->n_candidates; i++) {
    if (choice->used[choice->hosts[choice->candidates[i]]] <
        choice->used[choice->hosts[choice->candidates[best]]])
      best = i;
  }
  return best;
}

/* Fills `blob`: the number of aggregators, their ranks, and each server's first one and how many.
 */
static void choose_all(benchfs_t* fs, struct choice* choice, char** names, int* blob, int room) {
  const int servers = choice->n_servers;
  int* first = blob + 1 + room;
  int* count = first + servers;
  int at = 0;

  find_hosts(choice, names);
  for (int s = 0; s < servers; s++) count[s] = 0;
  for (int s = 0; s < servers && wants_more(choice); s++) {
    const int candidate = candidate_on(choice, names, benchfs_server_host(fs, s));

    if (candidate < 0) continue;
    choose(choice, candidate, s);
    count[s] = 1;
  }
  for (int s = 0; s < servers && wants_more(choice); s++) {
    if (count[s] == 0) choose(choice, candidate_anywhere(choice), s);
    count[s] = 1;
  }
  for (int s = 0; wants_more(choice); s = (s + 1) % servers) {
    const int candidate = candidate_on(choice, names, benchfs_server_host(fs, s));

    choose(choice, candidate >= 0 ? candidate : candidate_anywhere(choice), s);
  }

  for (int s = 0; s < servers; s++) {
    first[s] = at;
    for (int i = 0; i < choice->n; i++) {
      if (choice->server_of[i] == s) blob[1 + at++] = choice->ranks[i];
    }
    count[s] = at - first[s];
  }
  blob[0] = at;
  for (int s = 0, next = 0; s < servers; s++) {
    if (count[s] > 0) continue;
    first[s] = next++ % at;
    count[s] = 1;
  }
}

/* How many aggregators, of which ranks. */
static void find_candidates(ADIO_File fd, struct choice* choice) {
  const struct bfs_file* own = bfs_file(fd);

  choice->n_wanted = own->cb_nodes_hint > 0 ? own->cb_nodes_hint : choice->n_servers;
  if (own->hosts_asked) {
    /* ROMIO has taken cb_nodes into account. */
    choice->n_candidates = MPL_MIN(fd->hints->cb_nodes, choice->n_ranks);
    choice->n_wanted = choice->n_candidates;
    memcpy(choice->candidates, fd->hints->ranklist, (size_t)choice->n_candidates * sizeof(int));
  } else {
    choice->n_candidates = choice->n_ranks;
    for (int i = 0; i < choice->n_ranks; i++) choice->candidates[i] = i;
  }
  choice->n_wanted = MPL_MIN(choice->n_wanted, choice->n_candidates);
}

int* bfs_placement_choose(ADIO_File fd, benchfs_t* fs, int* n) {
  struct choice choice = {0};
  ADIO_cb_name_array names;
  char here[MPI_MAX_PROCESSOR_NAME];
  char** hosts; /* of each rank */
  size_t ranks;
  int* blob;
  int length;

  MPI_Comm_size(fd->comm, &choice.n_ranks);
  ranks = (size_t)choice.n_ranks;
  choice.n_servers = benchfs_server_count(fs);
  choice.hosts = ADIOI_Calloc(5 * ranks, sizeof(int));
  choice.used = choice.hosts + ranks;
  choice.candidates = choice.used + ranks;
  choice.server_of = choice.candidates + ranks;
  choice.ranks = choice.server_of + ranks;
  find_candidates(fd, &choice);
  *n = 1 + choice.n_wanted + 2 * choice.n_servers;
  blob = ADIOI_Calloc((size_t)*n, sizeof(int));
  hosts = ADIOI_Malloc(ranks * sizeof(*hosts));
  if (bfs_team_one_host(fd->comm)) {
    MPI_Get_processor_name(here, &length);
    for (size_t i = 0; i < ranks; i++) hosts[i] = here;
  } else {
    /* ROMIO gathered the names at this open and keeps them with the communicator. */
    ADIOI_cb_gather_name_array(fd->comm, fd->comm, &names);
    memcpy(hosts, names->names, ranks * sizeof(*hosts));
  }
  choose_all(fs, &choice, hosts, blob, choice.n_wanted);
  ADIOI_Free(hosts);
  ADIOI_Free(choice.hosts);
  return blob;
}

void bfs_placement_take(ADIO_File fd, benchfs_t* fs, int* choice, int n) {
  struct bfs_placement* placement = ADIOI_Calloc(1, sizeof(*placement));

  placement->n_servers = benchfs_server_count(fs);
  placement->n_aggregators = choice[0];
  placement->ranks = choice + 1;
  placement->first = choice + n - 2 * placement->n_servers;
  placement->count = placement->first + placement->n_servers;
  placement->blob = choice;
  bfs_file(fd)->placement = placement;
}

void bfs_placement_free(struct bfs_file* own) {
  if (own->placement == NULL) return;
  ADIOI_Free(own->placement->blob);
  ADIOI_Free(own->placement);
  own->placement = NULL;
}

int bfs_aggregator_of(const struct bfs_coll* c, int64_t offset) {
  const struct bfs_placement* placement = c->placement;
  int server, count;

  if (placement->n_aggregators == 1) return 0;
  server = benchfs_owner(bfs_file(c->fd)->file, (uint64_t)offset);
  count = placement->count[server];
  if (count == 1) return placement->first[server];
  return placement->first[server] + (int)((offset >> c->chunk_shift) % count);
}
