#!/bin/bash
# A server that is full, under an MPI program: with local access, and by messages alone.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
not_brief
need_servers

# full TEXT SETTING...: in servers of its own
full() {
    local text=$1
    shift
    timeout --kill-after=10 "$seconds_max" env -u BENCHFS_REGISTRY -u BENCHFS_SERVERS BENCHFS_MAX_STORAGE=4MiB "$@" \
        benchfs run -n 1 --no-preload -- "$MPIEXEC" -n 2 env LD_PRELOAD="$preload" "$work/full" benchfs:/full \
        >"$work/output" 2>&1 </dev/null && grep -q 'No Errors' "$work/output"
    result $? "$text"
}

if "$MPICC" -g -O1 -Wall -Wextra -Wshadow -Werror -o "$work/full" "$top_srcdir/test/mpi/full.c" \
    >"$work/output" 2>&1; then
    full "a full server: MPI_ERR_NO_SPACE"
    full "a full server, by messages: MPI_ERR_NO_SPACE" BENCHFS_LOCAL_ACCESS=false
else
    result 1 "full: does not compile"
fi
finish
