"""benchfs fsck on real servers: texts, exit status, repairs, and servers that do not answer."""

import json
import os
import signal
import sys

import harness
from harness import check, expect_in


def chunk_folders(place):
    """The folders of the chunk files of all servers."""
    return sorted(path for path in place.data.rglob("chunks") if path.is_dir())


def put_data_of_nobody(place, server, inode):
    folder = chunk_folders(place)[server] / f"{(inode ^ (inode >> 48)) & 63:02x}"
    file = folder / f"{inode:016x}.0"
    file.write_bytes(b"x" * 5000)
    return file


def test_fsck_of_a_whole_file_system_is_clean(place):
    place.start(2)
    done = place.benchfs("fsck")
    check(done.stdout == "2 servers, 1 inodes, 0 entries: clean\n", done.stdout)
    (place.dir / "tree" / "below").mkdir(parents=True)
    for i in range(20):
        (place.dir / "tree" / "below" / str(i)).write_text(str(i))
    place.benchfs("put", "-r", place.dir / "tree", "/tree")
    place.benchfs("ln", "/tree/below/1", "/tree/again")
    place.benchfs("mv", "/tree/below/2", "/tree/two")
    place.benchfs("rm", "/tree/below/3")
    told = json.loads(place.benchfs("fsck", "--json").stdout)
    check((told["servers"], told["entries"], told["inodes"]) == (2, 22, 22), told)
    check((told["findings"], told["corrected"], told["left"], told["undecided"]) == ([], 0, 0, 0), told)
    pids = [server["pid"] for server in place.status()["servers"]]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    harness.wait_until("they are dead", lambda: not set(pids) & set(place.processes()))
    place.start(2)
    expect_in(": clean\n", place.benchfs("fsck", "-n").stdout)
    place.benchfs("stop")


def test_fsck_finds_and_corrects(place):
    place.env["BENCHFS_IO_MODE"] = "plain"  # in local files, wherever the storage is
    place.start(2)
    (place.dir / "x").write_text("text")
    place.benchfs("put", place.dir / "x", "/x")
    inode = json.loads(place.benchfs("stat", "--json", "/x").stdout)
    inode = (inode[0] if isinstance(inode, list) else inode)["inode"]
    nobody = inode + (1 << 40)
    file = put_data_of_nobody(place, 1, nobody)
    done = place.benchfs("fsck", exit_code=4)
    expect_in(f" bytes of data of inode {nobody}, which does not exist\n", done.stdout)
    expect_in("1 found, 0 corrected, 1 left\n", done.stdout)
    check(file.exists(), "it only looks")
    told = json.loads(place.benchfs("fsck", "-n", "--json", exit_code=4).stdout)
    check([(f["kind"], f["inode"], f["corrected"]) for f in told["findings"]]
          == [("orphan-data", nobody, False)], told)
    done = place.benchfs("fsck", "-y", exit_code=1)
    expect_in("which does not exist: removed\n", done.stdout)
    expect_in("1 found, 1 corrected, 0 left\n", done.stdout)
    check(not file.exists(), f"{file} is still there")
    expect_in(": clean\n", place.benchfs("fsck", "--repair").stdout)
    check(place.benchfs("cat", "/x").stdout == "text", "the other file stays")
    place.benchfs("stop")


def test_fsck_says_when_it_cannot_check(place):
    done = place.benchfs("fsck", exit_code=8)
    expect_in("benchfs: fsck: ", done.stderr)
    place.start(2)
    place.benchfs("fsck", "-n", "-y", exit_code=2)
    place.benchfs("fsck", "/x", exit_code=2)
    expect_in("Exit status", place.benchfs("fsck", "--help").stdout)
    victim = place.status()["servers"][1]
    os.kill(victim["pid"], signal.SIGKILL)
    done = place.benchfs("fsck", exit_code=8)
    expect_in(victim["id"], done.stderr)
    check(done.stdout == "", done.stdout)
    place.benchfs("stop", exit_code=None)


harness.run_tests(sys.modules[__name__])
