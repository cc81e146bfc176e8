/*
 * load.h - what the loads of bench/ share: targets, their data, and the lines that they print.
 *
 * A target is LABEL=KIND:PATH[@hint=value,...], where KIND says by what means the file is used:
 *   mpi     MPI_File_*, on benchfs:PATH or on a local file (MPI's own ROMIO)
 *   native  benchfs.h, on the cluster that the environment names
 *   posix   system calls on a local file
 *   uring   io_uring on a local file: the only local one with several operations in flight
 *   memory  a copy in the memory of the process: the limit
 * In each round the targets are taken in turn, each round beginning with the next one, so that what
 * disturbs the machine disturbs all alike. Every figure is one line of rank 0, with tabs:
 *   round, label, what, unit, value
 * Each load reads back all it wrote; wrong data end it with status 1 and a line that names the
 * place.
 */
#ifndef BENCH_LOAD_H_INCLUDED
#define BENCH_LOAD_H_INCLUDED

#include <benchfs.h>
#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#define TARGETS_MAX 8
#define ROUNDS_MAX 64
#define DEPTH_MAX 64
#define PATH_BYTES 512

enum kind { MPI_KIND, NATIVE, POSIX, URING, MEMORY };

struct target {
  char label[32];
  enum kind kind;
  char path[PATH_BYTES];
  char hints[PATH_BYTES]; /* "name=value,..." */
  unsigned char* memory;  /* of a memory target */
  uint64_t memory_bytes;
};

struct file; /* an open one, see backend.c */

extern const char* program; /* its name, in front of what it says */
extern int rank, ranks;     /* in MPI_COMM_WORLD */
extern benchfs_t* fs;       /* connected if there is a native target */

/* ---- the program ---- */

/* MPI_Init, or MPI_Init_thread if `multiple`; sets rank and ranks. */
void load_begin(int* argc, char*** argv, const char* name, int multiple);
/* Disconnects and finalizes. */
void load_end(void);
/* Ends all ranks with status 1 and the text. */
void fail(const char* format, ...) __attribute__((format(printf, 1, 2), noreturn));
void check_mpi(int code, const char* what);
/* "64k", "1m" or plain bytes; ends the program with status 2 if it is no number from 1 to `most`.
 */
uint64_t number(const char* text, uint64_t most, const char* option);
/* Parses argv[first...]; connects if one is native. Gives how many. */
int take_targets(int argc, char** argv, int first, struct target* targets);
void print_figure(int round, const char* label, const char* what, const char* unit, double value);
double seconds_now(void);
/* All ranks of MPI_COMM_WORLD, with waits that leave the cores to those that still work: a barrier;
 * the longest; the sum; the counts of all, in the order of ranks. */
void meet(void);
double longest(double seconds);
uint64_t sum_of(uint64_t count);
void share(uint64_t count, uint64_t* counts);

/* ---- data ---- */

/* `bytes` (a multiple of 8) that stand at `offset` of a file of `round`: a pattern in which the
 * first and the last word of every 4096 bytes tell offset and round. fill() writes all of it;
 * stamp() the telling words alone, into what fill() once wrote at any offset. */
void fill(void* data, size_t bytes, uint64_t offset, uint64_t round);
void stamp(void* data, size_t bytes, uint64_t offset, uint64_t round);
/* Of all bytes, or of the first and the last word alone. */
void verify(const void* data, size_t bytes, uint64_t offset, uint64_t round, const char* label);
void glance(const void* data, size_t bytes, uint64_t offset, uint64_t round, const char* label);
/* For O_DIRECT. Never NULL. */
void* aligned_memory(size_t bytes);

/* ---- files ---- */

enum { FOR_WRITING = 1, WITH_O_DIRECT = 2, OF_ONE_RANK = 4 };

/* Collective unless OF_ONE_RANK. `bytes`: how long it gets, for a memory target. */
struct file* file_open(struct target* target, const char* path, int how, uint64_t bytes);
void file_write(struct file* file, const void* data, size_t bytes, uint64_t offset);
void file_read(struct file* file, void* data, size_t bytes, uint64_t offset);
/* Several in flight, each in a slot below DEPTH_MAX; posix and memory do it at once. */
void file_start(struct file* file, int slot, int writes, void* data, size_t bytes, uint64_t offset);
void file_finish(struct file* file, int slot);
/* Every `ranks`-th piece of the file, all of them in one collective call; MPI_KIND only. */
void file_all(struct file* file, int writes, void* data, size_t bytes, size_t piece);
void file_sync(struct file* file);
void file_close(struct file* file);
/* By the rank that calls; that it is not there is no error. */
void file_remove(struct target* target, const char* path);

#endif /* BENCH_LOAD_H_INCLUDED */
