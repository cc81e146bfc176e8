#!/bin/bash
# A server dies under an MPI program: errors on all ranks, no hang.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
not_brief
need_servers

# Deadlines short enough for a test.
export BENCHFS_DEADLINE_MS=${BENCHFS_DEADLINE_MS:-8000}
victim=$(benchfs status --json | grep -o '"pid": *[0-9]*' | tail -n 1 | grep -o '[0-9]*$')
[ -n "$victim" ] || bail_out "benchfs status --json names no server"
if "$MPICC" -g -O1 -Wall -Wextra -Wshadow -Werror -o "$work/failure" "$top_srcdir/test/mpi/failure.c" \
    >"$work/output" 2>&1; then
    mpirun 3 "$work/failure" "$victim" 20 && grep -q 'No Errors' "$work/output"
    result $? "a server is killed: the same error on all ranks, in time ($took s)"
else
    result 1 "failure: does not compile"
fi
finish
