#!/bin/bash
# ROMIO's own tests, from MPICH's source and unchanged but for what is said below, each on BenchFS with
# the library preloaded and with the library linked first, and as a control on the local file system in
# the same job. One TAP line per test, with the times.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
not_brief
need_servers
take_link_words

take_mpich_source src/mpi/romio/test
source=$mpich/src/mpi/romio/test
mkdir -p "$work/bin" "$work/local" "$work/cwd/benchfs:"
cd "$work/cwd" || exit 1

# ---- build --------------------------------------------------------------------------------------------
# configure's substitutions, done by hand.
sed 's/@LL@/lld/g' "$source/misc.c.in" >"$work/misc.c"
sed 's/@LL@/lld/g' "$source/large_file.c.in" >"$work/large_file.c"
# Their arrays are 14 GB and 4 GB.
sed 's/array_of_gsizes\[\([0-2]\)\] = [0-9 *]*/array_of_gsizes[\1] = 96/' "$source/coll_perf.c" \
    >"$work/coll_perf.c"
sed 's/array_of_gsizes\[\([0-2]\)\] = [0-9 *]*/array_of_gsizes[\1] = 256/; s/256\/ sizeof(int)/256/' \
    "$source/large_array.c" >"$work/large_array.c"
# It looks at the file with fopen(), which posix_over_mpi.h makes an MPI-IO read; and its name is fixed.
sed 's/#define TEST_FILENAME.*/#define TEST_FILENAME argv[1]/' "$source/external32.c" >"$work/external32.c"

# link COMPILER NAME: without the library, and with it as NAME.linked.
link() {
    "$1" -o "$work/bin/$2" "$work/bin/$2.o" -lm >"$work/output" 2>&1 &&
        "$1" -o "$work/bin/$2.linked" "$work/bin/$2.o" "${link_words[@]}" -lm >"$work/output" 2>&1
}

build() {
    local name=$1 file=$source/$1.c extra=()
    [ ! -f "$work/$name.c" ] || file=$work/$name.c
    [ "$name" != external32 ] || extra=(-include "$top_srcdir/test/mpi/posix_over_mpi.h")
    "$MPICC" -O1 -w "${extra[@]}" -c -o "$work/bin/$name.o" "$file" >"$work/output" 2>&1 &&
        link "$MPICC" "$name"
}

build_fortran() {
    sed -e '/@F77MPIOINC@/d' -e 's/@FORTRAN_MPI_OFFSET@/integer(kind=MPI_OFFSET_KIND)/' \
        -e 's/@F77IARGC@/iargc()/' -e 's/@F77GETARG@/call getarg(i,str)/' "$source/$1.f.in" >"$work/$1.f"
    "$MPIFORT" -w -fallow-argument-mismatch -c -o "$work/bin/$1.o" "$work/$1.f" >"$work/output" 2>&1 &&
        link "$MPIFORT" "$1"
}

# ---- run ----------------------------------------------------------------------------------------------
# verdict SAYS: whether the last run says so: "errors" tests print No Errors, "correct" ones that on each
# of 4 ranks, "quiet" ones nothing bad.
verdict() {
    case $1 in
    errors) grep -q 'No Errors' "$work/output" ;;
    correct) [ "$(grep -c 'data read back is correct' "$work/output")" -eq 4 ] ;;
    quiet) ! grep -qiE 'error|incorrect|should be|unknown|unexpected' "$work/output" ;;
    esac
}

# all_ways NAME SAYS RANKS ARGUMENT...: FILE in the arguments is the file, on either file system.
all_ways() {
    local name=$1 says=$2 ranks=$3 way file program status=0 times='' ways="preloaded linked local"
    shift 3
    # One run of it takes as long as all others.
    [ "$name" != large_file ] || ways="preloaded local"
    for way in $ways; do
        file=benchfs:/${way}_$name program=$work/bin/$name
        with_library "$way"
        case $way in
        linked) program=$program.linked ;;
        local) file=$work/local/$name preload=$library ;;
        esac
        if ! mpirun "$ranks" "$program" "${@//FILE/$file}" || ! verdict "$says"; then
            echo "# $name failed, $way"
            status=1
            break
        fi
        times="$times, $way $took s"
    done
    rm -rf "$work/local/$name"
    result $status "$name: $ranks ranks$times"
}

one() {
    if build "$1"; then all_ways "$@"; else result 1 "$1: does not compile"; fi
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
one large_array correct 4 -fname FILE
one external32 quiet 1 FILE
# 4 GB, wherever the servers and TMPDIR have their files.
if enough_memory 9000; then
    one large_file quiet 1 -fname FILE
else
    skip "large_file" "needs 9 GB of memory if its files are in memory"
fi

# Reads the hints from a local file of the same name as the one it opens.
with_library preloaded
if build syshints && cp "$source/test_hintfile" benchfs:/preloaded_syshints &&
    cp "$source/test_hintfile" benchfs:/linked_syshints &&
    mpirun 4 "$work/bin/coll_test" -fname benchfs:/preloaded_syshints &&
    mpirun 4 "$work/bin/coll_test" -fname benchfs:/linked_syshints; then
    cp "$source/test_hintfile" "$work/local/syshints"
    all_ways syshints errors 1 FILE
else
    result 1 "syshints: preparing it"
fi

if [ -n "$MPIFORT" ]; then
    for name in fcoll_test fmisc pfcoll_test; do
        if build_fortran $name; then
            all_ways $name errors 4 -fname FILE
        else
            result 1 "$name: does not compile"
        fi
    done
    if build_fortran fperf; then
        all_ways fperf quiet 4 -fname FILE
    else
        result 1 "fperf: does not compile"
    fi
else
    skip "fcoll_test, fmisc, pfcoll_test, fperf" "no Fortran compiler"
fi
finish
