"""Names, many objects, objects of other tools, and the lock, on real S3 servers."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
from support.fault_proxy import FaultProxy
from support.s3_server import JuiceFS, found, moved
from support.store_conformance import content_of, listed, publish

from wdsremux.core.errors import StoreError, UnreachableStoreError, UsageError
from wdsremux.stores.base import Sums
from wdsremux.stores.registry import open_store
from wdsremux.stores.retry import RetryingStore
from wdsremux.stores.s3.bucket import TRIES
from wdsremux.stores.s3.checksums import FileSums
from wdsremux.stores.s3.lock import LOCK
from wdsremux.stores.s3.store import open_s3

pytestmark = pytest.mark.integration

LARGE = os.urandom(12 << 20)
HOLDER = """
import sys
from wdsremux.stores.s3.store import open_s3
with open_s3(sys.argv[1]).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def opened(seaweedfs):
    with found(seaweedfs.settings()):
        return open_s3(seaweedfs.new_place(), part_bytes=5 << 20)


@pytest.fixture
def target(opened):
    return moved(opened)


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    return path, Sums(len(LARGE), hashlib.sha256(LARGE).hexdigest())


def key(target, name):
    return {"Bucket": target._bucket.bucket, "Key": target._bucket.key(name)}


@pytest.mark.parametrize(
    "name", ["a b.tar", "ä+ß%20.tar", "1&2=3#4?.tar", "it's(1)~;,@$.tar", "日本.tar"]
)
def test_a_name_may_have_any_character(target, name):
    publish(target, name, b"content")
    assert listed(target) == [(name, 7)]
    assert content_of(target, name) == b"content"
    target.remove(name)
    assert listed(target) == []


def test_a_bucket_with_thousands_of_objects_is_listed_completely(target, seaweedfs):
    names = [f"train-{n:06d}.tar" for n in range(3000)]
    prefix = target._bucket.prefix
    seaweedfs.fill(target._bucket.bucket, [f"{prefix}/{name}" for name in names])
    assert listed(target) == [(name, 0) for name in names]


def test_the_store_is_opened_by_its_url(s3_url):
    publish(open_store(s3_url + "/"), "a.tar")
    assert listed(open_store(s3_url)) == [("a.tar", 7)]
    assert open_store(s3_url + "/").url == s3_url
    for arguments in ("s3://", "s3:///prefix"):
        with pytest.raises(UsageError, match="does not name a bucket"):
            open_store(arguments)


def test_a_file_is_verified_by_its_receipt_alone(target, large):
    path, sums = large
    receipt = target.put("a.tar", path, sums).receipt
    asked = Sums(sums.size_bytes, sums.sha256, receipt)
    assert target.prove("a.tar", asked).level == "checksum"
    assert target.prove("a.tar", sums).level == "unverified"
    assert target.prove("b.tar", asked).level == "absent"
    publish(target, "a.tar", LARGE[:-1] + b"!")
    assert target.prove("a.tar", asked).level == "differs"


def test_existing_objects_are_not_sent_again(target, large, monkeypatch):
    target.put("a.tar", *large)
    asked = []
    ask = target._bucket.ask
    target._bucket.ask = lambda operation, *a, **k: (
        asked.append(operation) or ask(operation, *a, **k)
    )
    reported = []
    assert target.put("a.tar", *large, reported.append).level == "checksum"
    assert set(asked) == {"head_object"}
    assert reported == [len(LARGE)]


def test_a_small_new_file_needs_one_request(seaweedfs, tmp_path):
    path, sums = tmp_path / "small", Sums(5, hashlib.sha256(b"bytes").hexdigest())
    path.write_bytes(b"bytes")
    with FaultProxy(seaweedfs.port) as proxy, found(seaweedfs.settings(proxy.url)):
        target = open_s3(seaweedfs.new_place())
        with target.lock():
            proof = target.put("a.tar", path, sums)
            assert proof.level == "checksum"
            methods = [one.method for one in proxy.seen if "/a.tar" in one.target]
            assert methods == ["PUT"]
            assert target.put("a.tar", path, sums).level == "checksum"
        asked = Sums(sums.size_bytes, sums.sha256, proof.receipt)
        assert target.prove("a.tar", asked).level == "checksum"


def test_leftover_uploads_of_completed_files_are_removed_and_others_kept(target, seaweedfs, large):
    client = seaweedfs.client()
    for name in ("a.tar", "b.tar"):
        client.create_multipart_upload(**key(target, name))
    target.put("c.tar", *large)
    client.copy_object(CopySource={**key(target, "c.tar")}, **key(target, "a.tar"))
    target._sweep()
    left = client.list_multipart_uploads(
        Bucket=key(target, "")["Bucket"], Prefix=target._bucket.key("")
    )
    assert [item["Key"].rpartition("/")[2] for item in left.get("Uploads", [])] == ["b.tar"]


@pytest.mark.parametrize("algorithm", ["CRC64NVME", None])
def test_a_file_of_another_tool_is_verified_by_crc64_or_etag(target, seaweedfs, large, algorithm):
    path, sums = large
    extra = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    seaweedfs.client().upload_file(str(path), *key(target, "a.tar").values(), ExtraArgs=extra)
    with target.lock():
        level = target.prove("a.tar", sums, path).level
        assert level == ("checksum" if algorithm else "etag")
        path.write_bytes(LARGE[:-1] + b"!")
        assert target.prove("a.tar", sums, path).level == "differs"


