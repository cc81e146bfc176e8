# lib.sh - what the MPI test scripts share; sourced by them with bash.
#
# They print TAP. Each runs inside `benchfs run -n N -- SCRIPT`, which starts the servers and sets
# BENCHFS_REGISTRY and LD_PRELOAD. From the environment, set by the Makefile: MPICC, MPIEXEC, MPIFORT
# (empty: no Fortran), MPICH_SRC (empty: fetched), top_srcdir, and, for what is not installed yet,
# MPIO_LIBRARY (the library to preload) and CORE_LIBDIR (the folder with libbenchfs_core). Programs are
# built in, and local files written to, a temporary directory that goes away at the end.
# shellcheck shell=bash disable=SC2034,SC2054
set -uo pipefail

: "${MPICC:=mpicc}" "${MPIEXEC:=mpiexec}" "${MPIFORT=}" "${MPICH_SRC=}"
: "${top_srcdir:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"

bail_out() {
    echo "Bail out! $*" | tr '\n' ' '
    echo
    exit 1
}

# The library goes to the MPI programs alone.
library=${MPIO_LIBRARY:-${LD_PRELOAD:-}}
preload=$library
unset LD_PRELOAD

# How the next programs find the library: preloaded, or not (linked with it, or without it at all).
with_library() {
    preload=
    [ "$1" != preloaded ] || preload=$library
}

# What a program is linked with so that it needs no LD_PRELOAD, in the array $link_words.
take_link_words() {
    local words
    words=$(benchfs env --link) || bail_out "benchfs env --link: no words"
    read -ra link_words <<<"$words"
}

# What a program that uses benchfs.h is compiled with, in the array $core_flags.
take_core_flags() {
    if [ -n "${CORE_LIBDIR:-}" ]; then
        core_flags=(-I"$top_srcdir/libbenchfs_core/include" -L"$CORE_LIBDIR" -Wl,-rpath,"$CORE_LIBDIR"
            -lbenchfs_core)
    else
        read -ra core_flags <<<"$(pkg-config --cflags --libs benchfs)"
    fi
}

# What BRIEF_CHECK=yes leaves out.
not_brief() {
    [ "${BRIEF_CHECK:-}" != yes ] || {
        echo "1..0 # SKIP BRIEF_CHECK=yes"
        exit 0
    }
}

need_servers() {
    [ -n "${BENCHFS_REGISTRY:-}${BENCHFS_SERVERS:-}" ] ||
        bail_out "no servers: run this as benchfs run -n 2 -- $0"
    [ -n "$preload" ] || bail_out "neither LD_PRELOAD nor MPIO_LIBRARY names libbenchfs_mpio.so"
}

work=$(mktemp -d "${TMPDIR:-/tmp}/benchfs-mpi.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
seconds_max=${TEST_SECONDS:-120}

# mpirun RANKS PROGRAM ARGUMENT...: bounded in time, output to $work/output, seconds to $took.
mpirun() {
    local ranks=$1 from=$EPOCHREALTIME status
    shift
    timeout --kill-after=10 "$seconds_max" "$MPIEXEC" -n "$ranks" env LD_PRELOAD="$preload" "$@" \
        >"$work/output" 2>&1 </dev/null
    status=$?
    took=$(awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }')
    return $status
}

n_tests=0
n_failed=0

# result STATUS TEXT: one TAP line, and what the program said if it failed.
result() {
    n_tests=$((n_tests + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n_tests - $2"
    else
        n_failed=$((n_failed + 1))
        echo "not ok $n_tests - $2"
        output_tail "${3:-40}"
    fi
}

output_tail() {
    tail -n "$1" "$work/output" | cut -c 1-400 | sed 's/^/#   /'
}

# todo TEXT WHY: a test that failed, which is expected.
todo() {
    n_tests=$((n_tests + 1))
    echo "not ok $n_tests - $1 # TODO $2"
    output_tail 10
}

skip() {
    n_tests=$((n_tests + 1))
    echo "ok $n_tests - $1 # SKIP $2"
}

# enough_memory MEGABYTES
enough_memory() {
    awk -v need="$1" '/^MemAvailable:/ { exit !($2 > need * 1024) }' /proc/meminfo
}

finish() {
    echo "1..$n_tests"
    [ "$n_failed" -eq 0 ]
    exit
}

# Sets $mpich to MPICH's source directory, or to one with just the part of it that is named.
# A directory given with MPICH_SRC is used where it is.
take_mpich_source() {
    local part=$1 source=$MPICH_SRC
    if [ -z "$source" ]; then
        source=$("$top_srcdir/tools/fetch-mpich-src") || bail_out "no source of MPICH"
    fi
    if [ -d "$source" ]; then
        mpich=$source
    else
        mpich=$work/mpich
        mkdir -p "$mpich"
        tar -xf "$source" -C "$mpich" --strip-components=1 --wildcards "*/$part" ||
            bail_out "$source has no $part"
    fi
    [ -d "$mpich/$part" ] || bail_out "$mpich has no $part"
}
