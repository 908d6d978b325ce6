"""`wdsremux sync` to and from real S3, and to the Hub: proven, resumed, read by webdataset."""

import json
import os
import tarfile

import pytest
import webdataset as wds
from support.fault_proxy import FaultProxy
from support.running import Running
from support.runs import manifest, tree, wdsremux
from support.s3_server import KEY, SECRET, found
from support.verified import make_dataset

import wdsremux as product
from wdsremux.core.errors import StoreError
from wdsremux.core.events import SyncAdvanced
from wdsremux.stores.s3 import store as s3_store
from wdsremux.stores.s3.store import open_s3

pytestmark = pytest.mark.integration

TOKEN = "hf_secretsecretsecret"  # noqa: S105 (of the fake)
SENT = r"/(train-|index|README|\.wdsremux/(?!lock|probe))"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out", rows=16)


def names_at(url):
    target = open_s3(url)
    return [name for name, _ in (*target.list(), *target.list(".wdsremux"))]


def index_at(url):
    with open_s3(url).open("index.json") as file:
        return json.loads(file.read())


def test_a_round_trip_through_s3_keeps_every_byte(made, s3_url, tmp_path):
    done = wdsremux("sync", made, s3_url)
    assert done.returncode == 0, done.stderr
    files = len(tree(made))
    first, *urls = done.stdout.splitlines()
    assert first.startswith(f"sent {files} files, ")
    assert first.endswith(f"proof: {files} checksum")
    assert any("pipe:aws --endpoint-url" in url for url in urls)
    assert sorted(names_at(s3_url)) == sorted(tree(made))
    there = index_at(s3_url)
    receipts = there.pop("published")["receipts"]
    assert there == manifest(made)
    assert all("crc64nvme" in receipt for receipt in receipts.values())
    product.sync(s3_url, tmp_path / "back")
    assert tree(tmp_path / "back") == tree(made)
    assert product.verify(s3_url).exit_code == 0
    reported = done.stdout + done.stderr + json.dumps(index_at(s3_url))
    assert SECRET not in reported
    assert KEY not in reported


def test_a_second_sync_sends_nothing(made, seaweedfs):
    url = seaweedfs.new_place()
    with FaultProxy(seaweedfs.port) as proxy, found(seaweedfs.settings(proxy.url)):
        product.sync(made, url)
        sent = proxy.count("PUT", SENT)
        report = product.sync(made, url)
        assert proxy.count("PUT", SENT) == sent == len(tree(made))
        assert proxy.count("POST") == proxy.count("HEAD", SENT) == 0
        assert (report.files, report.present_files) == (0, sent)


def test_a_dry_run_writes_nothing(made, seaweedfs):
    url = seaweedfs.new_place()
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    shards = [*made.glob("*.tar")]
    for path in shards:
        place = {"Bucket": bucket, "Key": f"{prefix}/{path.name}"}
        seaweedfs.client().put_object(Body=path.read_bytes(), ChecksumAlgorithm="CRC32", **place)
    with FaultProxy(seaweedfs.port) as proxy, found(seaweedfs.settings(proxy.url)):
        report = product.sync(made, url, dry_run=True)
        assert report.present_files == len(shards)
        assert {one.method for one in proxy.seen} == {"GET", "HEAD"}


def test_jobs_bound_the_parallel_transfers(made, s3_url, monkeypatch):
    opened = []
    real = s3_store.open_s3
    monkeypatch.setattr(
        s3_store, "open_s3", lambda url, jobs: opened.append(real(url, jobs=jobs)) or opened[-1]
    )
    product.sync(made, s3_url, jobs=2)
    slots = opened[-1]._slots
    assert [slots.acquire(blocking=False) for _ in range(3)] == [True, True, False]


def test_a_server_that_dies_in_the_middle_is_retried(made, seaweedfs):
    url = seaweedfs.new_place()
    died = []

    def kill(event):
        if isinstance(event, SyncAdvanced) and event.size_bytes and not died:
            died.append(event)
            seaweedfs.kill()
        elif died and not isinstance(event, SyncAdvanced):
            seaweedfs.start()  # it was noticed

    with found(seaweedfs.settings()):
        report = product.sync(made, url, jobs=2, observer=kill)
        assert died
        assert sorted(names_at(url)) == sorted(tree(made))
        assert report.levels.keys() == {"checksum"}


