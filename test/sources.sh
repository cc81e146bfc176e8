#!/bin/sh
# Every source file is in the lists that the build was made from, and every script of the system tests
# among those that run.
cd "$top_srcdir" || exit 1
for script in test/system/*_test.py; do
    name=${script##*/}
    if ! grep -q "$name" test/system/Makefile.am; then
        echo "$script is not among the TESTS of its Makefile.am"
        exit 1
    fi
done
exec ./bootstrap --check
