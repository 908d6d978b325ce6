"""The forwarder: what a conversion finishes is sent on, and nothing of that stops it."""

import errno
import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from support.finished_datasets import publish_shard
from support.remote_store import MemoryRemote
from support.store_conformance import publish
from support.summaries import summary_of

from wdsremux.converting.forwarding import Forwarder
from wdsremux.core.errors import StoreError
from wdsremux.core.events import Begun, Note, ShardDone
from wdsremux.dataset.entry import entry_name
from wdsremux.dataset.ledger import RECIPE_NAME
from wdsremux.stores.folder.store import FolderStore
from wdsremux.stores.staging import uploader

BEGUN = Begun(rows=20, done_rows=0, workers=0, engine="serial")


class Case:
    """A folder in which a conversion writes, and a forwarder from there."""

    def __init__(self, folder):
        self.folder = FolderStore(folder)
        publish(self.folder, RECIPE_NAME, b"{}")
        self.remote = MemoryRemote()
        self.events = []
        self.forwarder = Forwarder(folder, self.remote, self.events.append, 0.01)

    def close_shard(self, number):
        shard = summary_of(number, 10 * number, 10 * number + 10)
        publish_shard(self.folder, shard)
        data = (self.folder.root / shard.name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        self.forwarder(ShardDone(replace(shard, size_bytes=len(data), sha256=digest)))

    @property
    def reported(self):
        return [event.text for event in self.events if isinstance(event, Note)]


@pytest.fixture
def case(tmp_path):
    found = Case(tmp_path)
    with found.forwarder:
        yield found


def test_recipe_shards_and_entries_are_sent_in_that_order(case):
    case.forwarder(BEGUN)
    case.close_shard(0)
    case.close_shard(1)
    case.forwarder.finish()
    one, other = "train-000000.tar", "train-000001.tar"
    sent = [RECIPE_NAME, one, entry_name(one), other, entry_name(other)]
    assert case.remote.published == sent


def test_all_events_are_passed_on(case):
    case.forwarder(BEGUN)
    case.close_shard(0)
    assert [type(event) for event in case.events if not isinstance(event, Note)] == [
        Begun,
        ShardDone,
    ]


def test_the_destination_is_locked_until_the_end(case):
    case.forwarder(BEGUN)
    with pytest.raises(StoreError, match="being written by"), case.remote.lock():
        pass
    case.forwarder.__exit__()
    with case.remote.lock():
        pass


def test_a_destination_of_another_run_is_left_alone(case):
    with case.remote.lock():
        case.forwarder(BEGUN)
        case.close_shard(0)
        case.forwarder.finish()
    assert case.remote.published == []
    assert "the output is being written by another run; converting without" in case.reported[0]


@pytest.mark.parametrize("name", ["index.json", "others-000000.tar"])
def test_nothing_is_sent_over_an_existing_dataset(case, name):
    publish(case.remote, name)
    before = list(case.remote.published)
    case.forwarder(BEGUN)
    case.close_shard(0)
    case.forwarder.finish()
    assert case.remote.published == before
    assert case.reported == [
        "mem://bucket/prefix already holds shards: it is synced after the conversion"
    ]


def test_files_of_an_earlier_run_do_not_stop_the_sending(case):
    publish(case.remote, RECIPE_NAME)
    publish(case.remote, "train-000000.tar")
    case.forwarder(BEGUN)
    case.close_shard(1)
    case.forwarder.finish()
    assert "train-000001.tar" in case.remote.files


def test_after_a_refusal_nothing_more_is_sent(case):
    def refuse(name, _path):
        if name.endswith("1.tar"):
            raise StoreError("the quota is used up; make room")

    case.remote.before_put = refuse
    case.forwarder(BEGUN)
    for number in range(3):
        case.close_shard(number)
    case.forwarder.finish()
    case.close_shard(3)
    assert case.remote.published[-1] == entry_name("train-000000.tar")
    [note] = [text for text in case.reported if "quota" in text]
    assert note.startswith("the quota is used up; converting without uploading")


@pytest.mark.parametrize("lost", [RECIPE_NAME, entry_name("train-000000.tar")])
def test_an_unreadable_file_ends_only_the_sending(case, monkeypatch, lost):
    real = Path.read_bytes

    def read_bytes(path):
        if path == case.folder.root / lost:
            raise OSError(errno.EIO, "Input/output error")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    case.forwarder(BEGUN)
    for number in range(2):
        shard = summary_of(number, 10 * number, 10 * number + 10)
        publish_shard(case.folder, shard)
        case.forwarder(ShardDone(shard))
    case.forwarder.finish()
    [note] = case.reported
    assert "Input/output error; converting without uploading" in note


def test_a_bug_ends_only_the_sending(case):
    def fail(_name, _path):
        raise ZeroDivisionError("a bug")

    case.remote.before_put = fail
    case.forwarder(BEGUN)
    case.forwarder.finish()
    [note] = case.reported[-1:]
    assert note.startswith("ZeroDivisionError('a bug'); converting without uploading")


def test_the_destination_stays_locked_while_a_file_is_sent(case, monkeypatch):
    monkeypatch.setattr(uploader, "STOPS_WITHIN_S", 0.01)
    is_sending, gate = threading.Event(), threading.Event()

    def hold(_name, _path):
        is_sending.set()
        gate.wait(30)

    case.remote.before_put = hold
    case.forwarder(BEGUN)
    assert is_sending.wait(30)
    case.forwarder.__exit__(KeyboardInterrupt)
    with pytest.raises(StoreError, match="being written by"), case.remote.lock():
        pass
    gate.set()
    case.forwarder.__exit__()
    with case.remote.lock():
        pass
