"""Files that are open when they lose their name: clients and servers that are killed meanwhile."""

import json
import os
import signal
import sys

import harness
from harness import IO_CLIENT, check, expect_in



def holders(place, count):
    """Clients that have a file open that others have removed."""
    clients = [place.popen(IO_CLIENT, "hold", f"/f{i}", 1 << 20, stdout=-1) for i in range(count)]
    for client in clients:
        check(client.stdout.readline() == "written\n", "written")
    for i in range(count):
        place.benchfs("rm", f"/f{i}")
    return clients


def files(place):
    return sum(server["files"] for server in place.status()["servers"])


def stored(place):
    return json.loads(place.benchfs("df", "--json").stdout)["total"]["stored_bytes"]


def check_empty(place):
    harness.wait_until("the data are gone", lambda: stored(place) == 0)
    harness.wait_until("the files are gone", lambda: files(place) == 0)
    expect_in(": clean\n", place.benchfs("fsck", "-n").stdout)


def test_a_killed_client_has_closed_its_files(place):
    place.start(2)
    clients = holders(place, 3)
    check(files(place) == 3, "still open")
    check(stored(place) >= 3 * 4096, "with their data")
    expect_in(": clean\n", place.benchfs("fsck", "-n").stdout)
    check(place.benchfs("find").stdout == "/\n", "without names")
    for client in clients:
        client.kill()
        client.wait(harness.PATIENCE)
    check_empty(place)
    place.benchfs("stop")


def test_killed_servers_collect_what_was_open(place):
    place.start(2)
    clients = holders(place, 3)
    pids = [server["pid"] for server in place.status()["servers"]]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    harness.wait_until("they are dead", lambda: not set(pids) & set(place.processes()))
    place.start(2)
    check_empty(place)
    for client in clients:
        client.kill()
        client.wait(harness.PATIENCE)
    place.benchfs("stop")


harness.run_tests(sys.modules[__name__])
