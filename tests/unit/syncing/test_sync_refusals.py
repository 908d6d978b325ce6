"""What a sync refuses: other datasets, damage, foreign files, bad options, lost destinations."""

import json
import shutil
import tempfile

import pytest
from support.remote_memory import URL, index_of
from support.runs import files_of, shards_of, tree
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
from wdsremux.core.events import Note, SyncBegun
from wdsremux.syncing.sync import sync


@pytest.fixture(scope="module")
def unlike(tmp_path_factory):
    """Return a dataset of another source."""
    return make_dataset(tmp_path_factory.mktemp("unlike") / "out", rows=12, broken=())


@pytest.mark.parametrize("dry_run", [False, True])
def test_another_wdsremux_dataset_is_replaced_only_with_delete(out, unlike, place, dry_run):
    sync(unlike, URL)
    before = dict(place.files)
    reported = r"holds another dataset, 'dataset' of 'iterable', and this one is .*--delete"
    with pytest.raises(RecipeMismatchError, match=reported):
        sync(out, URL, dry_run=dry_run)
    assert place.files == before
    sync(out, URL, delete=True)
    assert index_of(place)["shardlist"] == json.loads((out / "index.json").read_text())["shardlist"]


def renamed(out, name, **changes):
    """Give a dataset another name, and its index other fields."""
    edit_json(out / "index.json", lambda index: index.update({"name": name} | changes))


def test_the_same_dataset_under_another_name_is_accepted(out, place):
    sync(out, URL)
    renamed(out, "pets")
    assert sync(out, URL).files == 1


def test_another_recipe_under_another_name_is_refused(out, other, place, tmp_path):
    sync(out, URL)
    again = copied(other, tmp_path / "again")
    renamed(again, "pets")
    with pytest.raises(RecipeMismatchError, match=r"'dataset' of .* and this one is 'pets' of"):
        sync(again, URL)


@pytest.mark.parametrize("grows", [True, False])
def test_a_grown_source_is_the_same_dataset(out, other, place, tmp_path, grows):
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


def test_datasets_without_a_recipe_are_distinguished_by_name(tmp_path, place):
    for name, text in (("mine", "x"), ("yours", "y")):
        with wdsremux.ShardWriter(tmp_path / name) as shards:
            shards.write({"__key__": "a", "txt": text})
    sync(tmp_path / "mine", URL)
    assert sync(tmp_path / "mine", URL).files == 0
    with pytest.raises(RecipeMismatchError, match="'mine', and this one is 'yours'"):
        sync(tmp_path / "yours", URL)


def damaged_twice(out):
    """Flip a bit of one shard and cut another."""
    flip(out / "train-000001.tar", 700)
    cut = out / "train-000002.tar"
    cut.write_bytes(cut.read_bytes()[:-512])


@pytest.mark.parametrize("from_url", [False, True])
def test_damaged_shards_are_named_and_the_rest_is_sent_without_the_index(
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
def test_equal_damage_at_both_ends_is_not_accepted(out, place, move):
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


def test_a_lost_shard_is_named(out, place):
    (out / "train-000003.tar").unlink()
    with pytest.raises(CorruptDataError, match=r"'train-000003.tar' is missing"):
        sync(out, URL)


def test_a_shard_only_at_the_destination_is_not_damage(out, place):
    sync(out, URL)
    (out / "train-000003.tar").unlink()
    assert sync(out, URL).files == 0


@pytest.mark.parametrize("there", ["train-000000.tar", "index.json"])
@pytest.mark.parametrize("grows", [True, False])
def test_foreign_files_are_not_replaced(out, place, there, grows):
    content = bytes((out / there).stat().st_size + grows)
    publish(place, there, content)
    with pytest.raises(UsageError, match=rf"contains an? .*{there}.*choose an empty folder"):
        sync(out, URL)
    assert place.files == {there: content}


def test_a_damaged_own_index_is_replaced(out, place):
    sync(out, URL)
    place.files["index.json"] = b"{"
    sync(out, URL)
    assert index_of(place)["published"]["at"] == URL


@pytest.mark.parametrize(
    ("prepare", "reported"),
    [
        (lambda out: (out / "index.json").unlink(), "is not finished"),
        (shutil.rmtree, "has no index.json.*wdsremux index"),
        (lambda out: (out / "index.json").write_text("{}"), "was not written by wdsremux"),
    ],
)
def test_an_unfinished_dataset_is_refused(out, place, prepare, reported):
    prepare(out)
    with pytest.raises(SourceError, match=reported):
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
    for options, reported in (
        ({"jobs": 0}, "jobs"),
        ({"jobs": 65}, "jobs"),
        ({"bandwidth": "fast"}, "bandwidth"),
        ({"give_up_after": "never"}, "give-up-after"),
        ({"move": "yes"}, "move"),
    ):
        with pytest.raises(UsageError, match=reported):
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


def test_an_unreachable_destination_is_retried_and_reported_once(out, place):
    reported, failures = [], iter(range(3))

    def fail(operation, name):
        if operation == "put" and next(failures, None) is not None:
            raise UnreachableStoreError("cannot reach 'mem://place'")

    place.before = fail
    sync(out, URL, observer=reported.append)
    notes = [event.text for event in reported if isinstance(event, Note)]
    assert notes == ["cannot reach 'mem://place'; trying again for 600 s"]


def test_a_destination_that_stays_unreachable_is_an_error(out, place):
    def fail(_operation, _name):
        raise UnreachableStoreError("cannot reach 'mem://place'")

    place.before = fail
    with pytest.raises(StoreError, match="gave up on 'mem://place' after"):
        sync(out, URL, give_up_after=0.2)


def test_a_full_temporary_folder_is_reported_with_what_to_do(out, place, tmp_path, monkeypatch):
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


def test_another_sync_that_holds_the_lock_is_named(out, place):
    with place.lock(), pytest.raises(StoreError, match="being written by"):
        sync(out, URL)
