## Part of ROMIO's Makefile.am once adio_benchfs/patch-mpich has put the BenchFS driver there.

if BUILD_AD_BENCHFS

## For adio.h, in which all of ROMIO finds how it waits.
AM_CPPFLAGS += -I$(top_srcdir)/adio/ad_benchfs

noinst_HEADERS += \
    adio/ad_benchfs/ad_benchfs.h \
    adio/ad_benchfs/ad_benchfs_coll.h \
    adio/ad_benchfs/ad_benchfs_polite.h \
    adio/ad_benchfs/ad_benchfs_team.h \
    adio/ad_benchfs/ad_benchfs_wait.h

romio_other_sources += \
    adio/ad_benchfs/ad_benchfs.c \
    adio/ad_benchfs/ad_benchfs_agree.c \
    adio/ad_benchfs/ad_benchfs_atomic.c \
    adio/ad_benchfs/ad_benchfs_coll.c \
    adio/ad_benchfs/ad_benchfs_coll_engine.c \
    adio/ad_benchfs/ad_benchfs_coll_gather.c \
    adio/ad_benchfs/ad_benchfs_coll_give.c \
    adio/ad_benchfs/ad_benchfs_coll_place.c \
    adio/ad_benchfs/ad_benchfs_coll_stream.c \
    adio/ad_benchfs/ad_benchfs_error.c \
    adio/ad_benchfs/ad_benchfs_fcntl.c \
    adio/ad_benchfs/ad_benchfs_hints.c \
    adio/ad_benchfs/ad_benchfs_io.c \
    adio/ad_benchfs/ad_benchfs_nb.c \
    adio/ad_benchfs/ad_benchfs_open.c \
    adio/ad_benchfs/ad_benchfs_session.c \
    adio/ad_benchfs/ad_benchfs_shared.c \
    adio/ad_benchfs/ad_benchfs_sieve.c \
    adio/ad_benchfs/ad_benchfs_team.c \
    adio/ad_benchfs/ad_benchfs_view.c \
    adio/ad_benchfs/ad_benchfs_wait.c

endif BUILD_AD_BENCHFS
