/*
 * threads.c - MPI_THREAD_MULTIPLE: two threads of each rank, each with a communicator and a file of
 * its own, in collective calls of all kinds at the same time. The threads of one rank are not at
 * the same place as those of another, so a lock held across a collective call would never be
 * released.
 */
#include <pthread.h>
#include <unistd.h>

#include "check.h"

#define ROUNDS 15
#define WORDS 1000

struct thread {
  pthread_t id;
  MPI_Comm comm;
  int number;
  int bad;
};

#define GOOD(call) (t->bad += (call) != MPI_SUCCESS)

static void pass(struct thread* t, int round) {
  int data[WORDS];
  char name[64];
  MPI_Datatype mine;
  MPI_Request request;
  MPI_Status status;
  MPI_File file;
  const int value = (t->number * 1000 + round) * 100 + rank;

  snprintf(name, sizeof(name), "benchfs:/threads_%d", t->number);
  GOOD(MPI_File_open(t->comm, name, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL, &file));
  MPI_Type_vector(WORDS / 10, 10, 10 * ranks, MPI_INT, &mine);
  MPI_Type_commit(&mine);
  GOOD(MPI_File_set_view(file, (MPI_Offset)rank * 40, MPI_INT, mine, "native", MPI_INFO_NULL));
  for (int i = 0; i < WORDS; i++) data[i] = value;
  GOOD(MPI_File_write_all(file, data, WORDS, MPI_INT, &status));
  GOOD(MPI_File_iwrite_at_all(file, WORDS, data, WORDS, MPI_INT, &request));
  MPI_Wait(&request, &status);
  memset(data, 0, sizeof(data));
  GOOD(MPI_File_read_at_all(file, WORDS, data, WORDS, MPI_INT, &status));
  for (int i = 0; i < WORDS; i++) t->bad += data[i] != value;
  GOOD(MPI_File_write_ordered(file, data, 10, MPI_INT, &status));
  GOOD(MPI_File_set_size(file, 1000));
  GOOD(MPI_File_sync(file));
  GOOD(MPI_File_set_atomicity(file, round % 2));
  GOOD(MPI_File_write_at(file, 0, data, WORDS, MPI_INT, &status));
  MPI_Type_free(&mine);
  GOOD(MPI_File_close(&file));
}

static void* run(void* argument) {
  struct thread* t = argument;

  for (int round = 0; round < ROUNDS; round++) {
    if ((rank + t->number + round) % 2 == 0) usleep(500);
    pass(t, round);
  }
  return NULL;
}

int main(int argc, char** argv) {
  struct thread threads[2];
  int provided;

  test_begin_threads(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
  CHECK(provided == MPI_THREAD_MULTIPLE);
  for (int i = 0; i < 2; i++) {
    threads[i] = (struct thread){.number = i};
    MPI_Comm_dup(MPI_COMM_WORLD, &threads[i].comm);
  }
  for (int i = 0; i < 2; i++) pthread_create(&threads[i].id, NULL, run, &threads[i]);
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i].id, NULL);
    CHECK(threads[i].bad == 0);
    MPI_Comm_free(&threads[i].comm);
  }
  if (rank == 0) {
    MPI_File_delete("benchfs:/threads_0", MPI_INFO_NULL);
    MPI_File_delete("benchfs:/threads_1", MPI_INFO_NULL);
  }
  return test_end();
}
