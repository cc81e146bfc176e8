"""Registries with garbage, remains of dead runs, or the wrong owner or mode; and clusters without one."""

import errno
import os
import signal
import socket
import sys
import time

import harness
from harness import IO_CLIENT, check, expect_in


def litter(directory):
    """Files that nobody expects."""
    (directory / "junk.server").write_bytes(os.urandom(3000))
    (directory / "empty.server").write_bytes(b"")
    (directory / "yaml.server").write_text("id: [unfinished\n")
    (directory / "huge.server").write_bytes(b"a" * 200_000)
    (directory / "folder.server").mkdir()
    os.mkfifo(directory / "fifo.server")
    (directory / "loop.server").symlink_to("loop.server")
    (directory / "notes.txt").write_text("hello\n")
    (directory / ".tmp.cluster.yaml.x").write_bytes(os.urandom(100))


def test_garbage_in_the_registry_stops_nobody(place):
    place.registry.mkdir(mode=0o700)
    litter(place.registry)
    place.start(2)
    place.run(IO_CLIENT, "write", "/f", 100_000)
    place.run(IO_CLIENT, "verify", "/f", 100_000)
    place.benchfs("stop")
    check((place.registry / "notes.txt").exists(), "what is not ours is left alone")


def test_a_damaged_cluster_file_is_said_and_a_start_replaces_it(place):
    place.registry.mkdir(mode=0o700)
    cluster = place.registry / "cluster.yaml"
    for garbage in (os.urandom(5000), b"", b"cluster_id: 12\n", b"a: 1\na: 1\n"):
        cluster.write_bytes(garbage)
        told = place.benchfs("status", exit_code=1).stderr
        expect_in("cluster.yaml", told)
    place.start(1)
    check(place.status()["dead"] == 0, "it runs")
    place.benchfs("stop")


def test_a_cluster_file_cut_short_is_said(place):
    place.start(2)
    cluster = place.registry / "cluster.yaml"
    whole = cluster.read_bytes()
    cluster.write_bytes(whole[: len(whole) // 2])
    expect_in("cluster.yaml", place.benchfs("status", exit_code=1).stderr)
    cluster.write_bytes(whole)
    place.benchfs("status")
    place.benchfs("stop")


def test_remains_of_a_dead_run_are_named_and_not_waited_for(place):
    place.start(2)
    for server in place.status()["servers"]:
        os.kill(server["pid"], signal.SIGKILL)
    begin = time.monotonic()
    told = place.run(IO_CLIENT, "write", "/f", 10, exit_code=1).stderr
    check(time.monotonic() - begin < 20, "the client does not wait for its deadline")
    for word in (str(place.registry), "not running any more", "benchfs start"):
        expect_in(word, told)
    expect_in("nothing runs", place.benchfs("stop").stdout)


def test_another_process_on_the_port_of_a_dead_server_is_not_taken_for_it(place):
    place.start(1)
    (server,) = place.status()["servers"]
    os.kill(server["pid"], signal.SIGKILL)
    host, port = server["address"].rsplit(":", 1)
    with socket.socket() as impostor:
        impostor.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        harness.wait_until("the process has gone", lambda: not place.processes())

        # The kernel may still be ending connections of the dead process.
        def taken():
            try:
                impostor.bind((host, int(port)))
            except OSError as error:
                harness.check(error.errno == errno.EADDRINUSE, str(error))
                return False
            return True

        harness.wait_until("the port is free", taken)
        impostor.listen()
        told = place.run(IO_CLIENT, "write", "/f", 10, exit_code=1).stderr
        expect_in("not running any more", told)


def test_no_registry_is_said(place):
    told = place.run(IO_CLIENT, "write", "/f", 10, exit_code=1).stderr
    for word in (str(place.registry), "benchfs start"):
        expect_in(word, told)


def test_a_registry_that_others_can_write_is_refused(place):
    place.registry.mkdir()
    place.registry.chmod(0o777)
    expect_in(str(place.registry), place.start(1, exit_code=1).stderr)


def test_a_file_in_place_of_the_registry_is_refused(place):
    place.registry.write_text("")
    expect_in(str(place.registry), place.start(1, exit_code=1).stderr)
    expect_in(str(place.registry), place.run(IO_CLIENT, "write", "/f", 1, exit_code=1).stderr)


def test_a_wrong_secret_opens_nothing(place):
    place.start(1)
    secret = place.dir / "other"
    secret.write_bytes(os.urandom(32))
    secret.chmod(0o600)
    env = {"BENCHFS_SECRET_FILE": str(secret), "BENCHFS_DEADLINE": "3s"}
    expect_in("secret", place.run(IO_CLIENT, "write", "/f", 10, env=env, exit_code=1).stderr)
    told = place.benchfs("stop", "--servers", place.status()["servers"][0]["address"], env=env, exit_code=1)
    expect_in("secret", told.stderr)
    secret.chmod(0o644)
    expect_in(str(secret), place.run(IO_CLIENT, "write", "/f", 1, env=env, exit_code=1).stderr)
    check(place.status()["total"]["written_bytes"] == 0, "nothing was written")
    place.benchfs("stop")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def test_a_list_of_addresses_makes_a_cluster_without_any_shared_directory(place):
    secret = place.dir / "secret"
    secret.write_bytes(os.urandom(32))
    secret.chmod(0o600)
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    env = {"BENCHFS_SERVERS": ",".join(addresses), "BENCHFS_SECRET_FILE": str(secret)}
    place.env.pop("BENCHFS_REGISTRY")
    servers = [
        place.server("--data-dir", place.data / str(i), "--listen", address, "--expected-servers", "2",
                     env=env)
        for i, address in enumerate(addresses)
    ]
    for server in servers:
        harness.wait_ready(server)
    place.run(IO_CLIENT, "write", "/f", 5_000_000, env=env)
    place.run(IO_CLIENT, "verify", "/f", 5_000_000, env={**env, "BENCHFS_SERVERS": addresses[1]})
    check(place.status(env=env)["total"]["written_bytes"] == 5_000_000, "status counts")
    place.benchfs("stop", env=env)
    for server in servers:
        check(server.wait(harness.PATIENCE) == 0, harness.log_of(server))


harness.run_tests(sys.modules[__name__])
