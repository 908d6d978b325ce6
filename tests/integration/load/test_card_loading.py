"""`datasets.load_dataset` reads an output by its card alone."""

import datasets
import pytest
from support.corpora import jpeg
from support.summaries import manifest_of

from wdsremux.core.json_values import json_bytes
from wdsremux.core.manifest import MANIFEST_NAME
from wdsremux.dataset.card import CARD_NAME, card_bytes
from wdsremux.dataset.ledger import Ledger
from wdsremux.dataset.shards.bounds import Bounds
from wdsremux.dataset.shards.packing import SamplePacker
from wdsremux.dataset.shards.series import SeriesPlan, SeriesWriter, prefix_of
from wdsremux.stores.folder.store import FolderStore

pytestmark = [
    pytest.mark.integration,
    # It leaves it to the garbage collector to close the shards.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ODD_CLASSES = ["0", "1: one", "null", "yes", "🐈", "two\nlines", "", "- item", "#7", "\x85"]


def make(folder, fields, entries, *, copies=1, class_names=None):
    """Write an output: `entries` are the JSON objects of each split, `fields` their dtypes."""
    target, shards, base = FolderStore(folder), [], 0
    for split, objects in entries.items():
        for copy in range(copies):
            prefix = prefix_of(split, copy, copies)
            plan = SeriesPlan(split, copy, prefix, Bounds(20_480), ("jpg", "json"), "f" * 64)
            writer = SeriesWriter(target, plan, start=base, on_shard=shards.append)
            packer = SamplePacker()
            for position, value in enumerate(objects, base):
                members = (("jpg", jpeg(position)), ("json", json_bytes(value | {"copy": copy})))
                packer.add(position, f"{position:09d}-c{copy}", members)
            writer.add(packer.packed())
            writer.finish(base + len(objects))
        base += len(objects)
    features = {"jpg": "image", "json": {"struct": {**fields, "copy": "int64"}}}
    manifest = manifest_of(shards, copies=copies, features=features, class_names=class_names)
    ledger = Ledger(target)
    ledger.write(CARD_NAME, card_bytes(manifest))
    ledger.write(MANIFEST_NAME, manifest.to_bytes())
    assert len(shards) > len(entries) * copies, "a test of several shards"


def load(folder, cache, *arguments, streaming):
    return datasets.load_dataset(str(folder), *arguments, streaming=streaming, cache_dir=str(cache))


@pytest.fixture(params=[False, True], ids=["whole", "streaming"])
def streaming(request):
    return request.param


def test_classes_of_odd_names_keep_their_numbers_and_names(tmp_path, streaming):
    labels = [i % len(ODD_CLASSES) for i in range(25)] + [-1, None]
    fields = {"label": {"class_label": ODD_CLASSES}}
    make(tmp_path / "out", fields, {"train": [{"label": label} for label in labels]})
    loaded = load(tmp_path / "out", tmp_path / "cache", streaming=streaming)["train"]
    assert loaded.features["json"]["label"].names == ODD_CLASSES
    assert [row["json"]["label"] for row in loaded] == labels


def test_every_split_has_its_own_rows_and_exact_counts(tmp_path, streaming):
    entries = {
        "train": [{"label": i % 2} for i in range(20)],
        "test": [{"label": 1} for _ in range(7)],
        "extra_split": [{"label": 0} for _ in range(12)],
    }
    make(tmp_path / "out", {"label": {"class_label": ["a", "b"]}}, entries)
    loaded = load(tmp_path / "out", tmp_path / "cache", streaming=streaming)
    assert list(loaded) == list(entries)
    for split, objects in entries.items():
        assert loaded[split].info.splits[split].num_examples == len(objects)
        assert [row["json"]["label"] for row in loaded[split]] == [o["label"] for o in objects]


def test_every_copy_is_a_configuration_and_the_default_is_all_of_them(tmp_path, streaming):
    make(tmp_path / "out", {"n": "int64"}, {"train": [{"n": i} for i in range(12)]}, copies=2)
    for copy in range(2):
        name = f"copy{copy}"
        loaded = load(tmp_path / "out", tmp_path / "cache", name, streaming=streaming)["train"]
        rows = [row["json"] for row in loaded]
        assert rows == [{"n": i, "copy": copy} for i in range(12)]
    every = load(tmp_path / "out", tmp_path / "cache", streaming=streaming)["train"]
    assert sorted((row["json"]["copy"], row["json"]["n"]) for row in every) == [
        (copy, i) for copy in range(2) for i in range(12)
    ]


def test_nested_columns_keep_their_types_even_when_the_first_rows_are_empty(tmp_path, streaming):
    fields = {
        "boxes": {"list": {"list": "float64"}},
        "info": {"struct": {"author": "string", "tags": {"list": "string"}}},
        "objects": {"list": {"struct": {"id": "int64", "kind": {"class_label": ["x", "y"]}}}},
        "score": "float64",
        "flag": "bool",
    }
    empty = dict.fromkeys(fields)
    full = {
        "boxes": [[0.5, 1.0], []],
        "info": {"author": "me", "tags": ["a", "b"]},
        "objects": [{"id": 2**40, "kind": 1}],
        "score": 1.5,
        "flag": True,
    }
    make(tmp_path / "out", fields, {"train": [empty] * 10 + [full] * 10})
    loaded = load(tmp_path / "out", tmp_path / "cache", streaming=streaming)["train"]
    rows = list(loaded)
    assert rows[10]["json"] == full | {"copy": 0}
    assert rows[0]["json"]["score"] is None
    assert rows[0]["json"]["boxes"] in (None, [])
    assert rows[0]["jpg"].size == (40, 30)
