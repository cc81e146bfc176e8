#!/bin/sh
# The tests of this folder once more in sessions with a progress thread, which is to change nothing.
BENCHFS_PROGRESS_THREAD=true exec ./fabric_tests
