"""tools/bench: builds, measures everything in turn with its reference, writes the report."""

import argparse
import fnmatch
import os
import signal
import sys
import time

from . import build, callgrind, goals, limits, machine, peers, report, scale, stats
from .cases import ACCESS, STORAGE, cases
from .run import Failed, Place, idle_share, mpi, run, with_servers

MINUTES = {"smoke": 5, "quick": 5, "full": 45}
ROUNDS = {"smoke": 1, "quick": 3, "full": 5}


def options(arguments, source):
    parser = argparse.ArgumentParser(prog="tools/bench", description="Measures BenchFS beside what it is compared with, "
                                     "with all data verified, and writes a report. bench/README.md says how to read it.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--quick", action="store_const", const="quick", dest="mode", help="under 5 minutes (the default)")
    mode.add_argument("--full", action="store_const", const="full", dest="mode", help="under 45 minutes")
    mode.add_argument("--smoke", action="store_const", const="smoke", dest="mode",
                      help="seconds: that everything runs, not how fast")
    parser.add_argument("--against", action="append", default=[], metavar="ior|posix|PROGRAM",
                        help="also IOR and mdtest (ior; IOR_SOURCE names their source tree or tarball) beside the local "
                        "file system; or that and another file system, whose start script is named; posix, the loads on "
                        "the local file system, is always there")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN",
                        help="only what has such a name, as --list shows it; may be repeated")
    parser.add_argument("--list", action="store_true", help="names of all cases of this mode, and nothing else")
    parser.add_argument("--rounds", type=int, help="how often each target has its turn (3; --full: 5)")
    parser.add_argument("--report", default=None, metavar="DIR", help="where the report goes (build/bench-report)")
    parser.add_argument("--build", default=None, metavar="DIR", help="build folder of the project (build/bench)")
    parser.add_argument("--no-make", action="store_true", help="the build folder is complete: do not build the project")
    parser.add_argument("--work", default=None, metavar="DIR", help="where the loads are built (bench-loads in the build "
                        "folder)")
    parser.add_argument("--memory-dir", default="/dev/shm", metavar="DIR", help="for data in memory (/dev/shm)")
    parser.add_argument("--disk-dir", default=None, metavar="DIR", help="for data on a disk (that of --work)")
    chosen = parser.parse_args(arguments)
    chosen.mode = chosen.mode or "quick"
    chosen.rounds = chosen.rounds or ROUNDS[chosen.mode]
    if not 1 <= chosen.rounds <= 64:
        parser.error("--rounds: from 1 to 64")
    chosen.build = os.path.abspath(chosen.build or os.path.join(source, "build/bench"))
    chosen.report = os.path.abspath(chosen.report or os.path.join(source, "build/bench-report"))
    chosen.work = os.path.abspath(chosen.work or os.path.join(chosen.build, "bench-loads"))
    chosen.disk_dir = os.path.abspath(chosen.disk_dir or chosen.work)
    return chosen


