"""Runs programs, bounded in time, between servers that `benchfs run` starts; nothing is left behind."""

import os
import shutil
import signal
import subprocess
import tempfile
import time


class Failed(Exception):
    """A program that did not do what it should; the text says which and why."""


class TimeUp(Failed):
    """A program that did not end in time."""


def last_lines(text, count=4):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # What MPI's starter adds says nothing of the cause.
    said = [line for line in lines if "BAD TERMINATION" not in line and not line.startswith(("=", "YOUR APPLICATION"))]
    return "; ".join((said or lines or ["no word"])[-count:])


def run(command, seconds, environment=None, directory=None):
    """The output of a command, in which standard error is mixed in. On a timeout it is asked to end (SIGTERM, on which
    `benchfs run` stops its servers), then killed with all that it started."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, cwd=directory,
                                   env={**os.environ, **(environment or {})}, start_new_session=True)
        late = False
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            end_all(process)
        said.seek(0)
        output = said.read().decode(errors="replace")
    if late:
        raise TimeUp(f"not finished in {seconds:.0f} s: {last_lines(output, 2)}")
    if process.returncode != 0:
        raise Failed(f"{os.path.basename(command[0])} ended with status {process.returncode}: {last_lines(output)}")
    return output


def end_all(process):
    """Asks a process to end, if it has not; then kills what is left of it and of all that it started in its session."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


class Place:
    """Directories for one program's data, in memory or on a disk, that go away with it."""

    def __init__(self, roots, storage):
        self.root = roots["tmpfs" if storage == "tmpfs" else "disk"]

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="benchfs-bench.", dir=self.root)
        os.mkdir(os.path.join(self.path, "local"))
        return self

    @property
    def local(self):
        return os.path.join(self.path, "local")

    @property
    def servers(self):
        return os.path.join(self.path, "servers")

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def with_servers(programs, place, servers, command, options=()):
    """The command line that runs `command` between its own servers."""
    return [programs["benchfs"], "run", "-n", str(servers), "--data-dir", place.servers, "--no-preload", *options, "--",
            *command]


def mpi(programs, ranks, command):
    return [programs["mpiexec"], "-n", str(ranks), *command]


def children(pid):
    """Process ids of all that descend from a process."""
    parents = {}
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat") as file:
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
        except (ValueError, OSError):
            continue
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        todo += (more := [child for child, its in parents.items() if its == parent])
        found += more
    return found


def idle_share(programs, roots, seconds):
    """Per cent of a core that one server uses while nobody asks it for anything."""

    def used(pid):
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[0])

    def is_server(pid):
        try:
            with open(f"/proc/{pid}/comm") as file:
                return "benchfsd" in file.read()
        except OSError:
            return False

    with Place(roots, "tmpfs") as place:
        ready = os.path.join(place.path, "ready")
        command = ["sh", "-c", f'touch "$1"; sleep {seconds + 10}', "sh", ready]
        process = subprocess.Popen(with_servers(programs, place, 1, command), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            end = time.monotonic() + 30
            while not os.path.exists(ready):
                if process.poll() is not None or time.monotonic() > end:
                    raise Failed("no idle server: benchfs run did not start one")
                time.sleep(0.1)
            time.sleep(1)
            pids = [pid for pid in children(process.pid) if is_server(pid)]
            if len(pids) != 1:
                raise Failed(f"{len(pids)} processes named benchfsd, not one")
            before, begin = used(pids[0]), time.monotonic()
            time.sleep(seconds)
            return 100e-9 * (used(pids[0]) - before) / (time.monotonic() - begin)
        finally:
            end_all(process)
