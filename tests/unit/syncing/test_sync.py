"""What a sync sends, in which order, and what it leaves; at a place in memory."""

import json
import shutil
import tempfile

import pytest
from support.remote_memory import RemoteMemory
from support.runs import tree
from support.store_conformance import publish
from support.verified import copied, edit_json, flip, make_dataset

import wdsremux
from wdsremux.core.errors import (
    CorruptDataError,
    RecipeMismatchError,
    SourceError,
    StoreError,
    UnreachableStoreError,
    UsageError,
)
from wdsremux.core.events import Note, SyncAdvanced, SyncBegun
from wdsremux.core.manifest import Manifest
from wdsremux.stores import registry
from wdsremux.syncing.sync import sync

URL = "mem://place"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Return a dataset of the same source, with fewer shards of the same names."""
    return make_dataset(tmp_path_factory.mktemp("other") / "out", limit=24, max_shard_size="50KB")


@pytest.fixture
def out(made, tmp_path):
    return copied(made, tmp_path / "out")


@pytest.fixture
def place(monkeypatch):
    """Return the place that mem://place names."""
    place = RemoteMemory(URL)
    real = registry.open_store
    monkeypatch.setattr(registry, "open_store", lambda w, **_: place if w == URL else real(w))
    return place


def files_of(folder):
    return {name: (folder / name).read_bytes() for name in tree(folder)}


def shards_of(folder):
    return sorted(path.name for path in folder.glob("*.tar"))


def index_of(place):
    return json.loads(place.files["index.json"])


def test_everything_is_sent_and_the_index_comes_last(out, place):
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


def test_a_second_sync_sends_nothing_and_only_asks(out, place):
    first = sync(out, URL)
    place.calls.clear()
    report = sync(out, URL)
    assert {operation for operation, _ in place.calls} == {"prove"}
    assert (report.files, report.size_bytes) == (0, 0)
    assert (report.standing_files, report.standing_bytes) == (first.files, first.size_bytes)


def test_a_folder_becomes_the_same_to_the_byte_and_a_second_sync_sends_nothing(out, tmp_path):
    sync(out, tmp_path / "nas")
    assert tree(tmp_path / "nas") == tree(out)
    report = sync(out, tmp_path / "nas")
    assert (report.files, report.loaders) == (0, {})


def test_what_comes_back_from_a_url_is_what_went_there(out, place, tmp_path):
    sync(out, URL)
    sync(URL, tmp_path / "back", jobs=2)
    assert tree(tmp_path / "back") == tree(out)
    assert sync(URL, tmp_path / "back").files == 0


def test_an_index_that_tells_of_a_place_is_clean(out, place, tmp_path):
    sync(out, URL)
    (out / "index.json").write_bytes(place.files["index.json"])
    assert wdsremux.verify(out, "bytes").exit_code == 0
    assert Manifest.from_bytes(place.files["index.json"]).published["at"] == URL


def test_an_interrupted_sync_goes_on_where_it_stopped(out, place):
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
    assert report.standing_files == 3
    assert len(set(place.published)) == len(place.published)
    assert "index.json" in place.files


def test_what_nothing_proves_is_sent_again_unless_the_index_stands(out, place):
    place.level = "unverified"
    sync(out, URL)
    assert sync(out, URL).files == 0
    del place.files["index.json"]
    report = sync(out, URL)
    assert report.files == len(shards_of(out)) + 1
    assert report.levels["unverified"] == report.files


def test_what_was_noted_when_it_was_sent_is_not_sent_again(out, place):
    place.level, place.notes = "unverified", True
    sync(out, URL)
    del place.files["index.json"]
    assert sync(out, URL).files == 1
    assert list(sync(out, URL, move=True).kept) == shards_of(out)


def test_a_shard_of_another_size_or_that_is_gone_is_sent_again(out, place):
    sync(out, URL)
    first, second, *_ = shards_of(out)
    place.files[first] += b"x"
    del place.files[second]
    place.published.clear()
    assert sync(out, URL).files == 2
    assert sorted(place.published) == [first, second]
    assert place.called("remove") == []


def test_the_index_goes_first_where_a_shard_that_it_names_becomes_another(out, other, place):
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


@pytest.fixture(scope="module")
def unlike(tmp_path_factory):
    """Return a dataset of another source."""
    return make_dataset(tmp_path_factory.mktemp("unlike") / "out", rows=12, broken=())


@pytest.mark.parametrize("dry_run", [False, True])
def test_another_dataset_of_ours_is_replaced_only_by_delete(out, unlike, place, dry_run):
    sync(unlike, URL)
    before = dict(place.files)
    told = r"holds another dataset, 'dataset' of 'iterable', and this one is .*--delete"
    with pytest.raises(RecipeMismatchError, match=told):
        sync(out, URL, dry_run=dry_run)
    assert place.files == before
    sync(out, URL, delete=True)
    assert index_of(place)["shardlist"] == json.loads((out / "index.json").read_text())["shardlist"]


