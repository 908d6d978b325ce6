import datetime as dt
import io
import pickle
import traceback

import numpy as np
import pytest
from PIL import Image

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError
from wdsremux.sources.rows import iterable as stream
from wdsremux.sources.rows import unit as stream_unit
from wdsremux.sources.rows.iterable import open_iterable

PNG = b"\x89PNG\r\n\x1a\n"


def rows_of(count):
    for number in range(count):
        yield {"image": PNG + b"%d" % number, "n": number}


def all_columns(source, image="image"):
    return Columns(image, None, tuple(c for c in source.features() if c.dtype != "image"), None)


def records(source, split="train", start=0, image="image"):
    units = list(source.units(split, all_columns(source, image), start))
    return [record for unit in units for record in unit.read(0, unit.rows)]


@pytest.mark.parametrize("start", [0, 1, 256, 300, 512, 599])
@pytest.mark.parametrize("is_list", [True, False])
def test_every_row_comes_once_from_any_start(start, is_list):
    rows = list(rows_of(600)) if is_list else rows_of(600)
    found = records(open_iterable(rows), start=start)
    assert [record.position for record in found] == list(range(start, 600))
    assert [record.fields["n"] for record in found] == list(range(start, 600))
    assert found[0].image == PNG + b"%d" % start


def test_a_list_can_be_read_again_and_knows_its_length():
    source = open_iterable(list(rows_of(300)))
    assert source.splits() == {"train": 300}
    assert records(source) == records(source)


def test_a_generator_can_be_read_once_and_says_so():
    source = open_iterable(rows_of(300))
    assert source.splits() == {"train": None}
    assert len(records(source)) == 300
    with pytest.raises(SourceError, match="only once"):
        records(source)


def test_a_generator_is_read_no_further_than_needed():
    taken = []

    def rows():
        for row in rows_of(10_000):
            taken.append(row["n"])
            yield row

    source = open_iterable(rows())
    next(source.units("train", all_columns(source), 0))
    assert len(taken) <= 2 * stream_unit.UNIT_ROWS + 1


def test_units_are_bounded_in_rows_and_bytes(monkeypatch):
    monkeypatch.setattr(stream_unit, "UNIT_BYTES", 1000)
    rows = [{"image": PNG + bytes(size)} for size in (300, 300, 300, 5000, 10, 10)]
    source = open_iterable(rows)
    units = list(source.units("train", all_columns(source), 0))
    assert [unit.rows for unit in units] == [3, 1, 2]
    assert [unit.first for unit in units] == [0, 3, 4]


def test_few_large_rows_are_seen_before_the_first_unit(monkeypatch):
    monkeypatch.setattr(stream, "_SEEN_BYTES", 1000)
    taken = []

    def rows():
        for number in range(100):
            taken.append(number)
            yield {"image": PNG + bytes(400), "n": number}

    source = open_iterable(rows())
    assert len(taken) == 3
    assert len(records(source)) == 100


def test_a_unit_pickles_and_reads_any_part_of_itself():
    source = open_iterable(rows_of(20))
    (unit,) = source.units("train", all_columns(source), 0)
    copy = pickle.loads(pickle.dumps(unit))
    assert list(copy.read(5, 8)) == list(unit.read(0, 20))[5:8]
    assert copy.size_bytes == unit.size_bytes > 0
    assert "rows 0 to 19" in unit.name


def test_columns_are_found_from_the_rows():
    rows = [
        {"image": PNG, "n": 1, "flag": True, "when": dt.date(2020, 1, 1), "tags": [], "d": None},
        {"image": PNG, "n": 1.5, "flag": False, "when": None, "tags": ["x"], "d": {"a": 1}},
    ]
    assert open_iterable(rows).features() == (
        Column("image", "image"),
        Column("n", "float64"),
        Column("flag", "bool"),
        Column("when", "timestamp"),
        Column("tags", {"list": "string"}),
        Column("d", {"struct": {"a": "int64"}}),
    )


