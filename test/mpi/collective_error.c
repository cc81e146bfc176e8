/*
 * collective_error.c - one failure on one rank, in any window of a collective operation, is an error on
 * every rank, of the right class and in time; and the next operation is as if nothing had been.
 *
 *   collective_error FILE [STRATEGY,...]       with fail_list.so preloaded
 */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "check.h"

#define BYTES (2 << 20) /* of each rank */
#define PIECE 4096
#define SECONDS_MAX 10

enum { WRITE, READ, IWRITE, IREAD, WRITE_SPLIT, READ_SPLIT, KINDS };
static const char* const names[KINDS] = {"write_all",  "read_all",        "iwrite_all",
                                         "iread_all", "write_all_begin", "read_all_begin"};

static char* data;

static int run(MPI_File file, int kind) {
  MPI_Request request;
  MPI_Status status;
  int code, second;

  switch (kind) {
    case WRITE: return MPI_File_write_at_all(file, 0, data, BYTES, MPI_BYTE, &status);
    case READ: return MPI_File_read_at_all(file, 0, data, BYTES, MPI_BYTE, &status);
    case IWRITE:
    case IREAD:
      code = kind == IWRITE ? MPI_File_iwrite_at_all(file, 0, data, BYTES, MPI_BYTE, &request)
                            : MPI_File_iread_at_all(file, 0, data, BYTES, MPI_BYTE, &request);
      return code != MPI_SUCCESS ? code : MPI_Wait(&request, &status);
    case WRITE_SPLIT:
      code = MPI_File_write_at_all_begin(file, 0, data, BYTES, MPI_BYTE);
      second = MPI_File_write_at_all_end(file, data, &status);
      return code != MPI_SUCCESS ? code : second;
    default:
      code = MPI_File_read_at_all_begin(file, 0, data, BYTES, MPI_BYTE);
      second = MPI_File_read_at_all_end(file, data, &status);
      return code != MPI_SUCCESS ? code : second;
  }
}

static void fill(int round) {
  for (int i = 0; i < BYTES; i++) data[i] = (char)(i * 31 + i / PIECE + rank * 7 + round);
}

static int wrong(int round) {
  int n = 0;

  for (int i = 0; i < BYTES; i++) n += data[i] != (char)(i * 31 + i / PIECE + rank * 7 + round);
  return n;
}

static void with(const char* name, const char* strategy, void (*fail_list_in)(int)) {
  MPI_Datatype view;
  MPI_Info info;
  MPI_File file;
  int round = 0;

  MPI_Info_create(&info);
  MPI_Info_set(info, "benchfs_collective", strategy);
  MPI_Info_set(info, "benchfs_chunk_size", "65536");
  MPI_Info_set(info, "cb_buffer_size", "524288"); /* so there are many windows */
  MPI_Type_vector(BYTES / PIECE, PIECE, PIECE * ranks, MPI_BYTE, &view);
  MPI_Type_commit(&view);
  OK(MPI_File_open(MPI_COMM_WORLD, name, MPI_MODE_CREATE | MPI_MODE_RDWR, info, &file));
  OK(MPI_File_set_view(file, rank * PIECE, MPI_BYTE, view, "native", info));
  fill(0);
  OK(run(file, WRITE));
  for (int kind = 0; kind < KINDS; kind++) {
    for (int failing = 0; failing < ranks && failing < 2; failing++) { /* those that aggregate */
      for (int call = 1; call <= (ranks > 1 && strcmp(strategy, "owner") == 0 ? 5 : 1); call += 2) {
        double seconds;
        int code, class;

        if (rank == failing) fail_list_in(call);
        seconds = MPI_Wtime();
        code = run(file, kind);
        seconds = MPI_Wtime() - seconds;
        if (rank == failing) fail_list_in(0);
        MPI_Error_class(code, &class);
        if (!CHECK(class == MPI_ERR_IO) || !CHECK(seconds < SECONDS_MAX))
          fprintf(stderr, "rank %d: %s, %s, call %d fails on rank %d: class %d, %.1f s\n", rank,
                  strategy, names[kind], call, failing, class, seconds);
        /* No message of it is left, and nothing is left undone. */
        fill(++round);
        OK(run(file, WRITE));
        memset(data, 0, BYTES);
        OK(run(file, READ));
        CHECK(wrong(round) == 0);
      }
    }
  }
  OK(MPI_File_close(&file));
  MPI_Type_free(&view);
  MPI_Info_free(&info);
}

int main(int argc, char** argv) {
  char both[] = "owner,direct";
  char* strategies = argc > 2 ? argv[2] : both;
  void (*fail_list_in)(int);

  test_begin(&argc, &argv);
  data = malloc(BYTES);
  *(void**)&fail_list_in = dlsym(RTLD_DEFAULT, "fail_list_in");
  /* MPICH gives errors of nonblocking I/O to the handler of the world. */
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  if (CHECK(argc > 1 && fail_list_in != NULL)) {
    for (char* name = strtok(strategies, ","); name != NULL; name = strtok(NULL, ","))
      with(argv[1], name, fail_list_in);
  }
  return test_end();
}
