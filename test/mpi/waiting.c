/*
 * waiting.c - the waits of ad_benchfs_wait.h do what MPI's functions of these names do: data,
 * buffers in place, statuses, attributes, and errors to the handler that MPI's would go to.
 * Compiled with that file alone, it needs no servers.
 */
#include <unistd.h>

#include "ad_benchfs_wait.h"
#include "check.h"

static int progress_calls;

/* In the driver this moves on nonblocking file operations. */
int bfs_requests_progress(void) {
  progress_calls++;
  return 0;
}

static void messages(void) {
  const int next = (rank + 1) % ranks, last = (rank + ranks - 1) % ranks;
  int data[3] = {rank, rank + 1, rank + 2}, got[8] = {0}, which = -1, count;
  MPI_Request requests[3];
  MPI_Status statuses[3];

  if (ranks > 1) {
    if (rank == 0) OK(bfs_send(data, 3, MPI_INT, next, 5, MPI_COMM_WORLD));
    OK(bfs_recv(got, 8, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &statuses[0]));
    MPI_Get_count(&statuses[0], MPI_INT, &count);
    CHECK(count == 3 && got[0] == last && got[2] == last + 2);
    CHECK(statuses[0].MPI_SOURCE == last && statuses[0].MPI_TAG == 5);
    if (rank > 0) OK(bfs_send(data, 3, MPI_INT, next, 5, MPI_COMM_WORLD));
  }
  OK(bfs_recv(got, 1, MPI_INT, MPI_PROC_NULL, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE));

  requests[0] = MPI_REQUEST_NULL;
  OK(bfs_wait(&requests[0], &statuses[0]));
  CHECK(statuses[0].MPI_SOURCE == MPI_ANY_SOURCE);
  OK(bfs_waitall(0, requests, MPI_STATUSES_IGNORE));
  OK(bfs_waitany(1, requests, &which, MPI_STATUS_IGNORE));
  CHECK(which == MPI_UNDEFINED);
  for (int i = 0; i < 2; i++) {
    MPI_Irecv(&got[i], 1, MPI_INT, last, i, MPI_COMM_WORLD, &requests[i]);
    MPI_Send(&data[i], 1, MPI_INT, next, i, MPI_COMM_WORLD);
  }
  requests[2] = MPI_REQUEST_NULL;
  OK(bfs_waitall(3, requests, statuses));
  CHECK(got[0] == last && got[1] == last + 1 && statuses[1].MPI_TAG == 1);
  CHECK(requests[0] == MPI_REQUEST_NULL && requests[1] == MPI_REQUEST_NULL);
  MPI_Irecv(got, 1, MPI_INT, last, 7, MPI_COMM_WORLD, &requests[1]);
  MPI_Send(data, 1, MPI_INT, next, 7, MPI_COMM_WORLD);
  OK(bfs_waitany(2, requests, &which, &statuses[0]));
  CHECK(which == 1 && statuses[0].MPI_TAG == 7);
}

static void least(void* in, void* inout, int* n, MPI_Datatype* type) {
  (void)type;
  for (int i = 0; i < *n; i++)
    if (((int*)in)[i] < ((int*)inout)[i]) ((int*)inout)[i] = ((int*)in)[i];
}

static void collectives(MPI_Comm comm) {
  const int sum = ranks * (ranks - 1) / 2;
  int n[64], places[64], all[64], other[64], value = rank;
  MPI_Datatype types[64];
  MPI_Op op;

  OK(bfs_barrier(comm));
  value = rank == ranks - 1 ? 77 : 0;
  OK(bfs_bcast(&value, 1, MPI_INT, ranks - 1, comm));
  CHECK(value == 77);
  OK(bfs_allreduce(&rank, &value, 1, MPI_INT, MPI_SUM, comm));
  CHECK(value == sum);
  value = rank;
  OK(bfs_allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, MPI_SUM, comm));
  CHECK(value == sum);
  MPI_Op_create(least, 1, &op);
  value = 100 - rank;
  OK(bfs_allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, op, comm));
  CHECK(value == 101 - ranks);
  MPI_Op_free(&op);
  value = rank;
  OK(bfs_scan(MPI_IN_PLACE, &value, 1, MPI_INT, MPI_SUM, comm));
  CHECK(value == rank * (rank + 1) / 2);

  for (int i = 0; i < ranks; i++) {
    all[i] = -1;
    n[i] = 1;
    places[i] = ranks - 1 - i;
    types[i] = MPI_INT;
  }
  all[0] = 10;
  value = rank + 10;
  OK(bfs_gather(rank == 0 ? MPI_IN_PLACE : (const void*)&value, 1, MPI_INT, all, 1, MPI_INT, 0,
                comm));
  for (int i = 0; i < ranks && rank == 0; i++) CHECK(all[i] == i + 10);
  OK(bfs_gatherv(&value, 1, MPI_INT, all, n, places, MPI_INT, 0, comm));
  for (int i = 0; i < ranks && rank == 0; i++) CHECK(all[ranks - 1 - i] == i + 10);
  all[rank] = rank * 2;
  OK(bfs_allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, 1, MPI_INT, comm));
  for (int i = 0; i < ranks; i++) CHECK(all[i] == i * 2);
  for (int i = 0; i < ranks; i++) all[i] = rank * 100 + i;
  OK(bfs_alltoall(all, 1, MPI_INT, other, 1, MPI_INT, comm));
  for (int i = 0; i < ranks; i++) CHECK(other[i] == i * 100 + rank);
  for (int i = 0; i < ranks; i++) places[i] = i * (int)sizeof(int);
  memset(other, 0, sizeof(other));
  OK(bfs_alltoallw(all, n, places, types, other, n, places, types, comm));
  for (int i = 0; i < ranks; i++) CHECK(other[i] == i * 100 + rank);
}

