"""benchfs ls, stat, mkdir, rmdir, rm, ln, touch, chmod, cat, put, get, du, find, tree, with real servers."""

import json
import os
import signal
import subprocess
import sys

import harness
from harness import check, expect_in, wait_until


def lines(place, *words, **more):
    return place.benchfs(*words, **more).stdout.splitlines()


def objects(place, *words):
    return json.loads(place.benchfs(*words, "--json").stdout)


def made(place, name, data):
    path = place.dir / name
    path.write_bytes(data)
    return path


def test_directories_are_made_listed_and_removed(place):
    place.start(3)
    check(lines(place, "ls") == [], "a new file system is empty")
    place.benchfs("mkdir", "/a", "b")
    check(lines(place, "ls") == ["a", "b"], "both directories")
    expect_in("mkdir: /a: File exists", place.benchfs("mkdir", "/a", exit_code=1).stderr)
    expect_in("No such file", place.benchfs("mkdir", "/x/y", exit_code=1).stderr)
    place.benchfs("mkdir", "-p", "/a", "/x/y/z", "-m", "700")
    check(objects(place, "stat", "/x/y/z")[0]["mode"] == "0700", "the mode that was asked for")
    expect_in("Directory not empty", place.benchfs("rmdir", "/x", exit_code=1).stderr)
    place.benchfs("rmdir", "/x/y/z", "/x/y", "/x")
    place.benchfs("touch", "/a/f", "/a/.hidden")
    check(lines(place, "ls", "/a") == ["f"], "hidden names are not listed")
    check(lines(place, "ls", "-a", "/a") == [".hidden", "f"], "unless asked for")
    check(lines(place, "ls", "-R") == ["/:", "a", "b", "", "/a:", "f", "", "/b:"], "recursive")
    check(lines(place, "ls", "-d", "/a") == ["/a"], "the directory itself")
    expect_in("Not a directory", place.benchfs("rmdir", "/a/f", exit_code=1).stderr)
    expect_in("Is a directory", place.benchfs("rm", "/a", exit_code=1).stderr)
    place.benchfs("rm", "-r", "/a", "/b")
    check(lines(place, "ls", "-a") == [], "all is gone")
    place.benchfs("stop")


def test_an_error_of_one_argument_is_told_and_the_others_are_done(place):
    place.start(2)
    place.benchfs("touch", "/f", "/g")
    done = place.benchfs("ls", "/f", "/no", "/g", exit_code=1)
    check(done.stdout == "/f\n/g\n", done.stdout)
    check(done.stderr == "benchfs: ls: /no: No such file or directory\n", done.stderr)
    place.benchfs("rm", "/f", "/no", "/g", exit_code=1)
    check(lines(place, "ls") == [], "what was there is gone")
    place.benchfs("rm", "-f", "/no")
    place.benchfs("rm", "-f")
    for words in (["rm"], ["mkdir"], ["stat"], ["chmod", "644"], ["put", "x"], ["chmod", "rw", "/f"]):
        place.benchfs(*words, exit_code=2)
    expect_in("refusing", place.benchfs("rm", "-r", "/", exit_code=1).stderr)
    place.benchfs("touch", "--", "-f")
    check(lines(place, "ls") == ["-f"], "words after -- are no options")
    place.benchfs("stop")
    expect_in("no BenchFS cluster", place.benchfs("ls", exit_code=1).stderr)


def test_files_go_in_and_come_out_unchanged(place):
    place.start(3)
    data = os.urandom(21_000_001)
    local = made(place, "big", data)
    local.chmod(0o750)
    small = made(place, "small", b"")
    place.benchfs("mkdir", "/d")
    place.benchfs("put", local, small, "/d")
    place.benchfs("put", local, "benchfs:/d/other")
    status = objects(place, "stat", "/d/big", "/d/small")
    check([s["size"] for s in status] == [len(data), 0], status)
    check(status[0]["mode"] == "0750", status)
    place.benchfs("get", "/d/big", "/d/small", place.tmp)
    check((place.tmp / "big").read_bytes() == data, "the same bytes")
    check((place.tmp / "small").read_bytes() == b"", "no bytes")
    place.benchfs("get", "/d/other", place.dir / "again")
    check((place.dir / "again").read_bytes() == data, "the same bytes by another name")
    place.benchfs("put", small, "/d/big")
    check(objects(place, "stat", "/d/big")[0]["size"] == 0, "put replaces what was there")
    text = made(place, "text", b"one\ntwo\n")
    place.benchfs("put", text, "/d")
    check(lines(place, "cat", "/d/text", "/d/text") == ["one", "two"] * 2, "cat")
    check(lines(place, "get", "/d/text", "-") == ["one", "two"], "get to standard output")
    expect_in("not a directory", place.benchfs("put", text, small, "/d/text", exit_code=1).stderr)
    expect_in("No such file", place.benchfs("put", place.dir / "no", "/d", exit_code=1).stderr)
    expect_in("Is a directory", place.benchfs("cat", "/d", exit_code=1).stderr)
    expect_in("Is a directory", place.benchfs("get", "/d", place.tmp, exit_code=1).stderr)
    expect_in("No space left", place.run("sh", "-c", f"{harness.BENCHFS} cat /d/text > /dev/full",
                                         exit_code=1).stderr)
    place.benchfs("stop")


