/*
 * failure.c - a server is killed while the ranks write: every rank gets an I/O error from the same
 * collective call, in bounded time, and everything after that also ends.
 * usage: failure SERVER_PID SECONDS_MAX
 */
#include <signal.h>

#include "check.h"

#define BYTES (1 << 20)
#define FILES 3

static double seconds_max;

/* Runs `call` and checks that it ended in time; returns its code. */
static int timed(int code, double from, const char* what) {
  double took = MPI_Wtime() - from;

  if (!CHECK(took < seconds_max)) fprintf(stderr, "rank %d: %s took %.1f s\n", rank, what, took);
  return code;
}
#define TIMED(call) (from = MPI_Wtime(), timed((call), from, #call))

/* The same class on all ranks, which is returned. */
static int same(int code) {
  int class, lowest, highest;

  MPI_Error_class(code, &class);
  MPI_Allreduce(&class, &lowest, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
  MPI_Allreduce(&class, &highest, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  CHECK(lowest == highest);
  return class;
}

static void agreed(int code, int wanted) {
  CHECK(same(code) == wanted);
}

int main(int argc, char** argv) {
  static char buffer[BYTES];
  char text[MPI_MAX_ERROR_STRING];
  MPI_Request request;
  MPI_File file, coordinated[FILES];
  double from;
  int code = MPI_SUCCESS, length, rounds;

  test_begin(&argc, &argv);
  if (argc != 3) MPI_Abort(MPI_COMM_WORLD, 2);
  seconds_max = atof(argv[2]);
  /* MPICH reports failed requests to the handler of the communicator. */
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  memset(buffer, rank + 1, sizeof(buffer));
  OK(MPI_File_open(MPI_COMM_WORLD, "benchfs:/failure", MPI_MODE_CREATE | MPI_MODE_RDWR,
                   MPI_INFO_NULL, &file));
  for (int i = 0; i < FILES; i++) {
    snprintf(text, sizeof(text), "benchfs:/failure_%d", i);
    OK(MPI_File_open(MPI_COMM_WORLD, text, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL,
                     &coordinated[i]));
    OK(MPI_File_write_ordered(coordinated[i], buffer, 10, MPI_BYTE, MPI_STATUS_IGNORE));
  }

  /* Successive chunks are on different servers, so within a few rounds the dead one is needed. */
  for (rounds = 0; rounds < 200 && code == MPI_SUCCESS; rounds++) {
    if (rounds == 5 && rank == 0) kill((pid_t)atoi(argv[1]), SIGKILL);
    code = TIMED(MPI_File_write_at_all(file, ((MPI_Offset)rounds * ranks + rank) * BYTES, buffer,
                                       BYTES, MPI_BYTE, MPI_STATUS_IGNORE));
  }
  CHECK(rounds > 5);
  agreed(code, MPI_ERR_IO);
  MPI_Error_string(code, text, &length);
  if (rank == 0) printf("after %d rounds: %s\n", rounds, text);
  CHECK(strstr(text, "/failure") != NULL);

  code = MPI_SUCCESS;
  for (int i = 0; i < rounds && code == MPI_SUCCESS; i++)
    code = TIMED(MPI_File_read_at_all(file, ((MPI_Offset)i * ranks + rank) * BYTES, buffer, BYTES,
                                      MPI_BYTE, MPI_STATUS_IGNORE));
  agreed(code, MPI_ERR_IO);

  code = MPI_SUCCESS;
  for (int i = 0; i < rounds && code == MPI_SUCCESS; i++) {
    OK(MPI_File_iwrite_at_all(file, ((MPI_Offset)i * ranks + rank) * BYTES, buffer, BYTES, MPI_BYTE,
                              &request));
    code = TIMED(MPI_Wait(&request, MPI_STATUS_IGNORE));
  }
  agreed(code, MPI_ERR_IO);

  /* Some of these files have their shared pointers and locks on the dead server, some have not. */
  for (int i = 0; i < FILES; i++) {
    same(TIMED(MPI_File_write_ordered(coordinated[i], buffer, 100, MPI_BYTE, MPI_STATUS_IGNORE)));
    same(TIMED(MPI_File_seek_shared(coordinated[i], 0, MPI_SEEK_SET)));
    OK(MPI_File_set_atomicity(coordinated[i], 1));
    same(TIMED(
        MPI_File_write_at_all(coordinated[i], 0, buffer, BYTES, MPI_BYTE, MPI_STATUS_IGNORE)));
    same(TIMED(MPI_File_close(&coordinated[i])));
  }

  /* May fail, must end. */
  (void)TIMED(MPI_File_sync(file));
  same(TIMED(MPI_File_close(&file)));
  return test_end();
}
