"""What is measured: the list of cases for --smoke, --quick and --full.

A case is one load program, started once by `benchfs run` with all its targets, which it takes in turn. The most telling
cases come first: when the time is up, the rest is left out, and the report says so.
"""

import dataclasses

SETS = ("smoke", "quick", "full")

# How clients and servers on one host meet: they share the files (the default), or use messages through shared memory or
# through the network stack.
ACCESS = {
    "local": {},
    "shm": {"BENCHFS_LOCAL_ACCESS": "false"},
    "tcp": {"BENCHFS_LOCAL_ACCESS": "false", "BENCHFS_UCX_TLS": "tcp,self"},
}
STORAGE = {
    "tmpfs": {},
    "disk": {},
    "disk, O_DIRECT": {"BENCHFS_IO_MODE": "direct", "BENCHFS_LOCAL_ACCESS": "false"},
}
TWO_PHASE = "@romio_cb_write=enable,romio_cb_read=enable"


@dataclasses.dataclass
class Case:
    name: str  # unique; what --only matches
    workload: str
    program: str  # data, meta or overlap
    arguments: list
    targets: list  # LABEL=KIND:PATH; {local} is a directory on the same storage
    reference: str  # label of the target that the others are compared with
    servers: int = 1
    ranks: int = 1
    access: str = "local"
    storage: str = "tmpfs"
    seconds: int = 60  # limit


def _data(name, workload, shape, transfer, each, options=(), targets=None, **rest):
    if targets is None:
        targets = ["benchfs=mpi:benchfs:/bench", "native=native:/bench", "posix=posix:{local}/posix"]
        targets.append("memory=memory:")
    arguments = ["-w", shape, "-t", transfer, "-b", each, "-T", "4", *options]
    return Case(name, workload, "data", arguments, targets, rest.pop("reference", "posix"), **rest)


def _random(mode, depth, **rest):
    each = {"smoke": "256k", "quick": "16m", "full": "32m"}[mode]
    access, servers, ranks = rest.get("access", "local"), rest.get("servers", 1), rest.get("ranks", 1)
    return _data(f"random-4k-q{depth}-s{servers}r{ranks}-{access}", f"random 4 KiB, depth {depth}", "random", "4k", each,
                 ["-q", str(depth)], **rest)


def _sequential(mode, transfer, **rest):
    each = {"smoke": "2m", "quick": "64m", "full": "128m"}[mode]
    if mode != "smoke" and rest.get("ranks", 1) > 2:
        each = "32m"
    access, servers, ranks = rest.get("access", "local"), rest.get("servers", 1), rest.get("ranks", 1)
    per_process = rest.pop("per_process", False)
    where = "a file per process" if per_process else "shared file"
    return _data(f"seq-{transfer}-{'fpp' if per_process else 'shared'}-s{servers}r{ranks}-{access}",
                 f"sequential {transfer[:-1]} MiB, {where}", "seq", transfer, each, ["-F"] if per_process else [], **rest)


def _interleaved(mode, piece, collective, **rest):
    each = {"smoke": "512k", "quick": "16m", "full": "32m"}[mode]
    access, servers, ranks = rest.get("access", "local"), rest.get("servers", 2), rest.get("ranks", 2)
    rest.update(servers=servers, ranks=ranks)
    name = f"interleaved-{piece}-{'coll' if collective else 'indep'}-s{servers}r{ranks}-{access}"
    targets = ["benchfs=mpi:benchfs:/bench", "romio=mpi:{local}/romio"]
    if collective:
        targets.append("two-phase=mpi:{local}/two" + TWO_PHASE)
        return _data(name, f"interleaved {piece}, one collective call", "view", piece, each, [], targets,
                     reference="two-phase", **rest)
    targets.append("posix=posix:{local}/posix")
    return _data(name, f"interleaved {piece}, a call each", "pieces", piece, each, [], targets, **rest)


