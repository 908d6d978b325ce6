"""The same command goes on where a run stopped, whatever stands already."""

import json

import pytest
from support.corpora import jpegs, write_parquet_dataset, write_table
from support.runs import convert, shards, step_words, tree, wdsremux

pytestmark = pytest.mark.integration

BATCHES = """
def same(batch):
    return batch
"""


def remove_tail(out, keep):
    """Remove what a run killed after `keep` shards would not have made yet."""
    for name in sorted(shards(out))[keep:]:
        (out / name).unlink()
        (out / ".wdsremux" / name.replace(".tar", ".msgpack")).unlink()
    for name in ("index.json", "README.md", ".wdsremux/rejected.jsonl"):
        (out / name).unlink()


def keyed_source(folder, rows=60):
    images = jpegs(rows)
    images[3] = b"broken"
    names = [f"name-{i if i != 40 else 2}" for i in range(rows)]
    write_table(folder / "train.parquet", {"image": images, "name": names}, row_group_size=10)
    return folder


def test_a_batch_that_is_read_again_doubles_no_key_and_no_error(tmp_path):
    source = keyed_source(tmp_path / "in")
    function = tmp_path / "f.py"
    function.write_text(BATCHES)
    words = ("--key-column", "name", "--max-errors", "2", "--max-shard-size", "20KB")
    words += ("--transform", f"{function}:same", "--batch-size", "16", "--workers", 1)
    convert(source, tmp_path / "out", *words)
    whole = tree(tmp_path / "out")
    assert len(shards(tmp_path / "out")) > 4
    remove_tail(tmp_path / "out", 2)
    convert(source, tmp_path / "out", *words)
    assert tree(tmp_path / "out") == whole


def test_a_copy_that_stands_further_back_catches_up(tmp_path):
    source = keyed_source(tmp_path / "in")
    words = ("--key-column", "name", "--max-errors", "2", "--max-shard-size", "20KB")
    words += ("--copies", 2, *step_words("hflip"))
    convert(source, tmp_path / "out", *words)
    whole = tree(tmp_path / "out")
    victim = sorted(name for name in shards(tmp_path / "out") if "-c1-" in name)[1]
    (tmp_path / "out" / victim).unlink()
    (tmp_path / "out" / "index.json").unlink()
    convert(source, tmp_path / "out", *words)
    assert tree(tmp_path / "out") == whole


def test_what_is_done_already_is_counted_over_all_splits(tmp_path):
    source = tmp_path / "in"
    write_parquet_dataset(source, rows=40, split="train")
    write_parquet_dataset(source, rows=30, split="validation", seed=1)
    words = ("--split", "all", "--max-shard-size", "20KB", "--progress", "json")
    wdsremux("convert", source, tmp_path / "out", *words)
    (tmp_path / "out" / "index.json").unlink()
    last = max(name for name in shards(tmp_path / "out") if name.startswith("validation"))
    (tmp_path / "out" / last).unlink()
    done = wdsremux("convert", source, tmp_path / "out", *words)
    report = json.loads(done.stderr.splitlines()[-1])
    assert report["event"] == "done"
    assert report["rows"] == report["rows_in_all"] == 70
