"""The command line itself: help, versions, exit statuses, and benchfs env in every shell."""

import json
import shutil
import sys

import harness
from harness import BENCHFSD, check, expect_in

COMMANDS = ("start", "status", "stop", "run", "env",
            "ls", "stat", "mkdir", "rmdir", "rm", "ln", "mv", "touch", "chmod", "cat", "put", "get", "du", "find",
            "tree")


def test_every_command_has_help(place):
    shown = place.benchfs("--help").stdout
    for command in COMMANDS:
        expect_in(command, shown)
        expect_in("Usage", place.benchfs(command, "--help").stdout)
    expect_in("--data-dir", place.run(BENCHFSD, "--help").stdout)


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
