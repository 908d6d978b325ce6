"""When a run may not fit into memory: said before it begins, with what lowers it, else nothing."""

from dataclasses import dataclass

import pytest
from support.pictures import photo, saved
from support.units import MemoryUnit

from wdsremux.converting.memory_space import MemoryWatch
from wdsremux.core.columns import Columns
from wdsremux.core.records import Piece, Record, Task
from wdsremux.processing.job import WorkerJob
from wdsremux.sources.parquet.rows import RowGroup
from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.function.spec import function_from_callable

GB = 10**9
COLUMNS = Columns("image", None, (), None, ())


@dataclass(frozen=True, slots=True)
class HeldUnit(MemoryUnit):
    held_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PhotoUnit(MemoryUnit):
    width: int = 100

    def read(self, start, stop):
        for row in range(start, stop):
            image = saved(photo("coffee").resize((self.width, 100)), "JPEG")
            yield Record(self.first + row, image, {})


def job_of(**given):
    return WorkerJob(COLUMNS, Codec(), **given)


def task_of(unit):
    return Task((Piece(unit, 0, unit.rows),))


def warned(unit, workers, usable, *, has_processes=True, **job):
    watch = MemoryWatch(job_of(**job), workers, has_processes=has_processes, usable_bytes=usable)
    text = watch.warning(task_of(unit))
    assert watch.warning(task_of(unit)) is None, "it is said once"
    return text


ROW_GROUP = HeldUnit(0, 1000, 250_000_000, held_bytes=500_000_000)


def test_row_groups_in_many_workers_are_announced_with_the_workers_that_fit():
    text = warned(ROW_GROUP, 50, 8 * GB, steps=("resize=16",))
    assert text == (
        "memory may run out: 50 workers will take about 30.6 GB (row groups of 500.0 MB in each), "
        "and this machine or container has 8.0 GB; run with --workers 12"
    )
    assert warned(ROW_GROUP, 12, 8 * GB, steps=("resize=16",)) is None


def test_a_later_larger_unit_is_announced():
    watch = MemoryWatch(job_of(), 2, has_processes=False, usable_bytes=GB)
    assert watch.warning(task_of(HeldUnit(0, 10, 1000, held_bytes=1000))) is None
    later = watch.warning(task_of(HeldUnit(10, 10, 1000, held_bytes=GB)))
    assert "run with --workers 1, which takes about 1.1 GB" in later


def double(batch):
    return batch


@pytest.mark.parametrize(
    ("batch_memory", "expected"), [(256_000_000, None), (None, "a lower --batch-memory")]
)
def test_the_batches_of_a_function_are_announced_if_nothing_bounds_them(batch_memory, expected):
    # Thumbnails: 100,000 of 100 x 100 pixels are 3 GB decoded, times 2 copies.
    unit = PhotoUnit(0, 100_000, 100_000 * 5000)
    text = warned(
        unit, 1, 2 * GB,
        function=function_from_callable(double), batch_size=100_000, batch_memory=batch_memory,
        copies=2,
    )  # fmt: skip
    assert text is None if expected is None else expected in text


def test_large_images_are_announced_by_their_pixels_not_by_their_bytes():
    # Both have 30 MB a row; a header is read only where the bytes are suspicious.
    large, small = (PhotoUnit(0, 2, 60_000_000, width=width) for width in (60_000, 50))
    words = {"copies": 16, "reencode": True}
    assert "--workers" in warned(large, 8, 2 * GB, **words)
    assert warned(small, 8, 2 * GB, **words) is None


def test_nothing_is_said_where_the_memory_is_not_known_or_is_enough():
    assert warned(ROW_GROUP, 50, None) is None
    assert warned(MemoryUnit(0, 9), 2, GB) is None


def test_a_row_group_holds_its_pages_not_all_of_it():
    small, large = (RowGroup(0, rows, rows * 1000, "image", (), None) for rows in (9, 9000))
    assert small.held_bytes == 2 * 9 * 1000
    assert large.held_bytes == 2 * 1024 * 1000