def _meta(mode, size, **rest):
    count = {"smoke": 20, "quick": 2000, "full": 5000}[mode]
    servers, ranks = rest.get("servers", 1), rest.get("ranks", 1)
    count = max(count // ranks, 10)
    what = f"files of {size} bytes, one directory" if size else "empty files, a directory each"
    options = ["-n", str(count), "-T", "5"] + (["-b", str(size), "-S"] if size else [])
    return Case(f"meta-{size}-s{servers}r{ranks}", what, "meta", options,
                ["native=native:", "posix=posix:{local}"], "posix", **rest)


def _overlap(mode, **rest):
    each = {"smoke": "256k", "quick": "4m", "full": "8m"}[mode]
    servers, ranks = rest.get("servers", 1), rest.get("ranks", 1)
    return Case(f"overlap-s{servers}r{ranks}", "nonblocking overlap", "overlap", ["-b", each],
                ["benchfs=mpi:benchfs:/bench", "romio=mpi:{local}/romio"], "romio", seconds=150, **rest)


def _disk(mode, storage, transfer):
    each = {"smoke": "1m", "quick": "64m", "full": "256m"}[mode]
    direct = storage == "disk, O_DIRECT"
    options = ["-s", "-q", "4"] + (["-d"] if direct else [])
    targets = ["benchfs=mpi:benchfs:/bench", "native=native:/bench"]
    targets += ["uring=uring:{local}/uring"] if direct else ["posix=posix:{local}/posix"]
    return _data(f"disk-{'direct' if direct else 'buffered'}-{transfer}", f"sequential {transfer[:-1]} MiB, depth 4, durable",
                 "seq", transfer, each, options, targets, reference=targets[-1].split("=")[0], storage=storage,
                 access="shm" if direct else "local")


def _crowd(mode, servers, ranks):
    """More processes than cores: the same data in all for every number of ranks, so that the rates compare; with little
    of it they would be those of opening and closing."""
    each = f"{(1024 if mode == 'full' else 128) // ranks}m"
    return _data(f"crowd-s{servers}r{ranks}", "sequential 256 KiB, shared file, crowded", "seq", "256k", each, [],
                 ["benchfs=mpi:benchfs:/bench", "native=native:/bench", "posix=posix:{local}/posix",
                  "romio=mpi:{local}/romio"], servers=servers, ranks=ranks, seconds=400)


def cases(mode):
    """The list for a mode of SETS, the most telling first."""
    if mode == "smoke":
        return [_sequential(mode, "1m"), _random(mode, 16, access="shm"), _interleaved(mode, "4096", True),
                _interleaved(mode, "47008", False), _meta(mode, 3901), _overlap(mode, servers=1, ranks=1)]
    full = mode == "full"
    found = [
        _sequential(mode, "1m"), _random(mode, 1), _meta(mode, 0), _meta(mode, 3901),
        _sequential(mode, "1m", servers=2, ranks=2), _interleaved(mode, "4096", True),
        _sequential(mode, "1m", access="shm"), _random(mode, 1, access="shm"), _random(mode, 16, access="shm"),
        _disk(mode, "disk, O_DIRECT", "4m"), _disk(mode, "disk", "1m"), _crowd(mode, 4, 2),
        _interleaved(mode, "47008", True), _interleaved(mode, "65536", True), _interleaved(mode, "4096", False),
        _interleaved(mode, "47008", False), _overlap(mode), _sequential(mode, "16m"), _random(mode, 1, access="tcp"),
        _sequential(mode, "1m", access="tcp"), _meta(mode, 3901, servers=2, ranks=2), _crowd(mode, 4, 4),
        _sequential(mode, "1m", servers=2, ranks=2, per_process=True), _random(mode, 1, servers=2, ranks=2),
    ]
    if not full:
        return found
    found += [_crowd(mode, 4, 16), _crowd(mode, 4, 64), _random(mode, 16), _overlap(mode, servers=2, ranks=2),
              _interleaved(mode, "65536", False), _disk(mode, "disk, O_DIRECT", "1m"), _disk(mode, "disk", "16m")]
    for servers, ranks in ((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (1, 4), (2, 4), (4, 4)):
        shape = {"servers": servers, "ranks": ranks}
        for access in ACCESS:
            found += [_sequential(mode, "1m", access=access, **shape),
                      _sequential(mode, "16m", access=access, per_process=True, **shape),
                      _random(mode, 1, access=access, **shape), _random(mode, 16, access=access, **shape)]
        found += [_meta(mode, 0, **shape), _meta(mode, 3901, **shape)]
        if ranks == 2:
            found += [_interleaved(mode, "4096", True, access=access, **shape) for access in ("local", "shm")]
    names = set()
    return [case for case in found if not (case.name in names or names.add(case.name))]
