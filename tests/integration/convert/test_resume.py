"""The same command resumes where a run stopped, with any files that are finished."""

import json
import re
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi
from support.corpora import jpeg, jpegs, write_parquet_dataset, write_table
from support.runs import convert, shards, step_options, tree, wdsremux

from wdsremux.converting.run import convert as run_conversion
from wdsremux.core.events import Note, ShardDone
from wdsremux.core.recipe import Recipe, Run
from wdsremux.processing.opening import open_conversion
from wdsremux.stores.folder.store import FolderStore

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


def test_a_batch_read_again_duplicates_no_key_and_no_error(tmp_path):
    source = keyed_source(tmp_path / "in")
    function = tmp_path / "f.py"
    function.write_text(BATCHES)
    arguments = ("--key-column", "name", "--max-errors", "2", "--max-shard-size", "20KB")
    arguments += ("--transform", f"{function}:same", "--batch-size", "16", "--workers", 1)
    convert(source, tmp_path / "out", *arguments)
    whole = tree(tmp_path / "out")
    assert len(shards(tmp_path / "out")) > 4
    remove_tail(tmp_path / "out", 2)
    convert(source, tmp_path / "out", *arguments)
    assert tree(tmp_path / "out") == whole


def test_a_copy_with_less_progress_catches_up(tmp_path):
    source = keyed_source(tmp_path / "in")
    arguments = ("--key-column", "name", "--max-errors", "2", "--max-shard-size", "20KB")
    arguments += ("--copies", 2, *step_options("hflip"))
    convert(source, tmp_path / "out", *arguments)
    whole = tree(tmp_path / "out")
    victim = sorted(name for name in shards(tmp_path / "out") if "-c1-" in name)[1]
    (tmp_path / "out" / victim).unlink()
    (tmp_path / "out" / "index.json").unlink()
    convert(source, tmp_path / "out", *arguments)
    assert tree(tmp_path / "out") == whole


def test_what_is_done_already_is_counted_over_all_splits(tmp_path):
    source = tmp_path / "in"
    write_parquet_dataset(source, rows=40, split="train")
    write_parquet_dataset(source, rows=30, split="validation", seed=1)
    arguments = ("--split", "all", "--max-shard-size", "20KB", "--progress", "json")
    wdsremux("convert", source, tmp_path / "out", *arguments)
    (tmp_path / "out" / "index.json").unlink()
    last = max(name for name in shards(tmp_path / "out") if name.startswith("validation"))
    (tmp_path / "out" / last).unlink()
    done = wdsremux("convert", source, tmp_path / "out", *arguments)
    report = json.loads(done.stderr.splitlines()[-1])
    assert report["event"] == "done"
    assert report["rows"] == report["rows_in_all"] == 70


@pytest.mark.parametrize("name", ["train-000001.tar", ".wdsremux/train-000001.msgpack"])
def test_a_lost_file_of_a_finished_output_needs_repair(tmp_path, name):
    source = write_parquet_dataset(tmp_path / "in").folder
    arguments = ("--max-shard-size", "20KB", "--progress", "log")
    wdsremux("convert", source, tmp_path / "out", *arguments)
    whole = tree(tmp_path / "out")
    (tmp_path / "out" / name).unlink()
    left = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.tar")}
    done = wdsremux("convert", source, tmp_path / "out", *arguments)
    assert done.returncode == 6
    assert "train-000001.tar; run `wdsremux repair" in done.stderr
    assert wdsremux("repair", tmp_path / "out").returncode == 0
    assert tree(tmp_path / "out") == whole
    assert {path: path.stat().st_mtime_ns for path in left} == left


def group_spans(corpus):
    """Return (file, first byte, byte after the last) of the images of every row group, in order."""
    spans = []
    for name in corpus.files:
        metadata = pq.read_metadata(corpus.folder / name)
        for i in range(metadata.num_row_groups):
            chunk = metadata.row_group(i).column(0)
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            spans.append((name, start, start + chunk.total_compressed_size))
    return spans


