"""benchfs mv and ln with real servers, and renames and links of which a server is killed in the middle."""

import json
import signal
import sys

import harness
from harness import check, expect_in, wait_until


NAMES = 16  # enough for one of which a server dies


def names(place, path="/"):
    return place.benchfs("ls", path).stdout.splitlines()


def stat(place, path):
    return json.loads(place.benchfs("stat", "--json", path).stdout)[0]


def test_mv_renames_and_moves(place):
    place.start(3)
    place.benchfs("mkdir", "-p", "/d/e", "/x")
    text = place.dir / "text"
    text.write_bytes(b"text")
    place.benchfs("put", text, "/f")
    place.benchfs("touch", "/g", "/h")
    check(place.benchfs("mv", "-v", "/f", "/f2").stdout == "renamed /f -> /f2\n", "verbose")
    place.benchfs("mv", "/f2", "/g", "benchfs:/h", "/d")
    check(names(place) == ["d", "x"], names(place))
    check(names(place, "/d") == ["e", "f2", "g", "h"], names(place, "/d"))
    place.benchfs("mv", "/d", "/x")
    check(place.benchfs("cat", "/x/d/f2").stdout == "text", "a directory with all below it")
    expect_in("Invalid argument", place.benchfs("mv", "/x", "/x/d/e", exit_code=1).stderr)
    expect_in("mv: /no to /y: No such file", place.benchfs("mv", "/no", "/y", exit_code=1).stderr)
    expect_in("not a directory", place.benchfs("mv", "/x/d/g", "/x/d/h", "/x/d/f2", exit_code=1).stderr)
    place.benchfs("mv", "-n", "/x/d/g", "/x/d/f2")
    check(stat(place, "/x/d/f2")["size"] == 4, "not replaced")
    place.benchfs("mv", "--exchange", "/x/d/g", "/x/d/f2")
    check(place.benchfs("cat", "/x/d/g").stdout == "text", "exchanged")
    place.benchfs("mv", "/x/d/f2", "/x/d/g")
    check(stat(place, "/x/d/g")["size"] == 0, "replaced")
    place.benchfs("mkdir", "/y")
    expect_in("Is a directory", place.benchfs("mv", "-T", "/x/d/g", "/y", exit_code=1).stderr)
    place.benchfs("mv", "-T", "/x/d", "/y")
    check(names(place, "/y") == ["e", "g", "h"], names(place, "/y"))
    place.benchfs("mv", "-n", "-f", "/y/g", "/z", exit_code=2)
    place.benchfs("mv", "/y", exit_code=2)
    place.benchfs("stop")


def test_ln_gives_one_file_several_names(place):
    place.start(3)
    text = place.dir / "text"
    text.write_bytes(b"text")
    place.benchfs("put", text, "/f")
    place.benchfs("mkdir", "/d")
    place.benchfs("ln", "/f", "/d")
    place.benchfs("ln", "/f", "/g")
    check(stat(place, "/d/f")["nlink"] == 3, stat(place, "/d/f"))
    check(stat(place, "/g")["inode"] == stat(place, "/f")["inode"], "the same file")
    expect_in("File exists", place.benchfs("ln", "/f", "/g", exit_code=1).stderr)
    place.benchfs("ln", "-f", "/f", "/g")
    place.benchfs("touch", "/h")
    place.benchfs("ln", "-f", "/f", "/h")
    check(stat(place, "/h")["nlink"] == 4, stat(place, "/h"))
    expect_in("not permitted", place.benchfs("ln", "/d", "/e", exit_code=1).stderr)
    place.benchfs("rm", "/f", "/g", "/h")
    check(place.benchfs("cat", "/d/f").stdout == "text", "by its last name")
    check(stat(place, "/d/f")["nlink"] == 1, stat(place, "/d/f"))
    place.benchfs("stop")


def half_done(place, point, operation):
    """Does `operation` on names 0, 1, ... until a server dies of it at `point`; all are killed then,
    and started again. Returns the number."""
    servers = harness.start_three(place)
    place.benchfs("mkdir", "/d", "/e")
    place.benchfs("touch", *[f"/f{i}" for i in range(NAMES)])
    place.benchfs("mkdir", *[f"/m{i}" for i in range(NAMES)])
    for server in servers:
        server.send_signal(signal.SIGTERM)
        server.wait(harness.PATIENCE)
    servers = harness.start_three(place, env={"BENCHFSD_FAULT": point})
    for number in range(NAMES):
        place.benchfs(*operation(number), exit_code=None, env={"BENCHFS_DEADLINE_MS": "2000"})
        if any(server.poll() is not None for server in servers):
            break
    check(any(server.poll() is not None for server in servers), f"no server died at {point}")
    harness.kill_all(servers)
    return number, harness.start_three(place)


def exactly_one(place, one, other):
    def settled():
        found = [place.benchfs("stat", path, exit_code=None).returncode == 0 for path in (one, other)]
        return found[0] != found[1]
    wait_until(f"one of {one} and {other}", settled, 20)


def whole(place):
    """Nothing is wrong, and soon nothing is unfinished."""
    def clean():
        done = place.benchfs("fsck", exit_code=None)
        check(done.returncode in (0, 8), f"{done.stdout}{done.stderr}")
        return done.returncode == 0
    wait_until("fsck has seen all of it", clean, 20)


def test_a_rename_that_a_server_died_of_is_completed_or_undone(place):
    for point in ("rename_recorded", "entry_placed", "move_finished"):
        number, servers = half_done(place, point, lambda i: ["mv", f"/f{i}", f"/d/g{i}"])
        exactly_one(place, f"/f{number}", f"/d/g{number}")
        left = names(place) + names(place, "/d")
        check(len(left) == 2 * NAMES + 2, f"{point}: {left}")
        whole(place)
        # Nothing is held any more.
        place.benchfs("mv", "-T", "/d", "/d2")
        place.benchfs("rm", "-r", *["/" + name for name in names(place)])
        check(names(place) == [], names(place))
        harness.kill_all(servers)


def test_a_moved_directory_that_a_server_died_of_leaves_the_gate_open(place):
    for point in ("gate_passed", "entry_placed"):
        number, servers = half_done(place, point, lambda i: ["mv", f"/m{i}", f"/e/m{i}"])
        exactly_one(place, f"/m{number}", f"/e/m{number}")
        whole(place)
        place.benchfs("mv", "/e", "/d")
        place.benchfs("rm", "-r", *["/" + name for name in names(place)])
        harness.kill_all(servers)


def test_a_link_that_a_server_died_of_is_counted_right(place):
    for point, operation in (("link_recorded", lambda i: ["ln", f"/f{i}", f"/d/l{i}"]),
                             ("entry_placed", lambda i: ["ln", f"/f{i}", f"/d/l{i}"]),
                             ("link_dropped", lambda i: ["rm", f"/d/g{i - 1}"] if i % 2 else ["mv", f"/f{i}", f"/d/g{i}"])):
        number, servers = half_done(place, point, operation)

        def counted_right():
            entries = [entry for path in ("/", "/d") for entry in
                       json.loads(place.benchfs("ls", "-l", "--json", path).stdout) if entry["type"] == "file"]
            inodes = [entry["inode"] for entry in entries]
            return all(entry["nlink"] == inodes.count(entry["inode"]) for entry in entries)

        wait_until(f"links are counted right after {point} of {number}", counted_right, 20)
        whole(place)
        place.benchfs("rm", "-r", *["/" + name for name in names(place)])
        harness.kill_all(servers)


harness.run_tests(sys.modules[__name__])
