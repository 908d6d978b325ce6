"""What a sync sends, moves and deletes, in which order; at a place in memory."""

import json

import pytest
from support.remote_memory import URL, RemoteMemory, index_of
from support.runs import files_of, shards_of, tree
from support.store_conformance import publish

import wdsremux
from wdsremux.core.errors import CorruptDataError, StoreError
from wdsremux.core.events import SyncAdvanced, SyncBegun
from wdsremux.core.manifest import Manifest
from wdsremux.stores import registry
from wdsremux.syncing.sync import sync


def test_everything_is_sent_with_the_index_last(out, place):
    report = sync(out, URL)
    there = dict(place.files)
    index = json.loads(there.pop("index.json"))
    here = files_of(out)
    published = index.pop("published")
    assert index == json.loads(here.pop("index.json"))
    assert there == here
    shards = shards_of(out)
    assert sorted(place.published[: 1 + len(shards)]) == [".wdsremux/recipe.json", *shards]
    assert place.published[-1] == "index.json"
    assert published["at"] == URL
    assert published["receipts"].keys() == set(shards)
    assert (report.files, report.levels) == (len(here) + 1, {"checksum": len(here) + 1})
    assert report.size_bytes == sum(map(len, place.files.values()))


def test_a_second_sync_only_checks_and_sends_nothing(out, place):
    first = sync(out, URL)
    place.calls.clear()
    report = sync(out, URL)
    assert {operation for operation, _ in place.calls} == {"prove"}
    assert (report.files, report.size_bytes) == (0, 0)
    assert (report.present_files, report.present_bytes) == (first.files, first.size_bytes)


def test_a_folder_becomes_the_same_to_the_byte_and_a_second_sync_sends_nothing(out, tmp_path):
    sync(out, tmp_path / "nas")
    assert tree(tmp_path / "nas") == tree(out)
    report = sync(out, tmp_path / "nas")
    assert (report.files, report.loaders) == (0, {})


def test_a_round_trip_through_a_url_keeps_every_byte(out, place, tmp_path):
    sync(out, URL)
    sync(URL, tmp_path / "back", jobs=2)
    assert tree(tmp_path / "back") == tree(out)
    assert sync(URL, tmp_path / "back").files == 0


def test_an_index_with_a_published_location_is_clean(out, place, tmp_path):
    sync(out, URL)
    (out / "index.json").write_bytes(place.files["index.json"])
    assert wdsremux.verify(out, "bytes").exit_code == 0
    assert Manifest.from_bytes(place.files["index.json"]).published["at"] == URL


def test_an_interrupted_sync_resumes(out, place):
    def stop(operation, name):
        if operation == "put" and len(place.published) == 3:
            raise StoreError("it broke")

    place.before = stop
    with pytest.raises(StoreError, match="it broke"):
        sync(out, URL, jobs=1)
    assert len(place.published) == 3
    assert "index.json" not in place.files
    place.before = lambda *_: None
    report = sync(out, URL)
    assert report.present_files == 3
    assert len(set(place.published)) == len(place.published)
    assert "index.json" in place.files


def test_unverifiable_files_are_sent_again_unless_the_index_exists(out, place):
    place.level = "unverified"
    sync(out, URL)
    assert sync(out, URL).files == 0
    del place.files["index.json"]
    report = sync(out, URL)
    assert report.files == len(shards_of(out)) + 1
    assert report.levels["unverified"] == report.files


def test_files_with_a_receipt_are_not_sent_again(out, place):
    place.level, place.notes = "unverified", True
    sync(out, URL)
    del place.files["index.json"]
    assert sync(out, URL).files == 1
    assert list(sync(out, URL, move=True).kept) == shards_of(out)


def test_a_missing_shard_or_one_of_another_size_is_sent_again(out, place):
    sync(out, URL)
    first, second, *_ = shards_of(out)
    place.files[first] += b"x"
    del place.files[second]
    place.published.clear()
    assert sync(out, URL).files == 2
    assert sorted(place.published) == [first, second]
    assert place.called("remove") == []


