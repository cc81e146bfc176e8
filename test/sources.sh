#!/bin/sh
# Every source file is in the lists that the build was made from.
exec "$top_srcdir/bootstrap" --check
