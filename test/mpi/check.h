/*
 * check.h - for the MPI test programs: checks that count, and one verdict over all ranks.
 *
 * A program calls test_begin(), CHECK()s, and returns test_end(). Every rank runs every check that
 * is part of a collective sequence, so a failed check never leaves the others waiting. At the end
 * rank 0 prints "No Errors" if no check failed on any rank.
 */
#ifndef BENCHFS_TEST_CHECK_H_INCLUDED
#define BENCHFS_TEST_CHECK_H_INCLUDED

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rank, ranks;
static int failures;

static inline int check_(int good, const char* file, int line, const char* text) {
  if (!good && failures++ < 20) fprintf(stderr, "rank %d: %s:%d: %s\n", rank, file, line, text);
  return good;
}
#define CHECK(condition) check_(!!(condition), __FILE__, __LINE__, #condition)

static inline int success_(int code, const char* file, int line, const char* text) {
  char message[MPI_MAX_ERROR_STRING + 1] = "";
  char both[MPI_MAX_ERROR_STRING + 300];
  int length;

  if (code == MPI_SUCCESS) return 1;
  MPI_Error_string(code, message, &length);
  snprintf(both, sizeof(both), "%s: %s", text, message);
  return check_(0, file, line, both);
}
#define OK(call) success_((call), __FILE__, __LINE__, #call)

/* `call` fails with the class, and with a text that has `part` in it. */
static inline int fails_(int code, int wanted, const char* part, const char* file, int line,
                  const char* text) {
  char message[MPI_MAX_ERROR_STRING + 1] = "";
  char both[MPI_MAX_ERROR_STRING + 300];
  int class = MPI_SUCCESS, length;

  MPI_Error_class(code, &class);
  MPI_Error_string(code, message, &length);
  snprintf(both, sizeof(both), "%s: class %d instead of %d, or no \"%s\" in: %s", text, class,
           wanted, part, message);
  return check_(class == wanted && strstr(message, part) != NULL, file, line, both);
}
#define FAILS(call, wanted, part) fails_((call), (wanted), (part), __FILE__, __LINE__, #call)

static inline int bytes_of(const MPI_Status* status) {
  int count;

  MPI_Get_count(status, MPI_BYTE, &count);
  return count;
}

static inline void test_begin_threads(int* argc, char*** argv, int wanted, int* provided) {
  MPI_Init_thread(argc, argv, wanted, provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
}

static inline void test_begin(int* argc, char*** argv) {
  int provided;

  test_begin_threads(argc, argv, MPI_THREAD_SINGLE, &provided);
}

static int test_end(void) {
  int all;

  MPI_Allreduce(&failures, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  if (rank == 0) {
    if (all == 0)
      printf(" No Errors\n");
    else
      printf(" Found %d errors\n", all);
  }
  MPI_Finalize();
  return all != 0;
}

#endif /* BENCHFS_TEST_CHECK_H_INCLUDED */