def test_the_index_is_removed_before_a_shard_it_lists_is_replaced(out, other, place):
    sync(other, URL)
    seen = []
    place.before = lambda operation, name: seen.append(
        ("index.json" in place.files, operation, name)
    )
    report = sync(out, URL)
    writes = [call for call in seen if call[1] != "prove"]
    assert writes[0] == (True, "remove", "index.json")
    assert not any(stood for stood, _, _ in writes[1:])
    assert {n: place.files[n] for n in shards_of(out)} == {
        n: files_of(out)[n] for n in shards_of(out)
    }
    assert report.stale == ()


def test_delete_removes_unlisted_files_after_the_new_index(out, other, place):
    sync(out, URL)
    publish(place, "mine.tar", b"mine")
    gone = sorted({*shards_of(out)} - {*shards_of(other)})
    kept = sync(other, URL)
    assert set(gone) < set(kept.stale)
    assert set(gone) < place.files.keys()
    order = []
    place.before = lambda operation, name: order.append((operation, name))
    report = sync(other, URL, delete=True)
    assert report.removed == kept.stale
    assert [name for operation, name in order if operation != "prove"] == list(report.removed)
    shards = [name for name in place.files if name.endswith(".tar")]
    assert sorted(shards) == sorted(["mine.tar", *shards_of(other)])
    assert sync(other, URL, delete=True).removed == ()


def test_an_interrupted_delete_resumes(out, other, place):
    def die(operation, name):
        if (operation, name) == ("remove", victim):
            raise KeyboardInterrupt

    sync(out, URL)
    victim = shards_of(out)[-1]
    place.before = die
    with pytest.raises(KeyboardInterrupt):
        sync(other, URL, delete=True)
    place.before = lambda *_: None
    assert victim in place.files
    assert victim in sync(other, URL, delete=True).removed
    assert victim not in place.files


def test_a_foreign_card_is_kept_with_a_note(out, place):
    publish(place, "README.md", b"mine")
    report = sync(out, URL)
    assert report.left_alone == ("README.md",)
    assert place.files["README.md"] == b"mine"
    assert sync(out, URL).files == 0


def test_a_rewritten_card_replaces_the_generated_one(out, place):
    sync(out, URL)
    card = out / "README.md"
    card.write_bytes(card.read_bytes().replace(b"pretty_name", b"pretty_mane"))
    assert sync(out, URL).files == 1
    assert place.files["README.md"] == card.read_bytes()


def test_a_move_removes_verified_shards_and_keeps_index_and_entries(out, place):
    shards = shards_of(out)

    def is_there_twice(operation, name):
        assert all(s in place.files for s in {*shards} - {*shards_of(out)})

    place.before = is_there_twice
    report = sync(out, URL, move=True)
    assert (list(report.freed), shards_of(out)) == (shards, [])
    assert (out / "index.json").exists()
    assert (out / ".wdsremux" / "train-000000.msgpack").exists()
    assert sync(out, URL, move=True).freed == ()
    assert sync(out, URL).files == 0


def test_a_move_removes_previously_sent_shards_only_when_verified(out, place):
    sync(out, URL)
    spoilt = "train-000001.tar"
    place.files[spoilt] = bytes(len(place.files[spoilt]))
    report = sync(out, URL, move=True)
    assert report.files == 1
    assert place.files[spoilt] != bytes(len(place.files[spoilt]))
    assert shards_of(out) == []


def test_a_move_keeps_unverifiable_shards(out, place):
    place.level = "unverified"
    shards = shards_of(out)
    report = sync(out, URL, move=True)
    assert (report.freed, list(report.kept), shards_of(out)) == ((), shards, shards)
    assert list(sync(out, URL, move=True).kept) == shards


