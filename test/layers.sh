#!/bin/sh
# The include check passes on the tree, and finds an arrow that is broken on purpose.
set -eu
"$top_srcdir/tools/check-includes"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/libbenchfs_core/wire" "$scratch/servers/storage"
touch "$scratch/servers/a.cc" "$scratch/servers/b.cc" "$scratch/servers/c.cc"
echo '#include "client/session.hpp"' >"$scratch/servers/storage/upwards.cc"
echo '#include <liburing.h>' >"$scratch/libbenchfs_core/wire/foreign.hpp"
if found=$("$top_srcdir/tools/check-includes" "$scratch"); then
    echo "check-includes passed a tree with broken arrows"
    exit 1
fi
echo "$found" | grep -q 'upwards.cc:1: client/session.hpp'
echo "$found" | grep -q 'foreign.hpp:1: liburing.h'
