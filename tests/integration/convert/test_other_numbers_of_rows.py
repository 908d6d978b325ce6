"""A batch function returns more samples than rows, fewer, or none."""

import io
import json
import re

import pytest
from datasets import load_dataset
from PIL import Image
from support.readers import webdataset_samples, wids_samples
from support.runs import convert, manifest, published, rejected
from support.runs import wdsremux as command

import wdsremux
from wdsremux.core.errors import TransformError, UsageError
from wdsremux.core.events import ShardDone

FUNCTIONS = """
def doubled(batch):
    return {name: [v for value in values for v in (value, value)] for name, values in batch.items()}

def odd(batch):
    return {name: values[1::2] for name, values in batch.items()}

def by_label(batch):
    more = [n for n, label in enumerate(batch["label"]) for _ in range(label)]
    return {name: [values[n] for n in more] for name, values in batch.items()}
"""
OPTIONS = {"batch_size": 4, "workers": 0, "max_shard_samples": 6, "label_column": "label"}


class StoppedError(Exception):
    pass


def picture(shade):
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(data, "JPEG")
    return data.getvalue()


def rows(count=14):
    return [{"image": picture(i), "label": i % 4, "name": f"n{i}"} for i in range(count)]


@pytest.fixture
def functions(tmp_path):
    path = tmp_path / "many.py"
    path.write_text(FUNCTIONS)
    return path


def run(out, function, **options):
    return wdsremux.convert(rows(), out, transform=function, **(OPTIONS | options))


def keys_of(out):
    words = command("ls", out, "--samples").stdout.splitlines()
    return [line.split("\t")[0] for line in words]


def test_more_samples_have_the_first_row_of_the_batch_and_a_number_as_key(tmp_path, functions):
    made = run(tmp_path / "out", f"{functions}:doubled")
    totals = made.totals
    assert (totals.rows, totals.samples, totals.rejected, totals.expanded) == (14, 28, 0, 14)
    firsts = [0] * 8 + [4] * 8 + [8] * 8 + [12] * 4
    numbers = [*range(8)] * 3 + [*range(4)]
    assert keys_of(tmp_path / "out") == [
        f"{first:09d}-{number}" for first, number in zip(firsts, numbers, strict=True)
    ]
    found = [row["position"] for row in wdsremux.load(tmp_path / "out", split="train")]
    assert found == [row for row in range(14) for _ in range(2)]
    assert all(shard.samples <= 6 for shard in made.shards)
    index = manifest(tmp_path / "out")
    assert index["totals"]["expanded"] == 14
    assert index["index_version"] == 3
    assert not wdsremux.verify(tmp_path / "out", depth="samples").findings


def test_rows_that_no_sample_counts_for_are_filtered_by_the_choice_of_the_function(
    tmp_path, functions
):
    totals = run(tmp_path / "out", f"{functions}:odd", max_errors=0).totals
    assert (totals.rows, totals.samples, totals.filtered, totals.expanded) == (14, 7, 7, 0)
    found = rejected(tmp_path / "out")
    assert {item["stage"] for item in found} == {"filter"}
    assert found[0]["reason"] == "the function returned 2 samples for rows 0 to 3"
    assert not wdsremux.verify(tmp_path / "out", depth="samples").findings


def test_a_batch_may_return_nothing(tmp_path):
    def first_only(batch):
        is_first = batch["name"][0] == "n0"
        return batch if is_first else {name: [] for name in batch}

    totals = run(tmp_path / "out", first_only).totals
    assert (totals.samples, totals.rejected, totals.filtered) == (4, 0, 10)
    assert not wdsremux.verify(tmp_path / "out").findings


