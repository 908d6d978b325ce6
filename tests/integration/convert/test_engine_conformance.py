"""What every engine must hold; each implementation inherits the whole class.

A result is a Batch whose `first` names the item and whose `rows` counts the results of the item. The work is made of
closures that import what they need, as it travels to worker processes.
"""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from wdsremux.processing.engines.base import Engine
from wdsremux.processing.engines.processes import ProcessEngine
from wdsremux.processing.engines.serial import SerialEngine
from wdsremux.processing.engines.threads import ThreadEngine

pytestmark = pytest.mark.integration

WORKERS = 3


def counting(results, size_bytes=0):
    """Return a `make_work` that returns `results(item)` batches for an item."""

    def make_work():
        from wdsremux.core.records import Batch, PackedSamples

        packs = (PackedSamples(bytes(size_bytes), [], [], [], [], []),)

        def work(item):
            for number in range(results(item)):
                yield Batch(item, number, packs)

        return work

    return make_work


def failing(bad_item):
    def make_work():
        from wdsremux.core.records import Batch

        def work(item):
            yield Batch(item, 0, ())
            if item == bad_item:
                raise ValueError(f"item {item} is bad")
            yield Batch(item, 1, ())

        return work

    return make_work


def endless():
    def make_work():
        from wdsremux.core.records import Batch

        def work(item):
            number = 0
            while True:
                yield Batch(item, number, ())
                number += 1

        return work

    return make_work


def waiting_for(folder):
    """Item 0 ends after item 2 has begun: results are finished out of order."""

    def make_work():
        import time

        from wdsremux.core.records import Batch

        def work(item):
            (folder / str(item)).touch()
            while item == 0 and not (folder / "2").exists():
                time.sleep(0.005)
            yield Batch(item, 0, ())

        return work

    return make_work


def seen(batches):
    return [(batch.first, batch.rows) for batch in batches]


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


class Tape:
    """An iterable that counts what is taken from it, and by whom."""

    def __init__(self, length, fails_at=None):
        self.length = length
        self.fails_at = fails_at
        self.taken = 0
        self.threads = set()

    def __iter__(self) -> Iterator[int]:
        for item in range(self.length):
            if item == self.fails_at:
                raise OSError("the source is gone")
            self.taken += 1
            self.threads.add(threading.get_ident())
            yield item


class EngineConformance:
    """What an engine must hold."""

    def engine(self, **options) -> Engine:
        raise NotImplementedError

    def test_results_come_in_the_order_of_the_items(self):
        batches = self.engine().map(counting(lambda _: 1), range(50))
        assert seen(batches) == [(item, 0) for item in range(50)]

    def test_results_of_an_item_come_in_the_order_of_the_work(self):
        batches = self.engine().map(counting(lambda item: item % 4), range(20))
        assert seen(batches) == [(item, n) for item in range(20) for n in range(item % 4)]

    def test_no_item_gives_no_result(self):
        assert list(self.engine().map(counting(lambda _: 1), [])) == []

    def test_one_item_is_enough(self):
        assert seen(self.engine().map(counting(lambda _: 2), [7])) == [(7, 0), (7, 1)]

    def test_an_item_may_be_none(self):
        assert seen(self.engine().map(counting(lambda _: 1), [None])) == [(None, 0)]

    def test_an_item_may_have_many_results(self):
        batches = self.engine().map(counting(lambda _: 500), range(3))
        assert seen(batches) == [(item, n) for item in range(3) for n in range(500)]

    def test_items_are_taken_lazily_and_in_the_caller_s_thread(self):
        tape = Tape(1000)
        with contextlib.closing(self.engine().map(counting(lambda _: 1), tape)) as batches:
            assert tape.taken == 0
            take(batches, 1)
            assert tape.taken <= 2 * WORKERS + 2
            take(batches, 10)
            assert tape.taken <= 10 + 2 * WORKERS + 2
        assert tape.threads == {threading.get_ident()}

    def test_a_tiny_byte_bound_slows_the_queue_but_never_stops_it(self):
        batches = self.engine(max_buffer_bytes=1).map(counting(lambda _: 5, 1000), range(12))
        assert seen(batches) == [(item, n) for item in range(12) for n in range(5)]

    def test_payloads_arrive_complete(self):
        batches = list(self.engine().map(counting(lambda _: 2, 3_000_000), range(4)))
        assert {batch.size_bytes for batch in batches} == {3_000_000}
        assert not any(bytes(batch.packed[0].payload).strip(b"\0") for batch in batches)

    def test_an_exception_of_the_work_is_raised_at_the_position_of_its_item(self):
        batches = self.engine().map(failing(bad_item=3), range(10))
        expected = [(item, n) for item in range(3) for n in range(2)]
        assert seen(take(batches, 7)) == [*expected, (3, 0)]
        with pytest.raises(ValueError, match="item 3 is bad"):
            next(batches)
        assert list(batches) == []

    def test_an_exception_of_the_source_comes_after_the_items_before_it(self):
        batches = self.engine().map(counting(lambda _: 2), Tape(10, fails_at=4))
        assert seen(take(batches, 8)) == [(item, n) for item in range(4) for n in range(2)]
        with pytest.raises(OSError, match="the source is gone"):
            next(batches)

    def test_an_exception_while_the_work_is_built_reaches_the_caller(self):
        def make_work():
            raise LookupError("no such function")

        with pytest.raises(LookupError, match="no such function"):
            list(self.engine().map(make_work, range(5)))

    def test_the_work_is_not_built_before_a_result_is_requested(self, tmp_path):
        def make_work():
            tmp_path.joinpath("built").touch()
            return lambda _: iter(())

        batches = self.engine().map(make_work, [1])
        assert not (tmp_path / "built").exists()
        assert list(batches) == []
        assert (tmp_path / "built").exists()

    def test_closing_early_ends_endless_work_and_leaves_nothing_behind(self):
        batches = self.engine().map(endless(), range(100))
        assert seen(take(batches, 3)) == [(0, 0), (0, 1), (0, 2)]
        batches.close()
        assert list(batches) == []

    def test_an_interrupt_of_the_caller_stops_everything(self):
        def interrupted():
            for batch in self.engine().map(endless(), range(100)):
                if batch.rows == 2:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()

    def test_an_engine_serves_one_map_after_another(self):
        engine = self.engine()
        first = seen(engine.map(counting(lambda _: 1), range(5)))
        assert seen(engine.map(counting(lambda _: 1), range(5))) == first

    @pytest.fixture(autouse=True)
    def _nothing_is_left_behind(self):
        before = psutil.Process().children(recursive=True)
        yield
        left = [child for child in psutil.Process().children(recursive=True) if child not in before]
        assert left == []
        names = [thread.name for thread in threading.enumerate()]
        assert not [name for name in names if name.startswith("wdsremux")]


class ParallelConformance(EngineConformance):
    """What an engine with workers must hold beside."""

    def test_results_that_finish_early_wait_for_their_turn(self, tmp_path: Path):
        batches = self.engine().map(waiting_for(tmp_path), range(6))
        assert seen(batches) == [(item, 0) for item in range(6)]


class TestSerialEngine(EngineConformance):
    def engine(self, max_buffer_bytes=0):  # noqa: ARG002 (nothing is buffered)
        return SerialEngine()


class TestThreadEngine(ParallelConformance):
    def engine(self, **options):
        return ThreadEngine(WORKERS, **options)


class TestProcessEngine(ParallelConformance):
    def engine(self, **options):
        return ProcessEngine(WORKERS, **options)
