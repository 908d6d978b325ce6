"""When threads are overdue: seen through shared memory, and not after a pause of the process."""

import os
import time

import pytest

from wdsremux.core import deadlines
from wdsremux.core.deadlines import SLOTS, Deadlines, Uptime, new_handle


def test_another_process_sees_which_thread_is_overdue():
    handle = new_handle()
    ours, theirs = Deadlines(handle), Deadlines(handle)
    os.close(handle)
    theirs.set(0, 50.0, 9.0)
    theirs.set(3, 20.0, 7.0)
    assert ours.overdue(19.0) is None
    assert ours.overdue(21.0) == (3, 7.0)
    theirs.clear(3)
    assert ours.overdue(21.0) is None
    ours.clear_all()
    assert ours.overdue(51.0) is None


def test_more_threads_than_slots_share_the_last():
    some = Deadlines()
    some.set(SLOTS + 5, 1.0, 1.0)
    assert some.overdue(2.0) == (SLOTS - 1, 1.0)


@pytest.mark.parametrize(("pause_s", "is_one"), [(0.5, False), (60.0, True)])
def test_a_pause_of_the_process_is_not_counted(monkeypatch, pause_s, is_one):
    moments = iter([0.0, 0.5, 0.5 + pause_s, 1.0 + pause_s])
    monkeypatch.setattr(deadlines, "time", Clock(moments))
    uptime = Uptime()
    for _ in range(2):
        uptime.seconds()
    assert (uptime.seconds() == 0.5) is is_one


class Clock:
    """A clock that shows the moments it is given."""

    def __init__(self, moments):
        self.moments = moments

    def monotonic(self):
        return next(self.moments)


def test_the_clock_is_the_one_of_the_system():
    before = time.monotonic()
    assert Uptime().seconds() > before
