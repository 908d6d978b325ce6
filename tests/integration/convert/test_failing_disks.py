"""A disk that is full, read-only or sick: one clear error, nothing half-done, and the same bytes later."""

import errno
import os
import re
import subprocess
import sys
import textwrap

import pytest
from support.corpora import jpeg, write_parquet_dataset
from support.disks import SmallDisk
from support.faults import Failure, Faults
from support.runs import published, step_options, tree

pytestmark = pytest.mark.integration

AGAIN = "then run the same command again: finished shards are kept"
SHARD = r"train-000001\.tar"
EVERY_WRITE = ("open", "write", "fsync", "close", "replace", "unlink", "mkdir", "rmdir")


class Case:
    """A small conversion and its undisturbed output."""

    def __init__(self, command, folder):
        self.command = command
        images = [jpeg(i, 100, 100, noisy=True) for i in range(30)]
        images[4] = b"broken"
        self.source = write_parquet_dataset(folder / "in", images=images).folder
        self.arguments = (*step_options("hflip"), "--max-shard-samples", 10, "--max-errors", "100%")
        assert self.run(folder / "reference").returncode == 0
        self.reference = tree(folder / "reference")

    def run(self, out, *failures, **options):
        faults = Faults(str(out), failures=list(failures), **options)
        return self.run_with(out, faults)

    def run_with(self, out, faults, progress="none"):
        arguments = ("--progress", progress, "--workers", 2, "--engine", "threads", *self.arguments)
        return self.command.run("convert", self.source, out, *arguments, faults=faults)

    def assert_only_whole_files(self, out):
        """Check that the published files are correct, and that nothing else is left."""
        assert tree(out) == published(out)
        assert tree(out).items() <= self.reference.items()

    def assert_finishes(self, out):
        done = self.run(out)
        assert done.returncode == 0, done.stderr
        assert tree(out) == self.reference


@pytest.fixture(scope="module")
def case(command, tmp_path_factory):
    return Case(command, tmp_path_factory.mktemp("case"))


def reported(ended):
    """Return the error of a run that ended for the target's sake."""
    assert ended.returncode == 5, ended
    assert "Traceback" not in ended.stderr
    [line] = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("op", "number", "name", "remedy"),
    [
        ("write", errno.ENOSPC, SHARD, "free some space"),
        ("write", errno.ENOSPC, r"train-000001\.msgpack", "free some space"),
        ("write", errno.ENOSPC, r"recipe\.json", "free some space"),
        ("write", errno.ENOSPC, r"rejected\.jsonl", "free some space"),
        ("write", errno.ENOSPC, r"README\.md", "free some space"),
        ("write", errno.ENOSPC, r"index\.json", "free some space"),
        ("open", errno.ENOSPC, SHARD, "free some space"),
        ("close", errno.EDQUOT, SHARD, "free some space"),
        ("fsync", errno.EDQUOT, SHARD, "free some space"),
        ("fsync", errno.EIO, SHARD, "check the disk or the mount"),
        ("fsync", errno.EIO, r"^\.$", "check the disk or the mount"),
        ("replace", errno.EIO, r"index\.json", "check the disk or the mount"),
        ("write", errno.ESTALE, SHARD, "check the disk or the mount"),
        ("replace", errno.ESTALE, SHARD, "check the disk or the mount"),
        ("scandir", errno.ESTALE, r"^\.wdsremux$", "check the disk or the mount"),
        ("write", errno.ETIMEDOUT, SHARD, "check the disk or the mount"),
        ("open", errno.EROFS, SHARD, "make the folder writable"),
        ("replace", errno.EACCES, SHARD, "make the folder writable"),
        ("mkdir", errno.EACCES, r"^\.$", "make the folder writable"),
        ("write", errno.EFBIG, SHARD, "raise the file size limit or lower --max-shard-size"),
    ],
)
def test_every_failing_call_says_where_and_what_to_do(case, tmp_path, op, number, name, remedy):
    out = tmp_path / "out"
    text = reported(case.run(out, Failure(op, number, name)))
    assert re.search(rf"^wdsremux: cannot \w+ '{re.escape(str(out))}[^']*': ", text)
    assert os.strerror(number) in text
    assert text.endswith(f"{remedy}, {AGAIN}")
    case.assert_only_whole_files(out)
    case.assert_finishes(out)


