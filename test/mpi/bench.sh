#!/bin/bash
# tools/bench on the programs of this build: a run of seconds writes a whole report; data that are wrong end it with an
# error that names the place. How fast anything is is not asked here.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
not_brief
unset BENCHFS_REGISTRY BENCHFS_SERVERS # it starts servers of its own
bench=$top_srcdir/tools/bench
if [ -z "${CORE_LIBDIR:-}" ] || [ ! -x "$bench" ]; then
    skip "tools/bench" "not in a build folder"
    finish
fi

# measure ARGUMENT...: a smoke run with its data in $work.
measure() {
    timeout --kill-after=10 $((seconds_max * 3)) "$bench" --smoke --no-make --build "${CORE_LIBDIR%/libbenchfs_core/.libs}" \
        --work "$work/loads" --disk-dir "$work" --memory-dir "$work" --report "$work/report" "$@" \
        >"$work/output" 2>&1 </dev/null
}

# has WORD: a row of the report has it.
has() {
    python3 - "$work/report/report.json" "$1" <<'END'
import json, sys
report = json.load(open(sys.argv[1]))
sys.exit(not any(sys.argv[2] in (row["what"], row["label"], row["workload"]) and row["median"] > 0 for row in report["rows"]))
END
}

measure --only 'seq*' --only 'random*' --only 'inter*' --only 'meta*' --only 'idle' --only callgrind
result $? "a smoke run"
missing=0
for word in write read create stat open-read-close readdir remove benchfs native posix romio two-phase memory; do
    has $word || { missing=1 && echo "no $word" >>"$work/output"; }
done
[ -s "$work/report/loads.svg" ] && grep -q 'idle server' "$work/report/report.md" || missing=1
result $missing "the report has a row for everything"
if command -v valgrind >/dev/null; then
    grep -q '| stat | client | messages | [0-9]' "$work/report/report.md"
    result $? "the report has instructions per operation"
else
    grep -q 'instructions per operation: no valgrind here' "$work/report/report.md"
    result $? "the report says that there is no valgrind"
fi
measure --only 'overlap*' && grep -q 'iread_at_all hidden' "$work/report/report.md"
result $? "the report has nonblocking overlap"
measure --only scale
status=$?
for words in '| messages | stat |  | 1 | 1 |' '| time | start, until all are ready |' '| messages | open |' \
    '| server | memory, each of 2 more sessions |' '| sessions | after the first write |'; do
    grep -qF "$words" "$work/report/report.md" || { status=1 && echo "no $words" >>"$work/output"; }
done
result $status "the report has the cost of servers, sessions and ranks"

# What is read of the file of the POSIX target has a wrong byte, beside which the benchmark goes on.
cat >"$work/wrong.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

ssize_t pread(int fd, void *to, size_t bytes, off_t offset) {
    ssize_t (*real)(int, void *, size_t, off_t) = (ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
    const ssize_t count = real(fd, to, bytes, offset);
    char link[64], path[512];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, sizeof(path) - 1);
    path[length > 0 ? length : 0] = 0;
    if (strstr(path, "/local/posix") != NULL && offset == 0 && count > 0) ((char *)to)[WHERE] ^= 1;
    return count;
}
END
# wrong AT: byte AT of a transfer is wrong.
wrong() {
    "${CC:-cc}" -shared -fPIC -D"WHERE=$1" -o "$work/wrong.so" "$work/wrong.c" -ldl >"$work/output" 2>&1 &&
        LD_PRELOAD=$work/wrong.so measure --only 'seq*' --only 'random*'
}
for at in 0 1000; do
    wrong $at
    status=$?
    [ $status -eq 1 ] && grep -q 'FAILED: seq.*posix: wrong data at file offset' "$work/output" &&
        grep -q '^## FAILED' "$work/report/report.md"
    result $? "wrong data: the run fails, and says where (byte $at)"
done

measure --only 'nothing*'
[ $? -eq 1 ] && grep -q 'nothing was measured' "$work/output"
result $? "a name that nothing has"
IOR_SOURCE=$work/none measure --against ior
[ $? -eq 1 ] && grep -q "IOR_SOURCE: $work/none is not there" "$work/output"
result $? "no source of IOR where IOR_SOURCE says"
finish
