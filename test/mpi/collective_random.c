/*
 * collective_random.c - collective operations on random views, with every strategy, against a model.
 *
 *   collective_random DIRECTORY FIRST_SEED SEEDS [STRATEGY,...]
 *
 * The model of the file is an array on every rank. Data gets into it and out of it by MPI_Pack and
 * MPI_Unpack with the file's type, so that MPI's own datatype engine says what a view means. The ranks'
 * pieces of a write never overlap, those of a read do. For each seed all strategies do the same to a
 * file of their own: the file must be what the model is, byte by byte, and every count the true one,
 * at the end of the file, too; memory behind it stays as it was.
 */
#include <stdint.h>

#include "check.h"

#define IMAGE_BYTES (3 << 20)
#define TILE_MAX 200000
#define BLOCKS_MAX 300
#define ACCESS_MAX (400 << 10)
#define UNTOUCHED 0xAA

static unsigned char *image, *part, *stream, *memory, *wanted;

/* ---- random numbers: the same on all ranks (shared), or not (own) ------------------------------ */

static uint64_t shared, own;

static uint32_t next_of(uint64_t* state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 33);
}
static int below(uint64_t* state, int n) {
  return (int)(next_of(state) % (uint32_t)n);
}
static int one_in(uint64_t* state, int n) {
  return below(state, n) == 0;
}

/* ---- types ------------------------------------------------------------------------------------- */

struct view {
  MPI_Datatype type;
  int displacement;
  int size, extent; /* of the type */
};

/* ROMIO's two-phase reads wrong pieces through a view of a type with a lower bound other than 0. */
static int generic;

static struct view finished(MPI_Datatype type, int displacement, int extent, uint64_t* state) {
  struct view v = {MPI_DATATYPE_NULL, displacement, 0, extent};
  const int lower = one_in(state, 3) ? below(state, 100) : 0;
  MPI_Datatype resized;

  /* A lower bound moves nothing. */
  MPI_Type_create_resized(type, generic ? 0 : lower, extent, &resized);
  MPI_Type_commit(&resized);
  if (type != MPI_BYTE) MPI_Type_free(&type);
  v.type = resized;
  MPI_Type_size(resized, &v.size);
  return v;
}

/* A tile of blocks, with and without gaps, that are dealt out to the ranks; some may get none. */
static struct view dealt_out(uint64_t* state) {
  int bytes[BLOCKS_MAX], at[BLOCKS_MAX], n = 0, end = 0;
  const int blocks = 1 + below(state, BLOCKS_MAX);
  const int large = one_in(state, 3) ? TILE_MAX / blocks : 1 + below(state, 300);
  const int displacement = below(state, 70000);
  int extent;
  MPI_Datatype type;

  for (int i = 0; i < blocks; i++) {
    const int length = 1 + below(state, large);
    const int owner = below(state, ranks + (one_in(state, 4) ? 1 : 0));

    if (owner == rank) {
      bytes[n] = length;
      at[n++] = end;
    }
    end += length + (one_in(state, 2) ? below(state, large) : 0);
  }
  extent = end + (one_in(state, 2) ? below(state, 5000) : 0);
  MPI_Type_indexed(n, bytes, at, MPI_BYTE, &type);
  return finished(type, displacement, extent, state);
}

static struct view interleaved(uint64_t* state) {
  const int block = 1 + below(state, one_in(state, 3) ? 9000 : 100);
  const int blocks = 1 + below(state, 40);
  const int stride = block * ranks + (one_in(state, 2) ? below(state, 200) : 0);
  const int displacement = rank * block + below(state, 70000);
  MPI_Datatype type;

  MPI_Type_vector(blocks, block, stride, MPI_BYTE, &type);
  return finished(type, displacement, blocks * stride, state);
}

static struct view grid(uint64_t* state, int cyclic) {
  const int displacement = below(state, 70000);
  int sizes[2], parts[2] = {0, 0}, distributions[2], arguments[2], element = 1 + below(state, 16);
  MPI_Datatype element_type, type;

