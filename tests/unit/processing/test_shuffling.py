"""Random order of all rows: exact, the same for the same seed, and independent of how it is read."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.units import MemorySource

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import StoreError, UsageError
from wdsremux.processing.arranging import with_source_row, without_source_row
from wdsremux.processing.shuffling import Shuffler, order_number, series_key
from wdsremux.processing.splitting import SOURCE_ROW
from wdsremux.processing.tasks import pieces, series_from_text
from wdsremux.sources.rows.unit import StreamRow, StreamUnit


def shuffler(folder, splits, *, seed=7, text="all", **options):
    source = MemorySource(splits)
    counts = {name: source.rows(name) for name in splits}
    return Shuffler(source.units, series_from_text(text, counts), seed, str(folder), **options)


def source_rows(made, number=0, start=0):
    """Return the rows of the source, in the order in which a series is converted."""
    found = []
    for piece in pieces(made.units, made.series[number], 0, start):
        for record in piece.unit.read(piece.start, piece.stop):
            assert record.position == start + len(found)
            found.append(record.fields[SOURCE_ROW])
    return found


def test_every_row_comes_once_in_the_order_of_its_number(tmp_path):
    made = shuffler(tmp_path, {"train": [100, 1, 300]})
    rows = source_rows(made)
    assert sorted(rows) == list(range(401))
    key = series_key(7, "train")
    assert rows == sorted(range(401), key=lambda row: order_number(key, row))


@given(start=st.integers(0, 400))
def test_a_resumed_run_sees_the_same_order(tmp_path_factory, start):
    folder = tmp_path_factory.mktemp("scratch")
    whole = source_rows(shuffler(folder, {"train": [100, 1, 300]}))
    assert source_rows(shuffler(folder, {"train": [100, 1, 300]}), start=start) == whole[start:]


def test_another_seed_and_another_split_have_another_order(tmp_path):
    splits = {"train": [200], "test": [200]}
    made = shuffler(tmp_path, splits)
    assert source_rows(made) != source_rows(shuffler(tmp_path, splits, seed=8))
    assert source_rows(made) != source_rows(made, 1)


def test_a_slice_is_taken_before_the_rows_are_shuffled(tmp_path):
    made = shuffler(tmp_path, {"train": [100, 100]}, text="train[50:150]")
    assert sorted(source_rows(made)) == list(range(50, 150))
    assert made.series[0].rows == 100


def test_the_order_is_as_even_as_chance(tmp_path):
    rows = source_rows(shuffler(tmp_path, {"train": [4000]}))
    moved = sum(row < 2000 for row in rows[:2000])
    assert 900 < moved < 1100  # 1000 ± 4.5 standard deviations


def test_the_temporary_files_are_removed(tmp_path):
    made = shuffler(tmp_path, {"train": [20]})
    source_rows(made)
    assert list(tmp_path.iterdir())
    del made
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_too_little_space_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("wdsremux.processing.shuffling.free_bytes", lambda _folder: 10)
    made = shuffler(tmp_path, {"train": [20]})
    with pytest.raises(UsageError, match=r"--shuffle writes about .* --scratch"):
        made.remark()


def test_a_folder_that_does_not_exist_is_named_with_its_option(tmp_path):
    made = shuffler(tmp_path / "missing", {"train": [20]})
    with pytest.raises(StoreError, match=r"missing': No such file.*use --scratch to name another"):
        source_rows(made)


def test_paths_of_images_stay_paths(tmp_path):
    rows = tuple(StreamRow(f"{i}".encode(), {}) for i in range(5))
    series = series_from_text("train", {"train": 5})
    made = Shuffler(lambda _s, _f: iter([StreamUnit(0, rows)]), series, 1, str(tmp_path))
    read = [r for u in made.units("train", 0) for r in u.read(0, u.rows)]
    assert [int(record.image) for record in read] == [r.fields[SOURCE_ROW] for r in read]
    assert "every row" in made.remark()


def test_a_column_of_that_name_is_that_of_the_source():
    own = (Column(SOURCE_ROW, "string"),)
    assert with_source_row(own) == own
    columns = Columns("image", None, own, None)
    assert without_source_row(columns, own) == columns
    assert without_source_row(columns, ()).extras == ()