def renamed(out, name, **changes):
    """Give a dataset another name, and its index other fields."""
    edit_json(out / "index.json", lambda index: index.update({"name": name} | changes))


def test_the_same_dataset_under_another_name_is_no_other(out, place):
    sync(out, URL)
    renamed(out, "pets")
    assert sync(out, URL).files == 1


def test_another_recipe_under_another_name_is_another_dataset(out, other, place, tmp_path):
    sync(out, URL)
    again = copied(other, tmp_path / "again")
    renamed(again, "pets")
    with pytest.raises(RecipeMismatchError, match=r"'dataset' of .* and this one is 'pets' of"):
        sync(again, URL)


@pytest.mark.parametrize("grows", [True, False])
def test_a_source_that_has_grown_makes_no_other_dataset(out, other, place, tmp_path, grows):
    files = [{"split": "train", "name": name, "size_bytes": 9} for name in ("a.tar", "b.tar")]
    older, newer = files[: 1 + grows], [files[0], files[1] | {"size_bytes": 9 + (not grows)}]
    shorter = copied(other, tmp_path / "shorter")
    renamed(shorter, "pets", source={"kind": "tars", "files": older[:1] if grows else files})
    renamed(out, "pets", source={"kind": "tars", "files": newer})
    sync(shorter, URL)
    if grows:
        sync(out, URL)
        return
    with pytest.raises(RecipeMismatchError, match="'pets' of"):
        sync(out, URL)


def test_datasets_without_a_recipe_are_told_apart_by_their_names(tmp_path, place):
    for name, text in (("mine", "x"), ("yours", "y")):
        with wdsremux.ShardWriter(tmp_path / name) as shards:
            shards.write({"__key__": "a", "txt": text})
    sync(tmp_path / "mine", URL)
    assert sync(tmp_path / "mine", URL).files == 0
    with pytest.raises(RecipeMismatchError, match="'mine', and this one is 'yours'"):
        sync(tmp_path / "yours", URL)


def test_delete_removes_what_the_new_index_does_not_name_once_it_stands(out, other, place):
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


def test_a_delete_that_was_cut_short_goes_on(out, other, place):
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


def test_a_dry_run_tells_what_would_be_sent_and_writes_nothing(out, place, tmp_path):
    report = sync(out, URL, dry_run=True)
    done = sync(out, URL)
    # The receipts, which the index holds, are known only then.
    assert report.files == done.files
    assert 0 <= done.size_bytes - report.size_bytes < 1000
    sync(out, tmp_path / "nas", dry_run=True, move=True, delete=True)
    assert not (tmp_path / "nas").exists()
    assert not (out / ".wdsremux" / "lock").exists()


def planned(report):
    return {file.name: file.why for file in report.sent_files}


def test_a_dry_run_names_what_a_sync_then_sends_in_its_order(out, place):
    report = sync(out, URL, dry_run=True, jobs=1)
    assert {*planned(report).values()} == {"missing"}
    assert [file.name for file in sync(out, URL, jobs=1).sent_files] == place.published
    assert [*planned(report)] == place.published
    here = files_of(out)
    for file in report.sent_files:
        # The receipts, which the index holds, are known only when it is sent.
        if file.name != "index.json":
            assert file.size_bytes == len(here[file.name])


def test_a_dry_run_tells_why_each_file_would_be_sent(out, place):
    sync(out, URL)
    whole, cut, gone, *_ = shards_of(out)
    for name in (gone, "README.md"):
        del place.files[name]
    place.files[cut] = place.files[cut][:-512]
    assert planned(sync(out, URL, dry_run=True)) == {
        cut: "differs",
        gone: "missing",
        "README.md": "missing",
        # Its receipts of shards are known only when they are sent, and may be those of before.
        "index.json": "differs",
    }
    del place.files["index.json"]
    place.level = "unverified"
    told = planned(sync(out, URL, dry_run=True))
    assert (told[whole], told[cut], told[gone]) == ("unverified", "differs", "missing")
    assert told["index.json"] == "missing"


def test_a_dry_run_tells_what_delete_and_move_would_remove(out, other, place, tmp_path):
    sync(out, URL)
    new = copied(other, tmp_path / "new")
    there, here = dict(place.files), tree(new)
    stale = sync(new, URL, dry_run=True).stale
    report = sync(new, URL, dry_run=True, delete=True, move=True)
    assert (report.removed, report.stale) == (stale, ())
    assert list(report.freed) == shards_of(new)
    assert (place.files, tree(new)) == (there, here)
    assert sync(new, URL, delete=True, move=True).freed == report.freed