  MPI_Dims_create(ranks, 2, parts);
  for (int i = 0; i < 2; i++) {
    sizes[i] = parts[i] * (1 + below(state, 40)) + (cyclic ? below(state, 7) : 0);
    distributions[i] = cyclic ? MPI_DISTRIBUTE_CYCLIC : MPI_DISTRIBUTE_BLOCK;
    arguments[i] = cyclic ? 1 + below(state, 4) : MPI_DISTRIBUTE_DFLT_DARG;
  }
  MPI_Type_contiguous(element, MPI_BYTE, &element_type);
  if (cyclic) {
    MPI_Type_create_darray(ranks, rank, 2, sizes, distributions, arguments, parts, MPI_ORDER_C,
                           element_type, &type);
  } else {
    int local[2], starts[2];

    for (int i = 0; i < 2; i++) local[i] = sizes[i] / parts[i];
    starts[0] = rank / parts[1] * local[0];
    starts[1] = rank % parts[1] * local[1];
    MPI_Type_create_subarray(2, sizes, local, starts, MPI_ORDER_C, element_type, &type);
  }
  MPI_Type_free(&element_type);
  return finished(type, displacement, sizes[0] * sizes[1] * element, state);
}

static struct view contiguous(uint64_t* state) {
  const int block = 1 + below(state, 250000);
  struct view v = {MPI_BYTE, rank * block + below(state, 70000), 1, 1};

  if (one_in(state, 2)) return v;
  return finished(MPI_BYTE, v.displacement, 1, state);
}

/* With a seed that all share, no byte is in two ranks' views. */
static struct view random_view(uint64_t* state, int* block_bytes) {
  *block_bytes = ACCESS_MAX;
  switch (below(state, 5)) {
    case 0: return interleaved(state);
    case 1: return grid(state, 0);
    case 2: return grid(state, 1);
    case 3: {
      uint64_t peek = *state;

      *block_bytes = 1 + below(&peek, 250000); /* what contiguous() is about to draw */
      return contiguous(state);
    }
    default: return dealt_out(state);
  }
}

static void free_type(MPI_Datatype* type) {
  if (*type != MPI_BYTE) MPI_Type_free(type);
}

struct buffer {
  MPI_Datatype type;
  int count;
  char* start;
};

/* `*bytes` at most, which is changed to what it is. */
static struct buffer random_memory(uint64_t* state, int* bytes) {
  struct buffer b = {MPI_BYTE, *bytes, (char*)memory};
  MPI_Datatype blocks;
  int lengths[3], at[3], size = 0;

  if (one_in(state, 2) || *bytes < 100) return b;
  /* Descending, with a lower bound below zero. */
  for (int i = 0; i < 3; i++) {
    lengths[i] = 1 + below(state, 30);
    at[i] = 100 - 40 * i;
    size += lengths[i];
  }
  switch (below(state, 3)) {
    case 0:
      at[0] = 20;
      at[2] = 100;
      break;
    case 1: /* the third where the first ends */
      at[0] = 60;
      at[1] = 20;
      at[2] = 60 + lengths[0];
      break;
    default: break;
  }
  MPI_Type_indexed(3, lengths, at, MPI_BYTE, &blocks);
  MPI_Type_create_resized(blocks, -10, 135 + below(state, 50), &b.type);
  MPI_Type_commit(&b.type);
  MPI_Type_free(&blocks);
  b.count = *bytes / size;
  *bytes = b.count * size;
  b.start += 16;
  return b;
}
#define MEMORY_BYTES (ACCESS_MAX / 3 * 190 + 4096)

/* ---- the model ----------------------------------------------------------------------------------- */

/* Whole tiles of the view, out of `from` as a stream of bytes, or from that into `from`. */
static void tiles(const struct view* v, unsigned char* from, int n, int into) {
  int position = 0;

  if (into)
    MPI_Unpack(stream, n * v->size, &position, from + v->displacement, n, v->type, MPI_COMM_SELF);
  else
    MPI_Pack(from + v->displacement, n, v->type, stream, IMAGE_BYTES, &position, MPI_COMM_SELF);
}

/* How much of what begins at `start` the image has room for. */
static int bytes_possible(const struct view* v, int start, int bytes) {
  const int n = (IMAGE_BYTES - v->displacement - 1) / v->extent;

  if (v->size == 0) return 0;
  if ((int64_t)n * v->size <= start) return 0;
  return (int64_t)n * v->size - start < bytes ? n * v->size - start : bytes;
}

static int tiles_of(const struct view* v, int start, int bytes) {
  return (start + bytes + v->size - 1) / v->size;
}

/* How many of the bytes lie before the end of the file: the view ascends. */
static int bytes_present(const struct view* v, int start, int bytes, int file_bytes) {
  int n = 0;

  if (bytes == 0) return 0;
  /* A byte is before the end if its mark is. */
  memset(part, 0, IMAGE_BYTES);
  memset(part, 1, (size_t)file_bytes);
  tiles(v, part, tiles_of(v, start, bytes), 0);
  while (n < bytes && stream[start + n] == 1) n++;
  return n;
}

