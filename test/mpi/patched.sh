#!/bin/bash
# The second way to install: adio_benchfs/patch-mpich adds the driver to MPICH's source tree. A copy of
# the tree is patched twice, configured as a site would, and its ROMIO compiled and linked; all of MPICH
# would take a quarter of an hour.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

[ -n "${CORE_LIBDIR:-}" ] || bail_out "CORE_LIBDIR does not name the folder of libbenchfs_core"
source=$MPICH_SRC
[ -n "$source" ] || source=$("$top_srcdir/tools/fetch-mpich-src") || bail_out "no source of MPICH"
tree=$work/mpich
mkdir -p "$tree" "$work/build" "$work/prefix/include" "$work/prefix/lib"
if [ -d "$source" ]; then
    cp -Rp "$source/." "$tree"
    chmod -R u+w "$tree"
else
    tar -xf "$source" -C "$tree" --strip-components=1 || bail_out "$source cannot be unpacked"
fi
# What an installed BenchFS has.
cp "$top_srcdir/libbenchfs_core/include/benchfs.h" "$work/prefix/include"
cp -P "$CORE_LIBDIR"/libbenchfs_core.so* "$work/prefix/lib"
patch_mpich=$top_srcdir/adio_benchfs/patch-mpich

# run TEXT SECONDS COMMAND...
run() {
    local text=$1 seconds=$2
    shift 2
    timeout --kill-after=10 "$seconds" "$@" >"$work/output" 2>&1 </dev/null
    result $? "$text" 15
}

run "patch-mpich: patches a tree" 120 "$patch_mpich" "$tree"
find "$tree/src/mpi/romio" -type f -printf '%p %s %T@\n' | sort >"$work/before"
run "patch-mpich: a second run is accepted" 120 "$patch_mpich" "$tree"
find "$tree/src/mpi/romio" -type f -printf '%p %s %T@\n' | sort | diff "$work/before" - >"$work/output"
result $? "patch-mpich: and changes nothing"

! "$patch_mpich" "$work/prefix" >"$work/output" 2>&1 && grep -q 'no source tree of MPICH' "$work/output"
result $? "patch-mpich: says so when a directory is no MPICH"
! "$patch_mpich" >"$work/output" 2>&1 && grep -q 'patch-mpich DIR' "$work/output"
result $? "patch-mpich: without an argument tells how it is used"

cd "$work/build" || exit 1
# configure would take these as its own.
export -n top_srcdir MPICC MPIEXEC MPIFORT
run "MPICH configures with --with-file-system=ufs+nfs+benchfs" 600 nice "$tree/configure" \
    --disable-fortran --disable-cxx --with-pm=no --with-file-system=ufs+nfs+benchfs --with-benchfs="$work/prefix" \
    --prefix="$work/mpi" --with-device=ch4:ucx --with-ucx="$(pkg-config --variable=prefix ucx)"
if [ "$n_failed" -eq 0 ]; then
    run "MPICH's mpicc will link libbenchfs_core" 10 grep -q -e "-lbenchfs_core" src/env/mpicc.bash
    run "its MPL compiles" 300 nice make -s -j2 -C src/mpl
    run "its ROMIO compiles" 600 nice make -s -j2 -C src/mpi/romio
    # Everything that is not MPI's own is found.
    run "its ROMIO links with libbenchfs_core" 60 "${CC:-cc}" -shared -o romio.so \
        -Wl,--whole-archive src/mpi/romio/.libs/libromio.a \
        -Wl,--no-whole-archive -L"$work/prefix/lib" -lbenchfs_core
    nm -D --undefined-only romio.so >"$work/output" 2>&1 && grep -q benchfs_connect "$work/output" &&
        ! grep -qE ' (ADIO|ADIOI|bfs)_' "$work/output"
    result $? "and nothing of the driver is missing"
fi
finish
