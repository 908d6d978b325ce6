"""When threads are overdue: seen through shared memory, and not after a pause of the process."""

import subprocess
import sys
import time

import pytest

from wdsremux.core import deadlines
from wdsremux.core.deadlines import SLOTS, Deadlines, Uptime

# In a process of its own: one that has threads, as this one may, must not fork.
TWO_PROCESSES = """
import os
from wdsremux.core.deadlines import Deadlines
deadlines = Deadlines()
if child := os.fork():
    os.waitpid(child, 0)
    print(deadlines.overdue(19.0), deadlines.overdue(21.0))
else:
    deadlines.set(0, 50.0, 9.0)
    deadlines.set(3, 20.0, 7.0)
    os._exit(0)
"""


def test_a_process_sees_which_thread_of_its_fork_is_overdue():
    command = [sys.executable, "-c", TWO_PROCESSES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "None (3, 7.0)\n"


def test_moments_are_cleared_one_by_one_and_all_at_once():
    some = Deadlines()
    some.set(0, 50.0, 9.0)
    some.set(3, 20.0, 7.0)
    some.clear(3)
    assert some.overdue(21.0) is None
    assert some.overdue(51.0) == (0, 9.0)
    some.clear_all()
    assert some.overdue(51.0) is None


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
