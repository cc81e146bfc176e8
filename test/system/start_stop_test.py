"""benchfs start, status and stop, with real servers."""

import os
import signal
import sys

import harness
from harness import IO_CLIENT, check, expect_in, wait_until


def pids(place):
    return [server["pid"] for server in place.status()["servers"]]


def test_two_servers_start_show_their_state_and_stop(place):
    started = place.start(2)
    expect_in("2 servers ready", started.stdout)
    state = place.status()
    check(len(state["servers"]) == 2 and state["dead"] == 0, f"two live servers in {state}")
    check([s["id"] for s in state["servers"]] == ["server-0000", "server-0001"], state)
    check(len(state["cluster"]) == 16 and state["epoch"] == 1, state)
    for server in state["servers"]:
        os.kill(server["pid"], 0)
        check(server["capacity_bytes"] > 0 and server["address"].startswith("127.0.0.1:"), server)
    table = place.benchfs("status").stdout
    for word in ("server-0000", "server-0001", state["cluster"], "total", "share"):
        expect_in(word, table)
    stopped = place.benchfs("stop").stdout
    for server in state["servers"]:
        expect_in(f"(pid {server['pid']})", stopped)
    check(not place.processes(), "no process is left")


def test_status_counts_what_was_written(place):
    place.start(2)
    place.run(IO_CLIENT, "write", "/f", 8 << 20)
    state = place.status()
    check(state["total"]["written_bytes"] == 8 << 20, state)
    check(state["total"]["stored_bytes"] >= 8 << 20, state)
    check(abs(sum(s["written_share"] for s in state["servers"]) - 1) < 0.001, state)
    check(all(s["written_bytes"] > 0 for s in state["servers"]), "both servers have a share")
    place.run(IO_CLIENT, "verify", "/f", 8 << 20)
    check(place.status()["total"]["read_bytes"] >= 8 << 20, "reads are counted")
    place.benchfs("stop")


def test_stop_is_idempotent_and_status_says_that_nothing_runs(place):
    expect_in("nothing runs", place.benchfs("stop").stdout)
    expect_in("no BenchFS cluster", place.benchfs("status", exit_code=1).stderr)
    place.start(1)
    place.benchfs("stop")
    expect_in("nothing runs", place.benchfs("stop").stdout)
    expect_in("no BenchFS cluster", place.benchfs("status", exit_code=1).stderr)


def test_a_second_start_names_registry_and_processes_and_harms_nothing(place):
    place.start(2)
    before = pids(place)
    again = place.start(2, exit_code=1).stderr
    expect_in(str(place.registry), again)
    for pid in before:
        expect_in(str(pid), again)
    check(pids(place) == before, "the servers still run")
    place.benchfs("stop")


def test_data_survive_a_restart_and_clean_deletes_them(place):
    place.start(2)
    place.run(IO_CLIENT, "write", "/kept", 3_000_001)
    place.benchfs("stop")
    place.start(2)
    place.run(IO_CLIENT, "verify", "/kept", 3_000_001)
    place.benchfs("stop", "--clean")
    check(not list(place.data.glob("server-*")), f"no data in {list(place.data.iterdir())}")
    place.start(2)
    expect_in("no such file", place.run(IO_CLIENT, "verify", "/kept", 1, exit_code=1).stderr)
    place.benchfs("stop")
    place.start(1, "--clean")
    check(len(place.status()["servers"]) == 1, "one server in place of two")
    place.benchfs("stop")


def test_another_number_of_servers_than_the_data_have_is_refused_at_once(place):
    place.start(2)
    place.benchfs("stop")
    expect_in("start with -n 2", place.start(3, exit_code=1).stderr)


def test_a_start_after_kill_9_of_all_restores_the_data(place):
    place.start(2)
    place.run(IO_CLIENT, "write", "/kept", 2_000_000)
    for pid in pids(place):
        os.kill(pid, signal.SIGKILL)
    stale = place.benchfs("status", exit_code=1).stderr
    expect_in("not running any more", stale)
    place.start(2)
    place.run(IO_CLIENT, "verify", "/kept", 2_000_000)
    place.benchfs("stop")


def test_a_small_write_that_has_returned_outlives_servers_and_writer(place):
    place.start(2)
    writers = [place.popen(IO_CLIENT, "hold", f"/small{i}", 3901, stdout=-1) for i in range(3)]
    for writer in writers:
        check(writer.stdout.readline() == "written\n", "it is written")
    for pid in pids(place):
        os.kill(pid, signal.SIGKILL)
    for writer in writers:
        writer.kill()
        writer.wait()
    place.start(2)
    for i in range(3):
        place.run(IO_CLIENT, "verify", f"/small{i}", 3901)
        place.benchfs("rm", f"benchfs:/small{i}")
    place.benchfs("stop")


def test_a_start_after_kill_9_of_one_replaces_the_rest(place):
    place.start(2)
    before = pids(place)
    os.kill(before[1], signal.SIGKILL)
    again = place.start(2)
    expect_in("1 is dead", again.stderr)
    check(not set(before) & set(pids(place)), "all servers are new")
    place.benchfs("stop")


def test_status_shows_the_living_beside_the_dead(place):
    place.start(2)
    os.kill(pids(place)[1], signal.SIGKILL)
    shown = place.benchfs("status", exit_code=1)
    expect_in("server-0000", shown.stdout)
    expect_in("no answer", shown.stdout)
    expect_in("1 without answer", shown.stdout)
    expect_in("server 1", shown.stderr)
    state = place.status(exit_code=1)
    check([s["alive"] for s in state["servers"]] == [True, False] and state["dead"] == 1, state)
    expect_in("stopped server-0000", place.benchfs("stop").stdout)