def test_an_interrupted_move_resumes_without_the_removed_shards(out, place):
    here = files_of(out)

    def die(operation, name):
        if operation == "put" and len(place.published) == 4:
            raise KeyboardInterrupt

    place.before = die
    with pytest.raises(KeyboardInterrupt):
        sync(out, URL, move=True, jobs=1)
    assert len(shards_of(out)) == 2
    # Of the last line a crash has left half.
    with (out / ".wdsremux" / "moved.jsonl").open("a") as journal:
        journal.write('\n{"name": "train-0000')
    place.before = lambda *_: None
    report = sync(out, URL, move=True)
    assert len(report.freed) == 2
    assert {n: place.files[n] for n in here if n != "index.json"} == {
        n: data for n, data in here.items() if n != "index.json"
    }
    assert index_of(place)["published"]["receipts"].keys() == {
        n for n in here if n.endswith(".tar")
    }


def test_a_move_to_one_server_does_not_count_for_another_of_the_same_url(out, place):
    place.endpoint = "http://key:SECRET@one:9000"
    sync(out, URL, move=True)
    assert "SECRET" not in (out / ".wdsremux" / "moved.jsonl").read_text()
    place.level = "unverified"
    index = place.files.pop("index.json")
    assert sync(out, URL).files == 1
    del place.files["index.json"]
    place.endpoint = "http://other:9000"
    with pytest.raises(CorruptDataError, match=r"train-000000\.tar"):
        sync(out, URL)
    place.files["index.json"] = index


def test_a_move_to_a_folder_is_known_by_every_path_to_it(out, tmp_path):
    sync(out, tmp_path / "nas", move=True)
    (line, *_) = (out / ".wdsremux" / "moved.jsonl").read_text().split("\n")[1:]
    assert json.loads(line)["at"] == str(tmp_path / "nas")
    assert sync(out, tmp_path / "x" / ".." / "nas").files == 0


def test_the_observer_gets_every_byte_and_file(out, place):
    reported = []
    report = sync(out, URL, observer=reported.append)
    (begun,) = [event for event in reported if isinstance(event, SyncBegun)]
    sent = [event for event in reported if isinstance(event, SyncAdvanced)]
    assert begun.files == sum(event.files for event in sent) == report.files - 1
    assert sum(event.size_bytes for event in sent) == report.size_bytes
    assert report.size_bytes - begun.size_bytes == len(place.files["index.json"])


def test_datasets_without_a_recipe_are_copied(tmp_path, place):
    with wdsremux.ShardWriter(tmp_path / "mine") as shards:
        shards.write({"__key__": "a", "txt": "x"})
    sync(tmp_path / "mine", tmp_path / "nas")
    assert tree(tmp_path / "nas") == tree(tmp_path / "mine")


class Together(RemoteMemory):
    """Takes files together."""

    files_per_call = 100

    def __init__(self):
        super().__init__(URL)
        self.groups = []

    def put_many(self, parcels, on_bytes=lambda _: None):
        self.groups.append([parcel.name for parcel in parcels])
        return {p.name: self.put(p.name, p.path, p.sums, on_bytes) for p in parcels}

    def remove_many(self, names):
        self.groups.append(["-", *names])
        for name in names:
            self.remove(name)


def test_a_batching_store_gets_files_in_batches(out, place, monkeypatch):
    together = Together()
    place.url = "mem://source"
    monkeypatch.setattr(registry, "open_store", lambda w, **_: together if w == URL else place)
    place.files |= files_of(out)
    sync("mem://source", URL)
    assert together.groups[0] == [".wdsremux/recipe.json", *shards_of(out)]
    assert together.published[-1] == "index.json"
    assert len(together.groups) == 2
    assert sync("mem://source", URL).files == 0
    flip_one = bytearray(place.files["train-000001.tar"])
    flip_one[700] ^= 1
    place.files["train-000001.tar"] = bytes(flip_one)
    del together.files["train-000001.tar"]
    with pytest.raises(CorruptDataError, match=r"train-000001\.tar"):
        sync("mem://source", URL)
