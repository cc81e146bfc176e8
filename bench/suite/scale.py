"""What a cluster costs as it grows, by scale.c and shared.c: start, memory, descriptors, and of each operation the
messages and the processor time, with 1 to 64 servers, up to 1000 sessions and up to 64 ranks. docs/scaling.md puts the
figures into formulas."""

import statistics
import time

from . import stats
from .run import Failed, Place, mpi, run, with_servers

SERVERS = {"smoke": (1, 2), "quick": (1, 4, 16, 64), "full": (1, 4, 16, 64)}
OPERATIONS = {"smoke": 20, "quick": 500, "full": 1000}
# Servers, how clients reach them, and the numbers of sessions.
SESSIONS = {"smoke": ((1, "shm", (1, 3)),),
            "quick": ((1, "shm", (1, 100, 1000)), (1, "tcp", (1, 100, 1000)), (16, "shm", (1, 40)), (16, "tcp", (1, 40))),
            "full": ((1, "shm", (1, 100, 1000)), (1, "tcp", (1, 100, 1000)), (16, "shm", (1, 40)), (16, "tcp", (1, 40)))}
PROCESSES = 4
RANKS = {"smoke": ((2, 2),), "quick": ((4, 2), (4, 8), (4, 32), (4, 64)), "full": ((4, 2), (4, 8), (4, 32), (4, 64))}
ROUNDS = {"smoke": 1, "quick": 1, "full": 3}
SECONDS = 250  # limit of one run
# What a client on another host does; and a wait costs no processor time, so that this hardly depends on the machine.
MESSAGES = {"BENCHFS_LOCAL_ACCESS": "false", "BENCHFS_SPIN": "0s"}
ACCESS = {"shm": MESSAGES, "tcp": {**MESSAGES, "BENCHFS_UCX_TLS": "tcp,self"}}


def rows_of(output, **shape):
    """One row for each figure of a program: the median of its rounds."""
    rows = []
    for (label, what, unit), rounds in stats.load_figures(output).items():
        values = list(rounds.values())
        rows.append({**shape, "label": label, "what": what, "unit": unit, "value": statistics.median(values),
                     "min": min(values), "max": max(values)})
    if not rows:
        raise Failed("no figures in its output")
    return rows


def _operations(programs, roots, mode, servers):
    count = OPERATIONS[mode]
    with Place(roots, "tmpfs") as place:
        command = [programs["scale"], "operations", str(count)]
        begin = time.monotonic()
        output = run(with_servers(programs, place, servers, command, ["--timeout", "2min"]), SECONDS, MESSAGES)
    rows = rows_of(output, servers=servers, access="shm", part="operations")
    for row in rows:
        if row["label"] == "start":  # the program gives the time of day at which it was started
            row.update(label="time", what="start, until all are ready", unit="us")
            for key in ("value", "min", "max"):
                row[key] = 1e6 * (row[key] - begin)
    return rows


def _sessions(programs, roots, servers, access, steps):
    with Place(roots, "tmpfs") as place:
        command = [programs["scale"], "sessions", str(PROCESSES), *map(str, steps)]
        output = run(with_servers(programs, place, servers, command), SECONDS, ACCESS[access])
    rows = rows_of(output, servers=servers, access=access, part="sessions")
    return rows + per_session(rows, steps)


def per_session(rows, steps):
    """What a session more costs a server, from the last two steps."""
    def value(name, count):
        found = [row["value"] for row in rows if row["label"] == "server" and row["what"] == f"{name}, {count} sessions"]
        return found[0] if found else None

    more = []
    before, after = (steps[-2], steps[-1]) if len(steps) > 1 else (0, steps[-1])
    for name, unit in (("memory", "KiB"), ("own memory", "KiB"), ("shared memory", "KiB"), ("descriptors", "")):
        low, high = value(name, before), value(name, after)
        if low is None or high is None:
            continue
        each = (high - low) / (after - before)
        more.append({**{key: rows[0][key] for key in ("servers", "access", "part")}, "label": "server",
                     "what": f"{name}, each of {after - before} more sessions", "unit": unit, "value": each, "min": each,
                     "max": each})
    return more


def _shared(programs, roots, mode, servers, ranks):
    with Place(roots, "tmpfs") as place:
        command = mpi(programs, ranks, [programs["shared"], str(ROUNDS[mode])])
        output = run(with_servers(programs, place, servers, command), SECONDS, MESSAGES)
    return rows_of(output, servers=servers, ranks=ranks, access="shm", part="shared file")


def measure(programs, roots, mode, say, may_go_on, rows):
    """Adds to the rows; gives (failures, a word why some are missing or None)."""
    todo = [(f"operations, {count} servers", _operations, (mode, count)) for count in SERVERS[mode]]
    todo += [(f"a shared file, {servers} servers, {ranks} ranks", _shared, (mode, servers, ranks))
             for servers, ranks in RANKS[mode]]
    todo += [(f"{steps[-1]} sessions, {servers} servers, {access}", _sessions, (servers, access, steps))
             for servers, access, steps in SESSIONS[mode]]
    failures = []
    for index, (name, function, arguments) in enumerate(todo):
        if not may_go_on():
            return failures, "the time was used up before: " + ", ".join(name for name, *_ in todo[index:])
        begin = time.monotonic()
        try:
            found = function(programs, roots, *arguments)
        except Failed as failure:
            failures.append(f"scale: {name}: {failure}")
            say(f"FAILED: {failures[-1]}")
            continue
        rows += found
        say(f"scale: {name} ({time.monotonic() - begin:.1f} s)")
    return failures, None


def _number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _pivot(rows, head, key_of, column_of):
    """A table: one line per key, one column per value of column_of, in the order in which they come."""
    columns = sorted({column_of(row) for row in rows})
    lines = {}
    for row in rows:
        lines.setdefault((*key_of(row), row["unit"]), {})[column_of(row)] = _number(row["value"])
    titles = [*head, "unit", *(str(column) for column in columns)]
    text = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    text += ["| " + " | ".join([*key, *(cells.get(column, "") for column in columns)]) + " |"
             for key, cells in lines.items()]
    return "\n".join(text) + "\n"


def page(rows):
    """The part of the report, as Markdown."""
    if not rows:
        return []
    parts = ["## As it grows\n", "By messages, on one host. Messages are requests that all servers together received; "
             "processor time is that of all threads of a process, as the kernel accounts it.\n"]
    for part, text, column in (
            ("operations", "One operation, and what there is before the first; the columns are numbers of servers. "
             "\"server\" is the mean of all servers, \"servers\" their sum.\n", "servers"),
            ("shared file", "One file that all ranks open and close; the columns are numbers of ranks.\n", "ranks")):
        found = [row for row in rows if row["part"] == part]
        if found:
            parts += [text, _pivot(found, ["", "what"], lambda row: (row["label"], row["what"]), lambda row: row[column])]
    found = [row for row in rows if row["part"] == "sessions"]
    if found:
        parts += ["Sessions, each of which has asked every server; the columns are servers and access.\n",
                  _pivot(found, ["", "what"], lambda row: (row["label"], row["what"]),
                         lambda row: f"{row['servers']} {row['access']}")]
    return parts
