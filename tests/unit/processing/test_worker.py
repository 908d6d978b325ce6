"""What a worker makes of records: added columns, and the source of an invalid value."""

from dataclasses import dataclass

import pytest
from support.pictures import saved, scene

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import TransformError
from wdsremux.core.records import Piece, Record, Task
from wdsremux.processing.job import WorkerJob
from wdsremux.processing.worker import Worker
from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.codecs.stored import StoredOther
from wdsremux.transforms.function.spec import function_from_callable


@dataclass(frozen=True)
class RecordsUnit:
    records: tuple
    first: int = 0
    size_bytes: int = 1000
    name: str = "unit"

    @property
    def rows(self):
        return len(self.records)

    def read(self, start, stop):
        yield from self.records[start:stop]


def batch_of(function, labels=(0, 1), mode="batch", added=("mean",), label="int64", **records):
    """Run a function on one batch; without `added`, all that it adds is to be packed."""
    given = {"image": saved(scene(8, 8), "PNG"), **records}
    unit = RecordsUnit(tuple(Record(n, fields={"label": v}, **given) for n, v in enumerate(labels)))
    columns = Columns(
        "image",
        Column("label", label),
        (),
        None,
        tuple(Column(n, "float64") for n in added),
        required=added,
        infers=not added,
    )
    spec = None if function is None else function_from_callable(function)
    worker = Worker(WorkerJob(columns, Codec(), function=spec, mode=mode))
    (batch,) = worker(Task((Piece(unit, 0, unit.rows),)))
    return batch


def test_columns_that_are_named_and_returned_are_packed():
    batch = batch_of(lambda rows: rows | {"mean": [0.5, None]})
    assert b'"mean":0.5' in batch.packed[0].payload
    assert b'"mean":null' in batch.packed[0].payload
    assert batch.remarks == ()


def test_a_named_column_that_never_comes_is_an_error_with_what_came():
    with pytest.raises(TransformError, match=r"return column 'meen' .* \(it adds: 'mean'"):
        batch_of(lambda rows: rows | {"mean": [1, 2]}, added=("meen",))
    with pytest.raises(TransformError, match=r"'mean'.* for row 0 \(it adds: none\)"):
        batch_of(lambda row: row, mode="sample")


def test_columns_that_come_too_late_are_reported_with_their_first_row_and_their_rows():
    returned = {"b": [1, 2], "a": [None, 2], "raw": [b"", b""], "key": [1, 2]}
    batch = batch_of(lambda rows: rows | returned, added=())
    found = [(each.text[:11], each.first, each.count) for each in batch.remarks]
    assert sorted(found) == [("column 'a' ", 1, 1), ("column 'b' ", 0, 2)]


def test_columns_beside_those_that_are_named_are_left_out_without_a_report():
    assert batch_of(lambda rows: rows | {"mean": [1, 2], "b": [1, 2]}).remarks == ()


def reasons(batch):
    return [item.reason for item in batch.rejected]


def test_a_rejected_record_names_its_location():
    found = reasons(batch_of(None, added=(), image=b"no image", location="'a/1.jpg'"))
    assert len(found) == 2
    assert all(reason.endswith(" (in 'a/1.jpg')") for reason in found)
    found = reasons(batch_of(lambda _: 1 // 0, mode="image", added=(), location="'b'"))
    assert all("ZeroDivisionError" in r and r.endswith(" (in 'b')") for r in found)


def test_a_reason_that_names_the_file_or_is_the_users_own_is_kept():
    problem = "the file 'a/1.jpg' is not there"
    assert reasons(batch_of(None, added=(), problem=problem, location="'a/1.jpg'")) == [problem] * 2
    left_out = batch_of(lambda _: None, mode="image", added=(), location="'a/1.jpg'")
    assert reasons(left_out) == ["left out by the function"] * 2


@pytest.mark.parametrize("mode", ["batch", "sample"])
def test_an_invalid_value_of_the_function_is_attributed_to_it(mode):
    def spoil(given):
        return given | {"label": ["cat", "cat"] if mode == "batch" else "cat"}

    batch = batch_of(spoil, mode=mode, added=())
    assert [item.stage for item in batch.rejected] == ["transform"] * 2
    assert "column 'label': expected a whole number, got str 'cat'" in batch.rejected[0].reason


def test_an_invalid_added_column_is_attributed_to_the_function():
    batch = batch_of(lambda rows: rows | {"mean": ["low", 0.5]})
    assert [(item.position, item.stage) for item in batch.rejected] == [(0, "transform")]


@pytest.mark.parametrize("function", [None, lambda rows: rows])
def test_an_invalid_source_value_is_not_attributed_to_the_function(function):
    batch = batch_of(function, labels=(0, "cat"), added=())
    assert [(item.position, item.stage) for item in batch.rejected] == [(1, "read")]


def test_any_exception_of_a_library_rejects_only_its_record(monkeypatch):
    def decode(stored, _divisor):
        raise MemoryError

    monkeypatch.setattr(StoredOther, "decode", decode)
    found = batch_of(None, added=()).rejected
    assert [(item.position, item.stage) for item in found] == [(0, "decode"), (1, "decode")]
    assert all(item.reason.startswith("MemoryError") for item in found)