/* ---- operations ---------------------------------------------------------------------------------- */

enum { ALL, AT_ALL, SPLIT, NONBLOCKING, TWO_AT_ONCE, KINDS };

static int count_of(MPI_Status* status, int code, const char* what) {
  if (!success_(code, __FILE__, __LINE__, what)) return -1;
  return bytes_of(status);
}

/* `bytes` from position `start` of the view; returns how many were moved. */
static int transfer(MPI_File file, int kind, int write, int start, struct buffer* b) {
  MPI_Status statuses[2];
  MPI_Request requests[2];
  MPI_Aint lower, extent;
  int size, half, moved;
  char* second;

  switch (kind) {
    case ALL:
      OK(MPI_File_seek(file, start, MPI_SEEK_SET));
      return write ? count_of(statuses, MPI_File_write_all(file, b->start, b->count, b->type, statuses),
                              "write_all")
                   : count_of(statuses, MPI_File_read_all(file, b->start, b->count, b->type, statuses),
                              "read_all");
    case AT_ALL:
      return write ? count_of(statuses, MPI_File_write_at_all(file, start, b->start, b->count, b->type,
                                                              statuses),
                              "write_at_all")
                   : count_of(statuses, MPI_File_read_at_all(file, start, b->start, b->count, b->type,
                                                             statuses),
                              "read_at_all");
    case SPLIT:
      if (write) {
        OK(MPI_File_write_at_all_begin(file, start, b->start, b->count, b->type));
        return count_of(statuses, MPI_File_write_at_all_end(file, b->start, statuses), "write end");
      }
      OK(MPI_File_read_at_all_begin(file, start, b->start, b->count, b->type));
      return count_of(statuses, MPI_File_read_at_all_end(file, b->start, statuses), "read end");
    case NONBLOCKING:
      OK(write ? MPI_File_iwrite_at_all(file, start, b->start, b->count, b->type, requests)
               : MPI_File_iread_at_all(file, start, b->start, b->count, b->type, requests));
      return count_of(statuses, MPI_Wait(requests, statuses), "wait");
    default:
      MPI_Type_size(b->type, &size);
      MPI_Type_get_extent(b->type, &lower, &extent);
      half = b->count / 2;
      second = b->start + half * extent;
      if (write) {
        OK(MPI_File_iwrite_at_all(file, start, b->start, half, b->type, &requests[0]));
        OK(MPI_File_iwrite_at_all(file, start + half * size, second, b->count - half, b->type,
                                  &requests[1]));
      } else {
        OK(MPI_File_iread_at_all(file, start, b->start, half, b->type, &requests[0]));
        OK(MPI_File_iread_at_all(file, start + half * size, second, b->count - half, b->type,
                                 &requests[1]));
      }
      /* Not in the same order on all ranks. */
      moved = rank % 2;
      OK(MPI_Wait(&requests[moved], &statuses[moved]));
      moved = 1 - moved;
      OK(MPI_Wait(&requests[moved], &statuses[moved]));
      return bytes_of(&statuses[0]) + bytes_of(&statuses[1]);
  }
}

