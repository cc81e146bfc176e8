#!/bin/bash
# Collective operations on random views: every strategy at 1 to 8 ranks, against a model. The seeds can
# be chosen: BENCHFS_TEST_SEED (the first) and BENCHFS_TEST_SEEDS (how many).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_servers
folder=$top_srcdir/test/mpi

if ! "$MPICC" -g -O1 -Wall -Wextra -Wshadow -Werror -o "$work/random" "$folder/collective_random.c" \
    >"$work/output" 2>&1; then
    result 1 "collective_random: does not compile"
    finish
fi
for ranks in 1 2 3 4 8; do
    for strategy in owner direct generic auto; do
        mpirun $ranks "$work/random" benchfs: "${BENCHFS_TEST_SEED:-$((ranks * 1000))}" \
            "${BENCHFS_TEST_SEEDS:-4}" $strategy && grep -q 'No Errors' "$work/output"
        result $? "random views, strategy $strategy: $ranks ranks, $took s"
    done
done
finish
