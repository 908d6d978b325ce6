"""The uploader: one ordered line of files, patient with outages, final with all else."""

import hashlib
import threading
from types import SimpleNamespace

import pytest
from support.remote_store import MemoryRemote

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.stores import patience
from wdsremux.stores.base import OutgoingFile, Sums
from wdsremux.stores.staging import uploader as uploading
from wdsremux.stores.staging.uploader import Uploader

PATIENCE_S = 30.0
"""Long enough for the slowest machine."""


class Case:
    """An uploader to a remote in memory, and files to send."""

    def __init__(self, folder):
        self.folder = folder
        self.remote = MemoryRemote()
        self.reported = []
        self.sent = []
        self.uploader = self.new_uploader(PATIENCE_S)

    def new_uploader(self, give_up_after_s):
        return Uploader(
            self.remote,
            give_up_after_s=give_up_after_s,
            notify=self.reported.append,
            on_sent=lambda parcel, _proof: self.sent.append(parcel.name),
        )

    def add(self, name, content=b"content"):
        path = self.folder / name
        path.write_bytes(content)
        sums = Sums(len(content), hashlib.sha256(content).hexdigest())
        self.uploader.add(OutgoingFile(name, path, sums))


@pytest.fixture
def case(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.001)
    found = Case(tmp_path)
    yield found
    found.uploader.stop()


def test_files_are_published_in_order(case):
    names = [f"{letter}.tar" for letter in "cabed"]
    for name in names:
        case.add(name)
    case.uploader.flush()
    assert case.remote.published == case.sent == names
    assert (case.uploader.files, case.uploader.queued_bytes) == (0, 0)


def test_adding_waits_for_nothing(case):
    gate = threading.Event()
    case.remote.before_put = lambda _name, _path: gate.wait(PATIENCE_S)
    case.add("a.tar", b"12")
    case.add("b.tar", b"345")
    assert (case.uploader.files, case.uploader.queued_bytes) == (2, 5)
    assert case.uploader.holds("b.tar")
    assert case.remote.published == []
    gate.set()
    case.uploader.flush()
    assert not case.uploader.holds("b.tar")


def test_an_empty_queue_does_not_wait(case):
    case.uploader.flush()


def test_an_outage_is_survived_and_reported_at_start_and_end(case):
    failures = iter(range(5))

    def fail_five_times(_name, _path):
        if next(failures, None) is not None:
            raise UnreachableStoreError("cannot reach mem://bucket: refused; do it again")

    case.remote.before_put = fail_five_times
    case.add("a.tar")
    case.add("b.tar")
    case.uploader.flush()
    assert case.remote.published == ["a.tar", "b.tar"]
    assert case.reported == [
        "cannot reach mem://bucket: refused; the conversion continues, and the upload is tried again",
        "mem://bucket/prefix can be reached again",
    ]


def test_a_waiting_writer_gives_up_after_the_retry_period(case):
    def fail(_name, _path):
        raise UnreachableStoreError("cannot reach mem://bucket: refused; do it again")

    case.remote.before_put = fail
    case.uploader = case.new_uploader(0.05)
    case.add("a.tar")
    with pytest.raises(UnreachableStoreError, match=r"refused; gave up after 0\.05 s"):
        case.uploader.flush()
    # It is not waited for once more.
    with pytest.raises(UnreachableStoreError, match="gave up"):
        case.uploader.flush()


def test_a_pause_requested_by_the_server_is_waited_for(case):
    failures = iter([UnreachableStoreError("the Hub asks to slow down", retry_after_s=0.3)])

    def fail_once(_name, _path):
        for failure in failures:
            raise failure

    case.remote.before_put = fail_once
    case.uploader = case.new_uploader(0.05)
    case.add("a.tar")
    case.uploader.flush()
    assert case.remote.published == ["a.tar"]


def test_without_a_waiting_writer_uploads_are_retried_forever(case):
    tries = threading.Semaphore(0)
    is_back = threading.Event()

    def fail_until_it_is_back(_name, _path):
        tries.release()
        if not is_back.is_set():
            raise UnreachableStoreError("cannot reach mem://bucket: refused; do it again")

    case.remote.before_put = fail_until_it_is_back
    case.uploader = case.new_uploader(0.001)
    case.add("a.tar")
    for _ in range(10):
        assert tries.acquire(timeout=PATIENCE_S)
        case.uploader.wait_until(lambda: True)
    is_back.set()
    assert tries.acquire(timeout=PATIENCE_S)


