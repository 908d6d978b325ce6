"""`wdsremux sync` from folder to folder: killed anywhere, on full and sick disks, two at a time."""

import errno
import json
import random
import re
import shlex
import signal

import pytest
from support.disks import SmallDisk
from support.faults import Failure, Faults
from support.running import Running
from support.runs import published, tree, wdsremux
from support.verified import copied, make_dataset

pytestmark = pytest.mark.integration

KILLS = 8


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out", rows=30)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Return a dataset whose shards have the same names and other bytes."""
    return make_dataset(tmp_path_factory.mktemp("other") / "out", rows=20, broken=(3,))


def moments_of(command, arguments, root, folder):
    """Return how many calls of an undisturbed sync change something."""
    trace = folder / "trace"
    done = command.run("sync", *arguments, faults=Faults(str(root), trace=str(trace)))
    assert done.returncode == 0, done.stderr
    return len(trace.read_text().splitlines())


def chosen(moments):
    """Return some of the moments, other ones each time; a failure names its moment."""
    return sorted(random.SystemRandom().sample(range(1, moments + 1), KILLS))


def assert_index_is_true(nas, *datasets):
    """Check that each shard that the index names is there, as recorded."""
    if not (nas / "index.json").exists():
        return
    there = published(nas)
    assert there["index.json"] in [tree(dataset)["index.json"] for dataset in datasets]
    listed = json.loads((nas / "index.json").read_text())["shardlist"]
    assert {s["url"]: s["sha256"] for s in listed}.items() <= there.items()


@pytest.mark.parametrize("power_cut", [False, True])
def test_killed_at_any_moment_the_same_sync_finishes_with_the_same_bytes(
    command, made, other, tmp_path, power_cut
):
    replaced = copied(other, tmp_path / "traced")
    # What takes away all that was not synced knows one thread only.
    options = ("--delete", "--jobs", 1 if power_cut else 4)
    moments = moments_of(command, (made, replaced, *options), replaced, tmp_path)
    assert tree(replaced) == tree(made)
    for moment in chosen(moments):
        nas = copied(other, tmp_path / f"nas-{moment}")
        faults = Faults(str(nas), kill_at=moment, power_cut=power_cut)
        ended = command.run("sync", made, nas, *options, faults=faults)
        # Threads may make a folder both, or one for the other: there is a moment more or less.
        assert ended.was_killed or ended.returncode == 0, (moment, ended)
        wholes = [*tree(made).items(), *tree(other).items()]
        assert [item for item in published(nas).items() if item not in wholes] == [], moment
        assert_index_is_true(nas, made, other)
        done = command.run("sync", made, nas, *options)
        assert done.returncode == 0, (moment, done.stderr)
        assert tree(nas) == tree(made), moment


def test_a_move_killed_at_any_moment_resumes_and_loses_nothing(command, made, tmp_path):
    traced = tmp_path / "traced"
    here = copied(made, traced / "here")
    moments = moments_of(command, (here, traced / "nas", "--move"), traced, tmp_path)
    shards = {name: digest for name, digest in tree(made).items() if name.endswith(".tar")}
    for moment in chosen(moments):
        folder = tmp_path / f"killed-{moment}"
        here, nas = copied(made, folder / "here"), folder / "nas"
        faults = Faults(str(folder), kill_at=moment)
        ended = command.run("sync", here, nas, "--move", faults=faults)
        # Threads may make a folder both, or one for the other: there is a moment more or less.
        assert ended.was_killed or ended.returncode == 0, (moment, ended)
        assert shards.items() <= {*tree(here).items(), *published(nas).items()}
        done = command.run("sync", here, nas, "--move")
        assert done.returncode == 0, (moment, done.stderr)
        assert tree(nas) == tree(made), moment
        assert list(here.glob("*.tar")) == []


def test_a_full_disk_reports_the_bytes_needed_and_the_sync_resumes(command, made, tmp_path):
    with SmallDisk(tmp_path / "disk", 120_000) as disk:
        nas = disk.folder / "nas"
        ended = command.run("sync", made, nas, "--jobs", 1, faults=disk.faults(nas))
        assert ended.returncode == 5, ended.stderr
        assert re.search(
            r"cannot write '.*': No space left on device .*free some space", ended.stderr
        )
        left = published(nas)
        assert left == tree(nas)
        assert left.items() < tree(made).items()
        assert "index.json" not in left
        disk.grow(5_000_000)
        done = command.run("sync", made, nas)
        assert done.returncode == 0, done.stderr
        assert tree(nas) == tree(made)


@pytest.mark.parametrize(
    ("op", "number"), [("fsync", errno.EIO), ("write", errno.ESTALE), ("replace", errno.ETIMEDOUT)]
)
def test_a_short_outage_of_a_mount_is_survived(command, made, tmp_path, op, number):
    nas = tmp_path / "nas"
    faults = Faults(str(nas), failures=[Failure(op, number, r"\.tar", times=2)])
    done = command.run("sync", made, nas, faults=faults)
    assert done.returncode == 0, done.stderr
    assert "trying again" in done.stderr
    assert tree(nas) == tree(made)


def test_a_permanently_faulty_mount_is_an_error(command, made, tmp_path):
    nas = tmp_path / "nas"
    faults = Faults(str(nas), failures=[Failure("fsync", errno.EIO, "train-000001")])
    ended = command.run("sync", made, nas, "--give-up-after", 1, faults=faults)
    assert ended.returncode == 5
    assert "gave up on" in ended.stderr
    assert published(nas) == tree(nas)


def test_a_quota_that_is_found_when_a_file_is_closed_leaves_no_half_file(command, made, tmp_path):
    nas = tmp_path / "nas"
    faults = Faults(str(nas), failures=[Failure("close", errno.EDQUOT, "train-000002")])
    ended = command.run("sync", made, nas, faults=faults)
    assert ended.returncode == 5
    assert "free some space" in ended.stderr
    assert "train-000002.tar" not in tree(nas)
    assert published(nas) == tree(nas)


def slowly(made, nas):
    """Return a sync that takes a minute."""
    return Running("sync", made, nas, "--jobs", 1, "--bandwidth", "4kB")


def test_a_second_sync_to_the_same_place_is_refused_and_names_the_first(made, tmp_path):
    nas = tmp_path / "nas"
    with slowly(made, nas) as first:
        first.wait_for((nas / ".wdsremux" / "lock").exists, "the first sync's lock")
        second = wdsremux("sync", made, nas)
        assert second.returncode == 5
        assert f"is being written by process {first.pid} " in second.stderr
    done = wdsremux("sync", made, nas)
    assert done.returncode == 0, done.stderr
    assert tree(nas) == tree(made)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sync_shows_the_command_that_resumes(made, tmp_path, number):
    nas = tmp_path / "nas"
    with slowly(made, nas) as running:
        running.wait_for(lambda: list(nas.glob(".train-*")), "a file on its way")
        running.send(number)
        code, errors = running.ended(10)
        assert code == 128 + number
        command = shlex.join(["wdsremux", *running.arguments])
        assert f"Resume with:\n{command}" in errors
    assert published(nas) == tree(nas)