class Session:
    """One call of tools/bench."""

    def __init__(self, chosen, source):
        self.chosen, self.source = chosen, source
        self.roots = {"tmpfs": chosen.memory_dir, "disk": chosen.disk_dir}
        self.failures, self.left_out = [], []
        self.end = None

    @staticmethod
    def say(text):
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def wanted(self, name):
        return not self.chosen.only or any(fnmatch.fnmatch(name, pattern) for pattern in self.chosen.only)

    def may_go_on(self, keep=0):
        """Whether there is time for more, `keep` seconds set aside for what comes after it."""
        return time.monotonic() + keep < self.end

    def prepare(self):
        if not self.chosen.no_make:
            build.project(self.source, self.chosen.build, self.say)
        into = self.chosen.work
        self.programs = build.loads(self.source, self.chosen.build, into)
        scripts = [word for word in self.chosen.against if word not in ("ior", "posix")]
        folder, self.systems = None, []
        ior_source = os.environ.get("IOR_SOURCE")
        if "ior" in self.chosen.against or scripts:
            if ior_source:
                if not os.path.exists(ior_source):
                    raise Failed(f"IOR_SOURCE: {ior_source} is not there")
                self.say("building IOR")
                folder = build.ior(self.source, ior_source, self.programs, into)
            else:
                self.left_out.append("IOR and mdtest: IOR_SOURCE names no source tree or tarball of IOR 4")
        others = [peers.from_script(script, folder) for script in scripts]
        if folder is not None:
            self.systems = peers.own_systems(self.programs, folder) + others

    def case(self, case):
        """Runs one; gives its rows."""
        environment = {**STORAGE[case.storage], **ACCESS[case.access]}
        with Place(self.roots, case.storage) as place:
            targets = [word.replace("{local}", place.local) for word in case.targets]
            command = mpi(self.programs, case.ranks, [self.programs[case.program], *case.arguments, "-r",
                                                      str(self.chosen.rounds), *targets])
            output = run(with_servers(self.programs, place, case.servers, command),
                         max(min(case.seconds, self.end - time.monotonic() + 10), 10), environment)
        figures = stats.load_figures(output)
        if not figures:
            raise Failed("no figures in its output")
        result = {key: getattr(case, key) for key in ("name", "workload", "servers", "ranks", "access", "storage",
                                                      "reference")}
        return report.rows_of({**result, "figures": figures})

    def loads(self, rows, keep):
        todo = [case for case in cases(self.chosen.mode) if self.wanted(case.name)]
        for index, case in enumerate(todo):
            if not self.may_go_on(keep):
                names = ", ".join(left.name for left in todo[index:])
                self.left_out.append(f"the time was used up before: {names}")
                break
            begin = time.monotonic()
            try:
                found = self.case(case)
            except Failed as failure:
                self.failures.append(f"{case.name}: {failure}")
                self.say(f"FAILED: {self.failures[-1]}")
                continue
            rows += found
            self.say(f"{case.name} ({time.monotonic() - begin:.1f} s): " + self.brief(found, case.reference))

    @staticmethod
    def brief(rows, reference):
        said = []
        for row in rows:
            if row["label"] in (reference, "memory"):
                continue
            ratio = "" if row["ratio"] is None else f" ({row['ratio']:.2f})"
            said.append(f"{row['label']} {row['what']} {row['median']:.4g} {row['unit']}{ratio}")
        return ", ".join(said[:8])

    def measure(self, found):
        """Everything that is wanted, each into its list in `found`."""
        mode = self.chosen.mode
        if self.wanted("limits") and mode != "smoke":
            rows, word = limits.measure(self.say)
            found["limits"] += rows
            if word:
                self.left_out.append(f"limits: {word}")
        if self.wanted("idle"):
            try:
                share = idle_share(self.programs, self.roots, {"smoke": 1, "quick": 5, "full": 20}[mode])
                found["limits"].append({"what": "processor time of an idle server", "unit": "%", "value": share,
                                        "text": f"{share:.3f} % of a core"})
                self.say(f"idle server: {share:.3f} % of a core")
            except Failed as failure:
                self.failures.append(f"idle: {failure}")
        # What comes later has its share of the time.
        whole = 60 * MINUTES[mode]
        for_callgrind = whole * (0.08 if mode == "full" else 0.3) if self.wanted("callgrind") else 0
        # Minutes: with --full, or where it is asked for.
        scales = self.wanted("scale") and (mode == "full" or self.chosen.only)
        for_scale = 0.15 * whole if scales else 0
        self.loads(found["rows"], for_callgrind + for_scale + (0.3 * whole if self.systems and self.wanted("ior") else 0))
        if self.systems and self.wanted("ior"):
            results, problems, left_out = peers.measure(self.systems, self.programs, self.roots, mode, self.chosen.rounds,
                                                        os.cpu_count() or 1, self.say,
                                                        lambda: self.may_go_on(for_callgrind + for_scale))
            self.left_out += left_out
            found["peer_rows"] += [row for result in results for row in report.rows_of(result)]
            self.failures += [problem["text"] for problem in problems if problem["system"] in goals.OWN]
            found["peer_failures"] += [problem for problem in problems if problem["system"] not in goals.OWN]
        if scales:
            failures, word = scale.measure(self.programs, self.roots, mode, self.say,
                                           lambda: self.may_go_on(for_callgrind), found["scale"])
            self.failures += failures
            if word:
                self.left_out.append(f"scale: {word}")
        if self.wanted("callgrind"):
            rows, word = callgrind.measure(self.programs, self.roots, mode, self.say, lambda: self.may_go_on(10))
            found["instructions"] += rows
            if word:
                self.left_out.append(f"instructions per operation: {word}")

    def run(self):
        chosen = self.chosen
        self.prepare()
        begin, self.end = time.monotonic(), time.monotonic() + 60 * MINUTES[chosen.mode]
        began = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        facts = machine.facts(self.source, self.programs, self.roots)
        found = {"limits": [], "rows": [], "peer_rows": [], "peer_failures": [], "instructions": [], "scale": []}
        interrupted = False
        try:
            self.measure(found)
        except KeyboardInterrupt:
            interrupted = True
            self.left_out.append("what came after an interrupt")
        report.write({"mode": chosen.mode, "rounds": chosen.rounds, "began": began,
                      "seconds": time.monotonic() - begin, "machine": facts, "failures": self.failures,
                      "left_out": self.left_out, **found}, chosen.report)
        for text in self.left_out:
            self.say(f"left out: {text}")
        self.say(f"the report: {chosen.report}/report.md")
        if self.failures:
            print(f"bench: {len(self.failures)} failed: " + "; ".join(self.failures), file=sys.stderr)
            return 1
        if not any(found.values()):
            print("bench: nothing was measured; --list shows the names", file=sys.stderr)
            return 1
        return 130 if interrupted else 0


def main(arguments, source):
    chosen = options(arguments, source)
    if chosen.list:
        print("\n".join(["limits", "idle"] + [case.name for case in cases(chosen.mode)] + ["ior", "scale", "callgrind"]))
        return 0
    def interrupt(_number, _frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)  # as on Ctrl-C: the servers end, the report is written
    try:
        return Session(chosen, source).run()
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
