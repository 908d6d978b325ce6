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


def mover_of(folder):
    mover = Mover(folder.root, folder, "there")
    mover.begin(shard.name for shard in SHARDS)
    return mover


def names_in(folder):
    return {path.name for path in folder.root.glob("*.tar")}


def test_the_folder_of_the_journal_is_synced_before_the_first_removal(folder, monkeypatch):
    synced = []

    def seen(path):
        synced.append(path)
        assert SHARDS[0].name in (folder.root / MOVED_NAME).read_text()
        assert len(names_in(folder)) == 2

    monkeypatch.setattr(moving, "sync_folder", seen)
    mover = mover_of(folder)
    for shard in SHARDS:
        mover.free(shard, PROOF)
    assert synced == [folder.root / ".wdsremux"]
    assert mover.freed == [shard.name for shard in SHARDS]
    assert names_in(folder) == set()
    assert set(moved_shards(folder, "there")) == set(mover.freed)


def test_a_journal_that_another_run_made_is_synced_too(folder, monkeypatch):
    """That one may have been killed before."""
    mover_of(folder).free(SHARDS[0], PROOF)
    synced = []
    monkeypatch.setattr(moving, "sync_folder", synced.append)
    mover = mover_of(folder)
    mover.keep(SHARDS[0].name)
    mover.free(SHARDS[1], PROOF)
    assert synced == [folder.root / ".wdsremux"]


def test_a_shard_stays_when_the_folder_of_the_journal_cannot_be_synced(folder, monkeypatch):
    def broken(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(moving, "sync_folder", broken)
    with pytest.raises(StoreError):
        mover_of(folder).free(SHARDS[0], PROOF)
    assert len(names_in(folder)) == 2


def test_shards_are_removed_in_their_order_whichever_copy_is_proven_first(folder):
    mover = mover_of(folder)
    mover.free(SHARDS[1], PROOF)
    assert (mover.freed, len(names_in(folder))) == ([], 2)
    mover.free(SHARDS[0], PROOF)
    assert mover.freed == [shard.name for shard in SHARDS]
    lines = (folder.root / MOVED_NAME).read_text().splitlines()
    assert [SHARDS[0].name in lines[1], SHARDS[1].name in lines[2]] == [True, True]


def test_a_shard_that_is_kept_lets_the_next_one_go(folder):
    mover = mover_of(folder)
    mover.free(SHARDS[1], PROOF)
    mover.keep(SHARDS[0].name)
    assert mover.freed == [SHARDS[1].name]
