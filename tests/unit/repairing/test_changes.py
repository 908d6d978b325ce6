"""From the head of a dataset back to its recipe, and the report of changes."""

import json
from dataclasses import replace

import pytest

from wdsremux.core.column_choice import choose_columns
from wdsremux.core.columns import Column
from wdsremux.core.errors import UsageError
from wdsremux.core.head import Head
from wdsremux.core.recipe import Recipe
from wdsremux.processing.head import (
    column_options,
    head_from,
    job_from_recipe,
    origin_of,
    recipe_from_head,
)
from wdsremux.repairing.changes import Changes, changes_between
from wdsremux.transforms.function.spec import function_from_callable

FEATURES = (
    Column("image", "image"),
    Column("label", {"class_label": ["cat", "dog"]}),
    Column("caption", "string"),
    Column("name", "string"),
)
SOURCE = {
    "kind": "hub",
    "commit": "c0ffee",
    "files": [{"name": "a.parquet", "bytes": 10}, {"name": "b.parquet", "bytes": 20}],
}


def same(batch):
    return batch


def head_of(recipe, function=None):
    """Return the head that a recipe gives, as it is read back."""
    function = function_from_callable(function) if function else None
    columns = choose_columns(FEATURES, column_options(recipe), has_function=function is not None)
    job = job_from_recipe(recipe, columns, function)
    head = head_from(recipe, job, SOURCE, ["train"])
    head = replace(head, origin=origin_of("user/name", recipe))
    return Head.from_json(json.loads(json.dumps(head.to_json())))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label_column": "", "extra_columns": ""},
        {"label_column": "name", "extra_columns": "caption", "key_column": "name"},
        {"steps": ["resize=64", "hflip", "color-jitter=0.1"], "copies": 3, "seed": 7},
        {"format": "png", "matte": "red", "max_pixels": 10**6, "reencode": True},
        {"split": "all", "limit": 10, "max_shard_size": "1.5MB", "max_shard_samples": 9},
        {"revision": "main", "subset": "small", "source_kind": "hub", "allow_oversize": True},
    ],
)
@pytest.mark.parametrize("function", [None, same])
def test_the_recipe_of_a_head_reproduces_the_head(options, function):
    if function:
        options = options | {"batch_size": 32, "transform_input": "numpy"}
    head = head_of(Recipe.from_options(options), function)
    again = recipe_from_head(head, None)
    assert head_of(again, function).fingerprint == head.fingerprint
    assert (again.subset, again.source_kind) == (options.get("subset"), options.get("source_kind"))


def test_a_hub_source_is_pinned_to_the_commit_it_was_read_at():
    head = head_of(Recipe(revision="main"))
    assert recipe_from_head(head, None).revision == "c0ffee"


def test_an_option_that_this_version_does_not_have_is_named():
    head = head_of(Recipe())
    head.options["sparkle"] = 3
    with pytest.raises(UsageError, match="sparkle"):
        recipe_from_head(head, None)


def changed(change):
    old, new = head_of(Recipe(), same), head_of(Recipe(), same)
    change(new)
    return changes_between(old, new)


def test_equal_heads_have_no_change():
    changes = changed(lambda _head: None)
    assert changes == Changes()
    assert not changes.affect_every_shard
    assert "nothing that is recorded has changed" in changes.text()


def test_a_changed_file_is_named():
    changes = changed(lambda head: head.source["files"][1].update(bytes=21))
    assert changes.text().startswith(
        "the source has changed: files.b.parquet.bytes was 20, now it is 21"
    )
    assert not changes.affect_every_shard


def test_an_added_or_removed_file_is_named():
    gone = changed(lambda head: head.source["files"].pop())
    assert "files.b.parquet was" in gone.text()
    come = changed(lambda head: head.source["files"].append({"name": "c.parquet"}))
    assert "files.c.parquet was null" in come.text()


def test_every_other_library_is_named():
    changes = changed(lambda head: head.versions.update(pillow="99", numpy="98"))
    assert changes.affect_every_shard
    assert "numpy was " in changes.text()
    assert "now it is 98" in changes.text()
    assert "now it is 99" in changes.text()


def test_a_changed_function_is_named_first():
    def change(head):
        head.options["transform"]["sha256"] = "00"
        head.versions["pillow"] = "99"

    changes = changed(change)
    assert changes.affect_every_shard
    assert changes.text().startswith("the function has changed: its code hash was")


def test_another_recipe_is_reported():
    changes = changed(lambda head: head.options.update(quality=1))
    assert "--quality was 90, now it is 1" in changes.text()
