"""Instructions per operation, of the client and of the server: they hardly depend on what else the machine does."""

import glob
import os
import shutil

from . import stats
from .run import Failed, Place, run, with_servers

OPERATIONS = ("read", "write", "create", "stat")
NAMES = {"read": "4 KiB read", "write": "4 KiB write", "create": "create and close", "stat": "stat"}


def _valgrind(into):
    return ["valgrind", "--tool=callgrind", "--trace-children=no", "--child-silent-after-fork=yes",
            f"--callgrind-out-file={into}/callgrind.%p"]


def _total(folder):
    files = glob.glob(os.path.join(folder, "callgrind.*"))
    totals = []
    for path in files:
        with open(path, errors="replace") as file:
            totals.append(stats.callgrind_total(file.read()))
    if not totals:
        raise Failed("callgrind wrote no file")
    return max(totals)


def _one(programs, roots, side, operation, count, environment, seconds):
    """Instructions of one side, for a run with `count` operations."""
    with Place(roots, "tmpfs") as place:
        command, options = [programs["count"], operation, str(count)], []
        if side == "client":
            command = _valgrind(place.local) + command
        else:
            wrapper = os.path.join(place.path, "benchfsd")
            with open(wrapper, "w") as file:
                words = " ".join(f"'{word}'" for word in [*_valgrind(place.local), programs["server binary"]])
                file.write(f'#!/bin/sh\nexport LD_LIBRARY_PATH={programs["core"]}\nexec {words} "$@"\n')
            os.chmod(wrapper, 0o755)
            options = ["--benchfsd", wrapper, "--timeout", "3min"]
        run(with_servers(programs, place, 1, command, options), seconds, environment)
        return _total(place.local)


def _operations(mode, access, side):
    if mode == "smoke":
        return OPERATIONS[3:] if (access, side) == ("messages", "client") else ()
    return OPERATIONS if access == "messages" else OPERATIONS[:2]


def measure(programs, roots, mode, say, may_go_on):
    """[{side, access, operation, instructions}], or a word why there are none."""
    if shutil.which("valgrind") is None:
        return [], "no valgrind here"
    binary = os.path.join(os.path.dirname(programs["benchfsd"]), ".libs", "benchfsd")
    programs = {**programs, "server binary": binary if os.path.exists(binary) else programs["benchfsd"]}
    count = {"smoke": 20, "quick": 1000, "full": 4000}[mode]
    # A server that an interpreter slows down must not be taken for dead; a wait must not be counted.
    common = {"BENCHFS_DEADLINE": "5min", "BENCHFS_FAILURE_DETECT": "2min", "BENCHFS_SPIN": "0s"}
    rows = []
    for access, settings in (("messages", {"BENCHFS_LOCAL_ACCESS": "false"}), ("local", {})):
        for side in ("client", "server"):
            if access == "local" and side == "server":
                continue
            without = None
            for operation in _operations(mode, access, side):
                if not may_go_on():
                    return rows, "the time was used up"
                try:
                    if without is None:
                        without = _one(programs, roots, side, operation, 0, {**common, **settings}, 240)
                    total = _one(programs, roots, side, operation, count, {**common, **settings}, 240)
                except Failed as failure:
                    return rows, str(failure)
                cost = stats.per_operation(total, without, count)
                rows.append({"side": side, "access": access, "operation": NAMES[operation],
                             "instructions": round(cost), "operations": count})
                say(f"callgrind: {NAMES[operation]}, {side}, {access}: {cost:.0f} instructions")
    return rows, None
