"""The command line itself: help, versions, exit statuses, and benchfs env in every shell."""

import json
import os
import pathlib
import re
import shlex
import shutil
import sys

import harness
from harness import BENCHFS, BENCHFSD, check, expect_in

SOURCE = pathlib.Path(os.environ.get("top_srcdir", pathlib.Path(__file__).parents[2]))

def commands(place):
    """As the program itself lists them."""
    return re.findall(r"^  ([a-z]+)  ", place.benchfs("--help").stdout, re.MULTILINE)


def options(place, command):
    """Of a command's own help: the names of each of its options."""
    shown = place.benchfs(command, "--help").stdout
    names = [found.split(",") for found in re.findall(r"^  (-\S+)", shown, re.MULTILINE)]
    return [each for each in names if each[-1] not in ("--help", "--registry", "--servers")]


def manual():
    text = (SOURCE / "docs" / "benchfs.1").read_text()
    return re.sub(r"\\f[A-Z]", "", text.replace("\\-", "-"))


def test_every_command_has_help(place):
    listed = commands(place)
    for command in ("start", "status", "stop", "run", "env", "ls", "stat", "cp", "find", "rm"):
        check(command in listed, f"{command} in {listed}")
    for command in listed:
        expect_in("Usage", place.benchfs(command, "--help").stdout)
    expect_in("--data-dir", place.run(BENCHFSD, "--help").stdout)


def test_the_manual_has_every_command_and_every_option(place):
    text = manual()
    for command in commands(place):
        # Of a command on servers there is a section, of one on files an item.
        begin = re.search(rf"^(\.SS {command}$|\.TP\n\.BR \"?{command}\b.*$)", text, re.MULTILINE)
        check(begin is not None, f"no entry of {command} in the manual")
        end = re.search(r"^\.S[SH] |^\.TP\n\.BR \"?[a-z]+[ \"]", text[begin.end():], re.MULTILINE)
        entry = begin.group() + text[begin.end():begin.end() + end.start()]
        for names in options(place, command):
            check(any(re.search(rf"(?<![\w-]){name}\b", entry) for name in names),
                  f"no {command} {names} in the manual")


def complete(place, line, *before):
    """What bash would offer after `line`."""
    script = "".join(f"{part}\n" for part in before) + (
        f'source {shlex.quote(str(SOURCE / "tools" / "completion" / "benchfs"))}; '
        f"COMP_LINE={shlex.quote(line)}; COMP_POINT=${{#COMP_LINE}}; "
        f'_benchfs {shlex.quote(BENCHFS)}; printf "%s\\n" "${{COMPREPLY[@]}}"')
    return place.run("bash", "-c", script, cwd=place.dir).stdout.split("\n")[:-1]


def test_bash_completes_commands_options_and_paths(place):
    check(complete(place, "benchfs ") == commands(place), complete(place, "benchfs "))
    check(complete(place, "benchfs ch") == ["chmod", "chown"], complete(place, "benchfs ch"))
    check("--version" in complete(place, "benchfs --"), "options of the program")
    check(complete(place, "benchfs cp --re") == ["--recursive", "--resume", "--registry"], "long options")
    check("-j" in complete(place, "benchfs cp -"), "short options")
    check("mkdir" in complete(place, "benchfs run -n 2 -- mkd"), "programs of this machine")
    (place.dir / "local dir").mkdir()
    (place.dir / "lo").touch()
    check(sorted(complete(place, "benchfs cp lo")) == ["lo", "local\\ dir/"], "files of this machine")
    check(complete(place, "benchfs ls /") == [""], "no cluster, no paths")
    place.start(1)
    place.benchfs("mkdir", "-p", "/data/sub dir", "/data/.hidden", "/dump")
    place.benchfs("touch", "/data/file", "/data/fine")
    check(complete(place, "benchfs ls /d") == ["/data/", "/dump/"], complete(place, "benchfs ls /d"))
    check(complete(place, "benchfs ls -l da") == ["data/"], "without the slash")
    check(complete(place, "benchfs rm /data/fi") == ["/data/file", "/data/fine"], "files")
    check(complete(place, "benchfs rm /data/") == ["/data/file", "/data/fine", "/data/sub\\ dir/"], "all")
    check(complete(place, "benchfs rm /data/.") == ["/data/.hidden/"], "hidden")
    check(complete(place, "benchfs cp be") == ["benchfs:"], "the prefix")
    # bash itself cuts words at colons, unless told otherwise.
    check(complete(place, "benchfs cp x benchfs:/du") == ["/dump/"], "behind the colon")
    check(complete(place, "benchfs cp x benchfs:/du", "COMP_WORDBREAKS=' '") == ["benchfs:/dump/"], "the whole")
    check(sorted(complete(place, "benchfs put lo")) == ["lo", "local\\ dir/"], "of both sides")
    check(complete(place, "benchfs put lo /du") == ["/dump/"], "of both sides")
    place.benchfs("stop")


def test_versions_agree(place):
    version = place.benchfs("--version").stdout.split()[1]
    check(place.run(BENCHFSD, "--version").stdout.split()[1] == version, version)


def test_wrong_usage_is_status_2_and_says_what_is_wrong(place):
    for words, text in (
        ((), "Try: benchfs --help"),
        (("fly",), '"fly"'),
        (("start", "--bogus"), "--bogus"),
        (("start", "-n", "0"), "1 to 8192"),
        (("start", "-n", "two"), "two"),
        (("start", "--timeout", "5"), "unit"),
        (("start", "stray"), "stray"),
        (("status", "--", "stray"), "stray"),
        (("status", "--registry", "a", "--servers", "b:1"), "--registry"),
        (("env", "--shell", "zsh"), "zsh"),
        (("run",), "no command"),
    ):
        expect_in(text, place.benchfs(*words, exit_code=2).stderr)


def test_env_gives_every_shell_what_it_understands(place):
    odd = str(place.dir / "it's a $HOME \\ place")
    told = json.loads(place.benchfs("env", "--json", "--registry", odd).stdout)
    check(told["BENCHFS_REGISTRY"] == odd, told)
    lines = place.benchfs("env", "--registry", odd, env={"BENCHFS_SERVERS": "x:1"}).stdout
    shown = place.run("sh", "-c", lines + 'printf %s "$BENCHFS_REGISTRY-${BENCHFS_SERVERS-unset}"',
                      env={"BENCHFS_SERVERS": "x:1", "LD_PRELOAD": ""})
    check(shown.stdout == odd + "-unset", shown.stdout)
    for shell, program in (("csh", "csh"), ("fish", "fish")):
        lines = place.benchfs("env", "--shell", shell, "--registry", odd).stdout
        expect_in({"csh": "setenv BENCHFS_REGISTRY", "fish": "set -gx BENCHFS_REGISTRY"}[shell], lines)
        if shutil.which(program):
            shown = place.run(program, "-c", lines + 'printf %s "$BENCHFS_REGISTRY"')
            check(shown.stdout == odd, shown.stdout)


def test_env_passes_a_list_of_servers_on(place):
    told = json.loads(place.benchfs("env", "--json", env={"BENCHFS_SERVERS": "h:1,i:2"}).stdout)
    check(told.get("BENCHFS_SERVERS") == "h:1,i:2", told)
    told = json.loads(place.benchfs("env", "--json", "--servers", "j:3").stdout)
    check(told.get("BENCHFS_SERVERS") == "j:3", told)


def test_no_server_program_is_said(place):
    told = place.benchfs("start", "--benchfsd", "/no/benchfsd", exit_code=1).stderr
    expect_in("/no/benchfsd", told)


harness.run_tests(sys.modules[__name__])
