#!/bin/sh
# Every relative link in the documentation leads to a file that is there.
set -eu
cd "$top_srcdir"
pages=$(find . -name '*.md' -not -path './build*' -not -path './.git/*' -not -path './*-[0-9]*' | LC_ALL=C sort)
count=0 broken=0
for page in $pages; do
    for target in $(grep -o '](\([^)#]*\)' "$page" | sed 's/^](//' | grep -v '^[a-z]*://' | sort -u); do
        count=$((count + 1))
        if [ ! -e "$(dirname "$page")/$target" ]; then
            echo "$page: no such file: $target"
            broken=$((broken + 1))
        fi
    done
done
[ "$count" -ge 5 ] || { echo "found only $count links"; exit 1; }
echo "$count links, $broken broken"
[ "$broken" -eq 0 ]
