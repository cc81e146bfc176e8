#!/bin/bash
# mdtest (easy: empty files in a directory of each rank's own; hard: 3901 bytes, one directory) and IOR (1 MiB
# at a time, a file per rank) through -a BENCHFS beside -a POSIX on a local directory: in one run, turn by turn,
# everything that is read verified. Prints the best and the median of the rounds, in operations or MiB per second.
# Usage: benchfs run -n SERVERS -- bench/ior.sh IOR_SRC [RANKS [FILES [ROUNDS [LOCAL_DIR]]]]
#   IOR_SRC: where ior and mdtest with the backend are; default: 1 rank, 5000 files, 3 rounds, /dev/shm
set -u -o pipefail
[ $# -ge 1 ] || { sed -n 's/^# Usage: //p' "$0" >&2 && exit 2; }
programs=$1 ranks=${2:-1} files=${3:-5000} rounds=${4:-3}
unset LD_PRELOAD
local_dir=$(mktemp -d "${5:-/dev/shm}/benchfs-ior.XXXXXX") || exit 1
trap 'rm -rf "$local_dir"' EXIT
mkdir "$local_dir/posix"
results=$local_dir/results

fail() {
    echo "ior.sh: $*" >&2
    exit 1
}

# run PROGRAM ARGUMENT...: its output, which says of no error.
run() {
    local output=$local_dir/output
    timeout 600 "${MPIEXEC:-mpiexec}" -n "$ranks" "$programs/$1" "${@:2}" >"$output" 2>&1 ||
        fail "$*: $(tail -n 5 "$output")"
    ! grep -E 'ERROR|WARNING: [^R]|Incorrect' "$output" >&2 || fail "$*: not right"
    cat "$output"
}

# Each of them writes lines "BACKEND<tab>what<tab>rate" to the results.
mdtest() {
    local backend=$1 shape=$2
    shift 2
    run mdtest -a "$backend" -n "$files" -F "$@" | awk -v backend="$backend" -v shape="$shape" '
        /^ *File (creation|stat|read|removal) / {
            printf "%s\tmdtest %s, %s, 1/s\t%s\n", backend, shape, tolower($1 " " $2), $3 == ":" ? $4 : $3
        }' >>"$results"
}

ior() {
    local backend=$1
    shift
    run ior -a "$backend" -F -w -r -C -t 1m -b 256m "$@" | awk -v backend="$backend" '
        $1 == "write" || $1 == "read" { if (!seen[$1]++) printf "%s\tior 1 MiB, %s, MiB/s\t%s\n", backend, $1, $2 }' \
        >>"$results"
}

for ((round = 0; round < rounds; round++)); do
    for backend in BENCHFS POSIX; do
        directory=/bench-ior
        [ $backend = BENCHFS ] || directory=$local_dir/posix
        mdtest $backend easy -u -z 0 -d "$directory/easy" || exit 1
        mdtest $backend hard -t -w 3901 -e 3901 -X -d "$directory/hard" || exit 1
        ior $backend -R -o "$directory.file" || exit 1
    done
done

sort -t "$(printf '\t')" -k 2,2 -k 1,1 -k 3,3g "$results" | awk -F '\t' '
    function flush() {
        if (n) {
            best[what, backend] = value[n]
            median[what, backend] = value[int((n + 1) / 2)]
        }
        n = 0
    }
    { if ($1 != backend || $2 != what) flush(); backend = $1; what = $2; value[++n] = $3
      if (!known[what]++) order[++kinds] = what }
    END {
        flush()
        printf "%-36s %12s %12s %12s %12s %8s\n", "", "BENCHFS", "(median)", "POSIX", "(median)", "ratio"
        for (i = 1; i <= kinds; i++) {
            w = order[i]
            printf "%-36s %12.0f %12.0f %12.0f %12.0f %8.3f\n", w, best[w, "BENCHFS"], median[w, "BENCHFS"],
                best[w, "POSIX"], median[w, "POSIX"], median[w, "BENCHFS"] / median[w, "POSIX"]
        }
    }'
