"""`load_hf`: an output as a dataset of `datasets`, with the columns that its users expect."""

import datasets
import pytest
from support.corpora import jpegs, write_parquet_dataset

import wdsremux
from wdsremux.core.errors import UsageError

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    source = write_parquet_dataset(tmp_path_factory.mktemp("corpus"), images=jpegs(25)).folder
    folder = tmp_path_factory.mktemp("converted")
    options = {"steps": ["resize=16x16"], "max_shard_samples": 10, "workers": 0, "copies": 2}
    wdsremux.convert(source, folder / "out", cls=True, **options)
    return folder / "out"


def test_the_columns_are_flat_and_the_label_has_its_names(out):
    streamed = wdsremux.load_hf(out, "train")
    assert isinstance(streamed, datasets.IterableDataset)
    assert streamed.features["image"] == datasets.Image()
    assert isinstance(streamed.features["label"], datasets.ClassLabel)
    assert streamed.num_shards == 3
    loaded = wdsremux.load(out, "train")
    rows = list(streamed)
    assert len(rows) == 25
    for row, sample in zip(rows, loaded, strict=True):
        assert row["image"].tobytes() == sample["image"].tobytes()
        assert {n: v for n, v in row.items() if n != "image"} == {
            n: v for n, v in sample.items() if n != "image"
        }


def test_workers_divide_the_shards(out):
    streamed = wdsremux.load_hf(out, "train", copy=1)
    parts = [streamed.shard(num_shards=3, index=number) for number in range(3)]
    keys = [row["key"] for part in parts for row in part]
    assert sorted(keys) == [sample["key"] for sample in wdsremux.load(out, "train", copy=1)]


def test_without_streaming_it_is_a_dataset(out, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    whole = wdsremux.load_hf(out, "train", streaming=False)
    assert (len(whole), whole[24]["image"].size) == (25, (16, 16))
    assert whole.split == "train"


def test_another_split_is_refused(out):
    with pytest.raises(UsageError, match="no split 'test'"):
        wdsremux.load_hf(out, "test")
