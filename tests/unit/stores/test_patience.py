"""Waits grow, start again after a success, and end with the patience."""

from types import SimpleNamespace

import pytest
from support.running import wait_until

from wdsremux.core.errors import SourceError
from wdsremux.core.heartbeat import listen, receiving
from wdsremux.stores import patience
from wdsremux.stores.patience import Patience, ReadingPatience, TemporaryError


@pytest.fixture
def clock(monkeypatch):
    """Let sleeping pass at once; return the list of waits, whose sum is the time."""
    waits = []
    fake = SimpleNamespace(monotonic=lambda: sum(waits), sleep=waits.append)
    monkeypatch.setattr(patience, "time", fake)
    monkeypatch.setattr(patience, "heartbeat", lambda _within_s=None: None)
    return waits


def fail_until_it_gives_up(patient):
    while True:
        patient.wait(TemporaryError("broke"))


def test_waits_grow_and_end_with_the_retry_period(clock):
    patient = ReadingPatience("u/set a.parquet", 60)
    with pytest.raises(SourceError, match=r"cannot read u/set a\.parquet: broke; tried for 60 s"):
        fail_until_it_gives_up(patient)
    assert sum(clock) == pytest.approx(60)
    assert clock[0] <= 0.1
    assert 1 < max(clock) <= patience.MAX_WAIT_S


def test_a_success_restarts_the_clock(clock):
    patient = ReadingPatience("it", 10)
    for _ in range(50):
        patient.wait(TemporaryError("broke"))
        patient.succeeded()
    assert max(clock) <= 0.1


def test_time_without_an_attempt_does_not_count_as_failing(clock):
    patient = ReadingPatience("it", 10)
    patient.succeeded()
    clock.append(600)
    patient.wait(TemporaryError("broke"))
    assert clock[-1] <= 0.1


def test_transferred_bytes_count_as_a_success(clock):
    patient = ReadingPatience("it", 1)
    for _ in range(50):
        patient.wait(TemporaryError("cut", has_progress=True))
    assert sum(clock) > 1


def test_a_pause_requested_by_the_hub_is_respected_and_not_counted(clock, caplog):
    patient = ReadingPatience("u/set a.parquet", 5)
    patient.wait(TemporaryError("the Hub answers 429", retry_after_s=2580))
    assert clock == [2580]
    assert caplog.messages == [
        "cannot read u/set a.parquet: the Hub answers 429; trying again in 2580 s, as it asks"
    ]
    patient.wait(TemporaryError("the Hub answers 429", retry_after_s=10**6))
    assert sum(clock) == patience.MAX_ASKED_WAIT_S


def test_an_outage_is_reported_once_and_a_short_failure_is_not(clock, caplog):
    patient = ReadingPatience("u/set a.parquet", 120)
    patient.wait(TemporaryError("broke"))
    patient.succeeded()
    assert caplog.messages == []
    with pytest.raises(SourceError):
        fail_until_it_gives_up(patient)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("cannot read u/set a.parquet: broke; trying again for 1")


def test_a_wait_is_announced_to_the_engine_and_not_taken_for_a_hang(monkeypatch):
    seen = []
    fake = SimpleNamespace(monotonic=lambda: 0, sleep=lambda wait_s: seen.append(("sleep", wait_s)))
    monkeypatch.setattr(patience, "time", fake)
    listen(lambda within_s: seen.append(("heartbeat", within_s)))
    try:
        ReadingPatience("it", 300).wait(TemporaryError("busy", retry_after_s=50))
    finally:
        listen(None)
    assert seen == [("heartbeat", 80), ("sleep", 50), ("heartbeat", None)]


def test_an_outage_goes_to_the_run_where_one_listens(clock, caplog):
    seen = []
    with receiving(seen.append), pytest.raises(SourceError):
        fail_until_it_gives_up(ReadingPatience("u/set a.parquet", 120))
    (waiting,) = seen
    assert (waiting.what, waiting.limit_s) == ("u/set a.parquet", 120)
    assert waiting.reason.startswith("cannot read u/set a.parquet: broke; trying again for 1")
    assert caplog.messages == []


def test_a_call_that_does_not_end_is_reported(monkeypatch, caplog):
    monkeypatch.setattr(patience, "SHOWN_AFTER_S", 0.0)
    watched = Patience("s3://bucket", 120, notify=None)
    with watched.watched():
        wait_until(lambda: caplog.messages, "a warning")
    assert caplog.messages == ["s3://bucket does not answer; still waiting"]
    assert caplog.records[0].waiting.what == "s3://bucket"
