"""Indexes for other loaders are written with the shards: killed, extended, repaired, copied."""

import shutil

import pytest
from support.corpora import write_parquet_dataset
from support.faults import Faults
from support.forked_runs import convert, wdsremux
from support.runs import tree

import wdsremux as api
from wdsremux.dataset.indexes.record import INDEXES_NAME, IndexRecord

pytestmark = pytest.mark.integration

SMALL = ("--max-shard-samples", 9, "--copies", 2, "--workers", 1, "--engine", "threads")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_parquet_dataset(tmp_path_factory.mktemp("in"), rows=20, row_group_size=8).folder


@pytest.fixture(scope="module")
def made(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "out"
    convert(source, out, *SMALL, "--index", "all")
    return out


def kinds_of(out):
    return IndexRecord.from_bytes((out / INDEXES_NAME).read_bytes()).kinds


def assert_clean(out):
    done = wdsremux("verify", out)
    assert done.returncode == 0, done.stdout


def test_killed_at_any_moment_the_same_command_writes_the_same_indexes(
    command, source, made, tmp_path
):
    words = ("convert", source, "OUT", *SMALL, "--progress", "none")

    def run(out, *more, **faults):
        named = [out if word == "OUT" else word for word in words]
        return command.run(*named, *more, faults=Faults(str(out), **faults))

    whole, moment, was_killed = tree(made), 0, True
    while was_killed:
        moment += 11
        out = tmp_path / f"out{moment}"
        was_killed = run(out, "--index", "all", kill_at=moment).was_killed
        # What was asked for is recorded once the run has begun to write.
        more = [] if (out / INDEXES_NAME).exists() else ["--index", "all"]
        done = run(out, *more)
        assert done.returncode == 0, (moment, done.stderr)
        assert tree(out) == whole, moment
    assert moment > 100


def test_an_extended_output_has_the_indexes_of_all_its_shards(source, tmp_path):
    out, grown = tmp_path / "out", tmp_path / "in"
    shutil.copytree(source, grown)
    convert(grown, out, *SMALL, "--index", "dali,energon")
    first = next(iter((grown / "data").iterdir()))
    added = first.with_name("train-00009-of-99999.parquet")
    shutil.copy(first, added)
    convert(grown, out, *SMALL, "--extend")
    assert kinds_of(out) == ("wids", "dali", "energon")
    assert {path.with_suffix(".idx") for path in out.glob("*.tar")} <= {*out.glob("*.idx")}
    assert_clean(out)


def test_repair_makes_lost_and_damaged_indexes_again(made, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(made, out)
    (out / "train-c0-000001.tar").unlink()
    (out / "train-c0-000001.idx").unlink()
    (out / "sizes.json").write_text("{}")
    (out / ".nv-meta/index.sqlite").write_bytes(b"x")
    done = wdsremux("repair", out)
    assert done.returncode == 0, done.stderr
    assert tree(out) == tree(made)
    assert "sizes.json" in done.stdout


def test_sync_copies_the_indexes_and_sends_nothing_again(made, tmp_path):
    done = wdsremux("sync", made, tmp_path / "copy")
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "copy") == tree(made)
    assert "nothing to send" in wdsremux("sync", made, tmp_path / "copy").stdout
    assert_clean(tmp_path / "copy")


def test_sync_leaves_stale_indexes_behind_and_reports_it(made, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(made, out)
    other = tmp_path / "other"
    api.convert("demo:", other, limit=5, index="timm", progress="none")
    (out / INDEXES_NAME).write_bytes((other / INDEXES_NAME).read_bytes())
    done = wdsremux("sync", out, tmp_path / "copy")
    assert done.returncode == 0, done.stderr
    assert f"describe other shards and are not copied; renew them with `wdsremux index {out}`" in (
        done.stderr
    )
    assert not (tmp_path / "copy/_info.json").exists()
    assert_clean(tmp_path / "copy")


def test_sync_with_delete_removes_indexes_that_the_source_has_no_longer(made, source, tmp_path):
    copy, out = tmp_path / "copy", tmp_path / "out"
    shutil.copytree(made, copy)
    convert(source, out, *SMALL, "--index", "timm")
    done = wdsremux("sync", out, copy, "--delete")
    assert done.returncode == 0, done.stderr
    assert tree(copy) | {".nv-meta": ""} == tree(out) | {".nv-meta": ""}


def test_sync_keeps_indexes_that_were_made_at_the_destination(source, tmp_path):
    out, copy = tmp_path / "out", tmp_path / "copy"
    words = [word for word in SMALL if word not in ("--copies", 2)]
    convert(source, out, *words)
    api.sync(out, copy)
    api.index(copy, kinds="dali")
    before = tree(copy)
    api.sync(out, copy, delete=True)
    assert tree(copy) == before
    assert_clean(copy)


def test_sync_to_copies_the_indexes_as_well(source, made, tmp_path):
    out, copy = tmp_path / "out", tmp_path / "copy"
    convert(source, out, *SMALL, "--index", "all", "--sync-to", copy)
    assert tree(copy) == tree(made)
