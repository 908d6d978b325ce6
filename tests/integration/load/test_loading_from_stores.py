"""Pipelines over an S3 server and the fake Hub, with a cache that two processes share."""

import json
import subprocess
import sys

import pytest
from support.s3_server import found
from support.verified import make_dataset

import wdsremux

pytestmark = [
    pytest.mark.integration,
    # The Hub client's own upload by LFS.
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]

TOKEN = "hf_loadingloadingloading"  # noqa: S105 (of the fake)
WORDS = {"shuffle": True, "batch_size": 8, "columns": ("position",)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out", rows=60)


def positions(out, **arguments):
    return [one for (some,) in wdsremux.pipeline(out, **WORDS | arguments) for one in some.tolist()]


def used_bytes(cache):
    return sum(path.stat().st_size for path in (cache / "chunks").iterdir())


def test_an_epoch_from_s3_is_that_of_the_folder(s3_url, made, tmp_path):
    wdsremux.sync(made, s3_url)
    expected = positions(made)
    assert positions(s3_url) == expected
    shard_bytes = sum(path.stat().st_size for path in made.glob("*.tar"))
    for size in (shard_bytes, shard_bytes // 4):
        cache = tmp_path / f"cache{size}"
        assert positions(s3_url, cache_dir=cache, cache_size=size) == expected
        assert 0 < used_bytes(cache) <= size


def test_processes_share_the_cache(seaweedfs, made, tmp_path):
    code = (
        "import sys, json, wdsremux\n"
        f"p = wdsremux.pipeline(sys.argv[1], cache_dir=sys.argv[2], cache_size='1MB', **{WORDS!r})\n"
        "print(json.dumps([one for (some,) in p for one in some.tolist()]))\n"
    )
    url = seaweedfs.new_place()
    with found(seaweedfs.settings()):
        wdsremux.sync(made, url)
        command = [sys.executable, "-c", code, url, str(tmp_path / "cache")]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [json.loads(output) for output in outputs] == [positions(made)] * 2
    assert used_bytes(tmp_path / "cache") <= 1_000_000


def test_an_epoch_from_the_hub_is_that_of_the_folder(hub, made, monkeypatch, tmp_path):
    hub.configure(token=TOKEN, user="loader", lfs_threshold=1000)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    url = "hf://datasets/loader/out"
    wdsremux.sync(made, url)
    expected = positions(made)
    assert positions(url, cache_dir=tmp_path / "cache") == expected
    assert sorted(positions(url, rank=0, world_size=2) + positions(url, rank=1, world_size=2)) == (
        sorted(expected)
    )
    (pattern,) = wdsremux.urls(url, as_patterns=True)
    assert pattern == f"{hub.url}/datasets/loader/out/resolve/main/train-{{000000..000006}}.tar"
    with pytest.raises(wdsremux.WdsremuxError, match="has the forms 'http', 'curl'"):
        wdsremux.urls(url, form="aws")