static int handled, handled_class, world_handled;

static void of_comm(MPI_Comm* comm, int* code, ...) {
  (void)comm;
  handled++;
  MPI_Error_class(*code, &handled_class);
}

static void of_world(MPI_Comm* comm, int* code, ...) {
  (void)comm;
  (void)code;
  world_handled++;
}

static int class_of(int code) {
  int class = MPI_SUCCESS;

  MPI_Error_class(code, &class);
  return class;
}

static void duplicates(MPI_Comm comm) {
  int value = 7, keyval, found, order;
  MPI_Errhandler handler, inherited;
  int* attribute = NULL;
  MPI_Comm made;

  MPI_Comm_create_keyval(MPI_COMM_DUP_FN, MPI_COMM_NULL_DELETE_FN, &keyval, NULL);
  MPI_Comm_set_attr(comm, keyval, &value);
  OK(bfs_comm_dup(comm, &made));
  MPI_Comm_compare(comm, made, &order);
  CHECK(order == MPI_CONGRUENT);
  MPI_Comm_get_attr(made, keyval, &attribute, &found);
  CHECK(found && attribute == &value);
  MPI_Comm_get_errhandler(comm, &handler);
  MPI_Comm_get_errhandler(made, &inherited);
  CHECK(handler == inherited);
  MPI_Errhandler_free(&handler);
  MPI_Errhandler_free(&inherited);
  collectives(made);
  MPI_Comm_free(&made);
  MPI_Comm_delete_attr(comm, keyval);
  MPI_Comm_free_keyval(&keyval);
}

static void errors(MPI_Comm comm) {
  int data[4] = {0};

  CHECK(class_of(bfs_bcast(data, 1, MPI_INT, ranks + 5, comm)) == MPI_ERR_ROOT);
  CHECK(handled == 1 && handled_class == MPI_ERR_ROOT);
  CHECK(class_of(bfs_gather(data, 1, MPI_INT, data, 1, MPI_DATATYPE_NULL, -1, comm)) ==
        MPI_ERR_ROOT);
  CHECK(handled == 2 && handled_class == MPI_ERR_ROOT);
  CHECK(class_of(bfs_send(data, 1, MPI_INT, ranks + 5, 0, comm)) == MPI_ERR_RANK);
  CHECK(handled == 3);
  if (ranks == 1) return;
  /* An error that is found while it waits. */
  if (rank == 0) OK(bfs_send(data, 4, MPI_INT, 1, 0, comm));
  if (rank == 1) {
    CHECK(class_of(bfs_recv(data, 1, MPI_INT, 0, 0, comm, MPI_STATUS_IGNORE)) == MPI_ERR_TRUNCATE);
    CHECK(handled == 4 && handled_class == MPI_ERR_TRUNCATE);
    CHECK(world_handled == 0);
  }
}

int main(int argc, char** argv) {
  MPI_Errhandler handler, world_handler;
  MPI_Comm comm;

  test_begin(&argc, &argv);
  messages();
  collectives(MPI_COMM_WORLD);
  collectives(MPI_COMM_WORLD);

  MPI_Comm_dup(MPI_COMM_WORLD, &comm);
  MPI_Comm_create_errhandler(of_comm, &handler);
  MPI_Comm_create_errhandler(of_world, &world_handler);
  MPI_Comm_set_errhandler(comm, handler);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, world_handler);
  duplicates(comm);
  CHECK(handled == 0);
  errors(comm);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_ARE_FATAL);
  MPI_Errhandler_free(&handler);
  MPI_Errhandler_free(&world_handler);

  /* This process's file operations go on while it waits. */
  progress_calls = 0;
  if (rank == ranks - 1) usleep(20000);
  OK(bfs_barrier(comm));
  CHECK(rank == ranks - 1 || progress_calls > 0);
  MPI_Comm_free(&comm);
  return test_end();
}
