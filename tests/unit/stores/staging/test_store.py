"""The staged target: the contract, the bound on what is staged, the order, and what is left."""

import errno
import hashlib
import tempfile
import threading
from pathlib import Path

import pytest
from support.remote_store import MemoryRemote
from support.store_conformance import StoreConformance, content_of, listed, publish

from wdsremux.core.errors import CorruptDataError, StoreError, UnreachableStoreError
from wdsremux.stores import patience
from wdsremux.stores.base import Sums
from wdsremux.stores.reading.prefetch import read_ahead
from wdsremux.stores.staging import uploader
from wdsremux.stores.staging.files import staging_folder
from wdsremux.stores.staging.store import StagedStore

PATIENCE_S = 30.0


def sums_of(content):
    return Sums(len(content), hashlib.sha256(content).hexdigest())


class TestStagedStore(StoreConformance):
    @pytest.fixture
    def target(self, tmp_path):
        target = StagedStore(MemoryRemote(), tmp_path / "staging", 10**9)
        yield target
        target.close()


class Case:
    """A staged target whose remote takes one file for each time it is allowed to."""

    def __init__(self, folder, max_bytes, **options):
        self.folder = folder / "staging"
        self.allowed = threading.Semaphore(0)
        self.sizes = []
        """The files in the staging folder when each file was sent."""
        self.reported = []
        self.remote = MemoryRemote(self.wait_for_leave)
        self.target = StagedStore(
            self.remote,
            self.folder,
            max_bytes,
            notify=self.reported.append,
            **options,
        )

    def wait_for_leave(self, _name, _path):
        assert self.allowed.acquire(timeout=PATIENCE_S)
        self.sizes.append(sum(path.stat().st_size for path in self.folder.iterdir()))

    def allow(self, files):
        self.allowed.release(files)

    def publish_beside(self, name, content):
        """Publish in another thread; return it, and what is set when it is done."""
        done = threading.Event()
        thread = threading.Thread(target=lambda: (publish(self.target, name, content), done.set()))
        thread.start()
        return thread, done


@pytest.fixture
def case(tmp_path):
    found = Case(tmp_path, max_bytes=100)
    yield found
    found.allow(100)
    found.target.close()


def test_shards_and_entries_are_committed_before_they_are_published(case):
    publish(case.target, "train-000000.tar", b"x" * 40)
    publish(case.target, ".wdsremux/train-000000.msgpack", b"entry")
    assert case.remote.published == []
    assert sorted(path.name for path in case.folder.iterdir()) == [
        "000001-train-000000.tar",
        "000002-train-000000.msgpack",
    ]
    case.allow(2)
    assert listed(case.target) == [("train-000000.tar", 40)]
    assert case.remote.published == ["train-000000.tar", ".wdsremux/train-000000.msgpack"]
    assert list(case.folder.iterdir()) == []


def test_the_files_that_only_loaders_read_ride_along_with_the_next_one_that_counts(case):
    publish(case.target, "train-000000.idx", b"x")
    publish(case.target, ".nv-meta/index.uuid", b"x")
    publish(case.target, "README.md", b"x")
    assert case.remote.published == []
    case.allow(3)
    assert listed(case.target) == [("README.md", 1), ("train-000000.idx", 1)]


@pytest.mark.parametrize("name", [".wdsremux/recipe.json", "index.json"])
def test_other_files_are_published_in_order_before_commit_returns(case, name):
    is_its_turn, gate = threading.Event(), threading.Event()

    def hold_last(sent, _path):
        if sent == name:
            is_its_turn.set()
            assert gate.wait(PATIENCE_S)

    case.remote.before_put = hold_last
    publish(case.target, "train-000000.tar")
    thread, done = case.publish_beside(name, b"{}")
    assert is_its_turn.wait(PATIENCE_S)
    assert case.remote.published == ["train-000000.tar"]
    assert not done.is_set()
    gate.set()
    thread.join(PATIENCE_S)
    assert case.remote.published == ["train-000000.tar", name]


def test_writers_wait_while_the_staging_folder_is_full(case):
    publish(case.target, "a.tar", b"x" * 60)
    thread, done = case.publish_beside("b.tar", b"y" * 60)
    assert not done.is_set()
    case.allow(1)
    thread.join(PATIENCE_S)
    assert done.is_set()
    assert case.remote.published == ["a.tar"]
    assert case.reported == []


