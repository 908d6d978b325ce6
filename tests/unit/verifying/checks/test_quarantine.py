import json
import os

import pytest
from support.verified import SHARD, codes, copied, flip, make_dataset, sample, write_tar

from wdsremux.core.errors import StoreError
from wdsremux.verifying import reports
from wdsremux.verifying import verify as verifying
from wdsremux.verifying.verify import verify

PLACE = ".wdsremux/quarantine"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out")


@pytest.fixture
def out(made, tmp_path):
    return copied(made, tmp_path / "out")


def test_nothing_is_moved_without_the_option(out):
    flip(out / SHARD, 600)
    assert verify(out).quarantined == ()
    assert (out / SHARD).exists()


def test_a_damaged_shard_is_moved_with_its_findings(out):
    flip(out / SHARD, 600)
    damaged = (out / SHARD).read_bytes()
    report = verify(out, quarantine=True)
    assert report.quarantined == (f"{PLACE}/{SHARD}",)
    assert not (out / SHARD).exists()
    assert (out / PLACE / SHARD).read_bytes() == damaged
    (finding,) = json.loads((out / PLACE / f"{SHARD}.json").read_bytes())
    assert (finding["code"], finding["offset"]) == ("W201", 600)


def test_intact_shards_are_never_moved(out):
    (out / "README.md").unlink()
    (out / ".wdsremux/recipe.json").write_bytes(b"")
    os.truncate(out / "train-000002.tar", 3000)
    report = verify(out, "entries", quarantine=True)
    assert report.quarantined == (f"{PLACE}/train-000002.tar",)
    assert len(list(out.glob("*.tar"))) == 4


def test_a_second_quarantine_keeps_the_files_of_the_first(out):
    first = (out / SHARD).read_bytes()
    for bit in (0, 1, 2):
        (out / SHARD).write_bytes(first)
        flip(out / SHARD, 600, bit)
        (moved,) = verify(out, quarantine=True).quarantined
        assert moved == f"{PLACE}/{SHARD}" + ("" if bit == 0 else f".{bit + 1}")
    assert len(list((out / PLACE).iterdir())) == 6


def test_the_verified_folder_is_a_missing_shard_afterwards(out):
    flip(out / SHARD, 600)
    verify(out, quarantine=True)
    assert codes(verify(out)) == [106]


def test_damaged_shards_of_other_tools_are_moved(tmp_path):
    write_tar(tmp_path / "out/sub/train-0.tar", sample("a"), end=b"")
    write_tar(tmp_path / "out/train-1.tar", sample("b"))
    report = verify(tmp_path / "out", quarantine=True)
    assert report.quarantined == (f"{PLACE}/train-0.tar",)
    assert (tmp_path / "out/train-1.tar").exists()


@pytest.mark.parametrize("link", [".wdsremux", PLACE])
def test_a_quarantine_that_is_a_link_is_refused(tmp_path, link):
    write_tar(tmp_path / "out/train-0.tar", sample("a"), end=b"")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "out" / link).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / link).symlink_to(elsewhere)
    with pytest.raises(StoreError, match="link"):
        verify(tmp_path / "out", quarantine=True)
    assert list(elsewhere.iterdir()) == []
    assert (tmp_path / "out/train-0.tar").exists()


def test_damaged_shards_are_moved_even_if_findings_are_only_counted(out, monkeypatch):
    shards = sorted(path.name for path in out.glob("*.tar"))
    for name in shards[:3]:
        flip(out / name, 600)
    for name in shards[3:]:
        os.truncate(out / name, 5000)
    monkeypatch.setattr(verifying, "MAX_FINDINGS", 1)
    monkeypatch.setattr(reports, "MAX_ERRORS", 1)
    report = verify(out, "bytes", quarantine=True)
    assert report.quarantined == tuple(f"{PLACE}/{name}" for name in shards)
    for name in shards:
        reported = json.loads((out / PLACE / f"{name}.json").read_bytes())
        assert {finding["shard"] for finding in reported} == {name}
