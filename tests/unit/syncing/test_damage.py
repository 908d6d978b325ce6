"""Damage of the same size at the destination is found by proofs, and sent again."""

import io
import os
from dataclasses import replace

import pytest
from support.remote_memory import URL
from support.runs import shards_of, tree
from support.verified import make_dataset

from wdsremux import sync
from wdsremux.core.errors import CorruptDataError

ENTRY = ".wdsremux/train-000001.msgpack"
SHARD = "train-000001.tar"


@pytest.fixture
def out(tmp_path):
    return make_dataset(tmp_path / "out", rows=20, broken=())


def flipped(data):
    return data[:100] + bytes([data[100] ^ 1]) + data[101:]


def flip(path, *, keeps_time=False):
    status = path.stat()
    path.write_bytes(flipped(path.read_bytes()))
    time_ns = status.st_mtime_ns + (0 if keeps_time else 10 * 10**9)
    os.utime(path, ns=(time_ns, time_ns))


@pytest.mark.parametrize("name", [SHARD, ENTRY, ".wdsremux/recipe.json"])
def test_damage_of_the_same_size_is_found_by_the_checksum_of_the_store(out, place, name):
    sync(out, URL)
    place.files[name] = flipped(place.files[name])
    assert [(file.name, file.why) for file in sync(out, URL, dry_run=True).sent_files] == [
        (name, "differs")
    ]
    assert sync(out, URL).files == 1
    assert place.files[name] == (out / name).read_bytes()
    assert sync(out, URL).files == 0


@pytest.mark.parametrize("name", [SHARD, ENTRY])
def test_a_file_newer_than_the_index_of_a_folder_is_read(out, tmp_path, name):
    nas = tmp_path / "nas"
    sync(out, nas)
    flip(nas / name)
    assert sync(out, nas).files == 1
    assert tree(nas) == tree(out)


def test_silent_damage_in_a_folder_is_found_by_a_full_read(out, tmp_path):
    nas = tmp_path / "nas"
    sync(out, nas)
    flip(nas / SHARD, keeps_time=True)
    assert sync(out, nas).files == 0
    assert sync(out, nas, checksum=True).files == 1
    assert tree(nas) == tree(out)


def test_a_store_without_checksums_is_read_on_demand(out, place):
    place.level = "unverified"
    sync(out, URL)
    for name in shards_of(out):
        place.files[name] = flipped(place.files[name])
    assert sync(out, URL).files == 0
    sent = [file.name for file in sync(out, URL, checksum=True).sent_files]
    assert sent == shards_of(out)
    assert sync(out, URL, checksum=True).files == 0


def test_an_object_that_lost_the_checksums_of_its_receipt_is_sent_again(out, place, monkeypatch):
    put = place.put
    monkeypatch.setattr(place, "put", lambda *args: replace(put(*args), receipt={"etag": "ab"}))
    sync(out, URL)
    place.level = "unverified"
    sent = {file.name for file in sync(out, URL, dry_run=True).sent_files}
    assert sent == {*shards_of(out)}


def test_a_damaged_moved_shard_is_named_with_its_location(out, place):
    sync(out, URL, move=True)
    place.files[SHARD] = flipped(place.files[SHARD])
    with pytest.raises(CorruptDataError, match=f"{SHARD!r} was moved to 'mem://place' and is dam"):
        sync(out, URL)


def test_a_shard_damaged_in_transit_is_fetched_again(out, place, tmp_path):
    sync(out, URL)
    real, flips = place.open, [True]

    def flipping(name):
        data = real(name).read()
        return io.BytesIO(flipped(data) if name == SHARD and flips and flips.pop() else data)

    place.open = flipping
    sync(URL, tmp_path / "back")
    assert flips == []
    assert tree(tmp_path / "back") == tree(out)
