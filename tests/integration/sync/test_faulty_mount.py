"""Datasets copied to, and checked on, a real mount whose server fails."""

import errno
import json
import os
import re
import tarfile

import pytest
from support.demo_conversion import SHARD, reported
from support.faulty_mount import Fault, FaultyMount
from support.running import Running
from support.runs import tree, wdsremux
from support.verified import copied, make_dataset

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a finished dataset of a few small shards on a healthy disk."""
    return make_dataset(tmp_path_factory.mktemp("made") / "out", rows=30)


@pytest.fixture
def out(mount, request):
    return mount.place(request.node.name)


def test_listing_the_source_of_a_sync_is_retried(command, conversion, mount, out, tmp_path):
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


def test_a_journal_of_moved_shards_has_complete_lines_after_short_writes(
    command, mount, made, tmp_path
):
    here = copied(made, mount.path / "moved")
    with mount.failing(Fault("write", r"moved\.jsonl", at_most=10)):
        assert command.run("sync", here, tmp_path / "nas", "--move").returncode == 0
    assert sorted(journal(here)) == sorted(path.name for path in made.glob("*.tar"))


def test_a_shard_is_kept_if_its_journal_line_cannot_be_written(command, mount, made, tmp_path):
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


def test_a_bit_flipped_in_transit_is_detected_and_not_published(command, conversion, mount, out):
    flips = Fault("write", SHARD, byte=20_000, flips=True)
    with mount.failing(flips):
        ended = command.run("sync", conversion.reference, out, "--give-up-after", 0.1)
    assert "000001.tar': the bytes read back differ from those written" in reported(ended)
    conversion.assert_only_whole_files(out)
    assert "index.json" not in tree(out)
    done = command.run("sync", conversion.reference, out)
    assert done.returncode == 0, done.stderr
    assert tree(out) == conversion.whole


def test_a_flipped_bit_is_found_despite_the_page_cache(command, conversion, tmp_path):
    with FaultyMount(tmp_path, remembers=True) as mount:
        nas = mount.path / "nas"
        with mount.failing(Fault("write", SHARD, byte=20_000, flips=True, times=1)):
            done = command.run("sync", conversion.reference, nas)
        assert done.returncode == 0, done.stderr
        assert "the bytes read back differ from those written" in done.stderr
        assert "trying again" in done.stderr
        assert tree(mount.behind / "nas") == conversion.whole


@pytest.mark.parametrize(
    "fault",
    [
        Fault("rename", SHARD, errno=errno.EIO),
        Fault("rename", "index.json", errno=errno.EIO),
        Fault("fsync", SHARD, errno=errno.EIO),
        Fault("flush", SHARD, errno=errno.EDQUOT),
        Fault("read", SHARD, errno=errno.ESTALE),
    ],
)
def test_a_sync_to_a_faulty_mount_leaves_complete_files_and_the_next_one_finishes(
    command, conversion, mount, out, fault
):
    with mount.failing(fault):
        ended = command.run("sync", conversion.reference, out, "--give-up-after", 0.1)
    text = reported(ended)
    assert f"cannot write '{out}/" in text
    assert os.strerror(fault.errno) in text
    conversion.assert_only_whole_files(out)
    assert "index.json" not in tree(out)
    done = command.run("sync", conversion.reference, out)
    assert done.returncode == 0, done.stderr
    assert tree(out) == conversion.whole


def test_a_sync_that_waits_for_the_mount_holds_the_lock_and_finishes(
    command, conversion, mount, out
):
    mount.order(Fault("fsync", SHARD, stalls=True))
    with Running("sync", conversion.reference, out) as first:
        first.wait_for(lambda: mount.waiting, "a call that waits")
        second = command.run("sync", conversion.reference, out)
        assert f"is being written by process {first.pid} " in reported(second)
        mount.order()
        assert first.ended()[0] == 0
    assert tree(out) == conversion.whole


@pytest.fixture
def standing(conversion, out):
    """Return a finished dataset on the mount."""
    return copied(conversion.reference, out)


def findings(out, *arguments):
    """Return code, place and sample of what `verify` finds."""
    done = wdsremux("verify", out, "--json", *arguments)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)["findings"]
    return [(each["code"], each["shard"], each["key"]) for each in found]


def key_at(shard, offset):
    """Return the key of the sample that contains a byte."""
    with tarfile.open(shard) as tar:
        names = [member.name for member in tar if member.offset <= offset]
    return names[-1].split(".")[0]


@pytest.mark.parametrize("arguments", [(), ("--deep",), ("--depth", "pixels")])
def test_a_bit_flipped_on_reading_names_its_sample(mount, standing, arguments):
    with mount.failing(Fault("read", SHARD, byte=20_000, flips=True)):
        found = findings(standing, *arguments)
    [(code, shard, key)] = found
    assert (code, shard) == ("W201", "validation-000001.tar")
    assert key == key_at(standing / shard, 20_000)
    assert wdsremux("verify", standing).returncode == 0


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("validation-000001.tar", 0),
        ("validation-000001.tar", 20_000),
        ("index.json", None),
        (".wdsremux/validation-000002.msgpack", None),
        (".wdsremux/recipe.json", None),
        (".wdsremux/rejected.jsonl", None),
    ],
)
def test_a_file_that_cannot_be_read_is_a_finding(mount, standing, name, at):
    with mount.failing(Fault("read", re.escape(name), errno=errno.EIO, byte=at)):
        found = findings(standing)
    assert [(code, file) for code, file, _ in found] == [("W110", name)]


@pytest.mark.parametrize(
    ("word", "sick"),
    [
        ("verify", Fault("getattr|lookup", rf"/{SHARD}", errno=errno.EIO)),
        ("verify", Fault("opendir", r"\.wdsremux$", errno=errno.EIO)),
        ("index", Fault("getattr|lookup", rf"/{SHARD}", errno=errno.ESTALE)),
        # `ls` reads index.json, and asks for no shard.
        ("ls", Fault("open|read", r"/index\.json", errno=errno.EIO)),
    ],
)
def test_a_folder_that_cannot_be_listed_is_one_error(command, mount, standing, word, sick):
    with mount.failing(sick):
        ended = command.run(word, standing)
    assert ended.returncode == 6, ended
    [line] = ended.stderr.splitlines()
    assert re.search(rf"cannot read '.*' of '{standing}': {os.strerror(sick.errno)}; check", line)


def test_a_copy_on_a_network_mount_is_unverified_and_frees_nothing(made, mount, tmp_path):
    here, nas = copied(made, tmp_path / "here"), mount.path / "write-back"
    done = wdsremux("sync", here, nas, "--move")
    assert done.returncode == 0, done.stderr
    assert "kept here, since the copies could not be verified: train-000000.tar" in done.stdout
    assert f"proof: {len(tree(made))} unverified" in done.stdout
    assert tree(here) == tree(nas) == tree(made)
    again = wdsremux("sync", here, nas, "--move")
    assert "nothing to send" in again.stdout
    assert tree(here) == tree(made)
