from types import SimpleNamespace

import pytest

from wdsremux.core.errors import SourceError
from wdsremux.core.heartbeat import listen
from wdsremux.stores import patience
from wdsremux.stores.patience import Patience, TemporaryError


@pytest.fixture
def clock(monkeypatch):
    """Let sleeping pass at once; return the list of waits, whose sum is the time."""
    waits = []
    fake = SimpleNamespace(monotonic=lambda: sum(waits), sleep=waits.append)
    monkeypatch.setattr(patience, "time", fake)
    return waits


def fail_until_it_gives_up(patient):
    while True:
        patient.wait(TemporaryError("broke"))


def test_waits_grow_and_end_when_patience_does(clock):
    patient = Patience("u/set a.parquet", 60, last_success=0)
    with pytest.raises(SourceError, match=r"cannot read u/set a\.parquet: broke; tried for 60 s"):
        fail_until_it_gives_up(patient)
    assert sum(clock) == pytest.approx(60)
    assert clock[0] <= 0.1
    assert 1 < max(clock) <= patience.MAX_WAIT_S


def test_a_success_starts_the_clock_anew(clock):
    patient = Patience("it", 10, last_success=0)
    for _ in range(50):
        patient.wait(TemporaryError("broke"))
        patient.succeeded()
    assert max(clock) <= 0.1


def test_some_bytes_count_as_a_success(clock):
    patient = Patience("it", 1, last_success=0)
    for _ in range(50):
        patient.wait(TemporaryError("cut", has_progress=True))
    assert sum(clock) > 1


def test_a_pause_that_the_server_asks_for_is_kept_within_bounds(clock):
    patient = Patience("it", 300, last_success=0)
    patient.wait(TemporaryError("the Hub answers 429", retry_after_s=7))
    patient.wait(TemporaryError("the Hub answers 429", retry_after_s=10**6))
    assert clock == [7, patience.MAX_ASKED_WAIT_S]


def test_no_wait_outlasts_the_patience(clock):
    Patience("it", 5, last_success=0).wait(TemporaryError("the Hub answers 429", retry_after_s=50))
    assert clock == [5]


def test_a_wait_is_told_to_the_engine_and_not_taken_for_a_hang(monkeypatch):
    told = []
    fake = SimpleNamespace(monotonic=lambda: 0, sleep=lambda wait_s: told.append(("sleep", wait_s)))
    monkeypatch.setattr(patience, "time", fake)
    listen(lambda within_s: told.append(("heartbeat", within_s)))
    try:
        Patience("it", 300, last_success=0).wait(TemporaryError("busy", retry_after_s=50))
    finally:
        listen(None)
    assert told == [("heartbeat", 80), ("sleep", 50), ("heartbeat", None)]
