#!/bin/sh
# The tests of this folder once more with the data by messages alone, as between two hosts.
BENCHFS_LOCAL_ACCESS=false exec ./fabric_tests