def test_a_short_write_is_continued(case, tmp_path):
    short = Failure("write", errno.ENOSPC, SHARD, short=True, times=1)
    assert case.run(tmp_path / "out", short).returncode == 0
    assert tree(tmp_path / "out") == case.reference


def test_a_short_write_and_then_no_room_is_a_full_disk(case, tmp_path):
    text = reported(case.run(tmp_path / "out", Failure("write", errno.ENOSPC, SHARD, short=True)))
    assert "No space left on device" in text
    case.assert_only_whole_files(tmp_path / "out")
    case.assert_finishes(tmp_path / "out")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO, errno.ESTALE])
def test_a_disk_lost_in_the_middle_is_one_error_and_the_run_resumes(case, tmp_path, number):
    # From the second shard on nothing can be changed, not even the lock and the half-written file.
    out = tmp_path / "out"
    first_done = ".wdsremux/train-000000.msgpack"
    gone = [Failure(op, number, after=first_done) for op in EVERY_WRITE]
    text = reported(case.run(out, *gone))
    assert os.strerror(number) in text
    assert published(out).items() <= case.reference.items()
    case.assert_finishes(out)


@pytest.fixture
def small_disk(tmp_path):
    # Two of three shards fit.
    with SmallDisk(tmp_path / "disk", 280_000) as disk:
        yield disk


def test_a_full_disk_is_reported_in_bytes_and_the_run_resumes(case, small_disk):
    out = small_disk.folder / "out"
    ended = case.run_with(out, small_disk.faults(out), "log")
    assert ended.returncode == 5, ended.stderr
    error, kept = ended.stderr.splitlines()[-2:]
    finished = len([name for name in tree(out) if name.endswith(".msgpack")])
    assert finished >= 1
    assert kept.startswith(f"Kept {finished} shard")
    assert re.search(rf"cannot write '{out}/[\w./-]+': No space left on device \(", error)
    assert error.endswith(f"free some space, {AGAIN}")
    if small_disk.is_real:
        needed, free = map(int, re.findall(r"\d+(?= bytes|\sare free)", error))
        assert needed > free
        assert "the disk will fill up: the rest takes about" in ended.stderr
    case.assert_only_whole_files(out)
    assert len([name for name in tree(out) if name.endswith(".tar")]) == 2
    small_disk.grow(4_000_000)
    case.assert_finishes(out)


def test_a_read_only_disk_is_one_error_before_anything_is_read(case, small_disk):
    out = small_disk.folder / "out"
    small_disk.make_read_only()
    faults = (
        None if small_disk.is_real else Faults(str(out), failures=[Failure("mkdir", errno.EROFS)])
    )
    text = reported(case.run_with(out, faults))
    assert text.endswith(f"Read-only file system; make the folder writable, {AGAIN}")
    small_disk.make_writable()
    small_disk.grow(4_000_000)
    case.assert_finishes(out)


def test_a_disk_that_becomes_read_only_between_two_runs_is_one_error(case, small_disk):
    out = small_disk.folder / "out"
    small_disk.grow(4_000_000)
    stop_short = Failure("write", errno.EIO, SHARD)
    assert case.run(out, stop_short).returncode == 5
    before = tree(out)
    small_disk.make_read_only()
    faults = (
        None if small_disk.is_real else Faults(str(out), failures=[Failure("open", errno.EROFS)])
    )
    assert "Read-only file system" in reported(case.run_with(out, faults))
    assert tree(out) == before
    small_disk.make_writable()
    case.assert_finishes(out)


LIMITED = """
    import resource, sys
    from wdsremux.cli.main import main

    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
    sys.exit(main(sys.argv[1:]))
"""


def test_a_limit_on_the_size_of_files_names_both_remedies(case, tmp_path):
    arguments = ["convert", case.source, tmp_path / "out", "--progress", "none", *case.arguments]
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert f"raise the file size limit or lower --max-shard-size, {AGAIN}" in reported(ended)
    case.assert_only_whole_files(tmp_path / "out")
    case.assert_finishes(tmp_path / "out")
