"""Very many files in one directory: made, listed and removed, with memory that does not grow with them.
BENCHFS_TEST_FILES says how many: 100,000 if it is not set, with sanitizers 5,000; docs/test-suites.md has figures of 1,000,000."""

import os
import pathlib
import sys
import time

import harness
from harness import IO_CLIENT, check, expect_in

# docs/operations.md has the same bounds.
SERVER_KIB = 384 << 10
CLIENT_KIB = 128 << 10


def peak_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError(f"process {pid} tells nothing of its memory")


def sanitized(pid):
    """Sanitizers need memory of their own."""
    return "libasan" in pathlib.Path(f"/proc/{pid}/maps").read_text()


def test_very_many_files(place):
    place.start(2)
    pids = [server["pid"] for server in place.status()["servers"]]
    bounded = not sanitized(pids[0])
    files = int(os.environ.get("BENCHFS_TEST_FILES", "100000" if bounded else "5000"))
    begin = time.monotonic()
    client = place.popen(IO_CLIENT, "many", "/d", files, stdout=-1)
    figures = []
    for phase in ("made", "listed", "removed"):
        words = client.stdout.readline().split()
        check(words[:1] == [phase], f"{phase}: {words}")
        client_kib = int(words[1])
        servers_kib = [peak_kib(pid) for pid in pids]
        figures.append(f"{phase} after {time.monotonic() - begin:.1f} s: client {client_kib >> 10} MiB, "
                       f"servers {[kib >> 10 for kib in servers_kib]} MiB")
        if not bounded:
            continue
        check(client_kib <= CLIENT_KIB, f"the client took {client_kib} KiB: {figures}")
        check(max(servers_kib) <= SERVER_KIB, f"servers took {servers_kib} KiB: {figures}")
    check(client.wait(harness.PATIENCE) == 0, "the client's exit status")
    print(f"{files} files: " + "; ".join(figures))
    harness.wait_until("their data are gone", lambda: not any(
        path.is_file() for path in place.data.rglob("chunks/*/*")))
    check(sum(server["files"] for server in place.status()["servers"]) == 0, "no files are left")
    expect_in(": clean\n", place.benchfs("fsck", "-n").stdout)
    place.benchfs("stop")


harness.run_tests(sys.modules[__name__])
