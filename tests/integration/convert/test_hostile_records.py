"""What a record cannot break: it is rejected with its position and reason, or one error says why."""

import datetime as dt
import json
import math
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.corpora import jpeg, jpegs, write_parquet_dataset, write_table
from support.runs import convert, entries, manifest, rejected, samples

import wdsremux

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

GOOD = jpeg(1)
SKIP_ALL = ("--max-errors", "100%")


def rows_of(*images, **columns):
    return [
        {"image": image, "label": i, **{name: values[i] for name, values in columns.items()}}
        for i, image in enumerate(images)
    ]


def convert_rows(rows, out, **options):
    return wdsremux.convert(rows, out, workers=0, max_errors="100%", **options)


@pytest.mark.parametrize(
    ("image", "stage"),
    [
        (GOOD[: len(GOOD) // 2], "decode"),
        (GOOD[:-1], "decode"),
        (b"", "decode"),
        (b"<html>404</html>", "decode"),
        (b"\xff\xd8\xff", "decode"),
        (None, "read"),
    ],
    ids=["cut", "one byte short", "empty", "html", "only a head", "null"],
)
@pytest.mark.parametrize("steps", [(), ("resize=16",)], ids=["stored", "resized"])
def test_a_bad_image_is_rejected_with_position_and_reason(tmp_path, image, stage, steps):
    corpus = write_parquet_dataset(tmp_path / "in", images=[GOOD, image, GOOD])
    arguments = [word for step in steps for word in ("--step", step)]
    convert(corpus.folder, tmp_path / "out", *SKIP_ALL, *arguments)
    (item,) = rejected(tmp_path / "out")
    assert (item["position"], item["stage"]) == (1, stage)
    assert item["reason"]
    assert [entry["position"] for entry in entries(tmp_path / "out")] == [0, 2]
    assert manifest(tmp_path / "out")["totals"]["rejected"] == 1


def test_a_missing_column_is_named_with_the_existing_ones(tmp_path):
    corpus = write_parquet_dataset(tmp_path / "in")
    for flag in ("--image-column", "--label-column", "--extra-columns", "--key-column"):
        done = convert(corpus.folder, tmp_path / "out", flag, "nope", code=2)
        assert "nope" in done.stderr
        assert "caption" in done.stderr
        assert "Traceback" not in done.stderr


def test_several_unnamed_image_columns_are_an_error_that_lists_them(tmp_path):
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = pa.array([{"bytes": GOOD, "path": None}], image)
    write_table(tmp_path / "in" / "train.parquet", {"left": rows, "right": rows})
    done = convert(tmp_path / "in", tmp_path / "out", code=2)
    assert "left" in done.stderr
    assert "right" in done.stderr
    assert "--image-column" in done.stderr
    convert(tmp_path / "in", tmp_path / "out", "--image-column", "right")


@pytest.mark.parametrize("label", [{"a": 1}, b"x", 1.5, "cat"])
def test_a_label_of_an_odd_type_is_rejected_with_its_column(tmp_path, label):
    rows = [{"image": GOOD, "label": 3} for _ in range(300)]
    rows.append({"image": GOOD, "label": label})
    convert_rows(rows, tmp_path / "out")
    (item,) = rejected(tmp_path / "out")
    assert item["position"] == 300
    assert "'label'" in item["reason"]


def test_a_class_label_out_of_range_is_rejected(tmp_path):
    corpus = write_parquet_dataset(tmp_path / "in", rows=5)
    path = corpus.folder / corpus.files[0]
    table = pq.read_table(path)
    table = table.set_column(1, table.schema.field(1), pa.array([7] * len(table), pa.int64()))
    pq.write_table(table, path)
    convert(corpus.folder, tmp_path / "out", *SKIP_ALL)
    assert "7 is not one of the 3 classes" in rejected(tmp_path / "out")[0]["reason"]


def test_odd_values_of_extra_columns_become_json(tmp_path):
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    rows = rows_of(
        GOOD, GOOD,
        score=[1.5, math.nan],
        nested=[[[1, 2], [3]], []],
        when=[moment, None],
        text=["line\nbreak", "🙂"],
    )  # fmt: skip
    convert_rows(rows, tmp_path / "out")
    one, two = entries(tmp_path / "out")
    assert (one["score"], two["score"]) == (1.5, None)
    assert one["nested"] == [[1, 2], [3]]
    assert one["when"] == "2026-01-02T03:04:05+00:00"
    assert (one["text"], two["text"]) == ("line\nbreak", "🙂")
    assert set(one) == set(two)


HOSTILE_KEYS = [
    "../../x",
    "a/b.c",
    "new\nline",
    "🙂🙂",
    "x" * 300,
    "con.jpg",
    "-",
    "__info__",
    "plain",
]


def test_hostile_keys_are_made_safe_and_the_original_is_kept(tmp_path):
    rows = rows_of(*[GOOD] * len(HOSTILE_KEYS), name=HOSTILE_KEYS)
    convert_rows(rows, tmp_path / "out", key_column="name")
    found = samples(tmp_path / "out")
    assert [json.loads(sample["json"])["key"] for sample in found] == HOSTILE_KEYS
    keys = [sample["__key__"] for sample in found]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,80}", key) for key in keys)
    assert len(set(keys)) == len(keys)
    assert "plain" in keys
    assert not (tmp_path / "x").exists()


def test_of_rows_with_one_key_the_first_keeps_it(tmp_path):
    rows = rows_of(*[GOOD] * 4, name=["a", "b", "a", None])
    convert_rows(rows, tmp_path / "out", key_column="name")
    assert [sample["__key__"] for sample in samples(tmp_path / "out")] == ["a", "b"]
    assert [item["position"] for item in rejected(tmp_path / "out")] == [2, 3]


FUNCTIONS = """
import ctypes, os, signal
import wdsremux

def fails(image):
    raise ValueError("no luck today")

def fails_together(batch):
    raise ValueError("no luck today")

def too_few(batch):
    return {"image": batch["image"][:-1]}

def no_dict(batch):
    return 7

def no_image(image):
    return "text"

def leaves_out(image, rng):
    raise wdsremux.RejectSample("not today")

def kills(sample):
    if sample["label"] == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return sample

def segfaults(batch):
    if 7 in batch["label"]:
        ctypes.string_at(0)
    return batch
"""


@pytest.fixture
def numbered(tmp_path):
    """Return a dataset whose labels are the row numbers, and a file of functions."""
    functions = tmp_path / "functions.py"
    functions.write_text(FUNCTIONS)
    names = [str(i) for i in range(20)]
    corpus = write_parquet_dataset(
        tmp_path / "in", rows=20, row_group_size=20, files=1, class_names=names
    )
    path = corpus.folder / corpus.files[0]
    table = pq.read_table(path)
    table = table.set_column(1, table.schema.field(1), pa.array(range(20), pa.int64()))
    pq.write_table(table, path)
    return corpus.folder, f"{functions}:"


def test_an_exception_for_one_image_is_a_rejected_record_with_its_line(numbered, tmp_path):
    source, functions = numbered
    arguments = ("--transform", functions + "fails", "--transform-mode", "image", "--workers", 1)
    done = convert(source, tmp_path / "out", *arguments, code=6)
    assert "row 0" in done.stderr
    assert "no luck today" in done.stderr
    assert "functions.py" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "mode", "says"),
    [
        ("fails_together", "batch", "no luck today"),
        ("too_few", "batch", "19"),
        ("no_dict", "batch", "int"),
        ("no_image", "image", "str"),
    ],
)
def test_a_function_that_breaks_its_contract_is_one_clear_error(
    numbered, tmp_path, name, mode, says
):
    source, functions = numbered
    arguments = ("--transform", functions + name, "--transform-mode", mode, "--workers", 1)
    done = convert(source, tmp_path / "out", *arguments, code=4)
    assert says in done.stderr
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_function_leaves_out_counts_as_rejected_but_not_as_error(numbered, tmp_path):
    source, functions = numbered
    arguments = (
        "--transform",
        functions + "leaves_out",
        "--transform-mode",
        "image",
        "--workers",
        1,
    )
    done = convert(source, tmp_path / "out", *arguments, "--max-errors", 0, code=6)
    assert "no sample" in done.stderr
    assert "not today" in done.stderr


