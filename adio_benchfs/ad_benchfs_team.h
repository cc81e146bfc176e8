/*
 * ad_benchfs_team.h - what the ranks of a communicator agree on when they open and close files.
 *
 * The communicator of an open file has a team: how its ranks find the largest of their values, and
 * how rank 0 tells the others something. If all ranks are on one host this goes through memory that
 * they share, in which a rank that waits sleeps until it is woken; else it is MPI's collectives.
 * The communicator outlives the file, and serves the next one that is opened with the same
 * communicator of the program (docs/adr/0025-teams-of-ranks.md).
 *
 * It needs mpi.h and ad_benchfs_wait.h alone.
 */
#ifndef AD_BENCHFS_TEAM_H_INCLUDED
#define AD_BENCHFS_TEAM_H_INCLUDED

#include <mpi.h>
#include <stdint.h>

/* Values of one agreement, at most. */
#define BFS_TEAM_VALUES 8
/* Files open at the same time with one communicator that have shared memory, at most. */
#define BFS_TEAM_FILES 8

/* Collective over `comm`, a communicator of the program: each of the `n` values becomes the largest
 * of all ranks; *made is a communicator of the same ranks for a file, with the errors' handler of
 * `comm`. It may have been another file's before. n < BFS_TEAM_VALUES. An MPI error code. */
int bfs_team_open(MPI_Comm comm, int64_t* most, int n, MPI_Comm* made);
/* Collective over *made: no file uses it any more. It becomes MPI_COMM_NULL. */
void bfs_team_close(MPI_Comm* made);

/* Collective over `made`, as bfs_team_open() made it: each value becomes the largest of all ranks.
 */
void bfs_team_most(MPI_Comm made, int64_t* values, int n);
/* The same: what rank 0 has at `data` is told to the others. The team agrees on something, or
 * another file is opened, before the next call. */
void bfs_team_tell(MPI_Comm made, void* data, int bytes);
/* Keeps a number with `made` for whoever has only that; 0 before. A team of one rank keeps none. */
void bfs_team_note(MPI_Comm made, int number);
int bfs_team_noted(MPI_Comm made);
/* Whether all ranks were found to be on one host. The same on all of them. */
int bfs_team_one_host(MPI_Comm made);

#endif /* AD_BENCHFS_TEAM_H_INCLUDED */