def test_links_modes_and_times(place):
    place.start(2)
    place.benchfs("mkdir", "/d")
    place.benchfs("touch", "/d/f")
    place.benchfs("ln", "-s", "d/f", "/link")
    place.benchfs("ln", "-s", "../x", "/d")
    check(objects(place, "ls", "-l", "/d")[1]["target"] == "../x", "a link in a directory")
    expect_in("-> d/f", place.benchfs("ls", "-l", "/link").stdout)
    check(objects(place, "stat", "/link")[0]["type"] == "link", "the link itself")
    check(objects(place, "stat", "-L", "/link")[0]["type"] == "file", "what it leads to")
    place.benchfs("ln", "/d/f", "/a", "/b", exit_code=2)
    place.benchfs("ln", "-s", "loop", "/loop")
    expect_in("Too many levels", place.benchfs("cat", "/loop", exit_code=1).stderr)
    place.benchfs("rm", "/loop", "/d/x")
    for mode, result in (("604", "0604"), ("u+x,g=u,o-r", "0770"), ("a-w", "0550"), ("=r", "0444"),
                         ("u+s,+t", "5444"), ("ug=rw,o=", "1660"), ("0", "0000"), ("a+X", "0000")):
        place.benchfs("chmod", mode, "/link")
        got = objects(place, "stat", "/d/f")[0]["mode"]
        check(got == result, f"chmod {mode}: {got}, expected {result}")
    place.benchfs("chmod", "-R", "go=,u=rwX", "/d")
    check(objects(place, "stat", "/d")[0]["mode"] == "0700", "X is for directories")
    check(objects(place, "stat", "/d/f")[0]["mode"] == "0600", "and not for files")
    before = objects(place, "stat", "/d/f")[0]["mtime_ns"]
    place.benchfs("touch", "/link")
    after = objects(place, "stat", "/d/f")[0]
    check(after["mtime_ns"] > before and after["ctime_ns"] == after["mtime_ns"], "touched")
    place.benchfs("touch", "-c", "/none")
    check("none" not in lines(place, "ls"), "not made")
    place.benchfs("stop")


def test_truncate_sets_sizes(place):
    place.start(2)
    place.benchfs("put", made(place, "f", b"x" * 5000), "/f")
    for size, result in (("3K", 3072), ("+1KB", 4072), ("--size=-72", 4000), ("<9000", 4000), ("<100", 100),
                         (">50", 100), (">1M", 1 << 20), ("%1000", 1049000), ("%1000", 1049000),
                         ("/1MiB", 1 << 20), ("--size=-1G", 0), ("2G", 2 << 30), ("0", 0)):
        words = [size] if size.startswith("-") else ["-s", size]
        place.benchfs("truncate", *words, "/f", "/new")
        status = objects(place, "stat", "/f")
        check(status[0]["size"] == result, f"{size}: {status}")
    check(objects(place, "stat", "/new")[0]["type"] == "file", "it is made")
    place.benchfs("truncate", "-c", "-s", "5", "/none", "/new")
    check(lines(place, "ls") == ["f", "new"], "and not with -c")
    check(objects(place, "stat", "/new")[0]["size"] == 5, "what is there is changed")
    place.benchfs("mkdir", "/d")
    done = place.benchfs("truncate", "-s", "1", "/d", "/f", exit_code=1)
    check(done.stderr == "benchfs: truncate: /d: Is a directory\n", done.stderr)
    check(objects(place, "stat", "/f")[0]["size"] == 1, "the others are done")
    expect_in("file too large", place.benchfs("truncate", "-s", "+7E", "/f", exit_code=1).stderr)
    for size in ("", "K", "1X", "1kb", "+", "1.5K", "%0", "16E", "99999999999999999999"):
        expect_in("not a size", place.benchfs("truncate", "-s", size, "/f", exit_code=2).stderr)
    place.benchfs("truncate", "/f", exit_code=2)
    place.benchfs("stop")


