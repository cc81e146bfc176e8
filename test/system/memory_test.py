"""Storage in memory, which clients on the host copy to and from themselves: what is left when servers and
clients are killed in the middle of that."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import harness
from harness import IO_CLIENT, check, expect_in, wait_until

MEMORY = "/dev/shm"
BYTES = 48 << 20


@contextlib.contextmanager
def in_memory(place):
    """The data directories of the servers in memory, gone afterwards."""
    place.data = pathlib.Path(tempfile.mkdtemp(prefix="benchfs-test-", dir=MEMORY))
    try:
        yield
    finally:
        shutil.rmtree(place.data, ignore_errors=True)


def stored(place):
    return json.loads(place.benchfs("df", "--json").stdout)["total"]["stored_bytes"]


def kill(place, pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until("they are dead", lambda: not set(pids) & set(place.processes()))


def pids_of(place):
    return [server["pid"] for server in place.status()["servers"]]


def writer(place, path):
    """A client that writes for ever, once it has begun to."""
    client = place.popen(IO_CLIENT, "endless", path)
    wait_until("it writes", lambda: place.benchfs("stat", path, exit_code=None).returncode == 0
               and stored(place) > 0)
    return client


def test_servers_and_clients_killed_together_lose_nothing(place):
    with in_memory(place):
        place.start(2)
        check(any(place.data.glob("**/arena")), "the storage is an arena")
        place.run(IO_CLIENT, "write", "/first", BYTES)
        for turn in range(3):
            clients = [writer(place, f"/endless-{turn}-{i}") for i in range(2)]
            place.run(IO_CLIENT, "write", f"/kept-{turn}", BYTES)
            kill(place, pids_of(place) + [client.pid for client in clients])
            for client in clients:
                client.wait(harness.PATIENCE)
            place.start(2)
            place.run(IO_CLIENT, "verify", "/first", BYTES)
            place.run(IO_CLIENT, "verify", f"/kept-{turn}", BYTES)
            expect_in(": clean\n", place.benchfs("fsck").stdout)
            for i in range(2):
                place.benchfs("rm", f"/endless-{turn}-{i}")
        wait_until("only what was kept takes storage", lambda: stored(place) == 4 * BYTES)
        place.benchfs("stop")
        place.start(2)
        place.run(IO_CLIENT, "verify", "/first", BYTES)
        place.benchfs("stop")


def test_clients_that_are_killed_leave_no_storage_behind(place):
    with in_memory(place):
        place.start(1)
        for turn in range(8):
            client = writer(place, "/endless")
            client.send_signal(signal.SIGKILL)
            client.wait(harness.PATIENCE)
            place.benchfs("rm", "/endless")
        wait_until("nothing is stored", lambda: stored(place) == 0)
        expect_in(": clean\n", place.benchfs("fsck").stdout)
        place.run(IO_CLIENT, "write", "/after", BYTES)
        place.run(IO_CLIENT, "verify", "/after", BYTES)
        place.benchfs("stop")


def test_a_client_that_is_stopped_does_not_stop_others(place):
    with in_memory(place):
        place.start(1)
        client = writer(place, "/endless")
        client.send_signal(signal.SIGSTOP)
        for turn in range(3):
            place.run(IO_CLIENT, "write", "/other", BYTES)
            place.run(IO_CLIENT, "verify", "/other", BYTES)
            place.benchfs("rm", "/other")
        client.send_signal(signal.SIGCONT)
        check(client.poll() is None, "it goes on")
        client.send_signal(signal.SIGKILL)
        client.wait(harness.PATIENCE)
        place.benchfs("rm", "/endless")
        wait_until("nothing is stored", lambda: stored(place) == 0)
        place.benchfs("stop")


def test_local_files_and_the_arena_take_over_from_each_other(place):
    with in_memory(place):
        for mode in ("memory", "plain", "auto"):
            place.env["BENCHFS_IO_MODE"] = mode
            place.start(2)
            if mode == "memory":
                place.run(IO_CLIENT, "write", "/large", BYTES)
                (place.dir / "small").write_bytes(b"x" * 3000)
                place.benchfs("put", place.dir / "small", "/small")
            place.run(IO_CLIENT, "verify", "/large", BYTES)
            check(place.benchfs("cat", "/small").stdout == "x" * 3000, "other bytes")
            check(any(place.data.glob("**/arena")) == (mode != "plain"), mode)
            expect_in(": clean\n", place.benchfs("fsck").stdout)
            place.benchfs("stop")


def test_an_arena_has_to_be_in_memory(place):
    if os.stat(place.dir).st_dev == os.stat(MEMORY).st_dev:
        return
    place.env["BENCHFS_IO_MODE"] = "memory"
    expect_in("is not on tmpfs or ramfs", place.start(1, exit_code=None).stderr)


if not os.access(MEMORY, os.W_OK):
    sys.exit(77)
harness.run_tests(sys.modules[__name__])
