#!/bin/bash
# The MPI programs of this folder, compiled with the stock mpicc, each at several numbers of ranks; the
# example programs; a parallel HDF5 program; and the library linked instead of preloaded.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_servers
folder=$top_srcdir/test/mpi
mkdir -p "$work/cwd"
cd "$work/cwd" || exit 1

# compile NAME SOURCE OPTION...
compile() {
    local name=$1
    shift
    "$MPICC" -g -O1 -Wall -Wextra -Wshadow -Werror -o "$work/$name" "$@" >"$work/output" 2>&1
}

# passes TEXT RANKS PROGRAM ARGUMENT...
passes() {
    local text=$1 ranks=$2
    shift 2
    mpirun "$ranks" "$@" && grep -q 'No Errors' "$work/output"
    result $? "$text: $ranks ranks, $took s"
}

for name in open views size limits nonblocking info handlers shared atomic sieve threads; do
    if ! compile $name "$folder/$name.c"; then
        result 1 "$name: does not compile"
        continue
    fi
    for ranks in 1 2 4; do
        passes $name $ranks "$work/$name"
    done
done

# More ranks than small machines have cores.
if compile crowd "$folder/crowd.c"; then
    passes crowd 12 "$work/crowd"
else
    result 1 "crowd: does not compile"
fi

if compile waiting -I"$top_srcdir/adio_benchfs" "$folder/waiting.c" \
    "$top_srcdir/adio_benchfs/ad_benchfs_wait.c"; then
    for ranks in 1 2 5; do
        passes waiting $ranks "$work/waiting"
    done
else
    result 1 "waiting: does not compile"
fi

if compile team -I"$top_srcdir/adio_benchfs" "$folder/team.c" "$top_srcdir/adio_benchfs/ad_benchfs_team.c" \
    "$top_srcdir/adio_benchfs/ad_benchfs_wait.c" \
    -Wl,--wrap=PMPI_Iallreduce,--wrap=PMPI_Ibcast,--wrap=PMPI_Comm_idup; then
    for ranks in 1 2 5 16; do
        passes team $ranks "$work/team"
    done
else
    result 1 "team: does not compile"
fi

take_core_flags
if compile closes "$folder/closes.c" "${core_flags[@]}"; then
    for ranks in 2 4 12; do
        passes closes $ranks "$work/closes"
    done
else
    result 1 "closes: does not compile"
fi

if compile shared_file "$top_srcdir/examples/shared_file.c"; then
    for ranks in 1 3; do
        mpirun $ranks "$work/shared_file" benchfs:/programs_shared_file 8 &&
            grep -q 'every byte is right' "$work/output"
        result $? "examples/shared_file: $ranks ranks, $took s"
    done
    mpirun 2 "$work/shared_file" "$work/cwd/shared_file" 8 &&
        grep -q 'every byte is right' "$work/output"
    result $? "examples/shared_file: on a local file, with the library preloaded, $took s"
else
    result 1 "examples/shared_file: does not compile"
fi

"${CC:-cc}" -Wall -Wextra -Wshadow -Werror -o "$work/native" "$top_srcdir/examples/native.c" \
    "${core_flags[@]}" >"$work/output" 2>&1 && timeout "$seconds_max" "$work/native" >"$work/output" 2>&1
result $? "examples/native"

# Linked before MPI, nothing is preloaded.
take_link_words
if compile linked "$folder/open.c" "${link_words[@]}"; then
    with_library linked
    passes "open: linked, not preloaded" 2 "$work/linked"
    with_library preloaded
else
    result 1 "open: does not link with ${link_words[*]}"
fi

# shellcheck disable=SC2046
if ! pkg-config --exists hdf5-mpich; then
    skip "hdf5" "no parallel HDF5 for MPICH (Debian package libhdf5-mpich-dev)"
elif compile hdf5 "$folder/hdf5.c" $(pkg-config --cflags --libs hdf5-mpich); then
    passes "hdf5" 1 "$work/hdf5" benchfs:/programs.h5
    passes "hdf5" 4 "$work/hdf5" benchfs:/programs.h5
    passes "hdf5: on a local file, with the library preloaded" 4 "$work/hdf5" "$work/cwd/local.h5"
else
    result 1 "hdf5: does not compile"
fi
finish
