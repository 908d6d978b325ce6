"""Without --max-shard-size a split has enough shards for loaders, whatever ran it and how often."""

import pytest
from support.runs import convert, files_of, manifest, shards, wdsremux

pytestmark = pytest.mark.integration

COMMAND = ("--quality", 100, "--subsampling", "444", "--step", "resize=400")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folder of a demo in high quality: more than 32 MB."""
    out = tmp_path_factory.mktemp("made") / "out"
    convert("demo:", out, *COMMAND)
    return out


def test_a_split_has_sixteen_shards_of_equal_numbers_of_rows(made):
    index = manifest(made)
    rows = [shard["stop"] - shard["start"] for shard in index["shardlist"]]
    assert rows == [17] * 15 + [15]
    assert index["recipe"]["shard_rows"] == {"train": 17}
    assert index["recipe"]["max_shard_size"] == 512 * 10**6


def test_a_resumed_run_with_other_workers_makes_the_same_shards(made, tmp_path):
    whole, out = shards(made), tmp_path / "out"
    for name, data in files_of(made).items():
        number = name.rsplit("-", 1)[-1][:6]
        if name.endswith("recipe.json") or (number.isdecimal() and int(number) < 5):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(data)
    convert("demo:", out, *COMMAND, "--workers", "0")
    assert shards(out) == whole


def test_a_size_of_the_users_own_is_another_recipe(made, tmp_path):
    ended = wdsremux("convert", "demo:", made, *COMMAND, "--max-shard-size", "512MB")
    assert ended.returncode == 7
    assert "started without --max-shard-size and --max-shard-samples; leave them out" in (
        ended.stderr
    )
    out = tmp_path / "out"
    convert("demo:", out, "--limit", 40, "--max-shard-size", "512MB")
    index = manifest(out)
    assert "shard_rows" not in index["recipe"]
    # An output from before the rule has no such field: the same command resumes it.
    convert("demo:", out, "--limit", 40)
    assert manifest(out) == index


def test_a_lost_shard_is_repaired_to_the_byte(made):
    shard = made / "train-000007.tar"
    whole = shard.read_bytes()
    shard.unlink()
    ended = wdsremux("repair", made)
    assert ended.returncode == 0, ended.stderr
    assert shard.read_bytes() == whole
