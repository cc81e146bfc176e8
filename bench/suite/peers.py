"""IOR and mdtest on BenchFS, on a local directory, and on other file systems whose start script is given.

Of each system one turn per round: its servers are started for it and stopped after it, so that none that polls takes
the processor from another. What a start script must do is in bench/README.md.
"""

import os
import subprocess

from . import stats
from .run import Failed, Place, TimeUp, mpi, run, with_servers


class System:
    """One file system, as IOR sees it: the name of its backend, where files go, and how servers get around a command."""

    def __init__(self, label, api, path, programs, around):
        self.label, self.api, self.path, self.programs, self.around = label, api, path, programs, around


def from_script(script, programs):
    """The system that a start script describes."""
    if not os.access(script, os.X_OK):
        raise Failed(f"--against {script}: not a program that can be run")
    try:
        answer = subprocess.run([script, "describe"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Failed(f"{script} describe: {error}") from None
    told = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    for key in ("name", "api"):
        if not told.get(key):
            raise Failed(f"{script} describe: says no {key}=")
    folder = told.get("programs", programs)
    if folder is None:
        raise Failed(f"{script} describe: says no programs=, and there is no IOR_SOURCE")
    for name in ("ior", "mdtest"):
        if not os.access(os.path.join(folder, name), os.X_OK):
            raise Failed(f"{script}: no program {name} in {folder}")
    path = os.path.abspath(script)
    return System(told["name"], told["api"], told.get("path", "/"), folder,
                  lambda place, servers, command: [path, "run", str(servers), place.servers, *command])


def own_systems(programs, folder):
    def benchfs(place, servers, command):
        return with_servers(programs, place, servers, command)

    def local(_place, _servers, command):
        return command

    return [System("benchfs", "BENCHFS", "/", folder, benchfs), System("posix", "POSIX", None, folder, local)]


def _steps(mode, ranks, crowded):
    """(workload, unit, program, arguments, how to read the output)"""
    files = {"smoke": 50, "quick": 3000, "full": 20000}[mode] // ranks
    data = {"smoke": 4, "quick": 128, "full": 512}[mode] // ranks
    small = {"smoke": 1, "quick": 32, "full": 64}[mode] // ranks
    if crowded:
        files, data, small = min(files, 500), max(min(data, 16), 1), max(min(small, 1), 1)
    small = max(small, 1)
    each = [("mdtest, empty files", "1/s", "mdtest", ["-n", str(files), "-F", "-u", "-z", "0", "-d", "{path}/easy"],
             stats.mdtest_rates),
            ("mdtest, 3901 bytes", "1/s", "mdtest",
             ["-n", str(files), "-F", "-t", "-w", "3901", "-e", "3901", "-X", "-d", "{path}/hard"], stats.mdtest_rates),
            ("ior 1 MiB, a file per process", "MiB/s", "ior",
             ["-w", "-r", "-C", "-R", "-F", "-t", "1m", "-b", f"{data}m", "-o", "{path}/each"], stats.ior_rates)]
    if ranks > 1:
        each.append(("ior 1 MiB, shared file", "MiB/s", "ior",
                     ["-w", "-r", "-C", "-R", "-t", "1m", "-b", f"{data}m", "-o", "{path}/shared"], stats.ior_rates))
    each.append(("ior 4 KiB random", "1/s", "ior",
                 ["-w", "-r", "-C", "-R", "-F", "-z", "--random-offset-seed=42", "-t", "4k", "-b", f"{small}m", "-o",
                  "{path}/random"], lambda text: stats.ior_rates(text, 2)))
    return each


def _wrong(output):
    """What ior and mdtest say of wrong data, and do not end with an error for."""
    for line in output.splitlines():
        if "ERROR" in line or "Incorrect" in line or "incorrect" in line:
            return line.strip()
    return None


def _turn(system, programs, roots, servers, ranks, step, seconds):
    _, _, program, arguments, reader = step
    with Place(roots, "tmpfs") as place:
        path = (place.local if system.path is None else system.path).rstrip("/")
        command = mpi(programs, ranks, [os.path.join(system.programs, program), "-a", system.api,
                                        *(word.replace("{path}", path) for word in arguments)])
        # So that a program that hangs ends before its servers are ended.
        command = ["timeout", "--kill-after=5", str(seconds), *command]
        try:
            output = run(system.around(place, servers, command), seconds + 30)
        except Failed as failure:
            if "status 124" in str(failure):  # that of timeout(1), through whatever started the servers
                raise TimeUp(f"not finished in {seconds} s") from None
            raise
    said = _wrong(output)
    if said is not None:
        raise Failed(said)
    rates = reader(output)
    if not rates:
        raise Failed("no figures in its output")
    return rates


def measure(systems, programs, roots, mode, rounds, cores, say, may_go_on):
    """(results, problems, left out): results as that of a case. What fails in a step is left out of its other rounds."""
    shapes = [(1, 1)] if mode == "smoke" else [(1, 1), (2, 2)] if mode == "quick" else [(1, 1), (1, 2), (2, 2), (2, 4)]
    rows, problems, left_out = [], [], []
    for servers, ranks in shapes:
        crowded = servers + ranks > cores
        seconds = 20 if mode == "quick" else 60
        for step in _steps(mode, ranks, crowded):
            found, failed = {}, set()
            if not may_go_on():
                left_out.append(f"the time was used up before: {step[0]}, {servers} servers, {ranks} ranks")
                continue
            for index in range(min(rounds, 2) if crowded and mode == "quick" else rounds):
                for turn in range(len(systems)):
                    system = systems[(turn + index) % len(systems)]
                    if system.label in failed or not may_go_on():
                        continue
                    try:
                        rates = _turn(system, programs, roots, servers, ranks, step, seconds)
                    except Failed as failure:
                        failed.add(system.label)
                        problems.append({"system": system.label, "crowded": crowded, "text":
                                         f"{system.label}, {step[0]}, {servers} servers, {ranks} ranks: {failure}"[:300]})
                        say(f"  {problems[-1]['text']}")
                        continue
                    for what, value in rates.items():
                        found.setdefault((system.label, what, step[1]), {})[index] = value
            say(f"{step[0]}, {servers} servers, {ranks} ranks: " +
                ", ".join(f"{label} {what} {stats.median(list(rounds.values())):.4g} {unit}"
                          for (label, what, unit), rounds in found.items()))
            rows.append({"name": f"{step[2]}-s{servers}r{ranks}", "workload": step[0], "servers": servers,
                         "ranks": ranks, "access": "local", "storage": "tmpfs", "reference": "posix",
                         "figures": found, "crowded": crowded})
    return rows, problems, left_out
