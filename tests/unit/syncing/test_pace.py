"""How fast a sync goes, and how it ends."""

import threading

import pytest

from wdsremux.core.events import Note
from wdsremux.syncing.threads import (
    SAME_NOTE_AFTER_S,
    Notifier,
    Stop,
    StoppedError,
    Throttle,
    in_threads,
)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_the_rate_limit_bounds_the_bytes_per_second():
    clock = Clock()
    throttle = Throttle(1000, clock.sleep, clock)
    for _ in range(50):
        throttle.passed(100)
    assert clock.now == pytest.approx(5)


def test_unused_rate_is_not_accumulated():
    clock = Clock()
    throttle = Throttle(1000, clock.sleep, clock)
    clock.now = 100
    throttle.passed(1000)
    assert clock.now == pytest.approx(101)


def test_several_jobs_share_the_rate_limit():
    clock = Clock()
    waits = []
    throttle = Throttle(1000, waits.append, clock)
    for _ in range(4):  # four that come in the same moment
        throttle.passed(500)
    assert waits == pytest.approx([0.5, 1.0, 1.5, 2.0])


def test_without_a_bound_nothing_waits():
    Throttle(None, pytest.fail).passed(10**12)
    Throttle(1, pytest.fail).passed(0)


def test_every_item_is_done():
    done, lock = [], threading.Lock()

    def do(item):
        with lock:
            done.append(item)

    in_threads(3, do, range(20), Stop())
    assert sorted(done) == list(range(20))


def test_the_first_error_stops_all_jobs_and_is_raised():
    stop, begun, waits = Stop(), [], threading.Barrier(2)

    def do(item):
        begun.append(item)
        if item < 2:
            waits.wait(10)
        if item == 0:
            raise ValueError("broke")
        stop.sleep(60)

    with pytest.raises(ValueError, match="broke"):
        in_threads(2, do, range(50), stop)
    assert len(begun) < 50


def test_sleeping_jobs_wake_up_at_the_end():
    stop = Stop()
    threading.Timer(0.05, stop.now).start()
    with pytest.raises(StoppedError):
        stop.sleep(60)
    with pytest.raises(StoppedError):
        stop.check()


def test_the_same_outage_of_many_jobs_is_reported_once_per_interval():
    clock, reported = Clock(), []
    notifier = Notifier(reported.append, clock)
    for text in ("one", "other"):
        notifier.note(text)
    clock.now = SAME_NOTE_AFTER_S + 1
    notifier.note("still")
    assert reported == [Note("one"), Note("still")]
