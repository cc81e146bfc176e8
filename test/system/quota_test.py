"""Quotas of real servers: benchfs quota, what it refuses, and what is left of it after a kill."""

import json
import os
import signal
import sys

import harness
from harness import check, expect_in


def show(place, *words):
    return json.loads(place.benchfs("quota", "show", "--json", *words).stdout)["quotas"]


def test_limits_are_set_shown_changed_and_ended(place):
    place.start(2)
    place.benchfs("mkdir", "/a", "/b", "/b/c")
    check(show(place) == [], "no quota yet")
    place.benchfs("quota", "set", "--bytes", "1M", "--files", "3", "/a", "benchfs:/b/c")
    check([q["path"] for q in show(place)] == ["/a", "/b/c"], show(place))
    check([q["path"] for q in show(place, "-r", "/b")] == ["/b/c"], show(place, "-r", "/b"))
    (place.dir / "x").write_bytes(os.urandom(768 << 10))
    place.benchfs("put", place.dir / "x", "/a/x")
    refused = place.benchfs("put", place.dir / "x", "/a/y", exit_code=1)
    expect_in("quota exceeded", refused.stderr)
    expect_in("/a/y", refused.stderr)
    place.benchfs("rm", "-f", "/a/y")
    place.benchfs("touch", "/a/1", "/a/2")
    expect_in("quota exceeded", place.benchfs("mkdir", "/a/3", exit_code=1).stderr)
    told = show(place, "/a/x")[0]
    check((told["bytes_used"], told["bytes_limit"]) == (768 << 10, 1 << 20), told)
    check((told["files_used"], told["files_limit"]) == (3, 3), told)
    rows = [line.split() for line in place.benchfs("quota", "show", "-h", "/a").stdout.splitlines()]
    check(rows[0] == ["path", "bytes", "limit", "use", "files", "limit", "use"], rows)
    check(rows[1] == ["/a", "768", "KiB", "1", "MiB", "75%", "3", "3", "100%"], rows)
    df = json.loads(place.benchfs("df", "--json", "/a").stdout)["paths"][0]
    check((df["total_bytes"], df["available_bytes"]) == (1 << 20, 256 << 10), df)
    check((df["files"], df["free_files"]) == (3, 0), df)

    moved = place.benchfs("mv", "/a/1", "/b/1", exit_code=1)
    expect_in("counts for another quota there: copy it instead", moved.stderr)
    place.benchfs("mv", "/a/1", "/a/one")
    place.benchfs("cp", "benchfs:/a/x", "benchfs:/b/x")
    place.benchfs("quota", "set", "--files", "none", "/a")
    place.benchfs("mkdir", "/a/3")
    check(show(place, "/a")[0]["files_limit"] is None, show(place))
    place.benchfs("quota", "remove", "/a")
    place.benchfs("put", place.dir / "x", "/a/y")
    expect_in("below no directory with a quota",
              place.benchfs("quota", "show", "/a", exit_code=1).stderr)
    check([q["path"] for q in show(place)] == ["/b/c"], show(place))
    place.benchfs("fsck")
    place.benchfs("stop")


def test_what_cannot_be_is_said(place):
    place.start(1)
    place.benchfs("mkdir", "/a")
    place.benchfs("touch", "/a/f")
    for words, text in (
        (("set", "--bytes", "1G", "/a"), "a quota is begun on an empty directory"),
        (("set", "--bytes", "1G", "/a/f"), "Not a directory"),
        (("set", "--bytes", "1G", "/"), "the root has no quota"),
        (("set", "--bytes", "1G", "/none"), "No such file or directory"),
        (("remove", "/a"), "no quota begins there"),
        (("show", "/a"), "below no directory with a quota"),
    ):
        expect_in(text, place.benchfs("quota", *words, exit_code=1).stderr)
    for words, text in (
        (("set", "/a"), "--bytes or --files is missing"),
        (("set", "--bytes", "1G"), "an argument is missing"),
        (("set", "--bytes", "lots", "/a"), "lots"),
        (("set", "--files", "0", "/a"), "\"none\" ends a limit"),
        (("remove",), "an argument is missing"),
        ((), "quota"),
    ):
        expect_in(text, place.benchfs("quota", *words, exit_code=2).stderr)
    expect_in("10GiB", place.benchfs("quota", "set", "--help").stdout)
    expect_in("show", place.benchfs("quota", "--help").stdout)
    place.benchfs("stop")


def test_limits_and_use_survive_a_kill(place):
    place.start(3)
    place.benchfs("mkdir", "/d")
    place.benchfs("quota", "set", "--bytes", "4MiB", "--files", "20", "/d")
    (place.dir / "x").write_bytes(os.urandom(3 << 20))
    place.benchfs("put", place.dir / "x", "/d/x")
    place.benchfs("touch", *[f"/d/{i}" for i in range(15)])
    before = show(place)[0]
    pids = [server["pid"] for server in place.status()["servers"]]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    harness.wait_until("the servers are dead", lambda: not set(pids) & set(place.processes()))
    place.start(3)
    check(show(place)[0] == before, f"{before}\n{show(place)}")
    check(before["files_used"] == 16 and before["bytes_used"] == 3 << 20, before)
    place.benchfs("touch", *[f"/d/more{i}" for i in range(4)])
    expect_in("quota exceeded", place.benchfs("touch", "/d/last", exit_code=1).stderr)
    (place.dir / "y").write_bytes(os.urandom(1 << 20))
    place.benchfs("put", place.dir / "y", "/elsewhere")
    (place.dir / "z").write_bytes(os.urandom((1 << 20) + 1))
    place.benchfs("rm", "/d/0")
    expect_in("quota exceeded", place.benchfs("put", place.dir / "z", "/d/z", exit_code=1).stderr)
    place.benchfs("rm", "-f", "/d/z")
    place.benchfs("put", place.dir / "y", "/d/y")
    place.benchfs("fsck")
    place.benchfs("stop")


def test_a_dead_server_is_named(place):
    place.start(2)
    place.benchfs("mkdir", "/d")
    place.benchfs("quota", "set", "--files", "100", "/d")
    victim = place.status()["servers"][1]
    os.kill(victim["pid"], signal.SIGKILL)
    harness.wait_until("it is dead", lambda: victim["pid"] not in place.processes())
    place.env["BENCHFS_DEADLINE"] = "5s"
    said = place.benchfs("quota", "show", "/d", exit_code=1).stderr
    check("/d" in said and victim["id"] in said, said)
    place.benchfs("stop", exit_code=None)


harness.run_tests(sys.modules[__name__])
