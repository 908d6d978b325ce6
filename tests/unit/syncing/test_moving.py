"""A shard goes only when what is remembered of it would outlast a power cut."""

import pytest
from support.store_conformance import publish
from support.summaries import summary_of

from wdsremux.core.errors import StoreError
from wdsremux.core.manifest import MOVED_NAME
from wdsremux.stores.base import Proof
from wdsremux.stores.folder.store import FolderStore
from wdsremux.syncing import moving
from wdsremux.syncing.moving import Mover, moved_shards

SHARDS = [summary_of(number) for number in range(2)]
PROOF = Proof("checksum", "CRC64NVME", {"crc64": "x"})


@pytest.fixture
def folder(tmp_path):
    target = FolderStore(tmp_path)
    for shard in SHARDS:
        publish(target, shard.name)
    (tmp_path / ".wdsremux").mkdir()
    return target


def names_in(folder):
    return {path.name for path in folder.root.glob("*.tar")}


def test_the_folder_of_the_journal_is_synced_before_the_first_removal(folder, monkeypatch):
    synced = []

    def seen(path):
        synced.append(path)
        assert SHARDS[0].name in (folder.root / MOVED_NAME).read_text()
        assert len(names_in(folder)) == 2

    monkeypatch.setattr(moving, "sync_folder", seen)
    mover = Mover(folder.root, folder, "there")
    for shard in SHARDS:
        mover.free(shard, PROOF)
    assert synced == [folder.root / ".wdsremux"]
    assert mover.freed == [shard.name for shard in SHARDS]
    assert names_in(folder) == set()
    assert set(moved_shards(folder, "there")) == set(mover.freed)


def test_a_journal_that_another_run_made_is_synced_too(folder, monkeypatch):
    """That one may have been killed before."""
    Mover(folder.root, folder, "there").free(SHARDS[0], PROOF)
    synced = []
    monkeypatch.setattr(moving, "sync_folder", synced.append)
    Mover(folder.root, folder, "there").free(SHARDS[1], PROOF)
    assert synced == [folder.root / ".wdsremux"]


def test_a_shard_stays_when_the_folder_of_the_journal_cannot_be_synced(folder, monkeypatch):
    def broken(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(moving, "sync_folder", broken)
    with pytest.raises(StoreError):
        Mover(folder.root, folder, "there").free(SHARDS[0], PROOF)
    assert len(names_in(folder)) == 2
