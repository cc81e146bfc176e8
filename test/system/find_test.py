"""The conditions of benchfs find, and owners, with real servers."""

import json
import os
import sys

import harness
from harness import check, expect_in


def find(place, *words):
    return sorted(place.benchfs("find", *words).stdout.splitlines())


def stat(place, path):
    return json.loads(place.benchfs("stat", "--json", path).stdout)[0]


def test_conditions(place):
    place.start(3)
    source = place.dir / "d"
    (source / "sub" / "none").mkdir(parents=True)
    for name, size, age_s in (("file.01.a", 3901, 0), ("file.01.b", 3900, 0), ("sub/x01", 3901, 10 * 86400),
                              ("sub/EMPTY", 0, 0), ("sub/big", 2 << 20, 90 * 60)):
        (source / name).write_bytes(b"x" * size)
        changed = int((source / name).stat().st_mtime) - age_s
        os.utime(source / name, (changed, changed))
    (source / "link").symlink_to("sub")
    place.benchfs("cp", "-rp", source, "benchfs:/")
    place.benchfs("touch", "/stamp")
    place.benchfs("touch", "/d/file.01.a", "/d/file.01.b")
    check(find(place, "/d", "-newer", "/stamp", "-size", "3901c", "-name", "*01*") == ["/d/file.01.a"], "as IO500 asks")
    check(place.benchfs("find", "/d", "-newer", "/stamp", "-size", "3901c", "-name", "*01*", "--count").stdout ==
          "1 of 9\n", "counted")
    check(find(place, "/d", "-size", "3901c") == ["/d/file.01.a", "/d/sub/x01"], "bytes")
    check(find(place, "/d", "-type", "f", "-size", "-3901c") == ["/d/file.01.b", "/d/sub/EMPTY"], "less")
    check(find(place, "-size", "+1M") == ["/d/sub/big"], "more than one MiB, rounded up")
    check(find(place, "-size", "2M") == ["/d/sub/big"], "two MiB")
    check(find(place, "-type", "f", "-size", "8") == ["/d/file.01.a", "/d/file.01.b", "/d/sub/x01"], "blocks of 512")
    check(find(place, "/d", "-iname", "empty") == ["/d/sub/EMPTY"], "any case")
    check(find(place, "/d", "-name", "empty") == [], "this case")
    check(find(place, "--path", "/d/s*0*") == ["/d/sub/x01"], "the whole path")
    check(find(place, "/d", "-empty") == ["/d/sub/EMPTY", "/d/sub/none"], "empty")
    check(find(place, "/d", "-mtime", "10") == ["/d/sub/x01"], "ten days old")
    check(find(place, "/d", "-mtime", "+9") == ["/d/sub/x01"], "older than nine")
    check("/d/sub/x01" not in find(place, "/d", "-mtime", "-10"), "younger than ten")
    check(find(place, "/d/sub", "-type", "f", "-mmin", "+60", "-mtime", "0") == ["/d/sub/big"], "minutes")
    check(find(place, "/d", "-maxdepth", "0") == ["/d"], "itself")
    check(find(place, "-maxdepth", "1") == ["/", "/d", "/stamp"], "one below")
    check(find(place, "-mindepth", "2", "-maxdepth", "2", "-type", "d") == ["/d/sub"], "two below")
    objects = json.loads(place.benchfs("find", "/d", "-type", "l", "--json").stdout)
    check([(o["path"], o["target"]) for o in objects] == [("/d/link", "sub")], objects)
    check(json.loads(place.benchfs("find", "-name", "no", "--json").stdout) == [], "none")
    for words, text in ((["-size", "1x"], "1x"), (["-mtime", "soon"], "soon"), (["-newer"], "newer"),
                        (["--json", "-print0"], "json"), (["-bogus"], "bogus")):
        expect_in(text, place.benchfs("find", *words, exit_code=2).stderr)
    expect_in("/no: No such file", place.benchfs("find", "-newer", "/no", exit_code=1).stderr)
    check(place.benchfs("find", "/d", "-name", "*01*", "-type", "f", "-delete").stdout == "", "deletes")
    check(find(place, "/d", "-name", "*01*") == [], "gone")
    done = place.benchfs("find", "/d/sub", "-type", "d", "-delete", exit_code=1)
    expect_in("/d/sub: Directory not empty", done.stderr)
    check(find(place, "/d", "-type", "d") == ["/d", "/d/sub"], "an empty one went")
    place.benchfs("find", "/d", "-delete")
    check(find(place) == ["/", "/stamp"], "all of it")
    usage = json.loads(place.benchfs("du", "--json", "/").stdout)
    check(usage == [{"path": "/", "bytes": 0}], usage)
    place.benchfs("stop")


def test_owners(place):
    place.start(2)
    me, mine = os.getuid(), os.getgid()
    place.benchfs("mkdir", "-p", "/d/e")
    place.benchfs("touch", "/d/e/f")
    place.benchfs("ln", "-s", "e/f", "/d/l")
    place.benchfs("chown", f"{me}:{mine}", "/d/l")
    before = stat(place, "/d/l")["ctime_ns"]
    place.benchfs("chown", "--no-dereference", f":{mine}", "/d/l")
    check(stat(place, "/d/l")["ctime_ns"] > before, "the link itself")
    for owner in ("no-such-user", f"{me}:no-such-group", "", ":", "4294967295"):
        place.benchfs("chown", owner, "/d", exit_code=2)
    expect_in("/no: No such file", place.benchfs("chown", str(me), "/no", "/d", exit_code=1).stderr)
    if me == 0:
        place.benchfs("chown", "-R", "1234:5678", "/d")
        for path in ("/d", "/d/e", "/d/e/f", "/d/l"):
            check((stat(place, path)["uid"], stat(place, path)["gid"]) == (1234, 5678), path)
        place.benchfs("chown", "root:", "/d/l")
        check((stat(place, "/d/e/f")["uid"], stat(place, "/d/e/f")["gid"]) == (0, 0), "names, and where the link leads")
        check(stat(place, "/d/l")["uid"] == 1234, "not the link")
    else:
        expect_in("not permitted", place.benchfs("chown", "0", "/d", exit_code=1).stderr)
    place.benchfs("stop")


harness.run_tests(sys.modules[__name__])
