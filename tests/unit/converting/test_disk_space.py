"""Warnings of a disk that will get full: once, by honest numbers, and only with a reason."""

import pytest
from support.memory_store import MemoryStore
from support.summaries import summary_of

from wdsremux.converting.disk_space import SpaceWatch
from wdsremux.processing.source_size import source_bytes
from wdsremux.processing.tasks import series_from_text

MB = 10**6


def watch(free, *, rows=100, copies=1, source=None):
    return SpaceWatch(MemoryStore(free_bytes=free), rows, copies, source)


def shard(number, rows=10, size_bytes=MB):
    return summary_of(number, number * rows, (number + 1) * rows, size_bytes=size_bytes)


def test_before_the_first_shard_the_size_of_the_source_is_the_estimate():
    text = watch(5 * MB, source=8 * MB).warning()
    assert text == (
        "the disk may fill up: the rows take 8.0 MB in the source and 5.0 MB is free; steps that "
        "shrink images need less; if it fills up, finished shards are kept and the same "
        "command resumes"
    )


def test_every_copy_needs_the_space_of_the_source():
    assert (
        "8.0 MB in the source (times 3 copies) and"
        in watch(20 * MB, copies=3, source=8 * MB).warning()
    )
    assert watch(25 * MB, copies=3, source=8 * MB).warning() is None


def test_after_a_shard_the_shards_are_the_estimate():
    looked = watch(8 * MB, source=1)
    looked.add(shard(0))
    assert looked.warning().startswith(
        "the disk will fill up: the rest takes about 9.0 MB, and 8.0 MB is free; "
    )


def test_what_is_written_already_needs_no_space():
    looked = watch(8 * MB, source=100 * MB)
    for number in range(2):
        looked.add(shard(number))
    assert looked.warning() is None


def test_rows_are_counted_for_each_copy():
    looked = watch(18 * MB, copies=2)
    looked.add(shard(0))
    assert "the rest takes about 19.0 MB" in looked.warning()


def test_it_warns_once():
    looked = watch(MB, source=8 * MB)
    assert looked.warning() is not None
    assert looked.warning() is None
    looked.add(shard(0))
    assert looked.warning() is None


@pytest.mark.parametrize(
    ("free", "rows", "source"),
    [(None, 100, 8 * MB), (5 * MB, 100, None), (8 * MB, 100, 8 * MB)],
    ids=["free unknown", "source unknown", "just fits"],
)
def test_it_is_silent_without_a_reason(free, rows, source):
    assert watch(free, rows=rows, source=source).warning() is None


def test_a_source_of_unknown_length_has_no_estimate_after_a_shard():
    looked = watch(1, rows=None, source=8 * MB)
    looked.add(shard(0))
    assert looked.warning() is None


FILES = [
    {"name": "a", "split": "train", "bytes": 600, "rows": 60},
    {"name": "b", "split": "train", "bytes": 400, "rows": 40},
    {"name": "c", "split": "test", "bytes": 50, "rows": 10},
]


@pytest.mark.parametrize(
    ("split", "limit", "expected"),
    [
        ("train", None, 1000),
        ("test", None, 50),
        ("all", None, 1050),
        ("train[:10]", None, 100),
        ("train[:50%]+test[5:]", None, 525),
        ("train", 25, 250),
        ("train", 1000, 1000),
        ("train[:10]", 5, 50),
    ],
)
def test_the_bytes_of_the_rows_are_their_share_of_the_files(split, limit, expected):
    series = series_from_text(split, {"train": 100, "test": 10})
    assert source_bytes({"files": FILES}, series, limit) == expected


@pytest.mark.parametrize(("split", "limit", "expected"), [("all", None, 550), ("train", 25, 125)])
def test_rows_of_a_folder_count_in_proportion(split, limit, expected):
    series = series_from_text(split, {"train": 100, "test": 10})
    assert source_bytes({"files": 120, "bytes": 600}, series, limit) == expected


def test_files_of_unknown_length_count_whole():
    files = [{"name": "a.tar", "split": "train", "bytes": 600}]
    series = series_from_text("train[:10]", {"train": None})
    assert source_bytes({"files": files}, series, None) == 600
    series = series_from_text("train", {"train": None})
    assert source_bytes({"files": files}, series, 5) == 600


@pytest.mark.parametrize(
    "identity",
    [{}, {"files": 17}, {"files": [{"name": "a"}]}, {"files": [7]}, {"kind": "demo"}],
)
def test_a_source_without_a_known_size_has_no_estimate(identity):
    assert source_bytes(identity, series_from_text("train", {"train": 5}), None) is None
