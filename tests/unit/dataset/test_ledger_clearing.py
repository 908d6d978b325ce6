"""Clearing an output: all that is ours, nothing else, in an order that may be killed."""

from dataclasses import replace

import pytest
from support.finished_datasets import HEAD, finished, publish_series, publish_shard
from support.memory_store import MemoryStore
from support.store_conformance import publish
from support.summaries import manifest_of, summary_of

from wdsremux.core.errors import UsageError
from wdsremux.dataset.entry import entry_name
from wdsremux.dataset.ledger import RECIPE_NAME, Ledger


def test_clearing_a_finished_dataset_leaves_nothing():
    store, _ = finished()
    Ledger(store).clear()
    assert store.files == {}


def test_clearing_a_new_store_is_harmless():
    store = MemoryStore()
    Ledger(store).clear()
    assert store.files == {}


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "backup.tar",
        "recipe.json.tar",
        "rejected.jsonl.tar",
        ".wdsremux/notes.txt",
        "data/train-000000.tar",
        "train-000000.tar.bak",
    ],
)
def test_clearing_keeps_foreign_files(name):
    store, _ = finished()
    publish(store, name, b"mine")
    Ledger(store).clear()
    assert store.files == {name: b"mine"}


def test_clearing_keeps_a_readme_of_the_user():
    store, _ = finished()
    publish(store, "README.md", b"# my own text")
    Ledger(store).clear()
    assert store.files == {"README.md": b"# my own text"}


@pytest.mark.parametrize("number", [0, 1_000_000])
def test_clearing_removes_a_shard_that_a_killed_run_left_without_its_entry(number):
    store = MemoryStore()
    Ledger(store).begin(HEAD)
    publish_shard(store, summary_of(number), with_entry=False)
    Ledger(store).clear()
    assert store.files == {}


@pytest.mark.parametrize("name", ["other-000000.tar", "train-c0-000000.tar", "index.json"])
def test_a_folder_with_foreign_shards_is_not_cleared(name):
    store = MemoryStore()
    publish(store, name, b"somebody's")
    with pytest.raises(UsageError, match=f"contains '{name}', which this command did not write"):
        Ledger(store).clear()
    assert store.files == {name: b"somebody's"}


def test_nothing_is_removed_beside_foreign_shards():
    store, _ = finished()
    publish(store, "other-000000.tar", b"somebody's")
    before = dict(store.files)
    with pytest.raises(UsageError, match=r"other-000000\.tar"):
        Ledger(store).clear()
    assert store.files == before


def test_a_damaged_dataset_can_be_cleared():
    store, _ = finished()
    publish(store, "index.json", b"damaged")
    publish(store, entry_name("train-000000.tar"), b"damaged")
    Ledger(store).clear()
    assert store.files == {}


def test_a_dataset_with_a_damaged_recipe_can_be_cleared():
    store, _ = finished()
    publish(store, RECIPE_NAME, b"{")
    Ledger(store).clear()
    assert store.files == {}


class _Killed(BaseException):
    """Stands for the end of the process."""


class DyingStore(MemoryStore):
    """Ends the process after some removals."""

    def __init__(self, files, removals):
        super().__init__()
        self.files = dict(files)
        self.removals_left = removals

    def remove(self, name):
        if self.removals_left == 0:
            raise _Killed
        self.removals_left -= 1
        super().remove(name)


def killed_while_clearing(removals, split="train"):
    """Return the target of a finished dataset whose clearing ended after some removals."""
    store = MemoryStore()
    Ledger(store).begin(replace(HEAD, series=(split,)))
    shards = publish_series(store, 2, split=split)
    publish(store, "index.json", manifest_of(shards).to_bytes())
    dying = DyingStore(store.files, removals)
    with pytest.raises(_Killed):
        Ledger(dying).clear()
    dying.removals_left = -1
    return dying


@pytest.mark.parametrize("removals", range(6))
def test_a_clearing_that_was_killed_can_be_done_again(removals):
    store = killed_while_clearing(removals)
    Ledger(store).clear()
    assert store.files == {}


@pytest.mark.parametrize("removals", range(6))
@pytest.mark.parametrize("split", ["all", "train"])
def test_a_manifest_is_gone_before_the_first_of_its_shards(removals, split):
    files = killed_while_clearing(removals, split).files
    if "index.json" in files:
        assert {f"{split}-000000.tar", f"{split}-000001.tar"} <= files.keys()


@pytest.mark.parametrize("removals", range(6))
def test_the_recipe_is_removed_last(removals):
    assert RECIPE_NAME in killed_while_clearing(removals).files