def groups_read(hub, corpus):
    """Return the numbers of the row groups whose images were asked for."""
    asked = []
    for method, path, wanted in hub.seen:
        name = next((name for name in corpus.files if f"/{name}?" in path), None)
        if method != "GET" or name is None or not wanted:
            continue
        low, high = map(int, wanted.removeprefix("bytes=").split("-"))
        if high + 1 < (corpus.folder / name).stat().st_size:  # what ends with the file is a footer
            asked.append((name, low, high))
    return [
        number
        for number, (name, start, stop) in enumerate(group_spans(corpus))
        if any(file == name and low < stop and high >= start for file, low, high in asked)
    ]


def test_a_resumed_run_rereads_at_most_one_row_group(hub, tmp_path):
    repo, folder = hub.new_repo()
    images = [jpeg(i, 100, 100, noisy=True) for i in range(96)]
    corpus = write_parquet_dataset(folder, images=images, row_group_size=8)
    arguments = ("--max-shard-samples", 21, "--workers", 3)
    convert(repo, tmp_path / "out", *arguments)
    assert groups_read(hub, corpus) == list(range(12))
    whole = tree(tmp_path / "out")
    for shards_kept in (1, 3):
        remove_tail(tmp_path / "out", shards_kept)
        hub.reset()
        convert(repo, tmp_path / "out", *arguments)
        assert tree(tmp_path / "out") == whole
        # The shards end in the middle of a group: this one comes again, and none before it.
        assert groups_read(hub, corpus) == list(range(shards_kept * 21 // 8, 12))


def test_a_changed_file_of_the_source_is_named_with_both_sizes(tmp_path):
    corpus = write_parquet_dataset(tmp_path / "in", rows=20)
    convert(corpus.folder, tmp_path / "out")
    whole, path = tree(tmp_path / "out"), corpus.folder / corpus.files[1]
    before = path.stat().st_size
    pq.write_table(pq.read_table(path).slice(1), path)
    done = convert(corpus.folder, tmp_path / "out", code=7)
    assert f"file {corpus.files[1]!r}: bytes was {before}, now it is {path.stat().st_size}" in (
        done.stderr
    )
    assert tree(tmp_path / "out") == whole


def test_a_changed_file_on_the_hub_is_named_and_its_old_commit_resumes(hub, tmp_path):
    repo, folder = hub.new_repo()
    corpus = write_parquet_dataset(folder, rows=60)
    arguments = ("--max-shard-samples", 20)
    convert(repo, tmp_path / "out", *arguments)
    whole = tree(tmp_path / "out")
    remove_tail(tmp_path / "out", 1)
    HfApi().upload_file(
        path_or_fileobj=(folder / corpus.files[0]).read_bytes(),
        path_in_repo=corpus.files[1],
        repo_id=repo,
        repo_type="dataset",
    )
    done = convert(repo, tmp_path / "out", *arguments, code=7)
    assert f"the source has changed: file {corpus.files[1]!r}: bytes was" in done.stderr
    revision = re.search(r"pass --revision (\w{40}) to resume", done.stderr)[1]
    convert(repo, tmp_path / "out", *arguments, "--revision", revision)
    assert tree(tmp_path / "out") == whole


class NearlyFullStore(FolderStore):
    """A folder on a disk that says it has little room."""

    room = 100_000

    def free_bytes(self):
        return self.room


def notes_of(conversion):
    """Return what a conversion reports, each event as its type or, of a note, its message."""
    reported = []
    run_conversion(conversion, reported.append)
    return [event.text if isinstance(event, Note) else type(event) for event in reported]


def test_a_disk_that_is_too_small_is_reported_before_the_first_shard(tmp_path):
    images = [jpeg(i, 100, 100, noisy=True) for i in range(40)]
    source = write_parquet_dataset(tmp_path / "in", images=images).folder
    made = open_conversion(source, tmp_path / "out", Recipe(max_shard_samples=10), Run(), None)
    reported = notes_of(replace(made, store=NearlyFullStore(tmp_path / "out")))
    warnings = [i for i, event in enumerate(reported) if str(event).startswith("the disk ")]
    assert len(warnings) == 1
    assert reported[warnings[0]].startswith("the disk may fill up: the rows take ")
    assert warnings[0] < reported.index(ShardDone)
