"""Servers that die, hang, or are spoken to by strangers; and a server that has nothing to do."""

import errno
import os
import signal
import socket
import sys
import time

import harness
from harness import IO_CLIENT, check, expect_in

# Of the client in these tests, and what a slow machine may add.
DEADLINE_MS = 8_000
SLACK_MS = 12_000
ENV = {"BENCHFS_DEADLINE": f"{DEADLINE_MS}ms", "BENCHFS_FAILURE_DETECT": "2s"}


def client_meets(place, number, errors):
    """A client in the middle of its I/O when a server gets the signal `number`."""
    place.start(2)
    client = place.popen(IO_CLIENT, "endless", "/f", stdout=-1, env=ENV)
    check(client.stdout.readline() == "up\n", "the client works")
    victim = place.status()["servers"][1]
    os.kill(victim["pid"], number)
    output, _ = client.communicate(timeout=harness.PATIENCE)
    check(client.returncode == 3, f"exit status {client.returncode}: {output}")
    kind, code, took_ms, text = output.split(" ", 3)
    check(kind == "failed" and int(code) in errors, output)
    check(int(took_ms) < DEADLINE_MS + SLACK_MS, f"the call ended in bounded time: {output}")
    expect_in("/f", text)
    return victim, text


def test_kill_9_of_a_server_is_an_error_that_names_it_in_bounded_time(place):
    victim, text = client_meets(place, signal.SIGKILL, (errno.EHOSTUNREACH,))
    check("server 1" in text or victim["id"] in text, text)
    place.benchfs("stop")


def test_a_server_that_hangs_is_an_error_in_bounded_time(place):
    victim, _ = client_meets(place, signal.SIGSTOP, (errno.EHOSTUNREACH, errno.ETIMEDOUT))
    os.kill(victim["pid"], signal.SIGCONT)
    place.benchfs("stop")


def test_a_server_that_hangs_at_stop_is_killed_and_that_is_said(place):
    place.start(2)
    victim = place.status()["servers"][1]
    os.kill(victim["pid"], signal.SIGSTOP)
    told = place.benchfs("stop", "--timeout", "2s", exit_code=None).stderr
    expect_in(f"(pid {victim['pid']}) did not end", told)
    check(not place.processes(), "no process is left")


def test_strangers_at_the_port_do_no_harm(place):
    place.start(2)
    garbage = (b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(16), os.urandom(64), os.urandom(1 << 20),
               b"\0" * 4096, b"BFSB" + b"\xff" * 200, b"BFSB\x01\x00\x02\x00\xff\xff\xff\xff" + b"\0" * 80)
    for server in place.status()["servers"]:
        host, port = server["address"].rsplit(":", 1)
        for message in garbage:
            with socket.create_connection((host, int(port)), timeout=30) as stranger:
                try:
                    stranger.sendall(message)
                    stranger.shutdown(socket.SHUT_WR)
                    while stranger.recv(4096):
                        pass
                except TimeoutError:
                    raise
                except OSError:  # ENOTCONN of shutdown() included
                    pass  # it hung up, as it may
        # Strangers that say nothing, and stay, must not keep others out.
        silent = [socket.create_connection((host, int(port)), timeout=30) for _ in range(50)]
        check(place.status()["dead"] == 0, "the server still answers")
        for stranger in silent:
            stranger.close()
    place.run(IO_CLIENT, "write", "/f", 1_000_000)
    place.run(IO_CLIENT, "verify", "/f", 1_000_000)
    place.benchfs("stop")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        words = stat.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_an_idle_server_uses_under_one_percent_of_a_core(place):
    place.start(2)
    place.run(IO_CLIENT, "write", "/f", 1_000_000)
    pids = [server["pid"] for server in place.status()["servers"]]
    # The clock ticks are coarse: over six seconds one percent is six of them.
    span = 6.0
    before = [cpu_seconds(pid) for pid in pids]
    time.sleep(span)
    for pid, then in zip(pids, before):
        used = (cpu_seconds(pid) - then) / span
        check(used < 0.01, f"{100 * used:.2f} % of a core")
    place.benchfs("stop")


def test_a_full_storage_is_enospc(place):
    mount = place.dir / "small"
    mount.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=48m none {mount} 2>/dev/null") != 0:
        print("    (needs to mount a small tmpfs: not tried)")
        return
    try:
        place.data = mount
        place.start(1)
        told = place.run(IO_CLIENT, "write", "/f", 200 << 20, exit_code=1).stderr
        expect_in("no space", told.lower())
        place.run(IO_CLIENT, "write", "/small", 1000, exit_code=None)
        check(place.status()["dead"] == 0, "the server goes on")
        place.benchfs("stop")
    finally:
        for pid in place.processes():
            os.kill(pid, signal.SIGKILL)
        harness.wait_until("unmounted", lambda: os.system(f"umount {mount} 2>/dev/null") == 0)


harness.run_tests(sys.modules[__name__])
