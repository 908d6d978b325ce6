"""Promise 1: the same recipe gives the same bytes with any run options."""

import pytest
from support.corpora import write_parquet_dataset
from support.runs import convert, shards, step_options, tree

pytestmark = pytest.mark.integration

RANDOM_STEPS = step_options("random-resized-crop=24", "hflip", "color-jitter=0.4,0.4,0.4,0.1")
SMALL_SHARDS = ("--max-shard-size", "40KB")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_parquet_dataset(
        tmp_path_factory.mktemp("corpus"), rows=150, row_group_size=17, files=3
    )


@pytest.fixture(scope="module")
def reference(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    convert(corpus.folder, out, *RANDOM_STEPS, *SMALL_SHARDS, "--workers", 0)
    assert len(shards(out)) > 3
    return tree(out)


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_the_number_of_workers_changes_no_byte(corpus, reference, tmp_path, workers):
    convert(corpus.folder, tmp_path / "out", *RANDOM_STEPS, *SMALL_SHARDS, "--workers", workers)
    assert tree(tmp_path / "out") == reference


def test_processes_give_the_bytes_of_threads(corpus, reference, tmp_path):
    arguments = (*RANDOM_STEPS, *SMALL_SHARDS, "--workers", 2, "--engine", "processes")
    convert(corpus.folder, tmp_path / "out", *arguments)
    assert tree(tmp_path / "out") == reference


@pytest.mark.parametrize("workers", [0, 1, 2, 3, 5])
def test_the_same_dataset_by_id_gives_the_same_shards(corpus, reference, hub, tmp_path, workers):
    repo, folder = hub.new_repo()
    write_parquet_dataset(folder, rows=150, row_group_size=17, files=3)
    convert(repo, tmp_path / "out", *RANDOM_STEPS, *SMALL_SHARDS, "--workers", workers)
    expected = {name: digest for name, digest in reference.items() if name.endswith(".tar")}
    assert shards(tmp_path / "out") == expected


def test_another_seed_gives_other_bytes(corpus, reference, tmp_path):
    convert(corpus.folder, tmp_path / "out", *RANDOM_STEPS, *SMALL_SHARDS, "--seed", 7)
    assert shards(tmp_path / "out").items().isdisjoint(reference.items())


def test_copies_are_separate_series_that_differ(corpus, tmp_path):
    trees = []
    for workers in (0, 3):
        out = tmp_path / f"out{workers}"
        convert(corpus.folder, out, *RANDOM_STEPS, "--copies", 2, "--workers", workers)
        trees.append(tree(out))
    assert trees[0] == trees[1]
    assert trees[0]["train-c0-000000.tar"] != trees[0]["train-c1-000000.tar"]


BATCH_FUNCTION = """
import random
import numpy as np

def mix(batch):
    # Depends on which rows came together, and on the global generators.
    pixels = [np.asarray(image.resize((16, 16))).astype(int) for image in batch["image"]]
    mean = np.mean(pixels, axis=0)
    share = random.random() + np.random.rand()
    batch["image"] = [((p * share + mean) / (1 + share)).astype(np.uint8) for p in pixels]
    return batch
"""


def test_a_batch_function_sees_the_same_rows_together_on_every_run(corpus, tmp_path):
    function = tmp_path / "mixing.py"
    function.write_text(BATCH_FUNCTION)
    arguments = ("--transform", f"{function}:mix", "--batch-size", 32, *SMALL_SHARDS)
    trees = []
    for workers in (0, 1, 3):
        out = tmp_path / f"out{workers}"
        convert(corpus.folder, out, *arguments, "--workers", workers)
        trees.append(tree(out))
    assert trees[0] == trees[1] == trees[2]
