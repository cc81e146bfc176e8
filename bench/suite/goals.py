"""What BenchFS is to reach, and whether the figures of a report do: each as a ratio or value from one run."""

from . import stats

# What it says; where it is found: case, target, pass; what it is compared with (all of them), None: the figure itself;
# what it must reach, and what it should.
GOALS = [
    ("1 MiB sequential write, MPI-IO, 1 server, 1 rank, in memory", "seq-1m-shared-s1r1-local", "benchfs", "write",
     ("posix",), 1.0, 2.0),
    ("the same, read", "seq-1m-shared-s1r1-local", "benchfs", "read", ("posix",), 1.0, 1.8),
    ("2 servers, 2 ranks, shared file: write", "seq-1m-shared-s2r2-local", "benchfs", "write", ("posix",), 1.0, 2.0),
    ("2 servers, 2 ranks, shared file: read", "seq-1m-shared-s2r2-local", "benchfs", "read", ("posix",), 0.6, 1.0),
    ("4 KiB random write, depth 1, MPI-IO, per second", "random-4k-q1-s1r1-local", "benchfs", "write", None, 350e3, 600e3),
    ("4 KiB random read, depth 1, MPI-IO, per second", "random-4k-q1-s1r1-local", "benchfs", "read", None, 350e3, 600e3),
    ("4 KiB interleaved, collective, 2 ranks: write", "interleaved-4096-coll-s2r2-local", "benchfs", "write",
     ("romio", "two-phase"), 1.5, 3.0),
    ("4 KiB interleaved, collective, 2 ranks: read", "interleaved-4096-coll-s2r2-local", "benchfs", "read",
     ("romio", "two-phase"), 1.5, 3.0),
    ("disk, O_DIRECT, durable, 4 MiB: write", "disk-direct-4m", "benchfs", "write", ("uring",), 0.9, 0.98),
    ("disk, O_DIRECT, 4 MiB: read", "disk-direct-4m", "benchfs", "read", ("uring",), 0.9, 0.98),
]
OWN = ("benchfs", "posix")  # what is no other file system


def _verdict(value, must, should, above=True):
    if value is None:
        return "not measured"
    reached = [value >= limit if above else value < limit for limit in (must, should)]
    return "reached, and more" if reached[1] else "reached" if reached[0] else "not reached"


def _row(text, value, must, should, shown=None, above=True):
    return {"goal": text, "must": must, "should": should, "value": value, "verdict": _verdict(value, must, should, above),
            "text": shown or ("" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 0.1
            else f"{value:.4f}")}


def _rounds(rows, case, label, what):
    for row in rows:
        if (row["name"], row["label"], row["what"]) == (case, label, what):
            return dict(zip(row["round_numbers"], row["values"]))
    return None


def _of_case(rows, goal):
    text, case, label, what, references, must, should = goal
    rounds = _rounds(rows, case, label, what)
    if rounds is None:
        return _row(text, None, must, should)
    if references is None:
        return _row(text, stats.median(list(rounds.values())), must, should)
    ratios = [stats.ratio(rounds, against) for reference in references
              if (against := _rounds(rows, case, reference, what)) is not None]
    ratios = [ratio for ratio in ratios if ratio is not None]
    return _row(f"{text}, against {' and '.join(references)}", min(ratios) if ratios else None, must, should)


def _against_others(peer_rows, peer_failures):
    """Of each other file system: metadata alone with it, and the least ratio with more processes than cores."""
    found = []
    names = sorted({row["label"] for row in peer_rows} | {failure["system"] for failure in peer_failures})
    for name in names:
        if name in OWN:
            continue
        theirs = [row for row in peer_rows if row["label"] == name and row.get("own_ratio") is not None]
        for what in ("create", "stat", "remove"):
            values = [row["own_ratio"] for row in theirs if row["what"] == what and row["servers"] == row["ranks"] == 1
                      and row["workload"] == "mdtest, empty files"]
            found.append(_row(f"{what}, mdtest, 1 server, 1 rank, against {name}", values[0] if values else None, 1.1, 1.5))
        crowded = [row for row in theirs if row["crowded"]]
        failed = [failure for failure in peer_failures if failure["system"] == name and failure["crowded"]]
        text = f"more processes than cores, the least of all ratios, against {name}"
        if crowded:
            value = min(row["own_ratio"] for row in crowded)
            shown = f"{value:.2f}" + (f"; {len(failed)} that it did not finish" if failed else "")
            found.append(_row(text, value, 5, 20, shown))
        elif failed:
            found.append({**_row(text, None, 5, 20, f"{len(failed)} that it did not finish"), "verdict": "reached, and more"})
    return found


def check(rows, peer_rows, peer_failures, limit_rows):
    """One row per goal: what was found, what it must be, the verdict."""
    found = [_of_case(rows, goal) for goal in GOALS]
    # As much data in all by 64 ranks as by 2.
    for label, means in (("benchfs", "MPI-IO"), ("native", "benchfs.h")):
        for what in ("write", "read"):
            many, few = (_rounds(rows, f"crowd-s4r{ranks}", label, what) for ranks in (64, 2))
            value = stats.median(list(many.values())) / stats.median(list(few.values())) if many and few else None
            found.append(_row(f"64 ranks, 4 servers, {means}, against 2 ranks: {what}", value, 0.5, 0.8))
    idle = next((row["value"] for row in limit_rows if row["what"].startswith("processor time of an idle")), None)
    shown = None if idle is None else f"{idle:.3f}"
    found.append(_row("processor time of an idle server, per cent, at most", idle, 1.0, 0.1, shown, above=False))
    return found + _against_others(peer_rows, peer_failures)