def test_staged_bytes_never_exceed_the_bound(case):
    case.allow(100)
    for number in range(20):
        staged = case.target.stage(f"{number}.tar")
        for _ in range(4):
            staged.write(b"x" * 11)
        staged.commit()
    case.target.close()
    assert max(case.sizes) <= 100


def test_a_shard_larger_than_the_bound_is_staged_alone_with_one_note(case):
    case.allow(2)
    for name in ("a.tar", "b.tar"):
        publish(case.target, name, b"x" * 150)
    assert listed(case.target) == [("a.tar", 150), ("b.tar", 150)]
    assert max(case.sizes) == 150
    [note] = case.reported
    assert "--staging-max 100 B is too small for the shards being written" in note


def test_a_discarded_file_frees_its_bytes(case):
    staged = case.target.stage("a.tar")
    staged.write(b"x" * 90)
    staged.discard()
    publish(case.target, "b.tar", b"x" * 90)
    assert case.target._staged_bytes() == 90
    assert case.reported == []


def test_reading_waits_only_for_the_requested_file(case):
    publish(case.target, "a.tar", b"first")
    publish(case.target, "b.tar", b"second")
    case.allow(1)
    assert content_of(case.target, "a.tar") == b"first"
    assert case.remote.published == ["a.tar"]


def test_reading_ahead_waits_in_the_thread_that_reads(case, monkeypatch):
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.001)
    tellers = set()
    case.target._notify = lambda _text: tellers.add(threading.current_thread())

    def fail_until_reported(_name, _path):
        if not tellers:
            raise UnreachableStoreError("cannot reach mem://bucket: refused")

    case.remote.before_put = fail_until_reported
    publish(case.target, "a.msgpack", b"entry")
    assert list(read_ahead(case.target, ["a.msgpack"], 100)) == [b"entry"]
    assert tellers == {threading.current_thread()}


def test_the_receipt_of_a_shard_is_kept(case):
    case.allow(2)
    publish(case.target, "a.tar")
    publish(case.target, "a.msgpack")
    case.target.open("a.msgpack")
    assert list(case.target._receipts) == ["a.tar"]
    assert set(case.target._receipts["a.tar"]) == {"sha256"}


def test_an_outage_blocks_no_writer_while_there_is_space(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.001)
    case = Case(tmp_path, 1000, give_up_after_s=0.001)
    tries = threading.Semaphore(0)

    def fail(_name, _path):
        tries.release()
        raise UnreachableStoreError("cannot reach mem://bucket: refused")

    case.remote.before_put = fail
    for number in range(10):
        publish(case.target, f"{number}.tar", b"x" * 90)
        assert tries.acquire(timeout=PATIENCE_S)
    # Once space is used up, the patience is that of --give-up-after.
    publish(case.target, "10.tar", b"x" * 90)
    with pytest.raises(UnreachableStoreError, match=r"refused; gave up after 0\.001 s"):
        publish(case.target, "11.tar", b"x" * 90)
    case.target.close()
    assert not case.folder.exists()


def test_a_refusal_stops_the_writing_at_once(case):
    def refuse(_name, _path):
        raise StoreError("access denied")

    case.remote.before_put = refuse
    staged = case.target.stage("b.tar")
    publish(case.target, "a.tar")
    with pytest.raises(StoreError, match="access denied"):
        case.target.list()
    with pytest.raises(StoreError, match="access denied"):
        staged.write(b"more")
    assert [path.name for path in case.folder.iterdir()] == ["000002-a.tar"]


def test_a_full_disk_acts_as_a_bound(case, monkeypatch):
    publish(case.target, "a.tar", b"x" * 40)
    staged = case.target.stage("b.tar")
    write = staged._file.write

    def write_when_a_is_gone(data):
        if "000001-a.tar" in [path.name for path in case.folder.iterdir()]:
            case.allow(1)
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(data)

    class Disk:
        close = staged._file.close

    Disk.write = staticmethod(write_when_a_is_gone)
    staged._file = Disk
    staged.write(b"y" * 40)
    staged.commit()
    case.allow(1)
    assert content_of(case.target, "b.tar") == b"y" * 40


def test_a_disk_full_of_other_files_is_an_error_with_a_remedy(case):
    staged = case.target.stage("a.tar")

    class Disk:
        close = staged._file.close

        @staticmethod
        def write(_data):
            raise OSError(errno.ENOSPC, "No space left on device")

    staged._file = Disk
    with pytest.raises(StoreError, match=r"cannot stage .*a\.tar': No space.*--staging"):
        staged.write(b"y")
    assert list(case.folder.iterdir()) == []


