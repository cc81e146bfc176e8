#!/bin/sh
# What moves data, once more by messages alone, as between two hosts.
if [ "${BRIEF_CHECK:-}" = yes ]; then
    echo "1..0 # SKIP BRIEF_CHECK=yes"
    exit 0
fi
BENCHFS_LOCAL_ACCESS=false exec ./fabric_tests --test-suite-exclude="namespace,directories,links,attributes,moves,caches,xattrs,fsck,search,churn"
