"""benchfs cp, put and get: trees, attributes, holes, resuming, verifying, progress; with real servers."""

import json
import os
import pty
import signal
import subprocess
import sys

import harness
from harness import BENCHFS, check, expect_in, wait_until

MIB = 1 << 20


def lines(place, *words, **more):
    return place.benchfs(*words, **more).stdout.splitlines()


def stat(place, path):
    return json.loads(place.benchfs("stat", "--json", path).stdout)[0]


def total(place, what):
    return sum(server[what] for server in place.status()["servers"])


def tree(root):
    """What a copy has to keep of each file below `root`."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        elif path.is_dir():
            found[name] = ("directory",)
        else:
            found[name] = ("file", path.read_bytes())
    return found


def make_tree(root):
    (root / "a" / "deep" / "er").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "big").write_bytes(os.urandom(20 * MIB + 12345))
    (root / "a" / "none").write_bytes(b"")
    (root / "a" / "deep" / "er" / "script").write_bytes(b"#!/bin/sh\n")
    (root / "a" / "deep" / "er" / "script").chmod(0o751)
    (root / "a" / "link").symlink_to("deep/er/script")
    (root / "dangling").symlink_to("/no/where")
    for i in range(60):
        (root / "a" / "deep" / f"file {i}").write_bytes(os.urandom(i * 37))
    return root


def test_a_tree_goes_in_across_and_out_as_it_was(place):
    place.start(3)
    source = make_tree(place.dir / "source")
    place.benchfs("cp", "-r", source, "benchfs:/")
    check(lines(place, "ls", "/source") == ["a", "big", "dangling", "empty"], "in a directory: by its name")
    place.benchfs("cp", "-r", "--jobs", "7", "benchfs:/source", "benchfs:/copy")
    place.benchfs("cp", "-r", "--verify", "benchfs:/copy", place.dir / "back")
    check(tree(place.dir / "back") == tree(source), "the same tree")
    check(os.stat(place.dir / "back/a/deep/er/script").st_mode & 0o777 == 0o751, "mode, less the umask")
    place.benchfs("put", "-r", source, "/by-put")
    place.benchfs("get", "-r", "/by-put", place.dir / "by-get")
    check(tree(place.dir / "by-get") == tree(source), "put and get do the same")
    place.benchfs("cp", "-r", "benchfs:/", place.dir / "all")
    check(tree(place.dir / "all" / "copy") == tree(source), "the root: what is in it")
    # Again over what is there.
    place.benchfs("cp", "-r", "benchfs:/copy/.", "benchfs:/source")
    place.benchfs("cp", "-r", "benchfs:/source/.", place.dir / "back")
    check(tree(place.dir / "back") == tree(source), "copied over itself")
    # A link that is named is followed, unless the copy is recursive.
    place.benchfs("cp", "benchfs:/source/a/link", place.dir / "followed")
    check((place.dir / "followed").read_bytes() == b"#!/bin/sh\n", "followed")
    place.benchfs("cp", "-r", "benchfs:/source/a/link", place.dir / "kept")
    check(os.readlink(place.dir / "kept") == "deep/er/script", "kept")
    place.benchfs("stop")


def test_modes_and_times_are_kept_if_asked_for(place):
    place.start(2)
    source = place.dir / "source"
    (source / "d").mkdir(parents=True)
    (source / "d" / "f").write_bytes(b"x" * 100)
    (source / "d" / "l").symlink_to("f")
    (source / "d" / "f").chmod(0o4640)
    os.utime(source / "d" / "f", ns=(1_000_000_001, 2_000_000_002))
    os.utime(source / "d" / "l", ns=(3_000_000_003, 4_000_000_004), follow_symlinks=False)
    (source / "d").chmod(0o711)
    os.utime(source / "d", ns=(5_000_000_005, 6_000_000_006))
    place.benchfs("cp", "-rp", source / "d", "benchfs:/d")
    got = {path: stat(place, path) for path in ("/d", "/d/f", "/d/l")}
    check([got[p]["mode"] for p in got] == ["0711", "4640", "0777"], got)
    check([got[p]["mtime_ns"] for p in got] == [6_000_000_006, 2_000_000_002, 4_000_000_004], got)
    check(got["/d/f"]["atime_ns"] == 1_000_000_001, got)
    place.benchfs("cp", "-rp", "benchfs:/d", place.dir / "back")
    for name in ("", "f", "l"):
        was, now = os.lstat(source / "d" / name), os.lstat(place.dir / "back" / name)
        check((was.st_mode, was.st_mtime_ns) == (now.st_mode, now.st_mtime_ns), f"{name}: {now}")
    place.benchfs("stop")


def test_an_error_is_told_and_the_rest_is_copied(place):
    place.start(2)
    source = place.dir / "source"
    source.mkdir()
    (source / "f").write_bytes(b"f")
    os.mkfifo(source / "pipe")
    (source / "g").write_bytes(b"g")
    done = place.benchfs("cp", "-r", source, place.dir / "no", "benchfs:/", exit_code=1)
    expect_in(f"cp: {place.dir}/no: No such file", done.stderr)
    expect_in("pipe: neither a file", done.stderr)
    check(lines(place, "ls", "/source") == ["f", "g"], "the rest")
    expect_in("Is a directory", place.benchfs("cp", source, "benchfs:/x", exit_code=1).stderr)
    expect_in("not a directory", place.benchfs("cp", source / "f", source / "g", "benchfs:/f", exit_code=1).stderr)
    expect_in("begins with benchfs:", place.benchfs("cp", source / "f", place.dir / "x", exit_code=2).stderr)
    expect_in("to be copied", place.benchfs("cp", "benchfs:/source/f", "benchfs:/source/../source/f", exit_code=1).stderr)
    check(lines(place, "cat", "/source/f") == ["f"], "not harmed")
    expect_in("into itself", place.benchfs("cp", "-r", "benchfs:/source", "benchfs:/source", exit_code=1).stderr)
    check(lines(place, "ls", "/source/source") == ["f", "g"], "all but itself")
    place.benchfs("mkdir", "-p", "/t/f")
    expect_in("/t/f: Is a directory", place.benchfs("cp", "-r", source / "f", source / "g", "benchfs:/t", exit_code=1).stderr)
    check(lines(place, "cat", "/t/g") == ["g"], "the other one")
    place.benchfs("touch", "/file")
    expect_in("no directory", place.benchfs("cp", "-r", f"{source}/.", "benchfs:/file", exit_code=1).stderr)
    full = place.run("sh", "-c", f"{BENCHFS} cp benchfs:/source/f /dev/full", exit_code=1)
    expect_in("No space left", full.stderr)
    place.benchfs("cp", "--jobs", "0", "benchfs:/file", place.dir, exit_code=2)
    place.benchfs("stop")


def test_what_has_no_size_is_copied_to_its_end(place):
    place.start(2)
    data = os.urandom(41 * MIB)
    (place.dir / "f").write_bytes(data)
    place.run("sh", "-c", f"cat {place.dir}/f | {BENCHFS} put --verify - /piped")
    place.run("bash", "-c", f"{BENCHFS} cp --verify <(cat {place.dir}/f) benchfs:/from-pipe")
    place.run("sh", "-c", f"{BENCHFS} get /piped - > {place.dir}/back")
    check((place.dir / "back").read_bytes() == data, "through pipes")
    place.benchfs("cp", "--verify", "benchfs:/from-pipe", place.dir / "back")
    check((place.dir / "back").read_bytes() == data, "from a pipe")
    place.run("sh", "-c", f"{BENCHFS} cp --jobs 8 benchfs:/piped /dev/stdout | cat > {place.dir}/back")
    check((place.dir / "back").read_bytes() == data, "into a pipe, in order")
    place.benchfs("put", "/proc/version", "/version")
    check(place.benchfs("cat", "/version").stdout == open("/proc/version").read(), "a file of /proc")
    expect_in("needs a name", place.run("sh", "-c", f"echo x | {BENCHFS} put - /", exit_code=1).stderr)
    expect_in("cannot be read back", place.benchfs("get", "--verify", "/version", "-", exit_code=1).stderr)
    place.benchfs("stop")


def test_holes_stay_holes(place):
    place.start(2)
    sparse = place.dir / "sparse"
    with open(sparse, "wb") as file:
        file.seek(50 * MIB)
        file.write(b"middle")
        file.truncate(100 * MIB + 1)
    place.benchfs("cp", "--verify", sparse, "benchfs:/sparse")
    check(stat(place, "/sparse")["size"] == 100 * MIB + 1, "its size")
    stored = total(place, "stored_bytes")
    check(stored < 2 * MIB, f"{stored} bytes are stored")
    place.benchfs("cp", "benchfs:/sparse", place.dir / "back")
    now = os.stat(place.dir / "back")
    check(now.st_size == 100 * MIB + 1 and now.st_blocks * 512 < 2 * MIB, now)
    place.run("cmp", sparse, place.dir / "back")
    place.benchfs("stop")


def test_a_copy_is_resumed(place):
    place.start(3)
    source = place.dir / "source"
    source.mkdir()
    data = bytearray(os.urandom(40 * MIB + 1))
    (source / "big").write_bytes(data)
    (source / "small").write_bytes(b"small")
    place.benchfs("cp", "-r", "--resume", source, "benchfs:/copy")
    before = total(place, "written_bytes")
    inode, changed = stat(place, "/copy/big")["inode"], stat(place, "/copy/big")["ctime_ns"]
    place.benchfs("cp", "-r", "--resume", source, "benchfs:/copy/..")
    place.benchfs("cp", "-r", "--resume", f"{source}/.", "benchfs:/copy")
    check(stat(place, "/copy/big")["ctime_ns"] == changed, "what is there is left alone")
    place.benchfs("rm", "-r", "/source")
    # What a copy that was broken off leaves: some blocks, the wrong size, another time.
    place.benchfs("get", "/copy/big", place.dir / "part")
    with open(place.dir / "part", "r+b") as part:
        part.seek(3 * MIB)
        part.write(bytes(1000))
        part.truncate(30 * MIB)
    place.benchfs("cp", place.dir / "part", "benchfs:/copy/big")
    check(stat(place, "/copy/big")["size"] == 30 * MIB, "a part")
    place.benchfs("cp", "-r", "--resume", "--verify", f"{source}/.", "benchfs:/copy")
    place.benchfs("get", "/copy/big", place.dir / "back")
    check((place.dir / "back").read_bytes() == data, "completed")
    check(stat(place, "/copy/big")["inode"] == inode, "the same file")
    # And the other way, where it was longer.
    with open(place.dir / "part", "r+b") as part:
        part.truncate(50 * MIB)
    place.benchfs("cp", "--resume", "benchfs:/copy/big", place.dir / "part")
    check((place.dir / "part").read_bytes() == data, "completed here")
    check(before > 0, "bytes are counted")
    place.benchfs("stop")


def test_a_copy_that_was_killed_is_completed(place):
    place.start(2)
    data = os.urandom(64 * MIB)
    (place.dir / "f").write_bytes(data)
    copying = place.popen(BENCHFS, "cp", "--jobs", "3", place.dir / "f", "benchfs:/f")
    wait_until("it has begun", lambda: lines(place, "ls", exit_code=None) == ["f"])
    copying.send_signal(signal.SIGKILL)
    copying.wait(harness.PATIENCE)
    place.benchfs("cp", "--resume", place.dir / "f", "benchfs:/f")
    place.benchfs("get", "/f", place.dir / "back")
    check((place.dir / "back").read_bytes() == data, "complete")
    place.benchfs("stop")


def test_what_does_not_read_back_as_it_was_written_is_told(place):
    place.start(2)
    (place.dir / "f").write_bytes(bytes(30 * MIB) + b"f")
    place.benchfs("put", place.dir / "f", "/f")
    target = os.open(place.dir / "back", os.O_RDWR | os.O_CREAT)
    copying = place.popen(BENCHFS, "cp", "--verify", "benchfs:/f", place.dir / "back", stderr=subprocess.PIPE)
    while copying.poll() is None:
        os.pwrite(target, b"somebody else", 20 * MIB)
    os.close(target)
    expect_in("back: what was read back of bytes 16777216 to 25165823 is not", copying.stderr.read())
    check(copying.returncode == 1, "it fails")
    place.benchfs("stop")


def test_progress_is_shown(place):
    place.start(2)
    (place.dir / "f").write_bytes(bytes(range(256)) * 4096 * 20)
    done = place.benchfs("cp", "--progress", place.dir / "f", "benchfs:/")
    check("\r" not in done.stderr, "one line where there is no terminal")
    expect_in("100 %", done.stderr)
    expect_in("20 MiB of 20 MiB, 1 of 1 files", done.stderr)
    here, there = pty.openpty()
    child = place.popen(BENCHFS, "cp", "--progress", place.dir / "f", place.dir / "no", "benchfs:/", stderr=there)
    check(child.wait(harness.PATIENCE) == 1, "one is missing")
    os.close(there)
    shown = b""
    try:
        while more := os.read(here, 65536):
            shown += more
    except OSError:  # the terminal is gone: all was read
        pass
    os.close(here)
    expect_in("\r\x1b[K", shown.decode())
    expect_in("no: No such file", shown.decode())
    expect_in("100 %", shown.decode())
    place.benchfs("stop")


harness.run_tests(sys.modules[__name__])
