"""A real mount whose server fails, as that of a NAS may: every error goes the whole way through the kernel."""

import errno
import json
import os
import re

import pytest
from support.faulty_mount import Fault, FaultyMount
from support.runs import step_words, tree
from support.target_conformance import TargetConformance
from support.verified import copied, make_dataset

from wdsremux.targets.local import LocalTarget

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def mounted(tmp_path_factory):
    with FaultyMount(tmp_path_factory.mktemp("faulty")) as mount:
        yield mount


@pytest.fixture
def mount(mounted):
    mounted.order()
    return mounted


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a finished dataset of a few small shards on a healthy disk."""
    return make_dataset(tmp_path_factory.mktemp("made") / "out", rows=30)


class TestOnAMount(TargetConformance):
    @pytest.fixture
    def target(self, mount, request):
        return LocalTarget(mount.path / request.node.name)


class TestOnAMountThatTakesAndGivesLittleAtOnce(TargetConformance):
    @pytest.fixture
    def target(self, mount, request):
        mount.order(Fault("read|write", at_most=1000), Fault("write", r"lock$", at_most=7))
        return LocalTarget(mount.path / "little" / request.node.name)


ONE_SHARD = ".wdsremux/validation-000000.msgpack"


class Conversion:
    """A conversion of the demo into three small shards, and its undisturbed output."""

    words = (
        *("--split", "validation", "--max-shard-samples", 10, "--workers", 2),
        *("--engine", "threads", "--progress", "none", *step_words("resize=48x48")),
    )

    def __init__(self, command, folder):
        self.command = command
        self.reference = folder / "reference"
        assert self.run(self.reference).returncode == 0
        self.whole = tree(self.reference)

    def run(self, out):
        return self.command.run("convert", "demo:", out, *self.words)

    def assert_finishes(self, out):
        done = self.run(out)
        assert done.returncode == 0, done.stderr
        assert tree(out) == self.whole


@pytest.fixture(scope="module")
def conversion(command, tmp_path_factory):
    return Conversion(command, tmp_path_factory.mktemp("conversion"))


@pytest.fixture
def out(mount, request):
    """Return a folder on the mount that no other test has."""
    return mount.path / re.sub(r"\W+", "-", request.node.name)


def told(ended):
    """Return the error of a run that ended for the target's sake."""
    assert ended.returncode == 5, ended
    assert "Traceback" not in ended.stderr
    return ended.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "sick",
    [
        Fault("lookup", errno=errno.EIO),
        Fault("getattr|lookup", errno=errno.ESTALE, after=ONE_SHARD),
        Fault("getattr", errno=errno.ESTALE, after=ONE_SHARD),
        Fault(".*", errno=errno.EIO, after=ONE_SHARD),
    ],
)
def test_a_mount_that_cannot_tell_what_is_there_is_one_error(conversion, mount, out, sick):
    with mount.failing(sick):
        text = told(conversion.run(out))
    assert re.search(rf"^wdsremux: cannot \w+ '{out}[^']*': {os.strerror(sick.errno)}", text)
    conversion.assert_finishes(out)


@pytest.mark.parametrize("name", ["recipe.json", "validation-000000.msgpack", "README.md"])
def test_a_file_that_opens_and_cannot_be_read_stops_the_run_that_goes_on(
    conversion, mount, out, name
):
    copied(conversion.reference, out)
    (out / "index.json").unlink()
    with mount.failing(Fault("read", re.escape(name), errno=errno.EIO)):
        text = told(conversion.run(out))
    assert re.search(rf"cannot read '{out}/.*{name}': Input/output error; check the disk", text)
    conversion.assert_finishes(out)


def test_a_source_of_a_sync_that_cannot_be_listed_is_asked_again(
    command, conversion, mount, out, tmp_path
):
    copied(conversion.reference, out)
    with mount.failing(Fault("lookup|getattr", errno=errno.ESTALE, times=14)):
        done = command.run("sync", out, tmp_path / "nas")
    assert done.returncode == 0, done.stderr
    assert f"cannot read '{out}': Stale file handle" in done.stderr
    assert tree(tmp_path / "nas") == conversion.whole


def journal(folder):
    """Return the shards that were moved away, as far as their lines are whole."""
    lines = (folder / ".wdsremux" / "moved.jsonl").read_text().splitlines()
    return [json.loads(line)["name"] for line in lines if line]


def test_a_journal_of_moved_shards_has_whole_lines_where_little_is_taken_at_once(
    command, mount, made, tmp_path
):
    here = copied(made, mount.path / "moved")
    with mount.failing(Fault("write", r"moved\.jsonl", at_most=10)):
        assert command.run("sync", here, tmp_path / "nas", "--move").returncode == 0
    assert sorted(journal(here)) == sorted(path.name for path in made.glob("*.tar"))


def test_a_shard_stays_where_the_disk_is_full_for_the_line_that_would_remember_it(
    command, mount, made, tmp_path
):
    here = copied(made, mount.path / "full")
    full = [
        Fault("write", r"moved\.jsonl", at_most=10, times=1),
        Fault("write", r"moved\.jsonl", errno=errno.ENOSPC, skip=1),
    ]
    with mount.failing(*full):
        ended = command.run("sync", here, tmp_path / "nas", "--move", "--jobs", 1)
    assert ended.returncode == 5, ended
    assert "moved.jsonl': No space left on device; free some space" in ended.stderr
    assert sorted(here.glob("*.tar")) == sorted(here / path.name for path in made.glob("*.tar"))
    assert command.run("sync", here, tmp_path / "nas", "--move").returncode == 0
    assert tree(tmp_path / "nas") == tree(made)
    assert list(here.glob("*.tar")) == []