def test_a_dry_run_of_a_move_keeps_what_nothing_proves(out, place):
    sync(out, URL)
    place.level, place.notes = "unverified", True
    report = sync(out, URL, dry_run=True, move=True)
    assert (list(report.kept), report.freed) == (shards_of(out), ())


def test_a_dry_run_of_what_stands_tells_nothing_to_send(out, place):
    sync(out, URL)
    place.calls.clear()
    assert sync(out, URL, dry_run=True).files == 0
    assert {operation for operation, _ in place.calls} == {"prove"}


def damaged_twice(out):
    """Flip a bit of one shard and cut another."""
    flip(out / "train-000001.tar", 700)
    cut = out / "train-000002.tar"
    cut.write_bytes(cut.read_bytes()[:-512])


@pytest.mark.parametrize("from_url", [False, True])
def test_damaged_shards_are_refused_and_named_the_rest_goes_the_index_does_not(
    out, place, tmp_path, from_url
):
    damaged_twice(out)
    dest = URL
    if from_url:
        place.files |= files_of(out)
        dest = tmp_path / "back"
    with pytest.raises(CorruptDataError, match=r"train-00000\d\.tar.*and 1 more file.*repair"):
        sync(URL if from_url else out, dest)
    there = tree(dest) if from_url else place.files
    assert {*shards_of(out)} - there.keys() == {"train-000001.tar", "train-000002.tar"}
    assert "index.json" not in there


@pytest.mark.parametrize("move", [False, True])
def test_what_is_damaged_at_both_ends_alike_proves_nothing(out, place, move):
    flip(out / "train-000001.tar", 700)
    place.files |= files_of(out)
    del place.files["index.json"]
    with pytest.raises(CorruptDataError, match=r"train-000001\.tar"):
        sync(out, URL, move=move)
    assert "index.json" not in place.files
    assert "train-000001.tar" in shards_of(out)


@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_a_damaged_entry_is_refused(out, place, damage):
    entry = out / ".wdsremux" / "train-000001.msgpack"
    data = entry.read_bytes()
    entry.unlink()
    if damage == "cut":
        entry.write_bytes(data[:-5])
    if damage == "other":
        shutil.copy(out / ".wdsremux" / "train-000002.msgpack", entry)
    with pytest.raises(CorruptDataError, match=r"train-000001\.msgpack"):
        sync(out, URL)
    assert "index.json" not in place.files


def test_a_shard_that_is_nowhere_is_named(out, place):
    (out / "train-000003.tar").unlink()
    with pytest.raises(CorruptDataError, match=r"'train-000003.tar' is missing"):
        sync(out, URL)


def test_a_shard_that_is_only_there_is_no_damage(out, place):
    sync(out, URL)
    (out / "train-000003.tar").unlink()
    assert sync(out, URL).files == 0


def test_a_card_of_others_is_left_alone_and_said(out, place):
    publish(place, "README.md", b"mine")
    report = sync(out, URL)
    assert report.left_alone == ("README.md",)
    assert place.files["README.md"] == b"mine"
    assert sync(out, URL).files == 0


def test_a_card_that_was_rewritten_here_replaces_ours(out, place):
    sync(out, URL)
    card = out / "README.md"
    card.write_bytes(card.read_bytes().replace(b"pretty_name", b"pretty_mane"))
    assert sync(out, URL).files == 1
    assert place.files["README.md"] == card.read_bytes()


@pytest.mark.parametrize("there", ["train-000000.tar", "index.json"])
@pytest.mark.parametrize("grows", [True, False])
def test_files_of_others_are_not_replaced(out, place, there, grows):
    content = bytes((out / there).stat().st_size + grows)
    publish(place, there, content)
    with pytest.raises(UsageError, match=rf"contains an? .*{there}.*choose an empty folder"):
        sync(out, URL)
    assert place.files == {there: content}


def test_a_damaged_index_of_ours_is_replaced(out, place):
    sync(out, URL)
    place.files["index.json"] = b"{"
    sync(out, URL)
    assert index_of(place)["published"]["at"] == URL


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda out: (out / "index.json").unlink(), "is not finished"),
        (shutil.rmtree, "has no index.json.*wdsremux index"),
        (lambda out: (out / "index.json").write_text("{}"), "was not written by wdsremux"),
    ],
)
def test_what_is_no_finished_dataset_is_refused(out, place, prepare, told):
    prepare(out)
    with pytest.raises(SourceError, match=told):
        sync(out, URL)
    assert place.files == {}


@pytest.mark.parametrize(
    "name", ["../x.tar", "/etc/x.tar", "a/../b.tar", "sub/x.tar", "index.json"]
)
def test_names_that_lead_elsewhere_are_refused(out, place, name):
    raw = json.loads((out / "index.json").read_text())
    raw["shardlist"][0]["url"] = name
    (out / "index.json").write_text(json.dumps(raw))
    with pytest.raises(SourceError, match="leads out of the folder"):
        sync(out, URL)