def test_releasing_the_lock_publishes_all_and_removes_the_folder(case):
    case.allow(2)
    with case.target.lock():
        publish(case.target, "a.tar")
        publish(case.target, "b.tar")
        assert case.folder.exists()
    assert case.remote.published == ["a.tar", "b.tar"]
    assert not case.folder.exists()
    with case.remote.lock():
        pass


def test_an_error_under_the_lock_publishes_finished_files(case):
    case.allow(1)

    def convert():
        publish(case.target, "a.tar")
        raise CorruptDataError("too many")

    with pytest.raises(CorruptDataError), case.target.lock():
        convert()
    assert case.remote.published == ["a.tar"]
    assert not case.folder.exists()


def test_an_interrupt_under_the_lock_waits_for_nothing(case, monkeypatch):
    monkeypatch.setattr(uploader, "STOPS_WITHIN_S", 0.01)
    threads = []
    is_sending = threading.Event()

    def hold(_name, _path):
        is_sending.set()
        assert case.allowed.acquire(timeout=PATIENCE_S)

    case.remote.before_put = hold

    def convert():
        publish(case.target, "a.tar")
        assert is_sending.wait(PATIENCE_S)
        threads.append(case.target._uploader._thread)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), case.target.lock():
        convert()
    assert not case.folder.exists()
    # While the other end may still receive an upload, no other run writes there.
    with pytest.raises(StoreError, match="being written by"), case.remote.lock():
        pass
    case.allow(1)
    threads[0].join(PATIENCE_S)
    assert case.remote.published == []
    with case.remote.lock():
        pass


def test_files_of_a_killed_run_are_removed_and_not_sent(case):
    case.folder.mkdir()
    (case.folder / "000001-train-000007.tar").write_bytes(b"half")
    with case.target.lock():
        assert not case.folder.exists()
    assert case.remote.published == []


def test_a_folder_of_another_user_is_refused(case):
    case.folder.mkdir()
    with pytest.raises(StoreError, match=r"cannot stage .*: File exists; .*--staging"):
        case.target.stage("a.tar")


def test_the_folder_is_private_to_its_owner(case):
    staged = case.target.stage("a.tar")
    assert case.folder.stat().st_mode & 0o777 == 0o700
    staged.discard()


@pytest.mark.parametrize(("free", "is_reported"), [(99, True), (100, False), (None, False)])
def test_less_space_than_the_bound_is_reported_at_the_start(case, monkeypatch, free, is_reported):
    monkeypatch.setattr("wdsremux.stores.folder.store.FolderStore.free_bytes", lambda _self: free)
    with case.target.lock():
        pass
    assert [text.startswith("99 B is free in") for text in case.reported] == [True] * is_reported


def test_receipts_are_requested_for_files_of_any_run(case):
    case.allow(1)
    publish(case.remote, "a.tar", b"earlier")
    publish(case.target, "b.tar", b"now")
    files = {name: sums_of(content) for name, content in (("a.tar", b"earlier"), ("b.tar", b"now"))}
    assert case.target.receipts(files) == {
        name: {"sha256": sums.sha256} for name, sums in files.items()
    }


def test_shards_of_known_size_only_are_unverified(case):
    case.allow(3)
    case.remote.level = "unverified"
    for name in ("a.tar", "a.msgpack", "b.tar"):
        publish(case.target, name)
    case.target.receipts({"a.tar": sums_of(b"content")})
    [note] = case.reported
    assert note.startswith("2 uploaded shards could not be verified")
    assert "wdsremux verify --deep mem://bucket/prefix" in note


def test_a_shard_missing_at_the_end_is_reported(case):
    with pytest.raises(
        StoreError, match=r"'mem://bucket/prefix/a\.tar' has been removed or replaced"
    ):
        case.target.receipts({"a.tar": sums_of(b"content")})


def test_each_store_and_user_has_a_separate_staging_folder(tmp_path):
    folders = {staging_folder(f"s3://bucket/{name}", str(tmp_path)) for name in "ab"}
    assert len(folders) == 2
    assert {folder.parent for folder in folders} == {tmp_path}
    assert staging_folder("s3://bucket/a", None).parent == Path(tempfile.gettempdir())
