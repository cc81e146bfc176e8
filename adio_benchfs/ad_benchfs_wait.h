/*
 * ad_benchfs_wait.h - how a rank waits without keeping a core from those it waits for.
 *
 * A rank that waits in MPICH polls until its time slice is over. With more processes than cores
 * each round of a collective then takes as many time slices as ranks share a core. Here a wait
 * polls for some microseconds, then offers the core to others between polls, and if others want it
 * and the wait gets long, sleeps for a small part of it: docs/adr/0022-waiting-ranks.md.
 *
 * It needs mpi.h alone. ad_benchfs_polite.h puts these functions in the place of MPI's in all of
 * ROMIO.
 */
#ifndef AD_BENCHFS_WAIT_H_INCLUDED
#define AD_BENCHFS_WAIT_H_INCLUDED

#include <mpi.h>
#include <stdint.h>

/* One wait; all zero at first, and again once something has happened. */
struct bfs_idle {
  unsigned turns; /* in which nothing happened */
  int64_t since;  /* when they began, in ns; once it matters */
  int sleeps;     /* bfs_idle_sleeps: the core is wanted */
};
/* After a turn in which nothing happened. Sleeps for a millisecond at most. */
void bfs_idle(struct bfs_idle* idle);
/* The same where the program does not wait, but asks: never sleeps. */
void bfs_idle_awake(struct bfs_idle* idle);
/* The same where somebody will wake those who sleep. Not 0: it is time to sleep, by the next. */
int bfs_idle_sleeps(struct bfs_idle* idle);
/* Sleeps, for some milliseconds at most, for as long as *word, in memory that processes share, is
 * `seen`. */
void bfs_idle_on(struct bfs_idle* idle, const _Atomic uint32_t* word, uint32_t seen);

/* The MPI functions of these names: same arguments, same outcome, errors to the same handler.
 * Inside, a collective is its nonblocking relative, which matches nonblocking ones alone: all ranks
 * have to use either these or MPI's own at one place of a program. While they wait, this process's
 * nonblocking file operations go on, and in libbenchfs_mpio other threads may enter ROMIO. */
int bfs_allgather(const void* from, int n, MPI_Datatype type, void* to, int n_to,
                  MPI_Datatype type_to, MPI_Comm comm);
int bfs_allreduce(const void* from, void* to, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm);
int bfs_alltoall(const void* from, int n, MPI_Datatype type, void* to, int n_to,
                 MPI_Datatype type_to, MPI_Comm comm);
int bfs_alltoallw(const void* from, const int* n, const int* places, const MPI_Datatype* types,
                  void* to, const int* n_to, const int* places_to, const MPI_Datatype* types_to,
                  MPI_Comm comm);
int bfs_barrier(MPI_Comm comm);
int bfs_bcast(void* data, int n, MPI_Datatype type, int root, MPI_Comm comm);
int bfs_comm_dup(MPI_Comm comm, MPI_Comm* made);
int bfs_gather(const void* from, int n, MPI_Datatype type, void* to, int n_to, MPI_Datatype type_to,
               int root, MPI_Comm comm);
int bfs_gatherv(const void* from, int n, MPI_Datatype type, void* to, const int* n_to,
                const int* places, MPI_Datatype type_to, int root, MPI_Comm comm);
int bfs_recv(void* data, int n, MPI_Datatype type, int source, int tag, MPI_Comm comm,
             MPI_Status* status);
int bfs_scan(const void* from, void* to, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm);
int bfs_send(const void* data, int n, MPI_Datatype type, int target, int tag, MPI_Comm comm);
int bfs_wait(MPI_Request* request, MPI_Status* status);
int bfs_waitall(int n, MPI_Request* requests, MPI_Status* statuses);
int bfs_waitany(int n, MPI_Request* requests, int* which, MPI_Status* status);

/* Moves on the nonblocking file operations of this process, without blocking. Returns whether
 * anything happened. (ad_benchfs_nb.c) */
int bfs_requests_progress(void);

/* ---- threads -----------------------------------------------------------------------------------
 * ROMIO runs one thread at a time. In libbenchfs_mpio others may run while a call waits; in MPICH
 * itself the section is MPICH's. */
#ifdef BENCHFS_MPIO
#include "section.h"
#define BFS_SECTION_LEAVE() mpio_section_leave()
#define BFS_SECTION_RETURN(depth) mpio_section_return(depth)
#else
#define BFS_SECTION_LEAVE() 0
#define BFS_SECTION_RETURN(depth) ((void)(depth))
#endif

#endif /* AD_BENCHFS_WAIT_H_INCLUDED */
