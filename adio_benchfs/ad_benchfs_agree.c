/*
 * ad_benchfs_agree.c - one outcome on all ranks of a collective operation.
 *
 * A collective call whose ranks return different results leaves the program out of step, and one
 * that stops early on a failure leaves the others waiting. So every collective operation of the
 * driver runs to its end on every rank, and then all ranks agree on the worst code.
 */
#include "ad_benchfs.h"

#include <limits.h>

/* Tags of nonblocking agreements. Lower ones are those of the collective engine; ROMIO's two-phase, whose
 * tags grow with its rounds, is given a communicator of its own. */
#define AGREEMENT_TAG_FIRST 16384
#define AGREEMENT_TAGS 16384

enum { WAIT_FOR_OWN, GATHER, ASK_PARENT, TELL_CHILDREN, FINISHED };

/* One number, so that the largest is that of the largest code, and of the first rank that has it. */
int64_t bfs_verdict_number(MPI_Comm comm, int code) {
  int rank;

  MPI_Comm_rank(comm, &rank);
  return ((int64_t)code << 32) + (INT_MAX - rank);
}

struct bfs_verdict bfs_verdict_of(int64_t number) {
  return (struct bfs_verdict){(int)(number >> 32), INT_MAX - (int)(number & INT_MAX)};
}

struct bfs_verdict bfs_agree(MPI_Comm comm, int code) {
  int64_t worst = bfs_verdict_number(comm, code);

  bfs_team_most(comm, &worst, 1);
  return bfs_verdict_of(worst);
}

static int child(const struct bfs_agreement* agreement, int which) {
  int rank = 2 * agreement->rank + 1 + which;

  return rank < agreement->size ? rank : MPI_PROC_NULL;
}

void bfs_agreement_begin(struct bfs_agreement* agreement, ADIO_File fd) {
  agreement->comm = fd->comm;
  agreement->tag = AGREEMENT_TAG_FIRST + (int)(bfs_file(fd)->agreements++ % AGREEMENT_TAGS);
  MPI_Comm_rank(fd->comm, &agreement->rank);
  MPI_Comm_size(fd->comm, &agreement->size);
  agreement->given = 0;
  agreement->phase = WAIT_FOR_OWN;
  for (int i = 0; i < 2; i++) {
    agreement->incoming[i].code = 0;
    MPI_Irecv(&agreement->incoming[i], 1, MPI_2INT, child(agreement, i), agreement->tag,
              agreement->comm, &agreement->requests[i]);
  }
}

void bfs_agreement_give(struct bfs_agreement* agreement, int code) {
  agreement->verdict.code = code;
  agreement->verdict.rank = agreement->rank;
  agreement->given = 1;
  agreement->phase = GATHER;
}

static void ask_parent(struct bfs_agreement* agreement) {
  int parent = (agreement->rank - 1) / 2;

  MPI_Isend(&agreement->verdict, 1, MPI_2INT, parent, agreement->tag, agreement->comm,
            &agreement->requests[0]);
  MPI_Irecv(&agreement->incoming[0], 1, MPI_2INT, parent, agreement->tag, agreement->comm,
            &agreement->requests[1]);
  agreement->phase = ASK_PARENT;
}

static void tell_children(struct bfs_agreement* agreement) {
  for (int i = 0; i < 2; i++) {
    MPI_Isend(&agreement->verdict, 1, MPI_2INT, child(agreement, i), agreement->tag,
              agreement->comm, &agreement->requests[i]);
  }
  agreement->phase = TELL_CHILDREN;
}

int bfs_agreement_step(struct bfs_agreement* agreement) {
  int done = 1;

  while (agreement->phase != WAIT_FOR_OWN && agreement->phase != FINISHED) {
    MPI_Testall(2, agreement->requests, &done, MPI_STATUSES_IGNORE);
    if (!done) return 0;
    switch (agreement->phase) {
      case GATHER:
        for (int i = 0; i < 2; i++) {
          if (agreement->incoming[i].code > agreement->verdict.code)
            agreement->verdict = agreement->incoming[i];
        }
        if (agreement->rank > 0)
          ask_parent(agreement);
        else
          tell_children(agreement);
        break;
      case ASK_PARENT:
        agreement->verdict = agreement->incoming[0];
        tell_children(agreement);
        break;
      default:
        agreement->phase = FINISHED;
    }
  }
  return agreement->phase == FINISHED;
}
