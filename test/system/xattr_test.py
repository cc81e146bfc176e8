"""benchfs setfattr and getfattr, and copies that keep extended attributes; with real servers."""

import os
import signal
import sys

import harness
from harness import check, expect_in


def shown(place, *words):
    return place.benchfs("getfattr", *words).stdout


def test_attributes_are_set_shown_and_removed(place):
    place.start(2)
    place.benchfs("mkdir", "/d")
    place.benchfs("touch", "/d/f", "/d/g")
    check(shown(place, "/d/f") == "", "none")
    place.benchfs("setfattr", "-n", "user.run", "-v", "17", "/d/f", "/d/g")
    place.benchfs("setfattr", "-n", "user.odd", "-v", "0x00ff0a22", "/d/f")
    place.benchfs("setfattr", "-n", "user.text", "-v", '"say \\"hi\\" \\134 \\012"', "/d/f")
    place.benchfs("setfattr", "-n", "user.base", "-v", "0saGVsbG8=", "/d/g")
    place.benchfs("setfattr", "-n", "user.none", "/d/g")
    check(shown(place, "/d/f", "/d/g") == "# file: d/f\nuser.odd\nuser.run\nuser.text\n\n"
          "# file: d/g\nuser.base\nuser.none\nuser.run\n\n", shown(place, "/d/f", "/d/g"))
    check(shown(place, "-d", "/d/f") == "# file: d/f\nuser.odd=0sAP8KIg==\nuser.run=\"17\"\n"
          "user.text=\"say \\\"hi\\\" \\\\ \\012\"\n\n", shown(place, "-d", "/d/f"))
    check(shown(place, "-n", "user.base", "/d/g") == "# file: d/g\nuser.base=\"hello\"\n\n", "one")
    check(shown(place, "-n", "user.base", "--only-values", "/d/g") == "hello", "the value alone")
    check(shown(place, "-d", "-e", "hex", "-m", "run", "/d/f") == "# file: d/f\nuser.run=0x3137\n\n", "hexadecimal")
    check(shown(place, "-R", "-m", "-", "/d").count("# file") == 2, "all below")
    place.benchfs("setfattr", "-x", "user.run", "/d/f")
    check("user.run" not in shown(place, "/d/f"), "removed")
    for words, text in ((("setfattr", "-x", "user.run", "/d/f"), "/d/f: No data available"),
                        (("getfattr", "-n", "user.run", "/d/f", "/d/g"), "/d/f: No data available"),
                        (("setfattr", "-n", "trusted.a", "/d/f"), "trusted.a"),
                        (("getfattr", "/no"), "/no: No such file"),
                        (("setfattr", "-n", "user.a", "-v", "x" * 65537, "/d/f"), "65537")):
        expect_in(text, place.benchfs(*words, exit_code=1).stderr)
    for words in (("setfattr", "/d/f"), ("setfattr", "-n", "user.a", "-v", "0xf", "/d/f"), ("setfattr", "-n", "a"),
                  ("setfattr", "-n", "user.a", "-x", "user.b", "/d/f"), ("getfattr", "-e", "octal", "/d/f"),
                  ("getfattr", "-m", "[", "/d/f")):
        place.benchfs(*words, exit_code=2)
    # The servers are killed: what was acknowledged is there again.
    for server in place.status()["servers"]:
        os.kill(server["pid"], signal.SIGKILL)
    place.start(2)
    check(shown(place, "-n", "user.run", "--only-values", "/d/g") == "17", "after a restart")
    place.benchfs("stop")


def test_copies_keep_attributes_if_asked_for(place):
    place.start(2)
    source = place.dir / "source"
    source.mkdir()
    (source / "f").write_bytes(b"f")
    place.benchfs("cp", "-r", source, "benchfs:/d")
    place.benchfs("setfattr", "-n", "user.a", "-v", "of the file", "/d/f")
    place.benchfs("setfattr", "-n", "user.a", "-v", "of the directory", "/d")
    place.benchfs("cp", "-rp", "benchfs:/d", "benchfs:/kept")
    place.benchfs("cp", "-r", "benchfs:/d", "benchfs:/plain")
    check(shown(place, "-R", "-n", "user.a", "--only-values", "/kept") == "of the directoryof the file", "kept")
    check(shown(place, "-R", "/plain") == "", "not asked for")
    # Out and in again, where this machine's file system has such attributes.
    place.benchfs("cp", "-rp", "benchfs:/d", place.dir / "back")
    try:
        os.setxattr(place.dir / "back" / "f", "user.b", b"of this machine")
    except OSError:
        print("# no extended attributes here")
    else:
        check(os.getxattr(place.dir / "back", "user.a") == b"of the directory", "out")
        place.benchfs("put", "-rp", place.dir / "back", "/again")
        check(shown(place, "-d", "/again/f") ==
              '# file: again/f\nuser.a="of the file"\nuser.b="of this machine"\n\n', "in")
    place.benchfs("stop")


harness.run_tests(sys.modules[__name__])
