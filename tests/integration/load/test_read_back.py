"""What was written is read by the real readers: webdataset, datasets, wids."""

import json
import sys
from types import ModuleType
from typing import Generic, TypeVar

import datasets
import pytest
from support.corpora import CLASS_NAMES, write_parquet_dataset
from support.runs import convert, manifest, samples, shards, step_options

# Readers of other tools leave their files to the garbage collector, and wids has deprecations.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:String specifications:UserWarning"),
]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    train = write_parquet_dataset(folder, rows=60, split="train")
    validation = write_parquet_dataset(folder, rows=20, split="validation", seed=1)
    return train, validation


@pytest.fixture(scope="module")
def out(corpora, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "out"
    arguments = ("--split", "all", "--max-shard-size", "40KB", *step_options("resize=24x24"))
    convert(corpora[0].folder, out, *arguments)
    assert len(shards(out)) > 2
    return out


def test_webdataset_reads_every_sample_with_its_label(corpora, out):
    for corpus, split in zip(corpora, ("train", "validation"), strict=True):
        found = samples(out, split)
        assert [json.loads(sample["json"])["label"] for sample in found] == corpus.labels
        assert all(sample["jpg"].startswith(b"\xff\xd8") for sample in found)


def test_keys_are_unique_over_all_splits(out):
    keys = [
        sample["__key__"] for split in ("train", "validation") for sample in samples(out, split)
    ]
    assert len(set(keys)) == len(keys) == 80


@pytest.mark.parametrize("streaming", [False, True])
def test_load_dataset_gives_images_labels_and_names(corpora, out, tmp_path, streaming):
    loaded = datasets.load_dataset(str(out), streaming=streaming, cache_dir=tmp_path)
    assert list(loaded) == ["train", "validation"]
    for corpus, split in zip(corpora, ("train", "validation"), strict=True):
        feature = loaded[split].features["json"]["label"]
        assert feature.names == list(CLASS_NAMES)
        rows = list(loaded[split])
        assert [row["json"]["label"] for row in rows] == corpus.labels
        assert [row["json"]["caption"] for row in rows] == corpus.captions
        assert {row["jpg"].size for row in rows} == {(24, 24)}


class Base(Generic[TypeVar("T")]):
    """What wids derives its classes from."""


@pytest.fixture
def wids(monkeypatch):
    """Return the real wids; for one process it wants of torch only that it can be imported."""
    for name in ("torch", "torch.distributed", "torch.utils", "torch.utils.data"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["torch"].distributed = sys.modules["torch.distributed"]
    sys.modules["torch.utils.data"].Dataset = Base
    sys.modules["torch.utils.data"].Sampler = Base
    import wids

    return wids


def test_wids_reads_the_manifest(corpora, out, wids, tmp_path):
    dataset = wids.ShardListDataset(str(out / "index.json"), cache_dir=str(tmp_path), keep=True)
    assert len(dataset) == 80
    assert dataset[79][".json"]["label"] == corpora[1].labels[-1]


def test_the_manifest_lists_the_contents(corpora, out):
    found = manifest(out)
    assert found["totals"] == {
        "rows": 80,
        "samples": 80,
        "rejected": 0,
        "bytes": sum(path.stat().st_size for path in out.glob("*.tar")),
        "shards": len(shards(out)),
    }
    assert found["class_names"] == list(CLASS_NAMES)
    assert {shard["url"]: shard["sha256"] for shard in found["shardlist"]} == shards(out)


def test_a_foreign_readme_is_kept_with_a_note(corpora, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "README.md").write_text("my own words")
    done = convert(corpora[0].folder, out, "--progress", "log")
    assert (out / "README.md").read_text() == "my own words"
    assert "README.md" in done.stderr