def test_images_may_come_in_any_form(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    given = [
        PNG,
        bytearray(PNG),
        memoryview(PNG),
        {"bytes": PNG, "path": "/nowhere.png"},
        {"bytes": None, "path": str(tmp_path / "a.png")},
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        array,
        Image.fromarray(array),
        None,
    ]
    found = records(open_iterable([{"image": value} for value in given]))

    assert [record.image for record in found[:7]] == [PNG] * 7
    for record in found[7:9]:
        with Image.open(io.BytesIO(record.image)) as image:
            assert np.array_equal(np.asarray(image), array)
    assert (found[9].image, found[9].problem) == (None, None)


@pytest.mark.parametrize(
    "value", [3, [1, 2], np.zeros((4, 4, 3)), np.zeros((3, 5, 5), np.uint8), {"a": 1}, {}]
)
def test_a_value_that_is_not_an_image_is_a_problem_of_its_row(value):
    bad, good = records(open_iterable([{"image": value}, {"image": PNG}]))
    assert "pass bytes, a PIL image, a path, or an array H×W×3" in bad.problem
    assert good.problem is None


def test_a_missing_file_is_a_problem_of_its_row(tmp_path):
    rows = [{"image": PNG}, {"image": tmp_path / "no.png"}]
    assert "does not exist" in records(open_iterable(rows))[1].problem


def test_an_array_reused_for_each_row_gives_distinct_images():
    def rows():
        buffer = np.zeros((2, 2, 3), np.uint8)
        for number in range(5):
            buffer[:] = number
            yield {"image": buffer}

    found = records(open_iterable(rows()))
    assert [Image.open(io.BytesIO(r.image)).getpixel((0, 0))[0] for r in found] == [0, 1, 2, 3, 4]


def test_a_missing_column_is_none():
    found = records(open_iterable([{"image": PNG, "n": 1}, {"n": 2}, {"image": PNG}]))
    assert [record.fields["n"] for record in found] == [1, 2, None]
    assert found[1].image is None


def test_an_iterable_that_fails_says_where_and_why():
    def rows():
        yield from rows_of(300)
        raise ValueError("the disk is gone")

    source = open_iterable(rows())
    units = source.units("train", all_columns(source), 0)
    assert next(units).rows == 256
    with pytest.raises(SourceError, match=r"row 300.*the disk is gone"):
        next(units)


def test_an_iterable_that_fails_over_a_signed_url_does_not_pass_it_on():
    def rows():
        yield from rows_of(1)
        raise ConnectionError("403 for url https://cdn/x?Signature=SECRET")

    with pytest.raises(SourceError, match="row 1: ConnectionError") as caught:
        open_iterable(rows())
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


def test_rows_that_are_not_dicts_are_refused():
    with pytest.raises(SourceError, match="row 0 is a tuple, not a dict"):
        open_iterable([(1, 2)])


def test_an_iterable_without_rows_is_an_error():
    with pytest.raises(SourceError, match="is empty"):
        open_iterable([])


def test_an_iterable_has_one_split():
    source = open_iterable(rows_of(3))
    with pytest.raises(SourceError, match=r"'test'.*leave --split out"):
        next(source.units("test", all_columns(source), 0))


def test_the_identity_depends_on_the_first_rows():
    identity = open_iterable(rows_of(300)).identity()
    assert (identity["kind"], identity["resumable"]) == ("iterable", False)
    source = open_iterable(list(rows_of(300)))
    records(source)
    assert source.identity() == identity
    assert open_iterable(list(rows_of(300))[1:]).identity() != identity


def test_names_of_files_that_do_not_exist_are_refused_with_what_to_pass():
    rows = [{"id": "a", "image": None}, {"id": "b", "image": "nofile.jpg"}]
    with pytest.raises(SourceError) as refused:
        open_iterable(rows)
    text = str(refused.value)
    assert "column 'image' names image files that cannot be read, for example" in text
    assert "'nofile.jpg'; pass paths that are absolute or relative to" in text
    assert "--image-column" not in text
    assert open_iterable(rows, "image").features()[1].dtype == "string"


def test_one_missing_file_does_not_hide_the_image_column(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"")
    rows = [{"image": str(tmp_path / f"{name}.jpg")} for name in (0, 1)]
    assert open_iterable(rows).features()[0].dtype == "image"
