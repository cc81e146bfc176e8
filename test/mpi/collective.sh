#!/bin/bash
# Collective operations on random views: every strategy at 1 to 8 ranks, against a model. The seeds can
# be chosen: BENCHFS_TEST_SEED (the first) and BENCHFS_TEST_SEEDS (how many). And failures: one rank's
# list I/O fails in the first window or a later one, in each kind of collective call.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_servers
folder=$top_srcdir/test/mpi

if ! "$MPICC" -g -O1 -Wall -Wextra -Wshadow -Werror -o "$work/random" "$folder/collective_random.c" \
    >"$work/output" 2>&1; then
    result 1 "collective_random: does not compile"
    finish
fi
# Without `generic`: ROMIO's own two-phase leaves what was in its buffer in holes (docs/mpi-io.md).
for ranks in 1 2 3 4 8; do
    for strategy in owner direct auto; do
        mpirun $ranks "$work/random" benchfs: "${BENCHFS_TEST_SEED:-$((ranks * 1000))}" \
            "${BENCHFS_TEST_SEEDS:-$((ranks > 3 ? 1 : 3))}" $strategy && grep -q 'No Errors' "$work/output"
        result $? "random views, strategy $strategy: $ranks ranks, $took s"
    done
done

if "${CC:-cc}" -shared -fPIC -O1 -Wall -Wextra -Wshadow -Werror \
    -I"$top_srcdir/libbenchfs_core/include" -o "$work/fail_list.so" "$folder/fail_list.c" -ldl \
    >"$work/output" 2>&1 &&
    "$MPICC" -g -O1 -Wall -Wextra -Wshadow -Werror -o "$work/error" "$folder/collective_error.c" -ldl \
        >"$work/output" 2>&1; then
    preload=$work/fail_list.so:$preload
    for ranks in 1 2 3; do
        mpirun $ranks "$work/error" benchfs:/collective_error && grep -q 'No Errors' "$work/output"
        result $? "one rank's list I/O fails, in all kinds of collective calls: $ranks ranks, $took s"
    done
else
    result 1 "collective_error: does not compile"
fi
finish