def test_the_retry_period_begins_when_a_writer_waits(case, monkeypatch):
    clock, tries, is_back = [0.0], threading.Semaphore(0), threading.Event()
    monkeypatch.setattr(uploading, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def fail_until_it_is_back(_name, _path):
        tries.release()
        if not is_back.is_set():
            raise UnreachableStoreError("cannot reach mem://bucket: refused; do it again")

    case.remote.before_put = fail_until_it_is_back
    case.add("a.tar")
    for _ in range(2):  # with the second try the outage is known
        assert tries.acquire(timeout=PATIENCE_S)
    clock[0] = 1000 * PATIENCE_S
    asked = []

    def is_sent():
        asked.append(True)
        if len(asked) == 2:
            is_back.set()
        return not case.uploader.files

    case.uploader.wait_until(is_sent)
    assert case.remote.published == ["a.tar"]


@pytest.mark.parametrize("error", [StoreError("access denied"), ZeroDivisionError("a bug")])
def test_any_other_failure_is_final_and_stops_the_queue(case, error):
    def refuse_b(name, _path):
        if name == "b.tar":
            raise error

    case.remote.before_put = refuse_b
    for name in ("a.tar", "b.tar", "c.tar"):
        case.add(name)
    with pytest.raises(type(error), match=str(error)):
        case.uploader.flush()
    with pytest.raises(type(error)):
        case.uploader.wait_until(lambda: True)
    assert case.remote.published == ["a.tar"]


def test_stopping_ends_a_wait_for_the_next_attempt(case, monkeypatch):
    monkeypatch.setattr(patience, "FIRST_WAIT_S", PATIENCE_S)
    tries = threading.Semaphore(0)

    def fail(_name, _path):
        tries.release()
        raise UnreachableStoreError("cannot reach mem://bucket: refused; do it again")

    case.remote.before_put = fail
    case.add("a.tar")
    assert tries.acquire(timeout=PATIENCE_S)
    case.uploader.stop()
    assert not case.uploader._thread.is_alive()


def test_stopping_ends_what_is_being_sent_at_its_next_bytes(case):
    is_sending, gate = threading.Event(), threading.Event()

    def hold(_name, _path):
        is_sending.set()
        gate.wait(PATIENCE_S)

    case.remote.before_put = hold
    case.add("a.tar")
    assert is_sending.wait(PATIENCE_S)
    case.uploader._is_stopping = True
    gate.set()
    case.uploader.stop()
    assert not case.uploader._thread.is_alive()
    assert case.remote.published == []
    case.uploader.stop()


@pytest.mark.parametrize("is_sending_long", [False, True])
def test_stopping_waits_until_no_upload_runs(case, monkeypatch, is_sending_long):
    monkeypatch.setattr(uploading, "STOPS_WITHIN_S", 0.01 if is_sending_long else PATIENCE_S)
    is_sending, gate, has_ended = threading.Event(), threading.Event(), threading.Event()

    def hold(_name, _path):
        is_sending.set()
        gate.wait(PATIENCE_S)

    case.remote.before_put = hold
    case.add("a.tar")
    assert is_sending.wait(PATIENCE_S)
    if not is_sending_long:
        gate.set()
    case.uploader.stop(has_ended.set)
    assert has_ended.is_set() is not is_sending_long
    case.uploader.stop()
    gate.set()
    assert has_ended.wait(PATIENCE_S)


def test_stopping_an_idle_uploader_returns_at_once(case):
    reported = []
    case.uploader.stop(lambda: reported.append(True))
    assert reported == [True]


def test_a_batching_store_gets_all_waiting_files(case):
    calls = []
    is_sending, gate = threading.Event(), threading.Event()

    def put_many(parcels, on_bytes):
        calls.append([parcel.name for parcel in parcels])
        is_sending.set()
        gate.wait(PATIENCE_S)
        return {p.name: case.remote.put(p.name, p.path, p.sums, on_bytes) for p in parcels}

    case.remote.put_many, case.remote.files_per_call = put_many, 100
    case.add("a.tar")
    assert is_sending.wait(PATIENCE_S)
    for name in ("b.tar", "c.tar", "d.tar"):
        case.add(name)
    gate.set()
    case.uploader.flush()
    assert calls == [["a.tar"], ["b.tar", "c.tar", "d.tar"]]
    assert case.sent == case.remote.published == ["a.tar", "b.tar", "c.tar", "d.tar"]
