"""The ledger: whose folder it is, and how far it has come."""

import dataclasses
import json
from dataclasses import replace

import pytest
from support.finished_datasets import HEAD, finished, publish_series, publish_shard
from support.memory_store import MemoryStore
from support.remote_store import MemoryRemote
from support.samples import rejected
from support.store_conformance import publish
from support.summaries import manifest_of, summary_of

from wdsremux.core.errors import CorruptDataError, RecipeMismatchError, UsageError
from wdsremux.dataset.card import card_bytes
from wdsremux.dataset.entry import entry_name
from wdsremux.dataset.ledger import RECIPE_NAME, Ledger, SeriesProgress


def mismatch(old, new):
    store = MemoryStore()
    Ledger(store).begin(old)
    publish_series(store, 1)
    with pytest.raises(RecipeMismatchError) as caught:
        Ledger(store).begin(new)
    return str(caught.value)


def test_a_new_store_has_no_recipe():
    assert Ledger(MemoryStore()).head() is None


def test_a_store_without_shards_accepts_another_recipe():
    store = MemoryStore()
    Ledger(store).begin(HEAD)
    Ledger(store).begin(replace(HEAD, options={"seed": 43}))
    assert Ledger(store).head().options == {"seed": 43}


def test_a_shard_without_an_entry_blocks_another_recipe():
    store = MemoryStore()
    Ledger(store).begin(HEAD)
    publish(store, "train-000000.tar")
    with pytest.raises(RecipeMismatchError):
        Ledger(store).begin(replace(HEAD, options={"seed": 43}))


def test_a_new_store_gets_the_head():
    store = MemoryStore()
    Ledger(store).begin(HEAD)
    assert json.loads(store.files[RECIPE_NAME]) == HEAD.to_json()
    assert Ledger(store).head() == HEAD


def test_the_same_recipe_resumes():
    store = MemoryStore()
    Ledger(store).begin(HEAD)
    before = dict(store.files)
    Ledger(store).begin(HEAD)
    assert store.files == before


def test_tuples_of_a_recipe_are_the_lists_they_become():
    store = MemoryStore()
    Ledger(store).begin(replace(HEAD, options={"steps": ("a", "b")}))
    Ledger(store).begin(replace(HEAD, options={"steps": ["a", "b"]}))


def test_a_repeated_option_is_named_as_it_was_typed():
    text = mismatch(
        replace(HEAD, options={"steps": ["hflip", "resize=256"]}),
        replace(HEAD, options={"steps": ["hflip", "resize=224"]}),
    )
    assert '--step number 2 was "resize=256", now it is "resize=224"' in text


def test_another_recipe_is_refused_with_the_first_difference_and_both_values():
    text = mismatch(HEAD, replace(HEAD, options={"seed": 43, "steps": ["resize=224"]}))
    assert "--seed was 42, now it is 43" in text
    assert "resize" not in text
    assert "--overwrite" in text


def test_a_difference_of_the_recipe_is_named_before_its_consequences():
    changed = {"versions": {"pillow": "13.0"}, "options": HEAD.options | {"seed": 1}}
    assert "--seed was 42, now it is 1" in mismatch(HEAD, replace(HEAD, **changed))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"kind": "folder"}, 'source.kind was "demo", now it is "folder"; pass the old source'),
        ({"kind": "demo", "repo": "a/b"}, 'source.repo was null, now it is "a/b"'),
    ],
)
def test_another_source_is_named_before_its_columns(source, text):
    options = HEAD.options | {"extra_columns": ["file_name"]}
    said = mismatch(HEAD, replace(HEAD, source=source, options=options))
    assert f"the output was started from another source: {text}" in said
    assert "extra_columns" not in said


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"source": {"kind": "parquet"}}, 'source.kind was "demo", now it is "parquet"'),
        ({"versions": {"pillow": "13.0"}}, 'versions.pillow was "12.0", now it is "13.0"'),
        ({"series": ["train", "test"]}, 'series was ["train"], now it is ["train", "test"]'),
        ({"format": 2}, "format was 1, now it is 2"),
    ],
)
def test_everything_that_affects_bytes_must_be_equal(changes, text):
    assert text in mismatch(HEAD, replace(HEAD, **changes))


