"""Wrong settings: exit status 2, and a text that names the key, the line and what is accepted."""

import os
import sys

import harness
from harness import BENCHFSD, check, expect_in


def refuse(place, text, *words):
    """The file `text` is refused with all of `words` said."""
    config = place.dir / "config.yaml"
    config.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = place.run(BENCHFSD, "--config", config, "--data-dir", place.data, exit_code=2)
    check(done.stdout == "", "nothing is printed but the error")
    for word in words:
        expect_in(word, done.stderr)
    check(not place.data.exists(), "nothing was made")


def test_an_unknown_key_is_named_with_its_line(place):
    refuse(place, "log_level: info\nchunk_sise: 4MiB\n", "config.yaml:2", "chunk_sise")


def test_a_wrong_unit_is_named_with_key_and_line(place):
    refuse(place, "\n\nchunk_size: 4MB\n", "config.yaml:3", "chunk_size", "MB", "64KiB to 128MiB")
    refuse(place, "deadline: 30\n", "config.yaml:1", "deadline", "unit")


def test_a_value_out_of_range_is_named_with_the_range(place):
    refuse(place, "chunk_size: 256MiB\n", "config.yaml:1", "chunk_size", "64KiB to 128MiB")
    refuse(place, "chunk_size: 3MiB\n", "chunk_size", "power of two")
    refuse(place, "expected_servers: 0\n", "config.yaml:1", "expected_servers", "1 to 8192")
    refuse(place, "io_mode: fast\n", "io_mode", "ring", "direct")


def test_a_repeated_key_is_refused(place):
    refuse(place, "log_level: info\nlog_level: warn\n", "config.yaml:2", "log_level")


def test_garbage_is_refused(place):
    refuse(place, os.urandom(4096), "config.yaml")
    refuse(place, "chunk_size: [1\n", "config.yaml")
    refuse(place, "- a\n- b\n", "config.yaml")
    refuse(place, "chunk_size:\n  deep: 1\n", "chunk_size")
    refuse(place, "a: &x [*x]\n", "config.yaml")


def test_flags_and_variables_are_as_strict(place):
    flags = ("--data-dir", place.data)
    expect_in("--chunk-size", place.run(BENCHFSD, *flags, "--chunk-size", "1", exit_code=2).stderr)
    expect_in("--no-such", place.run(BENCHFSD, *flags, "--no-such", "1", exit_code=2).stderr)
    env = {"BENCHFS_CHUNK_SIZE": "5 apples"}
    expect_in("BENCHFS_CHUNK_SIZE", place.run(BENCHFSD, *flags, env=env, exit_code=2).stderr)
    expect_in("data_dir", place.run(BENCHFSD, exit_code=2).stderr.replace("-", "_"))
    missing = place.run(BENCHFSD, *flags, "--config", "/no/such/file", exit_code=2).stderr
    expect_in("/no/such/file", missing)


def test_what_is_printed_is_accepted(place):
    flags = ("--data-dir", place.data, "--chunk-size", "1MiB")
    printed = place.run(BENCHFSD, *flags, "--print-config").stdout
    expect_in("chunk_size: 1MiB", printed)
    config = place.dir / "printed.yaml"
    config.write_text(printed)
    check(place.run(BENCHFSD, "--config", config, "--print-config").stdout == printed, "the same again")


def test_the_client_is_as_strict(place):
    config = place.dir / "client.yaml"
    config.write_text("deadline: 1 fortnight\n")
    told = place.benchfs("status", env={"BENCHFS_CONFIG": str(config)}, exit_code=1).stderr
    for word in ("client.yaml:1", "deadline"):
        expect_in(word, told)


harness.run_tests(sys.modules[__name__])
