/*
 * section.c - the critical section of libbenchfs_mpio, and the MPI calls that leave it.
 *
 * ROMIO runs one thread at a time, and keeps the others out even while it waits for other
 * processes. Then two threads in collective calls on two communicators deadlock, if their order is
 * not the same on all processes. So the section is left around every MPI call of ROMIO and the
 * driver that may wait. Most of them are those of ad_benchfs_wait.h, which leave it themselves; for
 * each of the others, OUTSIDE() below, build-mpio links with --wrap. Between such calls it still
 * protects what the threads share: lists of types and hints, and the fields of files.
 */
#include "section.h"

#include <mpi.h>
#include <pthread.h>

#include "mpir_ext.h"

static pthread_mutex_t section = PTHREAD_MUTEX_INITIALIZER;
/* How often this thread is inside: a callback of a datatype or of a request may do I/O. Read with
 * every call, so it is where the thread finds it without a function. */
static __thread int entered __attribute__((tls_model("initial-exec")));

void MPIR_Ext_cs_enter(void) {
  if (entered++ == 0) pthread_mutex_lock(&section);
}

void MPIR_Ext_cs_exit(void) {
  if (--entered == 0) pthread_mutex_unlock(&section);
}

int mpio_section_leave(void) {
  const int depth = entered;

  while (entered > 0) MPIR_Ext_cs_exit();
  return depth;
}

void mpio_section_return(int depth) {
  while (entered < depth) MPIR_Ext_cs_enter();
}

#define OUTSIDE(name, parameters, ...)             \
  int __real_##name parameters;                    \
  int __wrap_##name parameters;                    \
  int __wrap_##name parameters {                   \
    const int depth = mpio_section_leave();        \
    const int result = __real_##name(__VA_ARGS__); \
    mpio_section_return(depth);                    \
    return result;                                 \
  }

/* clang-format off: build-mpio reads the names, one a line. */
OUTSIDE(PMPI_Comm_free, (MPI_Comm * c), c)
OUTSIDE(PMPI_Win_create,
        (void* base, MPI_Aint bytes, int unit, MPI_Info info, MPI_Comm c, MPI_Win* window), base,
        bytes, unit, info, c, window)
OUTSIDE(PMPI_Win_free, (MPI_Win * window), window)
OUTSIDE(PMPI_Win_lock, (int kind, int who, int assert_, MPI_Win window), kind, who, assert_, window)
OUTSIDE(PMPI_Win_unlock, (int who, MPI_Win window), who, window)
