/*
 * iscontig.c - is a datatype contiguous?
 *
 * MPICH knows that of each type, but does not tell. The answer must be right in one direction: a
 * type that is called contiguous here is accessed as one run of bytes, in order, from its first
 * byte on. So the size, the extent and the bounds must all agree, and the parts must follow each
 * other without gaps in the order in which they are listed, at every level.
 */
#include "adio.h"

static int contiguous(MPI_Datatype datatype);

/* What MPI_Type_get_contents_c returns, large counts being those of types made with _c functions.
 */
struct contents {
  int combiner;
  MPI_Count n_integers;
  MPI_Count n_addresses;
  MPI_Count n_large;
  MPI_Count n_types;
  int* integers;
  MPI_Aint* addresses;
  MPI_Count* large;
  MPI_Datatype* types;
};

/* Types that get_contents returns without a reference to be freed. */
static int predefined(int combiner) {
  return combiner == MPI_COMBINER_NAMED || combiner == MPI_COMBINER_F90_REAL ||
         combiner == MPI_COMBINER_F90_COMPLEX || combiner == MPI_COMBINER_F90_INTEGER;
}

static int is_predefined(MPI_Datatype datatype) {
  MPI_Count integers;
  MPI_Count addresses;
  MPI_Count large;
  MPI_Count types;
  int combiner;

  MPI_Type_get_envelope_c(datatype, &integers, &addresses, &large, &types, &combiner);
  return predefined(combiner);
}

/* `n` blocks at `places`, which count in units of `unit` bytes, each of lengths[i * step] elements.
 */
static int blocks_follow(MPI_Count n, const int* lengths, int step, const int* places,
                         const MPI_Aint* byte_places, MPI_Count unit) {
  MPI_Count end = 0;

  for (MPI_Count i = 0; i < n; i++) {
    MPI_Count start = places != NULL ? places[i] * unit : byte_places[i];
    MPI_Count length = lengths[i * step] * unit;

    if (length == 0) continue;
    if (start != end) return 0;
    end += length;
  }
  return 1;
}

static int struct_follows(const struct contents* c) {
  MPI_Count end = 0;

  for (int i = 0; i < c->integers[0]; i++) {
    MPI_Count size;

    MPI_Type_size_x(c->types[i], &size);
    if (c->integers[1 + i] == 0 || size == 0) continue;
    if (c->addresses[i] != end || !contiguous(c->types[i])) return 0;
    end += c->integers[1 + i] * size;
  }
  return 1;
}

/* Called for types whose size is their extent, which start at 0. */
static int parts_follow(const struct contents* c) {
  const int* i = c->integers;
  MPI_Count unit;

  if (c->n_large > 0) return 0; /* taken piece by piece instead, which is always right */
  if (c->combiner == MPI_COMBINER_STRUCT) return struct_follows(c);
  if (c->n_types != 1 || !contiguous(c->types[0])) return 0;
  MPI_Type_size_x(c->types[0], &unit);

  switch (c->combiner) {
    case MPI_COMBINER_DUP:
    case MPI_COMBINER_CONTIGUOUS:
    case MPI_COMBINER_RESIZED:
    /* Their parts are in ascending order by definition; nothing missing means nothing apart. */
    case MPI_COMBINER_SUBARRAY:
    case MPI_COMBINER_DARRAY:
      return 1;
    case MPI_COMBINER_VECTOR:
      return i[0] <= 1 || i[1] == i[2];
    case MPI_COMBINER_HVECTOR:
      return i[0] <= 1 || c->addresses[0] == i[1] * unit;
    case MPI_COMBINER_INDEXED:
      return blocks_follow(i[0], i + 1, 1, i + 1 + i[0], NULL, unit);
    case MPI_COMBINER_HINDEXED:
      return blocks_follow(i[0], i + 1, 1, NULL, c->addresses, unit);
    case MPI_COMBINER_INDEXED_BLOCK:
      return blocks_follow(i[0], i + 1, 0, i + 2, NULL, unit);
    case MPI_COMBINER_HINDEXED_BLOCK:
      return blocks_follow(i[0], i + 1, 0, NULL, c->addresses, unit);
    default:
      return 0;
  }
}

static int contiguous(MPI_Datatype datatype) {
  struct contents c = {0};
  MPI_Count size;
  MPI_Count lower;
  MPI_Count extent;
  MPI_Count true_lower;
  MPI_Count true_extent;
  int result;

  MPI_Type_size_x(datatype, &size);
  MPI_Type_get_extent_x(datatype, &lower, &extent);
  MPI_Type_get_true_extent_x(datatype, &true_lower, &true_extent);
  if (size == 0 && extent == 0) return 1; /* nothing; ROMIO counts on this answer for darrays */
  if (lower != 0 || true_lower != 0 || size != extent || size != true_extent) return 0;

  MPI_Type_get_envelope_c(datatype, &c.n_integers, &c.n_addresses, &c.n_large, &c.n_types,
                          &c.combiner);
  if (predefined(c.combiner)) return 1;
  c.integers = ADIOI_Malloc((size_t)(c.n_integers + 1) * sizeof(*c.integers));
  c.addresses = ADIOI_Malloc((size_t)(c.n_addresses + 1) * sizeof(*c.addresses));
  c.large = ADIOI_Malloc((size_t)(c.n_large + 1) * sizeof(*c.large));
  c.types = ADIOI_Malloc((size_t)(c.n_types + 1) * sizeof(*c.types));
  MPI_Type_get_contents_c(datatype, c.n_integers, c.n_addresses, c.n_large, c.n_types, c.integers,
                          c.addresses, c.large, c.types);
  result = parts_follow(&c);
  for (MPI_Count i = 0; i < c.n_types; i++) {
    if (!is_predefined(c.types[i])) MPI_Type_free(&c.types[i]);
  }
  ADIOI_Free(c.integers);
  ADIOI_Free(c.addresses);
  ADIOI_Free(c.large);
  ADIOI_Free(c.types);
  return result;
}

/* The types of most accesses, which ask for two of them each time: MPI takes 500 instructions to
 * tell. */
static int well_known(MPI_Datatype datatype) {
  return datatype == MPI_BYTE || datatype == MPI_CHAR || datatype == MPI_SIGNED_CHAR ||
         datatype == MPI_UNSIGNED_CHAR || datatype == MPI_SHORT || datatype == MPI_UNSIGNED_SHORT ||
         datatype == MPI_INT || datatype == MPI_UNSIGNED || datatype == MPI_LONG ||
         datatype == MPI_UNSIGNED_LONG || datatype == MPI_LONG_LONG ||
         datatype == MPI_UNSIGNED_LONG_LONG || datatype == MPI_FLOAT || datatype == MPI_DOUBLE ||
         datatype == MPI_INT8_T || datatype == MPI_UINT8_T || datatype == MPI_INT16_T ||
         datatype == MPI_UINT16_T || datatype == MPI_INT32_T || datatype == MPI_UINT32_T ||
         datatype == MPI_INT64_T || datatype == MPI_UINT64_T;
}

void ADIOI_Datatype_iscontig(MPI_Datatype datatype, int* flag) {
  *flag = well_known(datatype) || contiguous(datatype);
}
