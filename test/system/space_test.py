"""Space of real servers: benchfs df."""

import json
import os
import signal
import sys

import harness
from harness import check, expect_in


def test_df_shows_every_server_and_the_sum(place):
    place.start(2)
    (place.dir / "x").write_bytes(b"x" * (1 << 20))
    place.benchfs("put", place.dir / "x", "/x")
    told = json.loads(place.benchfs("df", "--json").stdout)
    device = os.statvfs(place.data)
    size = device.f_blocks * device.f_frsize
    check([s["total_bytes"] for s in told["servers"]] == [size, size], told)
    check(told["total"]["total_bytes"] == size, f"storage that is shared counts once: {told}")
    check(told["total"]["stored_bytes"] == 1 << 20, told)
    check(told["total"]["files"] == 1 == sum(s["files"] for s in told["servers"]), told)
    check(0 < told["total"]["available_bytes"] <= told["total"]["free_bytes"] <= size, told)
    rows = [line.split() for line in place.benchfs("df").stdout.splitlines()]
    check(rows[0] == ["server", "host", "size", "stored", "available", "use", "files"], rows)
    check([row[0] for row in rows[1:]] == ["0", "1", "total"], rows)
    check(rows[1][2] == str(size) and rows[3][2] == str(1 << 20) and rows[3][4].endswith("%"), rows)
    expect_in("1 MiB", place.benchfs("df", "-h").stdout)
    expect_in("--human-readable", place.benchfs("df", "--help").stdout)
    of_path = json.loads(place.benchfs("df", "--json", "/x").stdout)["paths"]
    check(of_path[0]["path"] == "/x" and of_path[0]["total_bytes"] == size, of_path)
    expect_in("/none", place.benchfs("df", "/none", exit_code=1).stderr)
    place.benchfs("stop")


def test_df_shows_the_others_when_a_server_is_dead(place):
    place.start(2)
    victim = place.status()["servers"][1]
    os.kill(victim["pid"], signal.SIGKILL)
    done = place.benchfs("df", "--json", exit_code=1)
    told = json.loads(done.stdout)
    check([s["alive"] for s in told["servers"]] == [True, False], told)
    check(told["total"] is None, told)
    expect_in(victim["id"], done.stderr)
    table = place.benchfs("df", exit_code=1).stdout
    expect_in("no answer", table)
    check("total" not in table.splitlines()[-1], table)
    place.benchfs("stop", exit_code=None)


def test_a_limit_holds_after_a_kill_too(place):
    place.env["BENCHFS_MAX_STORAGE"] = "4MiB"
    place.start(1)
    (place.dir / "x").write_bytes(os.urandom(3 << 20))
    place.benchfs("put", place.dir / "x", "/x")
    pid = place.status()["servers"][0]["pid"]
    os.kill(pid, signal.SIGKILL)
    harness.wait_until("the server is dead", lambda: pid not in place.processes())
    place.start(1)
    told = json.loads(place.benchfs("df", "--json").stdout)["total"]
    check((told["total_bytes"], told["stored_bytes"]) == (4 << 20, 3 << 20), told)
    done = place.benchfs("put", place.dir / "x", "/y", exit_code=1)
    expect_in("no space left on the server's storage", done.stderr)
    expect_in("server ", done.stderr)
    place.benchfs("rm", "/x")
    if place.benchfs("ls").stdout:
        place.benchfs("rm", "/y")
    place.benchfs("put", place.dir / "x", "/z")
    place.benchfs("get", "/z", place.dir / "back")
    check((place.dir / "back").read_bytes() == (place.dir / "x").read_bytes(), "other bytes")
    place.benchfs("stop")


harness.run_tests(sys.modules[__name__])
