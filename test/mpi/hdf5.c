/*
 * hdf5.c - a parallel HDF5 program: one file, a contiguous and a chunked dataset, each written
 * collectively and independently, closed, opened again and verified, attributes included.
 */
#include <hdf5.h>

#include "check.h"

#define ROWS 96
#define COLUMNS 250

static int buffer[ROWS][COLUMNS];

static int value(int row, int column, int salt) {
  return row * 10007 + column * 31 + salt;
}

static hid_t transfer(H5FD_mpio_xfer_t mode) {
  hid_t list = H5Pcreate(H5P_DATASET_XFER);

  CHECK(H5Pset_dxpl_mpio(list, mode) >= 0);
  return list;
}

/* This rank's rows of a dataset of ROWS rows per rank, every rank's rows interleaved. */
static hid_t selection(hid_t space) {
  const hsize_t start[2] = {(hsize_t)rank, 0}, stride[2] = {(hsize_t)ranks, 1};
  const hsize_t count[2] = {ROWS, COLUMNS};

  CHECK(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, stride, count, NULL) >= 0);
  return space;
}

static void move(hid_t dataset, int write, H5FD_mpio_xfer_t mode) {
  const hsize_t own[2] = {ROWS, COLUMNS};
  hid_t memory = H5Screate_simple(2, own, NULL), space = selection(H5Dget_space(dataset));
  hid_t list = transfer(mode);

  if (write)
    CHECK(H5Dwrite(dataset, H5T_NATIVE_INT, memory, space, list, buffer) >= 0);
  else
    CHECK(H5Dread(dataset, H5T_NATIVE_INT, memory, space, list, buffer) >= 0);
  H5Pclose(list);
  H5Sclose(space);
  H5Sclose(memory);
}

static hid_t open_file(const char* name, int create) {
  hid_t access = H5Pcreate(H5P_FILE_ACCESS), file;

  CHECK(H5Pset_fapl_mpio(access, MPI_COMM_WORLD, MPI_INFO_NULL) >= 0);
  file = create ? H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, access)
                : H5Fopen(name, H5F_ACC_RDONLY, access);
  CHECK(file >= 0);
  H5Pclose(access);
  return file;
}

int main(int argc, char** argv) {
  const char* name = argc > 1 ? argv[1] : "benchfs:/hdf5.h5";
  const H5FD_mpio_xfer_t modes[] = {H5FD_MPIO_COLLECTIVE, H5FD_MPIO_INDEPENDENT};
  hsize_t whole[2], chunk[2] = {7, 64};
  hid_t file, space, list, dataset, attribute, scalar;
  char label[32];
  int got;

  test_begin(&argc, &argv);
  whole[0] = (hsize_t)ROWS * (hsize_t)ranks;
  whole[1] = COLUMNS;
  file = open_file(name, 1);
  space = H5Screate_simple(2, whole, NULL);
  scalar = H5Screate(H5S_SCALAR);
  for (int k = 0; k < 4; k++) {
    list = H5Pcreate(H5P_DATASET_CREATE);
    if (k >= 2) CHECK(H5Pset_chunk(list, 2, chunk) >= 0);
    snprintf(label, sizeof(label), "dataset%d", k);
    dataset = H5Dcreate2(file, label, H5T_NATIVE_INT, space, H5P_DEFAULT, list, H5P_DEFAULT);
    CHECK(dataset >= 0);
    for (int i = 0; i < ROWS; i++)
      for (int j = 0; j < COLUMNS; j++) buffer[i][j] = value(i * ranks + rank, j, k);
    move(dataset, 1, modes[k % 2]);
    attribute = H5Acreate2(dataset, "number", H5T_NATIVE_INT, scalar, H5P_DEFAULT, H5P_DEFAULT);
    CHECK(H5Awrite(attribute, H5T_NATIVE_INT, &k) >= 0);
    H5Aclose(attribute);
    H5Dclose(dataset);
    H5Pclose(list);
  }
  H5Sclose(scalar);
  H5Sclose(space);
  CHECK(H5Fclose(file) >= 0);

  file = open_file(name, 0);
  for (int k = 0; k < 4; k++) {
    int wrong = 0;

    snprintf(label, sizeof(label), "dataset%d", k);
    dataset = H5Dopen2(file, label, H5P_DEFAULT);
    memset(buffer, 0, sizeof(buffer));
    move(dataset, 0, modes[(k + 1) % 2]);
    for (int i = 0; i < ROWS; i++)
      for (int j = 0; j < COLUMNS; j++) wrong += buffer[i][j] != value(i * ranks + rank, j, k);
    CHECK(wrong == 0);
    attribute = H5Aopen(dataset, "number", H5P_DEFAULT);
    CHECK(H5Aread(attribute, H5T_NATIVE_INT, &got) >= 0 && got == k);
    H5Aclose(attribute);
    H5Dclose(dataset);
  }
  CHECK(H5Fclose(file) >= 0);
  return test_end();
}
