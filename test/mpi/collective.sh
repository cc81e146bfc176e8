#!/bin/bash
# Collective operations on random views: every strategy at 1 to 8 ranks and 1 to 4 servers, with and
# without local access, against a model. The seeds can
# be chosen: BENCHFS_TEST_SEED (the first) and BENCHFS_TEST_SEEDS (how many). And failures: one rank's
# list I/O fails in the first window or a later one, in each kind of collective call.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
not_brief
need_servers
folder=$top_srcdir/test/mpi

if ! "$MPICC" -g -O1 -Wall -Wextra -Wshadow -Werror -o "$work/random" "$folder/collective_random.c" \
    >"$work/output" 2>&1; then
    result 1 "collective_random: does not compile"
    finish
fi
# random_views RANKS STRATEGY HOW
random_views() {
    mpirun "$1" "$work/random" benchfs: "${BENCHFS_TEST_SEED:-$(($1 * 1000))}" \
        "${BENCHFS_TEST_SEEDS:-$(($1 > 3 ? 1 : 3))}" "$2" && grep -q 'No Errors' "$work/output"
    result $? "random views, strategy $2: $1 ranks$3, $took s"
}

# Without `generic`: ROMIO's own two-phase leaves what was in its buffer in holes (docs/mpi-io.md).
for ranks in 1 2 3 4 8; do
    for strategy in owner direct auto; do
        random_views $ranks $strategy ""
    done
done
export BENCHFS_LOCAL_ACCESS=false
for strategy in owner direct; do
    random_views 3 $strategy ", by messages"
done
unset BENCHFS_LOCAL_ACCESS

# Other servers than those that this script runs with, for the life of one mpiexec.
mpiexec=$MPIEXEC MPIEXEC=$work/mpiexec
for servers in 1 4; do
    printf '#!/bin/sh\nexec benchfs run -n %s --no-preload -- %s "$@"\n' $servers "$mpiexec" >"$MPIEXEC"
    chmod +x "$MPIEXEC"
    for strategy in owner direct; do
        random_views 3 $strategy ", $servers servers"
    done
done
MPIEXEC=$mpiexec

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
