"""`--split-ratio`: the rows of one split as several, also stratified, shuffled and repaired."""

from collections import Counter

import pytest
from support.corpora import jpegs, write_parquet_dataset
from support.forked_runs import convert, wdsremux
from support.runs import entries, manifest, shards

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OPTIONS = ("--step", "resize=16", "--max-shard-samples", 30, "--split-ratio", "train=0.7,val=0.3")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_parquet_dataset(tmp_path_factory.mktemp("source"), images=jpegs(80)).folder


def test_the_splits_are_converted_and_repaired_as_any_others(source, tmp_path):
    out = tmp_path / "out"
    convert(source, out, *OPTIONS, "--eval-step", "resize=8x8")
    train, val = entries(out), entries(out, "val")
    assert sorted(entry["source_row"] for entry in train + val) == list(range(80))
    assert {entry["width"] for entry in val} == {8}
    assert list(manifest(out)["splits"]) == ["train", "val"]
    before = shards(out)
    (out / "val-000000.tar").unlink()
    assert wdsremux("repair", out).returncode == 0
    assert shards(out) == before
    assert wdsremux("verify", out, "--depth", "pixels").returncode == 0


def test_labels_are_divided_evenly_and_rows_shuffled(source, tmp_path):
    convert(source, tmp_path / "out", *OPTIONS, "--stratify", "--shuffle", 1)
    val = entries(tmp_path / "out", "val")
    found = Counter(entry["label"] for entry in val)
    all_labels = Counter(entry["label"] for entry in val + entries(tmp_path / "out"))
    assert all(abs(found[label] - 0.3 * rows) <= 2 for label, rows in all_labels.items())
    rows = [entry["source_row"] for entry in val]
    assert rows != sorted(rows)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--stratify",), "--stratify needs --split-ratio"),
        ((*OPTIONS[-2:], "--stratify", "--label-column", ""), "--stratify needs a label"),
        ((*OPTIONS[-2:], "--extend"), "--extend cannot be combined with --split-ratio"),
    ],
)
def test_what_does_not_fit_is_refused(source, tmp_path, arguments, reason):
    done = wdsremux("convert", source, tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert reason in done.stderr
