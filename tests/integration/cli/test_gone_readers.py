"""The command without a reader of its output: a closed pipe, as after `| head`, or a full disk."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.runs import COMMAND, convert, manifest, shards, wdsremux

pytestmark = pytest.mark.integration

CONVERT = ("--max-shard-samples", "20", "--workers", "1")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "out"
    convert("demo:", out, *CONVERT)
    return out


@pytest.fixture
def damaged(made, tmp_path):
    """Return an output of which `verify` has something to say."""
    out = tmp_path / "damaged"
    done = wdsremux("sync", made, out)
    assert done.returncode == 0, done.stderr
    (out / "train-000001.tar").unlink()
    return out


@pytest.fixture(params=["buffered", "unbuffered"])
def buffering(request, monkeypatch):
    """Let failures show in the line that is printed, or later."""
    if request.param == "unbuffered":
        monkeypatch.setenv("PYTHONUNBUFFERED", "1")


def unread(*arguments, both=False):
    """Return (exit code, stderr) of the command with a closed stdout, and stderr if `both`."""
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        return ended(arguments, theirs, both=both)
    finally:
        os.close(theirs)


def full(*arguments, both=False):
    """Return (exit code, stderr) of the command with its stdout, and its stderr if `both`, on a full disk."""
    with Path("/dev/full").open("wb") as file:
        return ended(arguments, file, both=both)


def ended(arguments, out, *, both=False):
    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        stdout=out,
        stderr=out if both else subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.usefixtures("buffering")
@pytest.mark.parametrize("progress", ["log", "json", "bar"])
@pytest.mark.parametrize("nobody", [unread, full])
def test_a_conversion_completes_without_readers(made, tmp_path, progress, nobody):
    out = tmp_path / "out"
    assert nobody("convert", "demo:", out, *CONVERT, "--progress", progress, both=True)[0] == 0
    assert shards(out) == shards(made)
    assert manifest(out)["totals"] == manifest(made)["totals"]


def closed(*arguments):
    """Return the exit code of the command when it has no standard stream at all."""
    line = shlex.join([COMMAND, *map(str, arguments)])
    return subprocess.run(["sh", "-c", f"exec {line} <&- >&- 2>&-"], check=False).returncode


@pytest.mark.parametrize("progress", ["auto", "log", "json", "none"])
@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_a_conversion_needs_no_standard_streams(made, tmp_path, progress, engine):
    out = tmp_path / "out"
    assert (
        closed("convert", "demo:", out, *CONVERT, "--progress", progress, "--engine", engine) == 0
    )
    assert shards(out) == shards(made)


def test_results_need_no_standard_streams(made, damaged):
    assert closed("cat", made, "12") == 0
    assert closed("verify", made) == 0
    assert closed("verify", damaged) == 1


def test_python_without_stderr_converts(made, tmp_path):
    code = f"import wdsremux; wdsremux.convert('demo:', {str(tmp_path / 'out')!r}, max_shard_samples=20)"
    line = shlex.join([sys.executable, "-c", code])
    assert subprocess.run(["sh", "-c", f"exec {line} 2>&-"], check=False).returncode == 0
    assert shards(tmp_path / "out") == shards(made)


def test_a_conversion_that_fails_without_readers_keeps_its_code(tmp_path):
    assert unread("convert", "no/such/folder/at/all", tmp_path / "out", both=True)[0] == 3


@pytest.mark.usefixtures("buffering")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["convert", "--help"],
        ["--version"],
        ["steps"],
        ["doctor"],
        ["ls", "{made}", "--samples"],
        ["show", "{made}"],
        ["cat", "{made}", "12"],
        ["verify", "{made}"],
        ["verify", "{made}", "--json"],
        ["sync", "{made}", "{made}-copy", "--dry-run"],
    ],
    ids=" ".join,
)
def test_a_result_without_a_reader_ends_quietly(made, arguments):
    arguments = [word.format(made=made) for word in arguments]
    assert unread(*arguments) == (0, "")


def test_the_exit_code_reports_damage_without_a_reader(damaged):
    assert unread("verify", damaged) == (1, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["steps"],
        ["doctor"],
        ["ls", "{made}", "--samples"],
        ["cat", "{made}", "12"],
        ["verify", "{made}"],
        ["sync", "{made}", "{made}-copy", "--dry-run"],
    ],
    ids=" ".join,
)
def test_a_result_that_cannot_be_written_is_one_error_line(made, arguments):
    code, errors = full(*(word.format(made=made) for word in arguments))
    assert code == 5
    assert errors == (
        "wdsremux: cannot write to stdout: No space left on device; "
        "free some space or redirect the output\n"
    )


def test_a_command_completes_even_if_its_report_cannot_be_written(damaged, made, tmp_path):
    code, errors = full("repair", damaged, "--progress", "none")
    assert code == 0
    assert errors.count("\n") == 1
    assert "cannot write to stdout" in errors
    assert shards(damaged) == shards(made)
    code, errors = full("sync", made, tmp_path / "copy")
    assert code == 0
    assert "cannot write to stdout" in errors
    assert json.loads((tmp_path / "copy/index.json").read_text())["totals"]["samples"] > 0


def test_a_verification_continues_without_a_reader_of_its_progress(made):
    assert unread("verify", made, both=True)[0] == 0
