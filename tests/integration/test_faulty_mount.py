"""A real mount whose server fails, as that of a NAS may: every error goes the whole way through the kernel."""

import errno
import json

import pytest
from support.faulty_mount import Fault, FaultyMount
from support.runs import tree
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
