#!/bin/bash
# ROMIO's own tests, from MPICH's source and unchanged but for what is said below, each on BenchFS and
# as a control on the local file system in the same job. One TAP line per test, with both times.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_servers

take_mpich_source src/mpi/romio/test
source=$mpich/src/mpi/romio/test
mkdir -p "$work/bin" "$work/local" "$work/cwd/benchfs:"
cd "$work/cwd" || exit 1

# ---- build --------------------------------------------------------------------------------------------
# configure's substitutions, done by hand.
sed 's/@LL@/lld/g' "$source/misc.c.in" >"$work/misc.c"
sed 's/@LL@/lld/g' "$source/large_file.c.in" >"$work/large_file.c"
# Its 128^3 array is 2400^3 in this release: 14 GB of int.
sed 's/array_of_gsizes\[\([0-2]\)\] = [0-9 *]*/array_of_gsizes[\1] = 96/' "$source/coll_perf.c" \
    >"$work/coll_perf.c"
# It looks at the file with fopen(), which posix_over_mpi.h makes an MPI-IO read; and its name is fixed.
sed 's/#define TEST_FILENAME.*/#define TEST_FILENAME argv[1]/' "$source/external32.c" >"$work/external32.c"

build() {
    local name=$1 file=$source/$1.c
    [ ! -f "$work/$name.c" ] || file=$work/$name.c
    local extra=
    [ "$name" != external32 ] || extra="-include $top_srcdir/test/mpi/posix_over_mpi.h"
    # shellcheck disable=SC2086
    "$MPICC" -O1 -w $extra -o "$work/bin/$name" "$file" -lm >"$work/output" 2>&1
}

build_fortran() {
    sed -e '/@F77MPIOINC@/d' -e 's/@FORTRAN_MPI_OFFSET@/integer(kind=MPI_OFFSET_KIND)/' \
        -e 's/@F77IARGC@/iargc()/' -e 's/@F77GETARG@/call getarg(i,str)/' "$source/$1.f.in" >"$work/$1.f"
    "$MPIFORT" -w -fallow-argument-mismatch -o "$work/bin/$1" "$work/$1.f" >"$work/output" 2>&1
}

# ---- run ----------------------------------------------------------------------------------------------
# verdict SAYS: whether the last run says so: "errors" tests print No Errors, "quiet" ones nothing bad.
verdict() {
    case $1 in
    errors) grep -q 'No Errors' "$work/output" ;;
    quiet) ! grep -qiE 'error|incorrect|should be|unknown|unexpected' "$work/output" ;;
    esac
}

# both NAME SAYS RANKS ARGUMENT...: FILE in the arguments is the file, on either file system.
both() {
    local name=$1 says=$2 ranks=$3 where file status=0 times=
    shift 3
    for where in benchfs local; do
        file=benchfs:/romio_$name
        [ $where = benchfs ] || file=$work/local/$name
        if ! mpirun "$ranks" "$work/bin/$name" "${@//FILE/$file}" || ! verdict "$says"; then
            echo "# $name failed on the ${where/local/local file system, the control}"
            status=1
            break
        fi
        times="$times, $where $took s"
    done
    rm -rf "$work/local/$name"
    result $status "$name: $ranks ranks$times"
}

one() {
    if build "$1"; then both "$@"; else result 1 "$1: does not compile"; fi
}

for name in simple async async-multiple coll_test creat_excl excl file_info noncontig_coll2 \
    split_coll psimple atomicity shared_fp ordered_fp misc; do
    one $name errors 4 -fname FILE
done
for name in i_noncontig noncontig noncontig_coll; do
    one $name errors 2 -fname FILE
done
one error errors 1 -fname FILE
one status errors 1 -fname FILE
one aggregation1 errors 4 -h -f FILE
one aggregation2 errors 4 FILE
one hindexed errors 4 FILE
one types_with_zeros errors 2 FILE
one darray_read errors 4 FILE
one big_extents errors 4 FILE
one perf quiet 4 -fname FILE
one coll_perf quiet 4 -fname FILE
one external32 quiet 1 FILE
one large_file quiet 1 -fname FILE

# Reads the hints from a local file of the same name as the one it opens.
if build syshints && cp "$source/test_hintfile" benchfs:/romio_syshints &&
    mpirun 4 "$work/bin/coll_test" -fname benchfs:/romio_syshints; then
    cp "$source/test_hintfile" "$work/local/syshints"
    both syshints errors 1 FILE
else
    result 1 "syshints: preparing it"
fi

if [ -n "$MPIFORT" ]; then
    for name in fcoll_test fmisc pfcoll_test; do
        if build_fortran $name; then
            both $name errors 4 -fname FILE
        else
            result 1 "$name: does not compile"
        fi
    done
else
    skip "fcoll_test, fmisc, pfcoll_test" "no Fortran compiler"
fi
finish
