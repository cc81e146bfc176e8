#!/bin/sh
# The client library exports benchfs_* and nothing else, and every function that benchfs.h declares.
set -eu
library=$top_builddir/libbenchfs_core/.libs/libbenchfs_core.so
header=$top_srcdir/libbenchfs_core/include/benchfs.h

exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort)
others=$(echo "$exported" | grep -v '^benchfs_' || true)
if [ -n "$others" ]; then
    echo "exported, but not named benchfs_*:"
    echo "$others"
    exit 1
fi

declared=$(tr '\n' ' ' <"$header" | grep -o 'BENCHFS_API [^;]*;' |
    grep -o 'benchfs_[a-z_]* *(' | tr -d ' (' | sort)
[ "$(echo "$declared" | wc -l)" -ge 20 ] || { echo "found too few declarations in $header"; exit 1; }
if [ "$exported" != "$declared" ]; then
    echo "declared in benchfs.h (<) and exported (>) differ:"
    echo "$declared" >exports.declared
    echo "$exported" | diff exports.declared - || true
    rm -f exports.declared
    exit 1
fi
echo "$(echo "$exported" | wc -l) symbols, all declared in benchfs.h"
