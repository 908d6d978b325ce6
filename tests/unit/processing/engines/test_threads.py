"""The time limit of a row in a thread, where no supervisor watches."""

import threading
from dataclasses import dataclass
from itertools import islice

import pytest

from wdsremux.core.errors import TransformError
from wdsremux.core.heartbeat import at_row
from wdsremux.processing.engines.threads import ThreadEngine


@dataclass
class Result:
    size_bytes: int = 1


def stalls_at(row, release, *, is_marked=True):
    def work(item):
        at_row(item if is_marked else None)
        if item == row:
            release.wait(30)
        at_row(None)
        yield Result()

    return lambda: work


def test_a_row_that_exceeds_its_limit_ends_the_run_and_is_named():
    release = threading.Event()
    results = ThreadEngine(2, row_timeout_s=0.2).map(stalls_at(5, release), range(9))
    assert len([*islice(results, 5)]) == 5
    with pytest.raises(
        TransformError, match=r"row 5 exceeds --record-timeout \(0.2 s\).*--engine processes"
    ):
        next(results)
    release.set()


def test_time_without_a_row_has_no_limit():
    release = threading.Event()
    timer = threading.Timer(1.0, release.set)
    timer.start()
    work = stalls_at(5, release, is_marked=False)
    assert len([*ThreadEngine(2, row_timeout_s=0.2).map(work, range(9))]) == 9
    timer.join()
