"""Files of the source are brought to hand whole, or it is said what is wrong with them."""

import hashlib
import io

import pytest
from support.remote_memory import RemoteMemory
from support.summaries import summary_of

from wdsremux.core.errors import CorruptDataError, StoreError, UnreachableStoreError
from wdsremux.stores.base import Sums
from wdsremux.stores.copying import BLOCK_BYTES
from wdsremux.stores.retry import RetryingStore
from wdsremux.syncing.contents import SyncFile
from wdsremux.syncing.source_files import FetchedFiles, LocalFiles, damage_of

CONTENT = bytes(range(256)) * (BLOCK_BYTES // 128)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
SHARD = SyncFile("a.tar", len(CONTENT), DIGEST)


class Breaking(RemoteMemory):
    """Breaks off in the middle of the first file that is read."""

    def __init__(self, error):
        super().__init__()
        self.errors = [error]

    def open(self, name):
        file = super().open(name)
        if not self.errors:
            return file
        error = self.errors.pop()

        class Cut(io.BytesIO):
            def read(self, size=-1):
                if self.tell():
                    raise error
                return super().read(size)

        return Cut(file.read())


def hands(store, folder, reported):
    return FetchedFiles(RetryingStore(store, 600, sleep=lambda _: None), folder, reported.append)


def test_a_fetched_file_is_removed_after_use(tmp_path):
    store, reported = RemoteMemory(), []
    store.files["a.tar"] = CONTENT
    with hands(store, tmp_path, reported).hold(SHARD) as (path, sums):
        assert path.read_bytes() == CONTENT
        assert sums == Sums(len(CONTENT), DIGEST)
    assert list(tmp_path.iterdir()) == []
    assert sum(reported) == len(CONTENT)


@pytest.mark.parametrize("error", [UnreachableStoreError("it broke"), OSError("it broke")])
def test_an_interrupted_fetch_starts_again(tmp_path, error):
    store = Breaking(error)
    store.files["a.tar"] = CONTENT
    with hands(store, tmp_path, []).hold(SHARD) as (path, _):
        assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("content", [None, CONTENT[:-1], CONTENT[::-1]])
def test_a_file_that_differs_from_its_record_is_not_passed_on(tmp_path, content):
    store = RemoteMemory()
    if content is not None:
        store.files["a.tar"] = content
    with pytest.raises(CorruptDataError, match=r"a\.tar"), hands(store, tmp_path, []).hold(SHARD):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_named(tmp_path):
    store = RemoteMemory()
    store.files["a.tar"] = CONTENT
    gone = tmp_path / "gone"
    with pytest.raises(StoreError, match=r"temporary files in '.*gone'.*TMPDIR") as caught:
        hands(store, gone, []).hold(SHARD).__enter__()
    assert not isinstance(caught.value, UnreachableStoreError)


def test_a_local_file_is_used_in_its_folder(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(CONTENT)
    with LocalFiles(tmp_path).hold(SHARD) as held:
        assert held == (path, Sums(len(CONTENT), DIGEST))
    with LocalFiles(tmp_path).hold(SyncFile("a.tar", 0)) as held:
        assert held == (path, Sums(len(CONTENT), DIGEST))


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        (CONTENT, None),
        (CONTENT[:-1], "2097151 bytes, but 2097152 are recorded"),
        (CONTENT[::-1], "another SHA-256"),
        (None, "is missing"),
    ],
)
def test_the_damage_of_a_shard_is_reported(tmp_path, content, reported):
    path = tmp_path / "a.tar"
    if content is not None:
        path.write_bytes(content)
    problem = damage_of(path, SHARD)
    assert problem is None if reported is None else reported in problem


def test_an_entry_is_compared_with_its_shard(tmp_path):
    entry = tmp_path / "entry"
    entry.write_bytes(b"no entry")
    item = SyncFile("entry", 8, shard=summary_of())
    hold = LocalFiles(tmp_path).hold
    with pytest.raises(CorruptDataError, match="'entry' is damaged"), hold(item):
        pass
