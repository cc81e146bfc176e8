"""benchfs run: servers for the life of one command, and nothing after it."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import harness
from harness import BENCHFS, IO_CLIENT, check, expect_in, wait_until

# Tells where the registry is, then waits to be ended.
WAIT = 'echo "$BENCHFS_REGISTRY" >"$0"; exec sleep 1000'


def nothing_left(place):
    return not list(place.tmp.glob("benchfs-run-*"))


def is_waiting(place):
    """Whether a process of the test is a sleep that sleeps, no longer a shell or a program being loaded."""
    for pid in place.processes():
        with contextlib.suppress(OSError):
            if "(sleep) S " in pathlib.Path("/proc", str(pid), "stat").read_text():
                return True
    return False


def start_waiting(place, *options):
    """`benchfs run` with a command that waits; returns it and the run's directory."""
    told = place.dir / "told"
    child = place.popen(BENCHFS, "run", "-n", "2", *options, "--", "sh", "-c", WAIT, told,
                        restore_signals=True)
    # A shell that was given -c catches SIGINT and may forget one that comes just before its exec.
    wait_until("the command waits", lambda: is_waiting(place))
    return child, pathlib.Path(told.read_text().strip()).parent


def test_the_command_finds_the_servers_and_its_status_is_passed_on(place):
    place.benchfs("run", "-n", "2", "--", IO_CLIENT, "write", "/f", 5_000_000)
    check(nothing_left(place), "the directory is removed")
    place.benchfs("run", "-n", "1", "--", "sh", "-c", "exit 7", exit_code=7)
    place.benchfs("run", "-n", "1", "--", "sh", "-c", "kill -9 $$", exit_code=137)
    place.benchfs("run", "-n", "1", "--", "/no/such/program", exit_code=127)
    place.benchfs("run", "-n", "1", "--", str(place.dir), exit_code=126)
    check(nothing_left(place), "the directories are removed")


def test_the_command_is_taken_as_it_is(place):
    shown = place.benchfs("run", "-n", "1", "--", "echo", "--help", "-n", "--", "x").stdout
    check(shown == "--help -n -- x\n", f"{shown!r}")
    place.benchfs("run", "-n", "1", exit_code=2)
    expect_in("--data-dir", place.benchfs("run", "--keep-data", "--", "true", exit_code=2).stderr)


def test_a_cluster_of_the_environment_is_hidden_from_the_command(place):
    shown = place.benchfs("run", "--", "sh", "-c", "benchfs=$1; $benchfs status --json; env", "sh",
                          BENCHFS, env={"BENCHFS_SERVERS": "127.0.0.1:1"}).stdout
    check("BENCHFS_SERVERS" not in shown, "BENCHFS_SERVERS is not passed on")
    check(str(place.registry) not in shown, "nor is the registry of outside")


def test_status_shows_the_share_of_every_server(place):
    shown = place.benchfs("run", "-n", "2", "--status", "--", IO_CLIENT, "write", "/f", 8 << 20).stdout
    expect_in("server-0001", shown)
    expect_in("8 MiB", shown)
    expect_in("100.0 %", shown)


def test_data_go_where_they_are_wanted_and_stay_only_if_asked(place):
    place.benchfs("run", "--data-dir", place.data, "--", IO_CLIENT, "write", "/f", 10)
    check(list(place.data.iterdir()) == [], f"nothing in {list(place.data.iterdir())}")
    keep = ("--data-dir", place.data, "--keep-data")
    place.benchfs("run", "-n", "2", *keep, "--", IO_CLIENT, "write", "/f", 3_000_000)
    place.benchfs("run", "-n", "2", *keep, "--", IO_CLIENT, "verify", "/f", 3_000_000)
    check((place.data / "server-0001").is_dir(), "the data are kept")
    check(nothing_left(place), "the directory is removed")


def test_signals_reach_the_command_and_everything_ends(place):
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)):
        child, directory = start_waiting(place)
        child.send_signal(number)
        check(child.wait(harness.PATIENCE) == code, f"exit status {child.returncode}")
        check(not place.processes(), "no process is left")
        check(not directory.exists(), "nor its directory")
        (place.dir / "told").unlink()


def test_kill_9_of_run_ends_servers_and_command_and_removes_the_directory(place):
    child, directory = start_waiting(place)
    child.kill()
    child.wait()
    wait_until("all processes are gone", lambda: not place.processes())
    check(not directory.exists(), "the directory is removed")


def test_kill_9_of_everything_is_cleared_up_by_the_next_run(place):
    child, directory = start_waiting(place)
    child.send_signal(signal.SIGSTOP)
    for pid in place.processes():
        os.kill(pid, signal.SIGKILL)
    child.wait()
    check(directory.exists(), "nobody could remove it")
    told = place.benchfs("run", "--", "true").stderr
    expect_in(str(directory), told)
    check(nothing_left(place), "the next run has removed it")


def test_a_run_leaves_the_directory_of_another_run_alone(place):
    child, directory = start_waiting(place)
    place.benchfs("run", "--", IO_CLIENT, "write", "/f", 10)
    check(directory.exists() and child.poll() is None, "the first run goes on")
    state = place.status(env={"BENCHFS_REGISTRY": str(directory / "registry")})
    check(state["dead"] == 0, state)
    child.terminate()
    child.wait(harness.PATIENCE)


def test_a_server_that_dies_is_told_with_its_name(place):
    # The pid of the second server; the run has noticed its end when the pid has gone.
    script = (
        "pid=$(\"$0\" status --json | sed -n 's/.*\"server-0001\".*\"pid\": \\([0-9]*\\).*/\\1/p')\n"
        "kill -9 $pid && while kill -0 $pid 2>/dev/null; do sleep 0.02; done"
    )
    done = place.benchfs("run", "-n", "2", "--", "sh", "-c", script, BENCHFS)
    expect_in("server-0001 ended with signal 9", done.stderr)
    check(nothing_left(place), "the directory is removed")


def test_servers_that_cannot_start_are_a_failure_that_shows_why(place):
    config = place.dir / "bad.yaml"
    config.write_text("chunk_size: 5MiB\n")
    done = place.benchfs("run", "-n", "2", "--config", config, "--", "echo", "never", exit_code=1)
    expect_in("chunk_size", done.stderr)
    check(done.stdout == "", "the command was not run")
    check(nothing_left(place) and not place.processes(), "nothing is left")


def test_output_to_a_closed_pipe_leaves_nothing(place):
    child = place.popen(BENCHFS, "run", "-n", "1", "--status", "--", "true", stdout=subprocess.PIPE)
    child.stdout.close()
    child.wait(harness.PATIENCE)
    wait_until("all processes are gone", lambda: not place.processes())
    check(nothing_left(place), "the directory is removed")


harness.run_tests(sys.modules[__name__])
