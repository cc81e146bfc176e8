# BENCHFS_MPI: finds an MPICH (4.0 or newer) for the MPI-IO driver, its examples and its tests.
#
# Sets HAVE_MPI (conditional) and substitutes MPICC, MPIFORT (empty: no Fortran), MPIEXEC,
# MPICH_VERSION and MPICH_SRC (the directory or tarball given with --with-mpich-src, else empty).
# Without an option, `mpicc` in PATH is taken if it is MPICH's, else `mpicc.mpich`.
AC_DEFUN([BENCHFS_MPI], [
    AC_ARG_WITH([mpi],
        [AS_HELP_STRING([--with-mpi=PREFIX], [MPICH 4.0 or newer, installed in PREFIX (default: the mpicc in PATH)])
AS_HELP_STRING([--without-mpi], [leave out the MPI-IO driver, its examples and its tests])],
        [], [with_mpi=yes])
    AC_ARG_WITH([mpich-src],
        [AS_HELP_STRING([--with-mpich-src=DIR|TARBALL], [MPICH's source, whose ROMIO becomes libbenchfs_mpio (default: the Debian source package)])],
        [], [with_mpich_src=])
    AS_CASE([$with_mpich_src], [yes|no], [
        AC_MSG_ERROR([--with-mpich-src wants the source directory or the tarball of MPICH])])
    AS_IF([test -n "$with_mpich_src"], [
        AS_IF([test -d "$with_mpich_src" || test -f "$with_mpich_src"], [],
            [AC_MSG_ERROR([--with-mpich-src=$with_mpich_src: no such file or directory])])
        MPICH_SRC=`cd "\`dirname "$with_mpich_src"\`" && pwd`/`basename "$with_mpich_src"`
    ])
    AC_SUBST([MPICH_SRC])

    AC_ARG_VAR([MPICC], [MPICH's C compiler wrapper])
    AC_ARG_VAR([MPIFORT], [MPICH's Fortran compiler wrapper])
    AC_ARG_VAR([MPIEXEC], [MPICH's mpiexec])
    MPICH_VERSION=
    mpi_summary=no
    AS_IF([test "x$with_mpi" != xno], [BENCHFS_FIND_MPICH])
    AC_SUBST([MPICH_VERSION])
    AM_CONDITIONAL([HAVE_MPI], [test -n "$MPICH_VERSION"])
])

# BENCHFS_MPICH_VERSION(compiler wrapper): sets benchfs_version to MPICH_VERSION of its mpi.h, or to
# nothing when the wrapper does not run or is not MPICH's.
AC_DEFUN([BENCHFS_MPICH_VERSION], [
    AS_ECHO(['#include <mpi.h>
benchfs-mpich-version MPICH_VERSION']) >conftest.c
    benchfs_version=`"$1" -E conftest.c 2>&AS_MESSAGE_LOG_FD |
        sed -n 's/^benchfs-mpich-version "\(@<:@0-9@:>@.*\)"$/\1/p'`
    rm -f conftest.c
])

AC_DEFUN([BENCHFS_FIND_MPICH], [
    AS_IF([test "x$with_mpi" = xyes], [
        benchfs_mpi_path=$PATH
        benchfs_mpi_where="in PATH"
    ], [
        benchfs_mpi_path=$with_mpi/bin
        benchfs_mpi_where="in $with_mpi/bin"
    ])
    benchfs_candidates=$MPICC
    AS_IF([test -z "$MPICC"], [benchfs_candidates="mpicc mpicc.mpich"])
    AC_MSG_CHECKING([for MPICH's mpicc $benchfs_mpi_where])
    benchfs_others=
    MPICC=
    benchfs_saved_IFS=$IFS
    for benchfs_candidate in $benchfs_candidates; do
        AS_CASE([$benchfs_candidate], [/*], [benchfs_found=$benchfs_candidate], [
            benchfs_found=
            IFS=$PATH_SEPARATOR
            for benchfs_dir in $benchfs_mpi_path; do
                IFS=$benchfs_saved_IFS
                AS_IF([test -z "$benchfs_found" && test -x "$benchfs_dir/$benchfs_candidate"],
                    [benchfs_found=$benchfs_dir/$benchfs_candidate])
            done
            IFS=$benchfs_saved_IFS
        ])
        AS_IF([test -n "$benchfs_found"], [
            BENCHFS_MPICH_VERSION([$benchfs_found])
            AS_IF([test -n "$benchfs_version"], [
                MPICC=$benchfs_found
                MPICH_VERSION=$benchfs_version
                break
            ], [benchfs_others="$benchfs_others $benchfs_found"])
        ])
    done
    AS_IF([test -n "$MPICC"], [AC_MSG_RESULT([$MPICC (MPICH $MPICH_VERSION)])], [AC_MSG_RESULT([no])])

    AS_IF([test -z "$MPICC"], [
        benchfs_why="MPICH >= 4.0 $benchfs_mpi_where"
        AS_IF([test -n "$benchfs_others"],
            [benchfs_why="$benchfs_why; not MPICH's:$benchfs_others"])
        BENCHFS_MISSING([$benchfs_why; or give --with-mpi=PREFIX, or --without-mpi], [mpich libmpich-dev])
    ], [
        AX_BENCHFS_AT_LEAST([$MPICH_VERSION], [4], [], [
            BENCHFS_MISSING([MPICH >= 4.0: $MPICC is of MPICH $MPICH_VERSION; give --with-mpi=PREFIX of a newer one, or --without-mpi],
                [mpich libmpich-dev])
        ])
        # The wrappers of one installation share a directory and a suffix.
        benchfs_dir=`AS_DIRNAME(["$MPICC"])`
        AS_CASE([$MPICC], [*.mpich], [benchfs_suffix=.mpich], [benchfs_suffix=])
        AS_IF([test -z "$MPIFORT" && test -x "$benchfs_dir/mpifort$benchfs_suffix"],
            [MPIFORT=$benchfs_dir/mpifort$benchfs_suffix])
        AS_IF([test -z "$MPIEXEC" && test -x "$benchfs_dir/mpiexec$benchfs_suffix"],
            [MPIEXEC=$benchfs_dir/mpiexec$benchfs_suffix])
        AC_MSG_CHECKING([for mpiexec beside it])
        AC_MSG_RESULT([${MPIEXEC:-no}])
        AS_IF([test -z "$MPIEXEC"],
            [BENCHFS_MISSING([mpiexec$benchfs_suffix in $benchfs_dir], [mpich])])
        mpi_summary="MPICH $MPICH_VERSION, $MPICC"
    ])
])

# AX_BENCHFS_AT_LEAST(version, major, if so, if not)
AC_DEFUN([AX_BENCHFS_AT_LEAST], [
    AS_IF([test `AS_ECHO(["$1"]) | sed 's/@<:@^0-9@:>@.*//'` -ge $2], [$3], [$4])
])
