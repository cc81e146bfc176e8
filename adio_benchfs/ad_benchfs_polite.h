/*
 * ad_benchfs_polite.h - ROMIO's waits by ad_benchfs_wait.h.
 *
 * Included by adio.h behind ROMIO's own renaming of MPI_ to PMPI_, so that it holds for every call
 * that ROMIO and the driver make, by either name, on all ranks alike.
 */
#ifndef AD_BENCHFS_POLITE_H_INCLUDED
#define AD_BENCHFS_POLITE_H_INCLUDED

#include "ad_benchfs_wait.h"

#define PMPI_Allgather bfs_allgather
#define PMPI_Allreduce bfs_allreduce
#define PMPI_Alltoall bfs_alltoall
#define PMPI_Alltoallw bfs_alltoallw
#define PMPI_Barrier bfs_barrier
#define PMPI_Bcast bfs_bcast
#define PMPI_Comm_dup bfs_comm_dup
#define PMPI_Gather bfs_gather
#define PMPI_Gatherv bfs_gatherv
#define PMPI_Recv bfs_recv
#define PMPI_Scan bfs_scan
#define PMPI_Send bfs_send
#define PMPI_Wait bfs_wait
#define PMPI_Waitall bfs_waitall
#define PMPI_Waitany bfs_waitany

#endif /* AD_BENCHFS_POLITE_H_INCLUDED */