def test_a_killed_sync_resumes_and_sends_the_index_last(made, seaweedfs):
    url = seaweedfs.new_place()
    with found(seaweedfs.settings()):
        target = open_s3(url)
        with Running("sync", made, url, "--jobs", 1, "--bandwidth", "4kB") as running:
            running.wait_for(lambda: "train-000000.tar" in dict(target.list()), "a shard")
            running.kill_group()
        assert [name for name, _ in target.list()] == ["train-000000.tar"]
        report = product.sync(made, url)
        assert report.present_files == 2  # the recipe goes first
        assert sorted(names_at(url)) == sorted(tree(made))


def test_two_syncs_at_a_time_do_not_mix(made, seaweedfs):
    url = seaweedfs.new_place()
    refused = []

    def begin_another(event):
        if isinstance(event, SyncAdvanced) and not refused:
            with pytest.raises(StoreError, match="being written by") as caught:
                product.sync(made, url)
            refused.append(caught)

    with found(seaweedfs.settings()):
        product.sync(made, url, observer=begin_another)
        assert refused
        assert sorted(names_at(url)) == sorted(tree(made))


def test_a_move_to_s3_removes_every_shard_and_can_be_reversed(made, s3_url, tmp_path):
    product.sync(made, tmp_path / "here")
    report = product.sync(tmp_path / "here", s3_url, move=True)
    assert list((tmp_path / "here").glob("*.tar")) == []
    assert len(report.freed) == len(manifest(made)["shardlist"])
    product.sync(s3_url, tmp_path / "back")
    assert tree(tmp_path / "back") == tree(made)


def test_a_server_without_checksums_is_reported(made, juicefs, tmp_path):
    with found(juicefs.settings()):
        url = juicefs.new_place()
        report = product.sync(made, url)
        assert report.levels == {"etag": len(tree(made))}
        assert product.sync(made, url).files == 0
        product.sync(url, tmp_path / "back")
    assert tree(tmp_path / "back") == tree(made)


AWS = """#!/bin/sh
# Stands for the command of that name, as far as loaders need it.
[ "$1 $2 $3 $4 $6" = "--endpoint-url {endpoint} s3 cp -" ] || exit 2
exec curl -sf "$(cat "{signed}/${{5#{url}/}}")"
"""


def keys_read(pattern):
    data = wds.WebDataset(pattern, shardshuffle=False, handler=wds.reraise_exception)
    return [sample["__key__"] for sample in data]


def keys_in(folder):
    """Return the keys of a folder's shards, in order."""
    names = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            names += tar.getnames()
    return list(dict.fromkeys(name.partition(".")[0] for name in names))


def test_webdataset_reads_the_url_that_is_printed(made, seaweedfs, tmp_path, monkeypatch):
    url = f"{seaweedfs.new_place()}/two words"
    with found(seaweedfs.settings()):
        report = product.sync(made, url)
        assert index_at(url)["published"]["loaders"] == report.loaders
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    for path in made.glob("*.tar"):
        place = {"Bucket": bucket, "Key": f"{prefix}/{path.name}"}
        signed = seaweedfs.client().generate_presigned_url("get_object", Params=place)
        (tmp_path / path.name).write_text(signed)
    aws = tmp_path / "bin" / "aws"
    aws.parent.mkdir()
    aws.write_text(AWS.format(endpoint=seaweedfs.url, signed=tmp_path, url=url))
    aws.chmod(0o755)
    monkeypatch.setenv("PATH", f"{aws.parent}{os.pathsep}{os.environ['PATH']}")
    (pattern,) = report.loaders["aws"]["train"]
    assert pattern.startswith(f"pipe:aws --endpoint-url {seaweedfs.url} s3 cp '{url}/train-{{")
    assert keys_read(pattern) == keys_in(made)


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the Hub's own client
def test_webdataset_reads_a_dataset_on_the_hub(made, hub, monkeypatch):
    hub.configure(token=TOKEN, user="u")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    url = "hf://datasets/u/carried"
    report = product.sync(made, url)
    (pattern,) = report.loaders["curl"]["train"]
    assert TOKEN not in pattern
    assert keys_read(pattern) == keys_in(made)
    assert product.sync(made, url).files == 0
