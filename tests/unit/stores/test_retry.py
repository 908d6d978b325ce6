"""Outages are retried for a bounded time; nothing else is retried."""

import pytest
from support.memory_store import MemoryStore
from support.store_conformance import StoreConformance, publish

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.stores.base import Proof, Sums
from wdsremux.stores.folder.store import FolderStore
from wdsremux.stores.patience import MAX_ASKED_WAIT_S, MAX_WAIT_S
from wdsremux.stores.retry import HighWaterMark, RetryingStore

SUMS = Sums(4, "0" * 64)


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self):
        self.waits = []

    def __call__(self):
        return sum(self.waits)

    def sleep(self, seconds):
        self.waits.append(seconds)


class Flaky(MemoryStore):
    """Cannot be reached the first `away` times; None: never. Each `put` gets so far before."""

    url = "mem://flaky"

    def __init__(self, away, reaches=()):
        super().__init__()
        self.away, self.reaches, self.calls = away, list(reaches), 0

    def strike(self):
        self.calls += 1
        if self.away is None or self.calls <= self.away:
            raise UnreachableStoreError("cannot reach 'mem://flaky': it broke")

    def put(self, _name, _path, _sums, on_bytes):
        on_bytes(self.reaches.pop(0) if self.reaches else 0)
        self.strike()
        return Proof("etag")

    def prove(self, *_):
        self.strike()
        return Proof("checksum")

    def list(self, prefix=""):
        self.strike()
        yield from super().list(prefix)

    def open(self, name):
        self.strike()
        return super().open(name)


def patient(away, give_up_after_s=60, **more):
    clock = Clock()
    target = Flaky(away, **more)
    return RetryingStore(target, give_up_after_s, clock=clock, sleep=clock.sleep), clock, target


class TestRetryingStore(StoreConformance):
    @pytest.fixture
    def target(self, tmp_path):
        return RetryingStore(FolderStore(tmp_path / "out"), 600)

    def test_it_batches_files_only_if_its_store_does(self, target):
        assert target.files_per_call == 1


def test_an_unreachable_store_is_retried_with_growing_waits():
    target, clock, flaky = patient(away=5)
    assert target.prove("a.tar", SUMS).level == "checksum"
    assert flaky.calls == 6
    assert all(
        2 * one >= other > one / 4 for one, other in zip(clock.waits[1:], clock.waits, strict=False)
    )
    assert clock.waits[-1] > clock.waits[0]


def test_it_gives_up_after_the_retry_period_and_names_the_cause():
    target, clock, _ = patient(away=None, give_up_after_s=300)
    with pytest.raises(
        StoreError, match=r"it broke; gave up on 'mem://flaky' after 300 s"
    ) as caught:
        list(target.list())
    assert not isinstance(caught.value, UnreachableStoreError)
    assert clock() == pytest.approx(300)
    assert max(clock.waits) <= MAX_WAIT_S


def limited(asks):
    """Return a call that a server refuses so often, each time with the pause that it asks for."""
    asks = list(asks)

    def call():
        if asks:
            raise UnreachableStoreError("the Hub asks to slow down", retry_after_s=asks.pop(0))

    return call


def test_a_pause_requested_by_the_server_is_respected_and_not_counted():
    notes = []
    clock = Clock()
    target = RetryingStore(Flaky(0), 10, notify=notes.append, clock=clock, sleep=clock.sleep)
    target.tried(limited([2580]))
    assert clock.waits == [2580]
    assert notes == ["the Hub asks to slow down; trying again in 2580 s, as it asks"]


def test_endless_requested_pauses_end_in_an_error():
    target, clock, _ = patient(0, give_up_after_s=10)
    with pytest.raises(StoreError, match=r"after 10 s without success"):
        target.tried(limited([1000] * 1000))
    assert clock() == pytest.approx(MAX_ASKED_WAIT_S + 10)


def test_a_staged_file_is_put_again_too():
    target, _, flaky = patient(away=3)
    staged = target.stage("index.json")
    staged.write(b"{}")
    staged.commit()
    assert flaky.calls == 4


def test_a_minute_of_outage_is_survived():
    target, clock, flaky = patient(away=None, give_up_after_s=600)
    flaky.strike = lambda: Flaky.strike(flaky) if clock() < 60 else None
    assert target.put("a.tar", None, SUMS).level == "etag"


def test_transferred_bytes_restart_the_clock():
    target, clock, _ = patient(away=200, give_up_after_s=10, reaches=range(1, 202))
    assert target.put("a.tar", None, SUMS).level == "etag"
    assert clock() > 10


def test_a_call_that_fails_after_long_work_is_retried():
    target, clock, flaky = patient(away=3, give_up_after_s=600)

    def work():
        clock.waits.append(700)
        flaky.strike()

    with pytest.raises(StoreError, match=r"gave up on 'mem://flaky' after 70\d s"):
        target.tried(work)
    assert flaky.calls == 2


def test_repeated_bytes_are_not_progress():
    target, _, _ = patient(away=None, give_up_after_s=10, reaches=[4] * 1000)
    with pytest.raises(StoreError, match="gave up"):
        target.put("a.tar", None, SUMS)


def test_bytes_are_reported_once_even_if_resent():
    reported = []
    target, _, _ = patient(away=3, reaches=[2, 1, 3, 4])
    target.put("a.tar", None, SUMS, reported.append)
    assert reported == [2, 0, 1, 1]


def test_a_file_that_is_not_there_is_not_waited_for():
    target, clock, _ = patient(away=0)
    with pytest.raises(FileNotFoundError):
        target.open("a.tar")
    assert clock.waits == []


def test_a_permanent_error_is_not_retried():
    target, clock, flaky = patient(away=0)
    flaky.strike = lambda: (_ for _ in ()).throw(StoreError("no permission"))
    with pytest.raises(StoreError, match="no permission"):
        target.prove("a.tar", SUMS)
    assert clock.waits == []


def test_an_exception_of_sleep_ends_the_wait():
    def stop(_seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RetryingStore(Flaky(None), 600, sleep=stop).prove("a.tar", SUMS)


def test_acquiring_a_lock_is_retried_while_the_store_is_unreachable():
    target, _, flaky = patient(away=0)
    publish(flaky, "a.tar")
    with target.lock(), pytest.raises(StoreError, match="being written by"), target.lock():
        pass


def test_reports_of_zero_bytes_are_passed_on():
    reported = []
    HighWaterMark(reported.append, lambda: None)(0)
    assert reported == [0]