def test_options_that_do_not_affect_bytes_may_differ():
    store = MemoryStore()
    Ledger(store).begin(HEAD)
    Ledger(store).begin(replace(HEAD, origin={"source": "elsewhere"}, name="other", notes=()))


@pytest.mark.parametrize("name", ["train-000000.tar", "other-000012.tar", "index.json"])
def test_a_folder_with_foreign_shards_is_refused(name):
    store = MemoryStore()
    publish(store, name)
    with pytest.raises(UsageError, match=f"contains '{name}', which this command did not write"):
        Ledger(store).begin(HEAD)
    assert list(store.files) == [name]


def test_the_refusal_counts_the_foreign_files():
    store = MemoryStore()
    for i in range(3):
        publish(store, f"train-{i:06d}.tar")
    with pytest.raises(UsageError, match=r"contains 'train-000000\.tar' and 2 more"):
        Ledger(store).begin(HEAD)


@pytest.mark.parametrize("name", ["README.md", "notes.txt", "backup.tar", "data/train-000000.tar"])
def test_a_folder_with_unrelated_files_is_accepted(name):
    store = MemoryStore()
    publish(store, name)
    Ledger(store).begin(HEAD)
    assert name in store.files


@pytest.mark.parametrize("data", [b"", b"{", b"\xff"])
def test_an_unreadable_recipe_is_reported_with_its_remedy(data):
    store = MemoryStore()
    publish(store, RECIPE_NAME, data)
    with pytest.raises(
        CorruptDataError, match=r"recipe\.json.*pass --overwrite to start from scratch"
    ):
        Ledger(store).head()


@pytest.mark.parametrize("data", [b"[]", b"null", b"7", b'"text"'])
def test_a_recipe_that_is_not_an_object_is_damaged(data):
    store = MemoryStore()
    publish(store, RECIPE_NAME, data)
    with pytest.raises(CorruptDataError, match=r"recipe\.json"):
        Ledger(store).begin(HEAD)


def test_a_store_without_shards_starts_at_zero():
    assert Ledger(MemoryStore()).progress() == {}
    assert (SeriesProgress().number, SeriesProgress().next_row(1000), SeriesProgress().is_done) == (
        0,
        1000,
        False,
    )


def test_shards_with_an_entry_and_the_right_size_are_finished():
    store = MemoryStore()
    shards = publish_series(store, 3)
    progress = Ledger(store).progress()
    assert progress == {("train", 0): SeriesProgress(tuple(shards))}
    assert progress["train", 0].is_done
    assert (progress["train", 0].number, progress["train", 0].next_row(0)) == (3, 30)


def test_a_series_without_its_last_shard_is_not_done():
    store = MemoryStore()
    for shard in publish_series(store, 3)[2:]:
        store.remove(shard.name)
    progress = Ledger(store).progress()["train", 0]
    assert (progress.is_done, progress.number, progress.next_row(0)) == (False, 2, 20)


def test_a_shard_without_an_entry_is_not_finished():
    store = MemoryStore()
    publish_shard(store, summary_of(0))
    publish_shard(store, summary_of(1, 10, 20), with_entry=False)
    assert Ledger(store).progress()["train", 0].number == 1


@pytest.mark.parametrize("size", [0, 10_239, 10_241])
def test_a_shard_of_another_size_than_recorded_is_not_finished(size):
    store = MemoryStore()
    publish_series(store, 2)
    publish(store, "train-000001.tar", bytes(size))
    assert Ledger(store).progress()["train", 0].number == 1


def test_shards_after_a_gap_are_not_finished():
    store = MemoryStore()
    publish_series(store, 4)
    store.remove("train-000001.tar")
    progress = Ledger(store).progress()["train", 0]
    assert (progress.number, progress.next_row(0)) == (1, 10)