@pytest.mark.parametrize(("name", "mode"), [("kills", "sample"), ("segfaults", "batch")])
def test_a_record_that_kills_its_worker_is_rejected_and_no_other_is_lost(
    numbered, tmp_path, name, mode
):
    source, functions = numbered
    arguments = ("--transform", functions + name, "--transform-mode", mode, "--workers", 2)
    convert(source, tmp_path / "out", *arguments, *SKIP_ALL)
    (item,) = rejected(tmp_path / "out")
    assert item["position"] == 7
    assert "SIGKILL" in item["reason"] or "SIGSEGV" in item["reason"]
    positions = [entry["position"] for entry in entries(tmp_path / "out")]
    assert positions == [i for i in range(20) if i != 7]


def test_a_lambda_works_through_the_python_api(tmp_path):
    rows = [{"image": image, "label": i} for i, image in enumerate(jpegs(10))]
    found = wdsremux.convert(
        rows,
        tmp_path / "out",
        transform=lambda image: image.resize((8, 8)),
        transform_mode="image",
        workers=1,
    )
    assert found.totals.samples == 10
    assert {entry["width"] for entry in entries(tmp_path / "out")} == {8}


@pytest.mark.parametrize(
    "flag", ["--transform", "--step", "--split", "--max-shard-size", "--matte"]
)
def test_a_wrong_option_is_a_usage_error_without_a_traceback(numbered, tmp_path, flag):
    done = convert(numbered[0], tmp_path / "out", flag, "nonsense!", code=2)
    assert "nonsense!" in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path(tmp_path / "out" / "index.json").exists()