def test_du_find_and_tree_see_all_below(place):
    place.start(3)
    place.benchfs("mkdir", "-p", "/a/b", "/a/.c")
    place.benchfs("put", made(place, "x.h5", b"x" * 1000), "/a")
    place.benchfs("put", made(place, "y", b"y" * 24), "/a/b")
    place.benchfs("ln", "-s", "b", "/a/l")
    check(sorted(lines(place, "du")) == ["0\t/a/.c", "1024\t/", "1024\t/a", "24\t/a/b"], "sums")
    check(lines(place, "du", "-s", "/a", "/a/b/y") == ["1024\t/a", "24\t/a/b/y"], "sums only")
    check(lines(place, "du", "-s", "--human-readable") == ["1 KiB\t/"], lines(place, "du", "-s", "--human-readable"))
    check(sorted(lines(place, "find")) ==
          ["/", "/a", "/a/.c", "/a/b", "/a/b/y", "/a/l", "/a/x.h5"], "all")
    check(lines(place, "find", "/a", "--name", "*.h5") == ["/a/x.h5"], "by name")
    check(sorted(lines(place, "find", "--type", "d", "/a")) == ["/a", "/a/.c", "/a/b"], "directories")
    check(lines(place, "find", "--type", "l") == ["/a/l"], "links")
    check(place.benchfs("find", "/a/b", "-0").stdout == "/a/b\0/a/b/y\0", "for xargs -0")
    place.benchfs("find", "--type", "x", exit_code=2)
    tree = lines(place, "tree", "/a")
    check(tree == ["/a", "├── b", "│   └── y", "├── l -> b", "└── x.h5", "",
                   "1 directory, 3 files"], tree)
    place.benchfs("stop")


def test_ten_thousand_entries_are_listed_and_removed(place):
    place.start(3)
    place.benchfs("mkdir", "/d")
    names = [f"/d/file{i}" for i in range(10_000)]
    for at in range(0, len(names), 1000):
        place.benchfs("touch", *names[at:at + 1000])
    check(len(lines(place, "ls", "/d")) == 10_000, "all names")
    check(len(objects(place, "ls", "-l", "/d")) == 10_000, "with attributes")
    place.benchfs("rm", "-r", "/d")
    check(lines(place, "ls") == [], "all is gone")
    place.benchfs("stop")


def test_a_server_killed_while_directories_are_removed_leaves_no_half_removed_one(place):
    names = [f"/d{i}" for i in range(2000)]
    loop = f"while :; do {harness.BENCHFS} mkdir \"$@\"; {harness.BENCHFS} rmdir \"$@\"; done"

    def removing():
        found = lines(place, "ls", exit_code=None)
        return "d0" not in found and "d1999" in found

    for victim in range(3):
        servers = harness.start_three(place)
        place.benchfs("mkdir", "/e")
        remover = place.popen("sh", "-c", loop, "sh", *names, stderr=subprocess.DEVNULL,
                              start_new_session=True)
        wait_until("directories are being removed", removing)
        servers[victim].send_signal(signal.SIGKILL)
        servers[victim].wait(harness.PATIENCE)
        place.benchfs("rmdir", "/e", exit_code=1)  # nobody knows what the dead server has of it
        os.killpg(remover.pid, signal.SIGKILL)
        remover.wait(harness.PATIENCE)
        harness.kill_all(servers)
        servers = harness.start_three(place)
        left = lines(place, "ls")
        check("e" in left, "what could not be removed is there")
        # Each that is left takes entries, or is removed for good.
        place.benchfs("touch", *[f"/{name}/f" for name in left])
        expect_in("not empty", place.benchfs("rmdir", "/e", exit_code=1).stderr)
        place.benchfs("rm", "-r", *left)
        check(lines(place, "ls") == [], "all is gone")
        harness.kill_all(servers)


harness.run_tests(sys.modules[__name__])
