"""--shards-multiple-of N: an equal number of rows for each shard, whatever interrupts the run."""

import pytest
from support.corpora import jpegs, write_parquet_dataset
from support.runs import convert, manifest, tree, wdsremux

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OPTIONS = ("--step", "resize=16", "--max-errors", 1, "--shards-multiple-of", 5)


def test_an_interrupted_run_and_a_repaired_output_have_the_same_shards(tmp_path):
    images = jpegs(42)
    images[20] = b"broken"
    source = write_parquet_dataset(tmp_path / "source", images=images).folder
    made, out = tmp_path / "made", tmp_path / "out"
    convert(source, made, *OPTIONS)
    index = manifest(made)
    assert [shard["stop"] - shard["start"] for shard in index["shardlist"]] == [
        2,
        2,
        2,
        2,
        2,
        2,
        2,
        2,
        2,
        3,
    ] * 2
    assert index["recipe"]["shards_multiple_of"] == 5
    kept = ("recipe.json", "train-000000.tar", "train-000000.msgpack")
    for path in made.rglob("*"):
        if path.name in kept:
            (out / path.relative_to(made)).parent.mkdir(parents=True, exist_ok=True)
            (out / path.relative_to(made)).write_bytes(path.read_bytes())
    convert(source, out, *OPTIONS, "--workers", 0)
    assert tree(out) == tree(made)
    (out / "train-000002.tar").unlink()
    assert wdsremux("repair", out).returncode == 0
    assert tree(out) == tree(made)
    assert wdsremux("verify", out).returncode == 0
