/*
 * check.h - who this is, and how the benchmarks end when something fails.
 */
#ifndef BENCH_CHECK_H_INCLUDED
#define BENCH_CHECK_H_INCLUDED

#include <mpi.h>
#include <stdio.h>

static int rank, ranks; /* in MPI_COMM_WORLD; set by main() */

/* Ends all ranks, with the error's text, unless `code` is MPI_SUCCESS. */
static void check(int code, const char* what) {
  char text[MPI_MAX_ERROR_STRING + 1] = "";
  int length;

  if (code == MPI_SUCCESS) return;
  MPI_Error_string(code, text, &length);
  fprintf(stderr, "rank %d: %s: %s\n", rank, what, text);
  MPI_Abort(MPI_COMM_WORLD, 1);
}

#endif /* BENCH_CHECK_H_INCLUDED */