/* Writes with the view; returns what the file's size is at least. */
static int random_write(MPI_File file, int file_bytes) {
  int block_bytes, start, bytes, moved, end = 0, kind;
  struct view v = random_view(&shared, &block_bytes);
  struct buffer b;

  kind = below(&shared, KINDS);
  start = below(&own, one_in(&own, 2) ? 1 : 1 + block_bytes / 4);
  bytes = one_in(&own, 5) ? 0 : below(&own, ACCESS_MAX);
  if (v.type == MPI_BYTE || v.extent == 1) {
    if (start + bytes > block_bytes) bytes = block_bytes - start;
  }
  bytes = bytes_possible(&v, start, bytes);
  b = random_memory(&own, &bytes);
  for (size_t i = 0; i < MEMORY_BYTES; i += 64) memory[i] = (unsigned char)(1 + below(&own, 255));
  for (size_t i = 0; i < MEMORY_BYTES; i++)
    if (i % 64 != 0) memory[i] = (unsigned char)(1 + (memory[i - 1] * 7 + i) % 255);

  OK(MPI_File_set_view(file, v.displacement, MPI_BYTE, v.type, "native", MPI_INFO_NULL));
  moved = transfer(file, kind, 1, start, &b);
  if (!CHECK(moved == bytes))
    fprintf(stderr, "rank %d: kind %d wrote %d of %d bytes\n", rank, kind, moved, bytes);

  memset(part, 0, IMAGE_BYTES);
  if (bytes > 0) {
    int position = 0;

    const int n = tiles_of(&v, start, bytes);

    tiles(&v, part, n, 0);
    MPI_Pack(b.start, b.count, b.type, stream + start, bytes, &position, MPI_COMM_SELF);
    tiles(&v, part, n, 1);
    for (end = IMAGE_BYTES; part[end - 1] == 0; end--) {
    }
  }
  MPI_Allreduce(MPI_IN_PLACE, part, IMAGE_BYTES, MPI_BYTE, MPI_BOR, MPI_COMM_WORLD);
  for (int i = 0; i < IMAGE_BYTES; i++)
    if (part[i] != 0) image[i] = part[i];
  MPI_Allreduce(MPI_IN_PLACE, &end, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  free_type(&v.type);
  free_type(&b.type);
  return end > file_bytes ? end : file_bytes;
}

static void random_read(MPI_File file, int file_bytes) {
  int block_bytes, start, bytes, present, moved, position = 0;
  const int kind = below(&shared, KINDS);
  /* Any view on any rank, or all the same one: both overlap. */
  struct view v = random_view(one_in(&shared, 2) ? &shared : &own, &block_bytes);
  struct buffer b;
  size_t differs;

  start = below(&own, one_in(&own, 2) ? 1 : 100000);
  bytes = bytes_possible(&v, start, one_in(&own, 5) ? 0 : below(&own, ACCESS_MAX));
  b = random_memory(&own, &bytes);
  present = bytes_present(&v, start, bytes, file_bytes);
  memset(memory, UNTOUCHED, MEMORY_BYTES);

  OK(MPI_File_set_view(file, v.displacement, MPI_BYTE, v.type, "native", MPI_INFO_NULL));
  moved = transfer(file, kind, 0, start, &b);

  memset(wanted, UNTOUCHED, MEMORY_BYTES);
  if (bytes > 0) {
    tiles(&v, image, tiles_of(&v, start, bytes), 0);
    memset(stream + start + present, UNTOUCHED, (size_t)(bytes - present));
    MPI_Unpack(stream + start, bytes, &position, wanted + (b.start - (char*)memory), b.count, b.type,
               MPI_COMM_SELF);
  }
  if (generic && present < bytes) {
    /* ROMIO's two-phase knows of no end of a file, if it comes to that. */
  } else {
    if (!CHECK(moved == present))
      fprintf(stderr, "rank %d: kind %d read %d of %d bytes, %d exist\n", rank, kind, moved, bytes,
              present);
    for (differs = 0; differs < MEMORY_BYTES && memory[differs] == wanted[differs];) differs++;
    if (!CHECK(differs == MEMORY_BYTES))
      fprintf(stderr, "rank %d: kind %d: memory differs at %zu: %d instead of %d\n", rank, kind,
              differs, memory[differs], wanted[differs]);
  }
  free_type(&v.type);
  free_type(&b.type);
}

static void whole_file(MPI_File file, int file_bytes) {
  MPI_Offset size;
  MPI_Status status;

  OK(MPI_File_set_view(file, 0, MPI_BYTE, MPI_BYTE, "native", MPI_INFO_NULL));
  OK(MPI_File_get_size(file, &size));
  if (!CHECK(size == file_bytes))
    fprintf(stderr, "rank %d: size %lld instead of %d\n", rank, (long long)size, file_bytes);
  if (rank == ranks - 1) {
    int differs = 0;

    OK(MPI_File_read_at(file, 0, part, file_bytes, MPI_BYTE, &status));
    CHECK(bytes_of(&status) == file_bytes);
    while (differs < file_bytes && part[differs] == image[differs]) differs++;
    if (!CHECK(differs == file_bytes))
      fprintf(stderr, "rank %d: the file differs at %d: %d instead of %d\n", rank, differs,
              part[differs], image[differs]);
  }
}

static void scenario(const char* directory, const char* strategy, int seed) {
  static const char* const buffer_bytes[] = {"4096", "65536", "300000", "16777216"};
  char name[400];
  MPI_Info info;
  MPI_File file;
  int file_bytes = 0;

  generic = strcmp(strategy, "generic") == 0;
  shared = (uint64_t)seed * 7919 + 1;
  own = (uint64_t)seed * 104729 + (uint64_t)rank * 7 + 3;
  next_of(&shared);
  next_of(&own);
  memset(image, 0, IMAGE_BYTES);
  snprintf(name, sizeof(name), "%s/collective_random_%s", directory, strategy);
  MPI_Info_create(&info);
  MPI_Info_set(info, "benchfs_collective", strategy);
  MPI_Info_set(info, "benchfs_chunk_size", "65536");
  MPI_Info_set(info, "cb_buffer_size", buffer_bytes[below(&shared, 4)]);
  if (one_in(&shared, 3)) {
    char nodes[16];

    snprintf(nodes, sizeof(nodes), "%d", 1 + below(&shared, ranks));
    MPI_Info_set(info, "cb_nodes", nodes);
    MPI_Info_set(info, "cb_config_list", "*:*");
  }
  if (rank == 0) MPI_File_delete(name, MPI_INFO_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  if (OK(MPI_File_open(MPI_COMM_WORLD, name, MPI_MODE_CREATE | MPI_MODE_RDWR, info, &file))) {
    for (int i = 0; i < 3; i++) {
      file_bytes = random_write(file, file_bytes);
      MPI_File_sync(file);
      MPI_Barrier(MPI_COMM_WORLD);
      random_read(file, file_bytes);
      random_read(file, file_bytes);
      MPI_Barrier(MPI_COMM_WORLD);
    }
    whole_file(file, file_bytes);
    OK(MPI_File_close(&file));
  }
  MPI_Info_free(&info);
}

/* Pieces 2^33 bytes apart, some ranks with none: what is between costs nothing. */
static void huge_extent(const char* directory, const char* strategy) {
  const MPI_Offset stride = (MPI_Offset)1 << 33;
  char name[400];
  int64_t mine[64], back[64];
  const int n = rank % 3 == 2 ? 0 : 64;
  MPI_Datatype type;
  MPI_Info info;
  MPI_File file;
  MPI_Status status;
  MPI_Offset size;

  snprintf(name, sizeof(name), "%s/collective_huge_%s", directory, strategy);
  MPI_Info_create(&info);
  MPI_Info_set(info, "benchfs_collective", strategy);
  MPI_Type_create_resized(MPI_INT64_T, 0, (MPI_Aint)stride, &type);
  MPI_Type_commit(&type);
  if (rank == 0) MPI_File_delete(name, MPI_INFO_NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  OK(MPI_File_open(MPI_COMM_WORLD, name, MPI_MODE_CREATE | MPI_MODE_RDWR, info, &file));
  OK(MPI_File_set_view(file, rank * 8, MPI_INT64_T, type, "native", MPI_INFO_NULL));
  for (int i = 0; i < 64; i++) mine[i] = rank * 1000 + i + 1;
  OK(MPI_File_write_all(file, mine, n, MPI_INT64_T, &status));
  CHECK(bytes_of(&status) == n * 8);
  memset(back, 0, sizeof(back));
  OK(MPI_File_read_at_all(file, 0, back, n, MPI_INT64_T, &status));
  CHECK(bytes_of(&status) == n * 8);
  CHECK(memcmp(mine, back, (size_t)n * 8) == 0);
  OK(MPI_File_get_size(file, &size));
  CHECK(size == 63 * stride + (ranks > 1 ? (ranks - 1 - ((ranks - 1) % 3 == 2)) * 8 : 0) + 8);
  OK(MPI_File_close(&file));
  if (rank == 0) OK(MPI_File_delete(name, MPI_INFO_NULL));
  MPI_Type_free(&type);
  MPI_Info_free(&info);
}

int main(int argc, char** argv) {
  char all[] = "owner,direct,generic,auto";
  char* strategies = argc > 4 ? argv[4] : all;
  const char* directory = argc > 1 ? argv[1] : "benchfs:";
  const int first = argc > 2 ? atoi(argv[2]) : 1;
  const int seeds = argc > 3 ? atoi(argv[3]) : 12;

  test_begin(&argc, &argv);
  image = malloc(IMAGE_BYTES);
  part = malloc(IMAGE_BYTES);
  stream = malloc(IMAGE_BYTES);
  memory = malloc(MEMORY_BYTES);
  wanted = malloc(MEMORY_BYTES);
  for (char* name = strtok(strategies, ","); name != NULL; name = strtok(NULL, ",")) {
    for (int seed = first; seed < first + seeds; seed++) {
      const int before = failures;
      int any;

      scenario(directory, name, seed);
      any = failures - before;
      MPI_Allreduce(MPI_IN_PLACE, &any, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
      if (any > 0 && rank == 0)
        fprintf(stderr, "strategy %s, seed %d: %d checks failed\n", name, seed, any);
    }
    if (strcmp(name, "generic") != 0) huge_extent(directory, name);
  }
  return test_end();
}
