"""Object stores over a real server: obstore's S3 side, since none speaks for Google or Azure."""

import hashlib

import obstore
import pytest
from obstore.store import S3Store
from support.s3_server import KEY, SECRET
from support.store_conformance import StoreConformance, content_of, listed

from wdsremux.core.errors import StoreError
from wdsremux.stores.base import Sums
from wdsremux.stores.obstore.store import PART_BYTES, CloudStore

pytestmark = pytest.mark.integration


def store_of(server, bucket, secret=SECRET, **more):
    return S3Store(
        bucket,
        prefix="some/folder",
        endpoint=server.url,
        access_key_id=KEY,
        secret_access_key=secret,
        region="us-east-1",
        client_options={"allow_http": True},
        **more,
    )


@pytest.fixture
def bucket(seaweedfs):
    return seaweedfs.new_bucket()


@pytest.fixture
def target(seaweedfs, bucket):
    return CloudStore(store_of(seaweedfs, bucket), "gs://bucket/some/folder")


def file_of(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    return path, Sums(len(content), hashlib.sha256(content).hexdigest())


class TestObjectStoreOnAServer(StoreConformance):
    """The contract, over HTTP."""


def test_a_file_sent_in_one_piece_is_verified_by_its_etag(target, tmp_path):
    path, sums = file_of(tmp_path, b"x" * 1000)
    proof = target.put("a.tar", path, sums)
    assert proof.level == "etag"
    assert target.prove("a.tar", sums).level == "unverified"
    assert target.prove("a.tar", sums, path).level == "etag"
    later = Sums(sums.size_bytes, sums.sha256, proof.receipt)
    assert target.prove("a.tar", later).level == "etag"


def test_a_file_sent_in_parts_is_read_back(target, tmp_path):
    path, sums = file_of(tmp_path, bytes(range(256)) * (2 * PART_BYTES // 256) + b"end")
    proof = target.put("a.tar", path, sums)
    assert proof.level == "reread"
    later = Sums(sums.size_bytes, sums.sha256, proof.receipt)
    assert target.prove("a.tar", later).level == "etag"
    assert content_of(target, "a.tar") == path.read_bytes()


def test_a_multipart_file_damaged_in_transit_leaves_no_upload(seaweedfs, bucket, target, tmp_path):
    path, sums = file_of(tmp_path, b"x" * (2 * PART_BYTES))
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"y")
    with pytest.raises(StoreError, match="damaged"):
        target.put("a.tar", path, sums)
    assert listed(target) == []
    assert "Uploads" not in seaweedfs.client().list_multipart_uploads(Bucket=bucket)


def test_a_missing_bucket_and_a_wrong_key_are_reported(seaweedfs, bucket, tmp_path):
    path, sums = file_of(tmp_path, b"x")
    absent = CloudStore(store_of(seaweedfs, "no-such-bucket"), "gs://no-such-bucket")
    with pytest.raises(StoreError, match="bucket or container does not exist"):
        listed(absent)
    stranger = CloudStore(store_of(seaweedfs, bucket, "wrong-secret"), "gs://bucket")
    for refused in (lambda: stranger.put("a.tar", path, sums), lambda: listed(stranger)):
        with pytest.raises(StoreError, match="lack the permission") as caught:
            refused()
        assert "wrong-secret" not in repr(caught.value)


def test_two_writers_take_turns_and_the_lock_is_removed(seaweedfs, bucket, target):
    other = CloudStore(store_of(seaweedfs, bucket), "gs://bucket/some/folder")
    with target.lock(), pytest.raises(StoreError, match="being written by"), other.lock():
        pass
    with other.lock():
        pass
    with pytest.raises(FileNotFoundError):
        obstore.head(store_of(seaweedfs, bucket), ".wdsremux/lock")
