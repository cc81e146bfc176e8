"""What the system tests share: a temporary directory with an environment of its own, the real programs,
waiting with a limit, and the certainty that no process is left."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("top_builddir", ".")).resolve()
BENCHFS = str(BUILD / "tools" / "benchfs")
BENCHFSD = str(BUILD / "servers" / "benchfsd")
IO_CLIENT = str(BUILD / "test" / "system" / "io_client")
# A build that was started in the background of a script has them ignored, and so would all we start.
for ignored in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    signal.signal(ignored, signal.SIG_DFL)
BRIEF = ("cli_test.py", "run_test.py")  # all that BRIEF_CHECK=yes leaves
PATIENCE = 120  # seconds; what takes longer hangs

READY = re.compile(
    r"benchfsd: ready: server (\S+) \((\d+) of (\d+)\) cluster ([0-9a-f]{16}) epoch (\d+) "
    r"listening on (\S+) pid (\d+)\n"
)


def check(condition, text):
    """A test's statement; `text` says what was expected, with what was found."""
    if not condition:
        raise AssertionError(text)


def expect_in(part, text):
    check(part in text, f"expected {part!r} in:\n{text}")


def wait_until(what, condition, seconds=PATIENCE):
    """Asks `condition` until it is true, at most for `seconds`; returns what it gave."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        check(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Place:
    """A temporary directory, its environment, and the processes that were started with it."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="benchfs-test-"))
        self.registry = self.dir / "registry"
        self.data = self.dir / "data"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("BENCHFS_")}
        self.env.pop("XDG_RUNTIME_DIR", None)
        self.tmp = self.dir / "tmp"
        self.tmp.mkdir()
        self.env["TMPDIR"] = str(self.tmp)
        self.env["BENCHFS_REGISTRY"] = str(self.registry)
        self.children = []

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait(PATIENCE)
        left = self.processes()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until("killed processes are gone", lambda: not self.processes())
        shutil.rmtree(self.dir, ignore_errors=True)
        return left

    def processes(self):
        """Every live process that has this directory in its command line or environment."""
        mark = os.fsencode(str(self.dir))
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                about = pathlib.Path("/proc", entry, "cmdline").read_bytes()
                about += pathlib.Path("/proc", entry, "environ").read_bytes()
                state = pathlib.Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if mark in about and state not in "ZX":
                found.append(int(entry))
        return found

    def run(self, *command, exit_code=0, **more):
        """Runs a command to its end; its exit status must be `exit_code` (None: any)."""
        env = {**self.env, **more.pop("env", {})}
        done = subprocess.run(
            [str(word) for word in command], env=env, capture_output=True, text=True,
            errors="replace", timeout=PATIENCE, stdin=subprocess.DEVNULL, **more,
        )
        if exit_code is not None:
            check(
                done.returncode == exit_code,
                f"{command}: exit status {done.returncode}, expected {exit_code}\n"
                f"--- stdout\n{done.stdout}--- stderr\n{done.stderr}",
            )
        return done

    def benchfs(self, *words, **more):
        return self.run(BENCHFS, *words, **more)

    def start(self, servers=2, *words, **more):
        return self.benchfs("start", "-n", servers, "--data-dir", self.data, *words, **more)

    def status(self, *words, **more):
        return json.loads(self.benchfs("status", "--json", *words, **more).stdout)

    def popen(self, *command, **more):
        env = {**self.env, **more.pop("env", {})}
        child = subprocess.Popen(
            [str(word) for word in command], env=env, stdin=subprocess.DEVNULL, text=True,
            errors="replace", **more,
        )
        self.children.append(child)
        return child

    def server(self, *flags, **more):
        """Starts one benchfsd; wait_ready() tells when it serves."""
        log = open(self.dir / f"benchfsd-{len(self.children)}.log", "w+")
        child = self.popen(BENCHFSD, *flags, stdout=subprocess.PIPE, stderr=log, **more)
        child.log = log
        return child


def log_of(server):
    server.log.seek(0)
    return server.log.read()


def wait_ready(server):
    """The parts of the ready line."""
    line = server.stdout.readline()
    match = READY.fullmatch(line)
    if match is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(5)
        raise AssertionError(f"no ready line but {line!r}; log:\n{log_of(server)}")
    return match.groups()


def start_three(place, **more):
    """Three servers on data directories that stay from one call to the next."""
    place.data.mkdir(exist_ok=True)
    flags = ["--registry", place.registry, "--expected-servers", 3]
    servers = [place.server("--data-dir", place.data / str(i), "--server-id", f"s{i}", *flags, **more)
               for i in range(3)]
    for server in servers:
        wait_ready(server)
    return servers


def kill_all(servers):
    for server in servers:
        if server.poll() is None:
            server.send_signal(signal.SIGKILL)
        server.wait(PATIENCE)


def run_tests(module):
    """Runs every function of `module` whose name starts with test_, each in a Place of its own."""
    if os.environ.get("BRIEF_CHECK") == "yes" and pathlib.Path(module.__file__).name not in BRIEF:
        sys.exit(77)
    failed = 0
    chosen = sys.argv[1:]
    tests = [(n, f) for n, f in vars(module).items() if n.startswith("test_")]
    check(tests, "no tests")
    for name, function in tests:
        if chosen and name not in chosen:
            continue
        place = Place()
        begin = time.monotonic()
        problem = None
        try:
            function(place)
        except (AssertionError, subprocess.SubprocessError, OSError, ValueError, KeyError) as error:
            problem = f"{type(error).__name__}: {error}"
            logs = [*place.dir.glob("**/server-*.log"), *place.dir.glob("benchfsd-*.log")]
            for log in sorted(logs):
                problem += f"\n--- the end of {log.name}:\n" + log.read_text(errors="replace")[-3000:]
        left = place.close()
        if problem is None and left:
            problem = f"processes were left: {left}"
        print(f"{'not ok' if problem else 'ok'}: {name} ({time.monotonic() - begin:.1f} s)", flush=True)
        if problem:
            failed += 1
            print(problem, flush=True)
    sys.exit(1 if failed else 0)
