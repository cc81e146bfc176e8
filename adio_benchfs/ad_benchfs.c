/*
 * ad_benchfs.c - the table of operations by which ROMIO knows BenchFS, and what BenchFS supports.
 */
#include "ad_benchfs.h"

int ADIOI_BENCHFS_Feature(ADIO_File fd, int flag) {
  (void)fd;
  switch (flag) {
    case ADIO_SCALABLE_OPEN:
    case ADIO_SCALABLE_RESIZE:
    /* A fetch-and-add on the file's home server, see ad_benchfs_shared.c. */
    case ADIO_SHARED_FP:
      return 1;
    /* Strided writes are list writes: nothing is read back, so nothing needs to be locked. */
    case ADIO_DATA_SIEVING_WRITES:
    /* Collectives come from this driver; ROMIO's deferred open does not apply to them. */
    case ADIO_TWO_PHASE:
    /* Atomic mode takes its own locks, see ad_benchfs_atomic.c. */
    case ADIO_LOCKS:
    case ADIO_UNLINK_AFTER_CLOSE:
    /* A size that grew is seen by others after a sync, a close or a collective write. */
    case ADIO_IMMEDIATELY_VISIBLE:
    default:
      return 0;
  }
}

/* Called in atomic mode around contiguous accesses at the shared file pointer, which lock their bytes
 * themselves like all others; and for data sieving and ADIO_LOCKS, which are not used. */
int ADIOI_BENCHFS_SetLock(ADIO_File fd, int cmd, int type, ADIO_Offset offset, int whence,
                          ADIO_Offset len) {
  (void)fd;
  (void)cmd;
  (void)type;
  (void)offset;
  (void)whence;
  (void)len;
  return MPI_SUCCESS;
}

struct ADIOI_Fns_struct ADIO_BENCHFS_operations = {
    ADIOI_BENCHFS_Open,
    ADIOI_BENCHFS_OpenColl,
    ADIOI_BENCHFS_ReadContig,
    ADIOI_BENCHFS_WriteContig,
    ADIOI_BENCHFS_ReadStridedColl,
    ADIOI_BENCHFS_WriteStridedColl,
    ADIOI_GEN_SeekIndividual,
    ADIOI_BENCHFS_Fcntl,
    ADIOI_BENCHFS_SetInfo,
    ADIOI_BENCHFS_ReadStrided,
    ADIOI_BENCHFS_WriteStrided,
    ADIOI_BENCHFS_Close,
    ADIOI_BENCHFS_IreadContig,
    ADIOI_BENCHFS_IwriteContig,
    ADIOI_FAKE_IODone, /* ReadDone to WriteComplete: */
    ADIOI_FAKE_IODone, /* no caller is left in ROMIO */
    ADIOI_FAKE_IOComplete,
    ADIOI_FAKE_IOComplete,
    ADIOI_BENCHFS_IreadStrided,
    ADIOI_BENCHFS_IwriteStrided,
    ADIOI_BENCHFS_Flush,
    ADIOI_BENCHFS_Resize,
    ADIOI_BENCHFS_Delete,
    ADIOI_BENCHFS_Feature,
    "BENCHFS: ad-hoc parallel file system",
    ADIOI_BENCHFS_IreadStridedColl,
    ADIOI_BENCHFS_IwriteStridedColl,
    ADIOI_BENCHFS_SetLock,
};
