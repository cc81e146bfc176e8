#!/bin/sh
# The include check: each folder includes only what DESIGN's layer arrows allow.
exec "$top_srcdir/tools/check-includes"
