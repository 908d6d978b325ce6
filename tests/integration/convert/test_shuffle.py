"""`--shuffle`: the same samples in another order, whatever interrupts the run."""

import pytest
from support.corpora import jpegs, write_parquet_dataset
from support.runs import convert, entries, rejected, shards, wdsremux

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OPTIONS = ("--step", "resize=16", "--max-shard-samples", 9, "--shuffle", 3)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    images = jpegs(60)
    images[20] = b"broken"
    return write_parquet_dataset(tmp_path_factory.mktemp("source"), images=images).folder


@pytest.fixture(scope="module")
def shuffled(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("shuffled") / "out"
    convert(source, out, *OPTIONS, "--max-errors", 1)
    return out


def test_every_row_is_packed_once_with_its_label(source, shuffled, tmp_path):
    convert(source, tmp_path / "plain", "--step", "resize=16", "--max-errors", 1)
    labels = {entry["position"]: entry["label"] for entry in entries(tmp_path / "plain")}
    found = entries(shuffled)
    rows = [entry["source_row"] for entry in found]
    assert sorted(rows) == sorted(labels)
    assert rows != sorted(rows)
    assert [entry["label"] for entry in found] == [labels[row] for row in rows]
    # 59 samples in the order of 60 rows: the place of the rejected one is left out.
    (bad,) = rejected(shuffled)
    assert [e["position"] for e in found] == [i for i in range(60) if i != bad["position"]]
    assert "row 20" in bad["reason"]


def test_an_interrupted_run_and_a_repaired_shard_have_the_same_bytes(source, shuffled, tmp_path):
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    convert(source, out, *OPTIONS, "--limit", 30, "--max-errors", 1)
    convert(source, tmp_path / "other", *OPTIONS, "--workers", 0, "--max-errors", 1,
                   "--scratch", scratch)  # fmt: skip
    assert not list(scratch.iterdir())
    assert shards(tmp_path / "other") == shards(shuffled)
    first = (out / "train-000000.tar").read_bytes()
    assert first == (shuffled / "train-000000.tar").read_bytes()
    shard = tmp_path / "other" / "train-000002.tar"
    shard.unlink()
    assert wdsremux("repair", tmp_path / "other").returncode == 0
    assert shard.read_bytes() == (shuffled / "train-000002.tar").read_bytes()
    assert wdsremux("verify", tmp_path / "other", "--depth", "pixels").returncode == 0


def test_rows_cannot_be_added_to_a_shuffled_output(source, shuffled):
    done = wdsremux("convert", source, shuffled, *OPTIONS, "--extend")
    assert done.returncode == 2
    assert "--extend cannot be combined with --shuffle" in done.stderr