def test_wrong_options_are_named(out, place, tmp_path):
    for options, told in (
        ({"jobs": 0}, "jobs"),
        ({"jobs": 65}, "jobs"),
        ({"bandwidth": "fast"}, "bandwidth"),
        ({"give_up_after": "never"}, "give-up-after"),
        ({"move": "yes"}, "move"),
    ):
        with pytest.raises(UsageError, match=told):
            sync(out, URL, **options)
    with pytest.raises(UsageError, match="are the same"):
        sync(out, out / ".." / out.name)
    with pytest.raises(UsageError, match="are the same"):
        sync(URL, URL)
    for inside in (out / ".wdsremux", out / "copy"):
        with pytest.raises(UsageError, match="are one inside the other"):
            sync(out, inside)
    with pytest.raises(UsageError, match="FROM is empty"):
        sync("", URL)
    with pytest.raises(UsageError, match="TO is empty"):
        sync(out, "")
    with pytest.raises(UsageError, match="--move"):
        sync(URL, tmp_path / "x", move=True)
    assert place.files == {}


def test_a_move_frees_each_shard_once_it_is_proven_and_keeps_what_tells_of_them(out, place):
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


def test_a_move_frees_what_stood_there_before_only_when_it_is_proven_now(out, place):
    sync(out, URL)
    spoilt = "train-000001.tar"
    place.files[spoilt] = bytes(len(place.files[spoilt]))
    report = sync(out, URL, move=True)
    assert report.files == 1
    assert place.files[spoilt] != bytes(len(place.files[spoilt]))
    assert shards_of(out) == []


def test_a_move_keeps_what_nothing_proves(out, place):
    place.level = "unverified"
    shards = shards_of(out)
    report = sync(out, URL, move=True)
    assert (report.freed, list(report.kept), shards_of(out)) == ((), shards, shards)
    assert list(sync(out, URL, move=True).kept) == shards


def test_a_move_that_was_cut_short_goes_on_without_the_shards_that_have_gone(out, place):
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


def test_what_was_moved_to_one_server_was_not_to_another_of_the_same_url(out, place):
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


def test_what_was_moved_to_a_folder_is_known_whatever_the_way_to_it(out, tmp_path):
    sync(out, tmp_path / "nas", move=True)
    (line, *_) = (out / ".wdsremux" / "moved.jsonl").read_text().split("\n")[1:]
    assert json.loads(line)["at"] == str(tmp_path / "nas")
    assert sync(out, tmp_path / "x" / ".." / "nas").files == 0


def test_a_place_that_cannot_be_reached_is_waited_for_and_said_once(out, place):
    told, failures = [], iter(range(3))

    def fail(operation, name):
        if operation == "put" and next(failures, None) is not None:
            raise UnreachableStoreError("cannot reach 'mem://place'")

    place.before = fail
    sync(out, URL, observer=told.append)
    notes = [event.text for event in told if isinstance(event, Note)]
    assert notes == ["cannot reach 'mem://place'; trying again for 600 s"]


def test_a_place_that_stays_away_is_given_up(out, place):
    def fail(_operation, _name):
        raise UnreachableStoreError("cannot reach 'mem://place'")

    place.before = fail
    with pytest.raises(StoreError, match="gave up on 'mem://place' after"):
        sync(out, URL, give_up_after=0.2)


def test_a_temporary_folder_that_is_full_is_told_with_what_to_do(out, place, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def fill(event):
        if isinstance(event, SyncBegun):
            (scratch,) = temporary.iterdir()
            (scratch / "index.json").symlink_to("/dev/full")

    with pytest.raises(StoreError, match=r"temporary': No space left.*TMPDIR"):
        sync(out, URL, observer=fill)
    assert "index.json" not in place.files


def test_the_observer_is_told_of_every_byte_and_file(out, place):
    told = []
    report = sync(out, URL, observer=told.append)
    (begun,) = [event for event in told if isinstance(event, SyncBegun)]
    sent = [event for event in told if isinstance(event, SyncAdvanced)]
    assert begun.files == sum(event.files for event in sent) == report.files - 1
    assert sum(event.size_bytes for event in sent) == report.size_bytes
    assert report.size_bytes - begun.size_bytes == len(place.files["index.json"])


def test_another_sync_that_holds_the_place_is_named(out, place):
    with place.lock(), pytest.raises(StoreError, match="being written by"):
        sync(out, URL)


def test_datasets_without_a_recipe_are_carried_too(tmp_path, place):
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


def test_a_place_that_takes_files_together_gets_them_so(out, place, monkeypatch):
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