def test_a_series_without_its_first_shard_starts_at_zero():
    store = MemoryStore()
    publish_series(store, 2)
    store.remove("train-000000.tar")
    assert Ledger(store).progress()["train", 0] == SeriesProgress()


def test_splits_and_copies_have_separate_progress():
    store = MemoryStore()
    publish_series(store, 2, prefix="train-c0", copy=0)
    publish_series(store, 1, prefix="train-c1", copy=1)
    publish_series(store, 3, split="test")
    progress = Ledger(store).progress()
    assert {series: part.number for series, part in progress.items()} == {
        ("train", 0): 2,
        ("train", 1): 1,
        ("test", 0): 3,
    }


def test_a_damaged_entry_is_named():
    store = MemoryStore()
    publish_series(store, 1)
    publish(store, entry_name("train-000000.tar"), b"damaged")
    with pytest.raises(CorruptDataError, match=r"'\.wdsremux/train-000000\.msgpack'"):
        Ledger(store).progress()


def test_rejected_rows_come_in_the_order_of_the_entries():
    store = MemoryStore()
    shards = [summary_of(1, 10, 20, rejected=1), summary_of(0, 0, 10, rejected=2)]
    publish_shard(store, shards[0], [rejected(13)])
    publish_shard(store, shards[1], [rejected(3), rejected(5)])
    assert [item.position for item in Ledger(store).rejected(shards)] == [3, 5, 13]


def test_entries_of_shards_that_rejected_nothing_are_not_read_for_rejected_rows():
    store = MemoryRemote()
    shards = [summary_of(0, 0, 10), summary_of(1, 10, 20, rejected=1), summary_of(2, 20, 30)]
    for shard in shards:
        publish_shard(store, shard, [rejected(13)] if shard.rejected else [])
    store.reads.clear()
    assert [item.position for item in Ledger(store).rejected(shards)] == [13]
    assert store.reads == [entry_name("train-000001.tar")]


def test_a_store_without_an_index_has_no_manifest():
    assert Ledger(MemoryStore()).manifest() is None


def test_the_manifest_is_read_back():
    store, shards = finished()
    assert Ledger(store).manifest() == manifest_of(shards, series=("train",))


def test_a_card_is_written_and_replaced():
    store, ledger = MemoryStore(), Ledger(MemoryStore())
    ledger = Ledger(store)
    one, other = card_bytes(manifest_of(name="one")), card_bytes(manifest_of(name="other"))
    assert ledger.write_card(one)
    assert ledger.write_card(other)
    assert store.files["README.md"] == other


def test_a_readme_of_the_user_is_left_alone():
    store = MemoryStore()
    publish(store, "README.md", b"# my own text")
    assert not Ledger(store).write_card(card_bytes(manifest_of()))
    assert store.files["README.md"] == b"# my own text"


def test_a_progress_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SeriesProgress().shards = ()


def test_a_finished_dataset_is_known_by_its_recipe():
    store, shards = finished()
    manifest, missing = Ledger(store).finished("a" * 64)
    assert (manifest.shards, missing) == (tuple(shards), [])
    assert Ledger(store).finished("b" * 64) == (None, [])
    assert Ledger(MemoryStore()).finished("a" * 64) == (None, [])


@pytest.mark.parametrize("name", ["train-000000.tar", entry_name("train-000001.tar")])
def test_a_finished_dataset_misses_a_shard_without_its_file_or_entry(name):
    store, _ = finished()
    store.remove(name)
    assert Ledger(store).finished("a" * 64)[1] == [
        name.removeprefix(".wdsremux/").replace("msgpack", "tar")
    ]


def test_a_finished_dataset_misses_a_shard_that_was_cut():
    store, _ = finished()
    publish(store, "train-000000.tar", b"cut")
    assert Ledger(store).finished("a" * 64)[1] == ["train-000000.tar"]


def test_a_dataset_with_a_damaged_manifest_is_not_finished():
    store, _ = finished()
    publish(store, "index.json", b"{")
    assert Ledger(store).finished("a" * 64) == (None, [])