@pytest.mark.parametrize("algorithm", ["CRC64NVME"])
def test_queries_write_nothing(seaweedfs, tmp_path, algorithm):
    path, sums = tmp_path / "small", Sums(5, hashlib.sha256(b"bytes").hexdigest())
    path.write_bytes(b"bytes")
    with FaultProxy(seaweedfs.port) as proxy, found(seaweedfs.settings(proxy.url)):
        target = open_s3(seaweedfs.new_place())
        seaweedfs.client().put_object(
            Body=b"bytes", ChecksumAlgorithm=algorithm, **key(target, "a.tar")
        )
        assert target.prove("a.tar", sums).is_there
        assert target.prove("a.tar", sums, path).level == "etag"
        assert proxy.count("PUT") == 0
        with target.lock():
            assert target.prove("a.tar", sums, path).level == "checksum"
        assert proxy.count("PUT") > 0


def test_a_lock_with_a_lost_response_is_ours_at_the_next_attempt(seaweedfs):
    with FaultProxy(seaweedfs.port) as proxy, found(seaweedfs.settings(proxy.url)):
        target = RetryingStore(open_s3(seaweedfs.new_place()), 60)
        lost = proxy.add("lose_answer", method="PUT", match="/lock", times=TRIES)
        with target.lock() as died:
            assert not died
            publish(target.store, "a.tar")
        assert lost.hits == TRIES


def test_an_old_server_is_verified_by_etag(juicefs, large):
    with found(juicefs.settings()):
        target = open_s3(juicefs.new_place(), part_bytes=5 << 20)
    path, sums = large
    proof = target.put("a.tar", path, sums)
    assert proof.level == "etag"
    assert target.prove("a.tar", Sums(sums.size_bytes, sums.sha256, proof.receipt)).level == "etag"
    assert target.prove("a.tar", sums, path).level == "etag"


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_file_with_an_unknown_kind_of_etag_is_read_back(juicefs, large, monkeypatch, is_damaged):
    with found(juicefs.settings()):
        target = open_s3(juicefs.new_place(), part_bytes=5 << 20)
    path, sums = large
    monkeypatch.setattr(FileSums, "etag", property(lambda _self: "0" * 32))
    if is_damaged:
        read = target._bucket.data
        flips = [True]

        def flipped(name, max_bytes, **details):
            data = read(name, max_bytes, **details)
            is_flipped = name == "a.tar" and flips and flips.pop()
            return b"!" + data[1:] if is_flipped else data

        target._bucket.data = flipped
        with pytest.raises(UnreachableStoreError, match="it arrived damaged"):
            target.put("a.tar", path, sums)
        assert listed(target) == []
    proof = target.put("a.tar", path, sums)
    assert proof.level == "reread"
    assert target.prove("a.tar", Sums(sums.size_bytes, sums.sha256, proof.receipt)).level == "etag"


def test_a_server_without_checksums_leaves_a_file_unverified(large):
    with JuiceFS(keeps_etags=False) as server, found(server.settings()):
        target = open_s3(server.new_place(), part_bytes=5 << 20)
        assert target.put("a.tar", *large).level == "unverified"
        assert content_of(target, "a.tar") == LARGE
        with target.lock():
            publish(target, "b.tar")


def test_a_lock_of_a_killed_process_is_taken_over_at_once(target, seaweedfs):
    with found(seaweedfs.settings()):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, target.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    with holder:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(StoreError, match=rf"written by process {holder.pid} on host"),
            target.lock(),
        ):
            pass
        holder.kill()
    with target.lock() as died:
        assert died is True
    with target.lock() as died:
        assert died is False


def test_after_a_takeover_of_the_lock_nothing_is_published(target, seaweedfs):
    with target.lock():
        other = json.dumps({"host": "elsewhere", "pid": 77}).encode()
        seaweedfs.client().put_object(Body=other, **key(target, LOCK))
        target._lease.renew()
        with pytest.raises(StoreError, match="taken over or expired"):
            publish(target, "a.tar")
    assert listed(target) == []


def test_the_age_of_a_lock_comes_from_the_servers_clock(target):
    with target.lock():
        first = target._lease._lock.read()
        target._lease.renew()
        second = target._lease._lock.read()
    assert first.version != second.version
    assert 0 <= second.age_s < 60


def test_an_old_server_resumes_with_the_parts_it_has(juicefs, large):
    class Stopped(Exception):  # noqa: N818
        pass

    def stop(_bytes):
        raise Stopped

    with FaultProxy(juicefs.port) as proxy:
        with found(juicefs.settings(proxy.url)):
            target = open_s3(juicefs.new_place(), jobs=1, part_bytes=5 << 20)
        with pytest.raises(Stopped):
            target.put("a.tar", *large, stop)
        proxy.seen.clear()
        flipped = proxy.add("flip", 1000, method="PUT", match="partNumber=3")
        assert target.put("a.tar", *large).level == "etag"
        assert flipped.hits == 1
        assert proxy.count("PUT", "partNumber=1(&|$)") == 0
        assert proxy.count("PUT", "partNumber=3(&|$)") == 2
    with found(juicefs.settings()):
        assert content_of(open_store(target.url), "a.tar") == LARGE