def test_a_server_that_cannot_start_shows_its_log_and_stops_the_others(place):
    failed = place.start(2, "--", "--chunk-size", "3MiB", exit_code=1).stderr
    expect_in("exit status 2", failed)
    expect_in("chunk", failed)
    check(not place.processes(), "the other one is stopped")
    place.start(3)
    place.benchfs("stop")


def test_a_start_that_is_broken_off_leaves_nothing(place):
    # A program that is never ready: it ends with the signal that start passes on.
    fake = place.dir / "never-ready"
    fake.write_text("#!/bin/sh\nexec sleep 1000\n")
    fake.chmod(0o700)
    child = place.popen(harness.BENCHFS, "start", "-n", "2", "--data-dir", place.data,
                        "--benchfsd", fake, stderr=-1)
    state = lambda: "".join(f.read_text() for f in place.registry.glob("started.*"))
    wait_until("both processes are entered", lambda: "server-0001" in state())
    child.send_signal(signal.SIGTERM)
    code = child.wait(harness.PATIENCE)
    check(code == 128 + signal.SIGTERM, f"exit status {code}")
    check(not place.processes(), "no process is left")


def test_servers_that_are_not_ready_in_time_are_stopped(place):
    fake = place.dir / "never-ready"
    fake.write_text("#!/bin/sh\necho thinking >&2\nexec sleep 1000\n")
    fake.chmod(0o700)
    told = place.start(2, "--benchfsd", fake, "--timeout", "500ms", exit_code=1).stderr
    expect_in("server-0000 was not ready after 500 ms", told)
    expect_in("thinking", told)
    check(not place.processes(), "no process is left")


def test_a_killed_start_leaves_servers_that_stop_finds(place):
    fake = place.dir / "never-ready"
    fake.write_text("#!/bin/sh\nexec sleep 1000\n")
    fake.chmod(0o700)
    child = place.popen(harness.BENCHFS, "start", "-n", "2", "--data-dir", place.data,
                        "--benchfsd", fake, stderr=-1)
    state = lambda: "".join(f.read_text() for f in place.registry.glob("started.*"))
    wait_until("both processes are entered", lambda: "server-0001" in state())
    child.kill()
    child.wait()
    expect_in("stopped server-0001", place.benchfs("stop").stdout)
    check(not place.processes(), "no process is left")


def test_status_waits_for_a_cluster_as_long_as_it_may(place):
    expect_in("no BenchFS cluster", place.benchfs("status", "--wait", "300ms", exit_code=1).stderr)
    waiting = place.popen(harness.BENCHFS, "status", "--wait", "60s", stdout=-1)
    server = place.server("--data-dir", place.data / "one", "--registry", place.registry)
    harness.wait_ready(server)
    output, _ = waiting.communicate(timeout=harness.PATIENCE)
    check(waiting.returncode == 0 and "1 server\n" in output, output)
    place.benchfs("stop")


def test_a_recycled_process_number_is_never_killed(place):
    bystander = place.popen("sleep", "1000")
    place.start(1)
    place.benchfs("stop")
    (state,) = place.registry.glob("started.*")
    lines = state.read_text().splitlines()
    words = lines[-1].split()
    check(words[0] == "server", lines)
    words[2] = str(bystander.pid)
    state.write_text("\n".join(lines[:-1] + [" ".join(words)]) + "\n")
    expect_in("nothing runs", place.benchfs("stop").stdout)
    check(bystander.poll() is None, "the bystander lives")


def test_garbage_in_the_state_file_is_no_obstacle(place):
    place.start(1)
    place.benchfs("stop")
    (state,) = place.registry.glob("started.*")
    state.write_bytes(os.urandom(5000))
    expect_in("nothing runs", place.benchfs("stop").stdout)
    place.start(1)
    place.benchfs("stop")


def test_each_signal_that_ends_it_is_a_clean_exit(place):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        server = place.server("--data-dir", place.data / "one", "--registry", place.registry)
        harness.wait_ready(server)
        server.send_signal(number)
        code = server.wait(harness.PATIENCE)
        check(code == 0, f"exit status {code}\n{harness.log_of(server)}")
        check(server.stdout.read() == "", "the ready line is all that it prints")
        check(not (place.registry / "cluster.yaml").exists(), "it has left the registry")


def test_a_hangup_that_was_ignored_stays_so(place):
    server = place.server("--data-dir", place.data / "one", "--registry", place.registry,
                          preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    harness.wait_ready(server)
    server.send_signal(signal.SIGHUP)
    expect_in("server", place.benchfs("status").stdout)
    server.terminate()
    check(server.wait(harness.PATIENCE) == 0, "it went on, and stopped when it was told to")


def test_servers_of_another_command_are_asked_to_stop(place):
    servers = [
        place.server("--data-dir", place.data / name, "--registry", place.registry,
                     "--server-id", name, "--expected-servers", "2")
        for name in ("a", "b")
    ]
    for server in servers:
        harness.wait_ready(server)
    stopped = place.benchfs("stop").stdout
    expect_in(f"server a (pid {servers[0].pid}", stopped)
    expect_in(f"server b (pid {servers[1].pid}", stopped)
    for server in servers:
        check(server.wait(harness.PATIENCE) == 0, harness.log_of(server))


harness.run_tests(sys.modules[__name__])
