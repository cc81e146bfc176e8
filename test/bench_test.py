#!/usr/bin/python3 -B
# The arithmetic of tools/bench: medians, ratios, what it reads from what programs print, the report it writes, and
# that it says so when a program fails, hangs or finds wrong data. How fast anything is is not asked here.
import json
import os
import sys
import tempfile
import time
import unittest
import xml.dom.minidom

SOURCE = os.path.abspath(os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..")))
sys.path.insert(0, os.path.join(SOURCE, "bench"))
from suite import callgrind, cases, goals, machine, main, peers, report, run, scale, stats

MDTEST = """
SUMMARY rate (in ops/sec): (of 1 iterations)
   Operation                     Max            Min           Mean        Std Dev
   ---------                     ---            ---           ----        -------
   File creation              59395.123      59395.123      59395.123          0.000
   File stat                 216584.000     216584.000     216584.000          0.000
   File read                      0.000          0.000          0.000          0.000
   File removal               49955.500      49955.500      49955.500          0.000
"""
IOR = """
access    bw(MiB/s)  IOPS       Latency(s)  block(KiB) xfer(KiB)  open(s)    wr/rd(s)   close(s)   total(s)   iter
write     1936.61    2001.75    0.000516    524288     1024.00    0.000008   0.264361   0.000011   0.264380   0
read      2950.99    2951.25    0.000339    524288     1024.00    0.000009   0.173486   0.000005   0.173501   0
Summary of all tests:
write         99.61    1936.61    1936.61       0.00     1936.61
"""
LOAD = "0\tbenchfs\twrite\tMiB/s\t100\nnot a figure\n1\tbenchfs\twrite\tMiB/s\t300\n" \
    "0\tposix\twrite\tMiB/s\t50\n1\tposix\twrite\tMiB/s\t100\n0\tmemory\twrite\tMiB/s\t1000\n1\tmemory\twrite\tMiB/s\t1000\n"


def script(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


class Arithmetic(unittest.TestCase):
    def test_a_mount_point_is_on_what_is_mounted_there(self):
        with open("/proc/mounts") as mounts:
            kinds = {words[1]: words[2] for words in (line.split() for line in mounts) if words[2] == "proc"}
        self.assertIn("/proc", kinds)
        self.assertTrue(machine.file_system("/proc").startswith("proc ("), machine.file_system("/proc"))

    def test_median(self):
        self.assertEqual(stats.median([3, 1, 2]), 2)
        self.assertEqual(stats.median([4, 1, 2, 3]), 2.5)
        self.assertEqual(stats.summary([5.0, 1.0, 3.0]), {"median": 3.0, "min": 1.0, "max": 5.0, "rounds": 3})

    def test_ratio_is_the_median_of_the_rounds(self):
        # The quotients are 2, 1 and 3; that of the medians would be 1.5.
        self.assertEqual(stats.ratio({0: 20, 1: 10, 2: 30}, {0: 10, 1: 10, 2: 10}), 2)
        self.assertEqual(stats.ratio({0: 2, 1: 90, 2: 30}, {0: 1, 1: 30, 2: 30}), 2)
        self.assertEqual(stats.ratio({0: 4, 1: 8}, {1: 2}), 4)
        self.assertIsNone(stats.ratio({0: 4}, {1: 2}))
        self.assertIsNone(stats.ratio({0: 4}, {0: 0}))

    def test_start_up_cancels_out(self):
        self.assertEqual(stats.per_operation(1_500_000, 1_000_000, 500), 1000)


class Parsing(unittest.TestCase):
    def test_loads(self):
        figures = stats.load_figures(LOAD)
        self.assertEqual(figures[("benchfs", "write", "MiB/s")], {0: 100, 1: 300})
        self.assertEqual(len(figures), 3)

    def test_mdtest_and_ior(self):
        self.assertEqual(stats.mdtest_rates(MDTEST), {"create": 59395.123, "stat": 216584.0, "remove": 49955.5})
        self.assertEqual(stats.ior_rates(IOR), {"write": 1936.61, "read": 2950.99})
        self.assertEqual(stats.ior_rates(IOR, 2), {"write": 2001.75, "read": 2951.25})

    def test_perftest_and_callgrind(self):
        line = "             2000      0.120     1.105     1.331      904.84     751.02         905         751\n"
        self.assertEqual(stats.perftest_rate("| Test | 1 |\n" + line), (1.331, 751.02))
        self.assertIsNone(stats.perftest_rate("Input/output error\n"))
        self.assertEqual(stats.callgrind_total("events: Ir\nsummary: 17\n\ntotals: 4711\n"), 4711)
        self.assertRaises(ValueError, stats.callgrind_total, "events: Ir\n")


class Cases(unittest.TestCase):
    def test_lists(self):
        for mode in cases.SETS:
            found = cases.cases(mode)
            names = [case.name for case in found]
            self.assertEqual(len(names), len(set(names)), mode)
            for case in found:
                labels = [word.split("=")[0] for word in case.targets]
                self.assertIn(case.reference, labels, case.name)
                self.assertIn(case.access, cases.ACCESS)
                self.assertIn(case.storage, cases.STORAGE)
        quick = {case.name for case in cases.cases("quick")}
        self.assertEqual(quick - {case.name for case in cases.cases("full")}, set())


class Report(unittest.TestCase):
    def rows(self):
        return report.rows_of({"name": "seq", "workload": "sequential <1 MiB>", "servers": 1, "ranks": 2, "access": "shm",
                               "storage": "tmpfs", "reference": "posix", "figures": stats.load_figures(LOAD)})

    def test_rows(self):
        by_label = {row["label"]: row for row in self.rows()}
        self.assertEqual(by_label["benchfs"]["ratio"], 2.5)
        self.assertEqual(by_label["benchfs"]["median"], 200)
        self.assertAlmostEqual(by_label["benchfs"]["share_of_limit"], 0.2)
        self.assertIsNone(by_label["posix"]["ratio"])

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            report.write({"mode": "quick", "rounds": 2, "began": "now", "seconds": 1.0, "machine": {"cores": 2},
                          "limits": [{"what": "idle", "unit": "%", "value": 1, "text": "1 %"}], "rows": self.rows(),
                          "peer_rows": [], "peer_failures": [{"system": "other", "crowded": True, "text": "other: did not finish"}], "instructions": [],
                          "scale": [],
                          "failures": ["seq: wrong data"], "left_out": ["no time"]}, folder)
            with open(f"{folder}/report.json") as file:
                self.assertEqual(json.load(file)["rows"][0]["what"], "write")
            with open(f"{folder}/report.md") as file:
                page = file.read()
            for text in ("## FAILED", "seq: wrong data", "no time", "| 2.50 | 20 % |", "loads.svg"):
                self.assertIn(text, page)
            xml.dom.minidom.parse(f"{folder}/loads.svg")


class Goals(unittest.TestCase):
    def rows(self, name, figures, **more):
        return report.rows_of({"name": name, "workload": "mdtest, empty files", "servers": 1, "ranks": 1,
                               "access": "local", "storage": "tmpfs", "reference": "posix", "figures": figures, **more})

    def verdicts(self, *arguments):
        return {row["goal"].split(", against")[0]: row["verdict"] for row in goals.check(*arguments)}

    def test_every_case_that_a_goal_names_is_measured(self):
        quick = {case.name: case for case in cases.cases("quick")}
        for _, case, label, _, references, must, should in goals.GOALS:
            labels = {word.split("=")[0] for word in quick[case].targets}
            self.assertLessEqual({label, *(references or ())}, labels)
            self.assertLess(must, should)

    def test_verdicts(self):
        collective = self.rows("interleaved-4096-coll-s2r2-local", {
            ("benchfs", "write", "MiB/s"): {0: 200.0}, ("romio", "write", "MiB/s"): {0: 100.0},
            ("two-phase", "write", "MiB/s"): {0: 50.0}})
        random = self.rows("random-4k-q1-s1r1-local", {("benchfs", "read", "1/s"): {0: 3e5},
                                                       ("benchfs", "write", "1/s"): {0: 7e5}})
        crowd = self.rows("crowd-s4r64", {("benchfs", "read", "MiB/s"): {0: 7.0}}) + \
            self.rows("crowd-s4r2", {("benchfs", "read", "MiB/s"): {0: 10.0}})
        found = self.verdicts(collective + random + crowd, [], [], [{"what": "processor time of an idle server",
                                                                     "value": 0.5}])
        self.assertEqual(found["4 KiB interleaved, collective, 2 ranks: write"], "reached")
        self.assertEqual(found["4 KiB random read, depth 1, MPI-IO, per second"], "not reached")
        self.assertEqual(found["4 KiB random write, depth 1, MPI-IO, per second"], "reached, and more")
        self.assertEqual(found["64 ranks, 4 servers, MPI-IO"], "reached")
        self.assertEqual(found["processor time of an idle server, per cent, at most"], "reached")
        self.assertEqual(found["disk, O_DIRECT, 4 MiB: read"], "not measured")

    def test_against_another_file_system(self):
        rows = self.rows("mdtest-s1r1", {("benchfs", "create", "1/s"): {0: 130.0, 1: 120.0},
                                         ("other", "create", "1/s"): {0: 100.0, 1: 100.0}}, crowded=False)
        failure = {"system": "other", "crowded": True, "text": "not finished"}
        found = self.verdicts([], rows, [failure], [])
        self.assertEqual(found["create, mdtest, 1 server, 1 rank"], "reached")
        self.assertEqual(found["stat, mdtest, 1 server, 1 rank"], "not measured")
        self.assertEqual(found["more processes than cores, the least of all ratios"], "reached, and more")


class Scale(unittest.TestCase):
    def test_each_session_more(self):
        output = "".join(f"0\tserver\t{name}, {count} sessions\t{unit}\t{value}\n" for name, unit, count, value in (
            ("memory", "KiB", 1, 1000), ("memory", "KiB", 101, 1500), ("descriptors", "", 1, 40), ("descriptors", "", 101, 140)))
        rows = scale.rows_of(output, servers=1, access="tcp", part="sessions")
        more = {row["what"]: row["value"] for row in scale.per_session(rows, (1, 101))}
        self.assertEqual(more, {"memory, each of 100 more sessions": 5, "descriptors, each of 100 more sessions": 1})
        page = "\n".join(scale.page(rows))
        self.assertIn("| server | memory, 101 sessions | KiB | 1,500 |", page)
        self.assertIn("| 1 tcp |", page)
        self.assertEqual(scale.page([]), [])

    def test_medians_and_columns(self):
        output = "1\tmessages\topen\t\t3\n2\tmessages\topen\t\t3\n3\tmessages\topen\t\t9\n"
        rows = [row for ranks in (8, 2) for row in scale.rows_of(output, servers=4, ranks=ranks, part="shared file")]
        self.assertEqual((rows[0]["value"], rows[0]["max"]), (3, 9))
        page = "\n".join(scale.page(rows))
        self.assertIn("| unit | 2 | 8 |", page)
        self.assertIn("| messages | open |  | 3 | 3 |", page)

    def test_what_fails_and_what_is_left_out(self):
        with tempfile.TemporaryDirectory() as folder:
            wrong = script(folder, "benchfs", 'echo "scale: read: wrong data"; exit 1\n')
            programs = {"benchfs": wrong, "mpiexec": "true", "scale": "scale", "shared": "shared"}
            arguments = (programs, {"tmpfs": folder, "disk": folder}, "smoke", lambda text: None)
            rows = []
            failures, word = scale.measure(*arguments, lambda: True, rows)
            self.assertEqual((rows, word), ([], None))
            self.assertEqual(len(failures), 4)
            self.assertIn("operations, 1 servers: benchfs ended with status 1: scale: read: wrong data", failures[0])
            failures, word = scale.measure(*arguments, lambda: False, rows)
            self.assertIn("a shared file, 2 servers, 2 ranks", word)


class Running(unittest.TestCase):
    def test_status_and_words(self):
        self.assertEqual(run.run(["echo", "said"], 10), "said\n")
        with self.assertRaisesRegex(run.Failed, "status 3: it is wrong"):
            run.run(["sh", "-c", "echo it is wrong; exit 3"], 10)

    def test_a_hang_ends_with_all_its_processes(self):
        with tempfile.TemporaryDirectory() as folder:
            pid_file = f"{folder}/pid"
            begin = time.monotonic()
            with self.assertRaises(run.TimeUp):
                run.run(["sh", "-c", f"sleep 300 & echo $! >{pid_file}; wait"], 1)
            self.assertLess(time.monotonic() - begin, 60)
            with open(pid_file) as file:
                pid = int(file.read())
            end = time.monotonic() + 30
            while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
                with open(f"/proc/{pid}/stat") as file:
                    if file.read().rpartition(")")[2].split()[0] == "Z":
                        break
                time.sleep(0.05)
            else:
                self.assertFalse(os.path.exists(f"/proc/{pid}"))

    def test_a_failed_case_is_in_the_report(self):
        with tempfile.TemporaryDirectory() as folder:
            chosen = main.options(["--smoke", "--only", "seq*", "--report", f"{folder}/report", "--memory-dir", folder,
                                   "--work", folder], SOURCE)
            session = main.Session(chosen, SOURCE)
            wrong = script(folder, "benchfs", 'echo "data: rank 0: posix: wrong data at file offset 8"; exit 1\n')
            session.prepare = lambda: None
            session.systems = []
            session.programs = {"benchfs": wrong, "mpiexec": "true", "data": "data"}
            self.assertEqual(session.run(), 1)
            with open(f"{folder}/report/report.md") as file:
                self.assertIn("posix: wrong data at file offset 8", file.read())


class Interrupt(unittest.TestCase):
    def test_what_was_measured_is_in_the_report(self):
        with tempfile.TemporaryDirectory() as folder:
            session = main.Session(main.options(["--smoke", "--report", folder, "--work", folder], SOURCE), SOURCE)
            session.prepare = lambda: setattr(session, "programs", {"benchfs": "true", "mpiexec": "true"})

            def measure(found):
                found["limits"].append({"what": "before", "unit": "%", "value": 1.0, "text": "1 %"})
                raise KeyboardInterrupt

            session.measure = measure
            self.assertEqual(session.run(), 130)
            with open(f"{folder}/report.md") as file:
                page = file.read()
            self.assertIn("what came after an interrupt", page)
            self.assertIn("| before | 1 % |", page)

    def test_a_program_is_asked_to_end_first(self):
        with tempfile.TemporaryDirectory() as folder:
            ended = f"{folder}/ended"
            command = ["sh", "-c", f"trap 'touch {ended}; exit 0' TERM; while :; do sleep 0.1; done"]
            with self.assertRaises(run.TimeUp):
                run.run(command, 1)
            self.assertTrue(os.path.exists(ended))


class Peers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.mpiexec = script(self.folder, "mpiexec", 'shift 2\nexec "$@"\n')
        script(self.folder, "mdtest", f"cat <<'END'\n{MDTEST}\nEND\n")
        script(self.folder, "ior", f"cat <<'END'\n{IOR}\nEND\n")
        self.start = script(self.folder, "start", f'''case $1 in
describe) echo name=OTHER; echo api=OTHER; echo programs={self.folder} ;;
run) mkdir "$3" && shift 3 && "$@" ;;
esac
''')

    def measure(self, rounds=2):
        systems = [peers.from_script(self.start, None)]
        return peers.measure(systems, {"mpiexec": self.mpiexec}, {"tmpfs": self.folder, "disk": self.folder}, "smoke",
                             rounds, 2, lambda text: None, lambda: True)

    def test_a_start_script(self):
        rows, problems, left_out = self.measure()
        self.assertEqual(problems + left_out, [])
        self.assertEqual(rows[0]["figures"][("OTHER", "create", "1/s")], {0: 59395.123, 1: 59395.123})
        self.assertEqual(rows[-1]["figures"][("OTHER", "write", "1/s")], {0: 2001.75, 1: 2001.75})

    def test_wrong_data_that_ior_only_mentions(self):
        script(self.folder, "ior", f"echo 'WARNING: Incorrect data on read (3 errors found).'\ncat <<'END'\n{IOR}\nEND\n")
        rows, problems, _ = self.measure()
        self.assertEqual(len(problems), 2)
        self.assertIn("Incorrect data", problems[0]["text"])
        self.assertNotIn(("OTHER", "write", "MiB/s"), rows[2]["figures"])

    def test_a_script_that_says_too_little(self):
        with self.assertRaisesRegex(run.Failed, "says no api="):
            peers.from_script(script(self.folder, "mute", "echo name=X\n"), self.folder)
        with self.assertRaisesRegex(run.Failed, "not a program"):
            peers.from_script("/nonexistent", self.folder)


class Options(unittest.TestCase):
    def test_lists_and_defaults(self):
        chosen = main.options([], SOURCE)
        self.assertEqual((chosen.mode, chosen.rounds), ("quick", 3))
        self.assertEqual(main.options(["--full", "--rounds", "2"], SOURCE).rounds, 2)
        self.assertEqual(set(callgrind.NAMES), set(callgrind.OPERATIONS))


if __name__ == "__main__":
    unittest.main()
