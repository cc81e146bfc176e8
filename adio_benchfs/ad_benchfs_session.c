/*
 * ad_benchfs_session.c - the process's one session with the BenchFS cluster.
 *
 * It starts with the first operation that needs it, and ends in MPI_Finalize: the attribute that is
 * put on MPI_COMM_SELF is deleted there before anything else (MPI-4.0 section 11.2.4), and its
 * delete callback closes the session. ROMIO gives a driver no place of its own, hence the state in
 * this file.
 */
#include "ad_benchfs.h"

static pthread_mutex_t session_mutex = PTHREAD_MUTEX_INITIALIZER;
static benchfs_t* session;

static int session_end(MPI_Comm comm, int keyval, void* attribute, void* extra) {
  (void)comm;
  (void)attribute;
  (void)extra;
  pthread_mutex_lock(&session_mutex);
  if (session != NULL && benchfs_disconnect(session) != 0) {
    /* The program left files open or requests unfinished; MPI_Finalize cannot fail for that. */
    fprintf(stderr, "benchfs: at MPI_Finalize: %s\n", benchfs_error());
  }
  session = NULL;
  pthread_mutex_unlock(&session_mutex);
  MPI_Comm_free_keyval(&keyval);
  return MPI_SUCCESS;
}

benchfs_t* bfs_session(int* code) {
  int keyval = MPI_KEYVAL_INVALID;
  int result = 0;

  pthread_mutex_lock(&session_mutex);
  if (session == NULL) {
    result = benchfs_connect(NULL, &session);
    if (result != 0) {
      session = NULL;
    } else if (MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, session_end, &keyval, NULL) ==
               MPI_SUCCESS) {
      MPI_Comm_set_attr(MPI_COMM_SELF, keyval, NULL);
    }
  }
  *code = result == 0 ? 0 : -result | BFS_NO_SESSION;
  pthread_mutex_unlock(&session_mutex);
  return session;
}