@pytest.mark.parametrize("name", ["doubled", "odd", "by_label"])
def test_workers_interruptions_and_repair_make_the_same_bytes(tmp_path, functions, name):
    def stop(event):
        if isinstance(event, ShardDone) and event.shard.number == 1:
            raise StoppedError

    whole = tmp_path / "whole"
    run(whole, f"{functions}:{name}", copies=2)
    expected = published(whole)
    run(tmp_path / "many", f"{functions}:{name}", copies=2, workers=2)
    assert published(tmp_path / "many") == expected
    with pytest.raises(StoppedError):
        run(tmp_path / "cut", f"{functions}:{name}", copies=2, observer=stop)
    run(tmp_path / "cut", f"{functions}:{name}", copies=2)
    assert published(tmp_path / "cut") == expected
    first = min(path.name for path in whole.glob("*.tar"))
    for lost in (first, "index.json", ".wdsremux/" + first.replace(".tar", ".msgpack")):
        (whole / lost).unlink()
        wdsremux.repair(whole, source=rows(), transform=f"{functions}:{name}", workers=0)
        assert published(whole) == expected


def test_samples_that_are_rejected_for_their_key_stay_rejected_after_a_repair(tmp_path, functions):
    out = tmp_path / "out"
    totals = run(out, f"{functions}:doubled", key_column="name").totals
    assert totals.rejected == 0
    assert keys_of(out)[:3] == ["n0-0", "n0-1", "n1-2"]
    expected = published(out)
    (out / "train-000001.tar").unlink()
    wdsremux.repair(out, source=rows(), transform=f"{functions}:doubled", workers=0)
    assert published(out) == expected


def test_one_of_the_samples_of_a_row_can_be_left_out(tmp_path):
    def work(batch):
        made = {name: [v for v in values for _ in range(2)] for name, values in batch.items()}
        made["image"][1] = None
        return made

    out = tmp_path / "out"
    totals = run(out, work).totals
    assert (totals.rows, totals.samples, totals.filtered, totals.expanded) == (14, 24, 4, 14)
    expected = published(out)
    (out / "train-000000.tar").unlink()
    wdsremux.repair(out, source=rows(), transform=work, workers=0)
    assert published(out) == expected


def test_a_batch_that_fails_is_expanded_row_by_row(tmp_path):
    def work(batch):
        if len(batch["image"]) > 1 and batch["name"][0] == "n4":
            raise ValueError("too many")
        return {name: [v for v in values for _ in range(2)] for name, values in batch.items()}

    made = run(tmp_path / "out", work)
    keys = keys_of(tmp_path / "out")
    assert keys[8:12] == ["000000004-0", "000000004-1", "000000005-0", "000000005-1"]
    assert len({*keys}) == len(keys) == 28
    assert any(note.startswith("your function failed on a batch") for note in made.head.notes)


def test_columns_of_different_lengths_or_without_values_are_refused_by_name(tmp_path):
    with pytest.raises(TransformError, match="8 values in column 'image' for 4 rows, but not col"):
        run(tmp_path / "a", lambda batch: {"image": batch["image"] * 2})
    with pytest.raises(TransformError, match="4 values in column 'label' but 8 in column 'image'"):
        run(tmp_path / "b", lambda batch: {**batch, "image": batch["image"] * 2})


def test_samples_of_a_row_that_no_shard_can_hold_are_refused(tmp_path, functions):
    with pytest.raises(UsageError, match="row 0 has 2 samples, which stay in one shard, more than"):
        run(tmp_path / "out", f"{functions}:doubled", max_shard_samples=1)


def test_the_command_line_and_the_loaders_read_them(tmp_path, functions):
    out = tmp_path / "out"
    words = ("--transform", f"{functions}:doubled", "--batch-size", 5, "--limit", 12)
    convert("demo:", out, *words)
    shown = command("show", out).stdout
    assert "12 rows, 0 rejected, 12 added by the function" in shown
    assert json.loads(command("show", out, "000000005-3", "--json").stdout)["position"] == 6
    said = command("show", out, "6")
    assert said.returncode == 2
    assert re.search(r"row 6 has 2 samples: '000000005-2' .*, '000000005-3'", said.stderr)
    assert len(wdsremux.load(out, split="train")) == 24
    assert len(wids_samples(out / "index.json", tmp_path / "cache")) == 24
    assert len(webdataset_samples(out, "train-000000.tar")) == 24
    assert len([*load_dataset(str(out), split="train", streaming=True)]) == 24
    assert command("verify", out).returncode == 0
