#!/bin/sh
# Every header compiles alone, and the public one also as strict C11.
# Not with sanitizers, and not in a brief check: the main build has seen the same headers.
set -eu
[ "${BRIEF_CHECK:-}" != yes ] || exit 77
cd "$top_srcdir"
headers=$(find libbenchfs_core servers tools -name '*.hpp' | LC_ALL=C sort)
[ "$(echo "$headers" | wc -l)" -ge 5 ] || { echo "found too few headers"; exit 1; }

$CC -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c libbenchfs_core/include/benchfs.h
# shellcheck disable=SC2086,SC2016
echo "$headers" | xargs -P "$(nproc)" -I '{}' sh -c '
    header=$0
    # Included from a file of its own: a header compiled as the main file warns about "#pragma once".
    if ! echo "#include \"$PWD/$header\"" | "$@" -fsyntax-only -x c++ -; then
        echo "does not compile alone: $header"
        exit 1
    fi' '{}' $CXX -Ilibbenchfs_core -Ilibbenchfs_core/include -Iservers $HEADER_FLAGS
