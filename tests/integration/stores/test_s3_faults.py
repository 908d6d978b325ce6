"""Faults between the client and S3: repaired where possible, reported where not."""

import copy
import datetime as dt
import hashlib
import logging
import random
import subprocess
import sys
import traceback

import pytest
from support.fault_proxy import FaultProxy
from support.s3_server import KEY, SECRET, found, free_ports, moved

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.stores.base import Sums
from wdsremux.stores.s3 import confirmation, proof
from wdsremux.stores.s3.store import open_s3

pytestmark = pytest.mark.integration

PART = 5 << 20
NAME = "train-000000.tar"
PARTS = r"partNumber="
COMPLETE = r"\?uploadId="
CREATE = r"\?uploads"
UPLOADER = """
import sys
from pathlib import Path
from wdsremux.stores.base import Sums
from wdsremux.stores.s3.store import open_s3
url, path, size, sha256 = sys.argv[1:]
target = open_s3(url, jobs=1, part_bytes=5 << 20)
target.put("train-000000.tar", Path(path), Sums(int(size), sha256))
"""


@pytest.fixture(scope="module")
def listening(seaweedfs):
    with FaultProxy(seaweedfs.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def opened(seaweedfs, listening):
    with found(seaweedfs.settings(listening.url)):
        target = open_s3(seaweedfs.new_place(), part_bytes=PART)
    target._abilities.probed()
    return target


@pytest.fixture
def proxy(listening):
    listening.faults.clear()
    listening.seen.clear()
    yield listening
    for fault in listening.faults:
        fault.release.set()
    listening.faults.clear()


@pytest.fixture
def target(opened, proxy):
    return moved(opened)


@pytest.fixture
def made(tmp_path):
    """Make a file of that many bytes; returns its path and sums."""

    def make(size, seed=0):
        path = tmp_path / f"{size}-{seed}"
        content = random.Random(seed).randbytes(size)  # noqa: S311
        path.write_bytes(content)
        return path, Sums(size, hashlib.sha256(content).hexdigest())

    return make


@pytest.fixture
def large(made):
    """Four parts."""
    return made(3 * PART + 1000)


@pytest.fixture
def small(made):
    return made(50_000)


def holds(target, path):
    with target.open(NAME) as file:
        return file.read() == path.read_bytes()


def part_number(number):
    return rf"partNumber={number}(&|$)"


def begun(target):
    """Return how many uploads are begun and not ended."""
    pages = target._bucket.pages("list_multipart_uploads", Prefix=target._bucket.key(NAME))
    return sum(len(page.get("Uploads", [])) for page in pages)


@pytest.mark.parametrize(
    ("fault", "method", "match"),
    [
        (("status", 503), "PUT", PARTS),
        (("status", 503), "POST", CREATE),
        (("status", 503), "POST", COMPLETE),
        (("status", 429), "PUT", PARTS),
        (("reset", 1_000_000), "PUT", "partNumber=2"),
        (("flip", 2_000_000), "PUT", "partNumber=3"),
        (("lose_answer", 0), "POST", CREATE),
        (("lose_answer", 0), "PUT", "partNumber=2"),
        (("lose_answer", 0), "POST", COMPLETE),
        (("lose_answer", 0), "HEAD", NAME),
    ],
)
def test_a_temporary_fault_is_repaired(target, proxy, large, fault, method, match):
    path, sums = large
    broken = proxy.add(*fault, method=method, match=match)
    proof = target.put(NAME, path, sums)
    assert broken.hits == 1
    assert proof.level == "checksum"
    assert holds(target, path)
    # One that is repeated after a lost answer leaves at most an upload without parts.
    assert begun(target) <= (match == CREATE)


@pytest.mark.parametrize(("fault", "n"), [("lose_answer", 0), ("flip", 7), ("reset", 100)])
def test_a_small_file_survives_a_fault(target, proxy, small, fault, n):
    path, sums = small
    broken = proxy.add(fault, n, method="PUT", match=NAME)
    assert target.put(NAME, path, sums).level == "checksum"
    assert broken.hits == 1
    assert holds(target, path)


def test_only_the_damaged_part_is_sent_again(target, proxy, large):
    proxy.add("flip", 4_000_000, method="PUT", match="partNumber=2")
    target.put(NAME, *large)
    assert [proxy.count("PUT", part_number(n)) for n in (1, 2, 3, 4)] == [1, 2, 1, 1]


@pytest.mark.parametrize("size", [3 * PART + 1000, 50_000])
def test_a_file_always_damaged_in_transit_is_an_error_and_never_published(
    target, proxy, made, size
):
    proxy.add("flip", 20, method="PUT", times=None)
    with pytest.raises(StoreError, match=r"train-000000\.tar.*arrived damaged 3 times") as caught:
        target.put(NAME, *made(size))
    assert not isinstance(caught.value, UnreachableStoreError)
    assert list(target.list()) == []
    assert begun(target) == 0


def test_a_busy_server_is_reported_as_temporary(target, proxy, large):
    proxy.add("status", 503, method="PUT", match="partNumber=2", times=None)
    with pytest.raises(UnreachableStoreError, match=r"busy or failing \(SlowDown\)"):
        target.put(NAME, *large)
    proxy.faults.clear()
    proxy.seen.clear()
    reported = []
    assert target.put(NAME, *large, reported.append).level == "checksum"
    assert proxy.count("PUT", part_number(1)) == 0
    assert sum(reported) == large[1].size_bytes


def test_a_hanging_connection_is_closed_and_retried(seaweedfs, proxy, small):
    with found(seaweedfs.settings(proxy.url)):
        target = open_s3(seaweedfs.new_place(), timeout_s=1)
    hung = proxy.add("hang", 10_000, method="PUT", match=NAME)
    assert target.put(NAME, *small).level == "checksum"
    assert hung.hits == 1


def test_an_upload_lost_by_the_server_starts_again(target, proxy, large):
    def forget(_bytes):
        for page in target._bucket.pages("list_multipart_uploads", Prefix=target._bucket.prefix):
            for upload in page.get("Uploads", []):
                target._bucket.ask("abort_multipart_upload", NAME, UploadId=upload["UploadId"])

    with pytest.raises(UnreachableStoreError, match="server has lost"):
        target.put(NAME, *large, forget)
    assert target.put(NAME, *large).level == "checksum"


def test_a_killed_upload_resumes_with_the_missing_parts(target, proxy, seaweedfs, large):
    path, sums = large
    held = proxy.add("hold", method="PUT", match="partNumber=3")
    with found(seaweedfs.settings(proxy.url)):
        command = [sys.executable, "-c", UPLOADER, target.url, path, str(sums.size_bytes)]
        process = subprocess.Popen([*command, sums.sha256])
    assert held.reached.wait(60)
    process.kill()
    process.wait()
    proxy.faults.clear()
    held.release.set()
    proxy.seen.clear()
    assert list(target.list()) == []
    assert target.put(NAME, path, sums).level == "checksum"
    assert [proxy.count("PUT", part_number(n)) for n in (1, 2, 3, 4)] == [0, 0, 1, 1]
    assert proxy.count("POST", CREATE) == 0
    assert holds(target, path)


def test_a_killed_server_loses_no_part_it_had(target, proxy, seaweedfs, large):
    path, sums = large
    there = []

    def kill_after_two(size):
        there.append(size)
        if len(there) == 2:
            seaweedfs.kill()

    target._jobs = 1
    with pytest.raises(UnreachableStoreError, match="no connection to"):
        target.put(NAME, path, sums, kill_after_two)
    seaweedfs.start()
    proxy.seen.clear()
    assert target.put(NAME, path, sums).level == "checksum"
    assert [proxy.count("PUT", part_number(n)) for n in (1, 2)] == [0, 0]
    assert holds(target, path)


@pytest.mark.parametrize(
    ("size", "is_there"), [(3 * PART + 1000, False), (3 * PART + 1000, True), (50_000, True)]
)
def test_of_two_writers_one_is_refused(target, made, size, is_there):
    """Also over an older file, which both saw."""
    if is_there:
        target.put(NAME, *made(100, seed=9))
    other = made(2000, seed=1)
    late = made(size, seed=2)

    def intrude(_bytes):
        if not others:
            others.append(True)
            copy.copy(target).put(NAME, *other)

    others = []
    # A small file is published by the request that sends it, and a new one by the first: the other
    # comes before the second, which replaces what was seen.
    if size > PART:
        writing = {"on_bytes": intrude}
    else:
        writing = {}
        put = target._bucket.put

        def put_late(name, data, details, sha256):
            if "IfMatch" in details and not others:
                others.append(None)
                copy.copy(target).put(NAME, *other)
            return put(name, data, details, sha256)

        target._bucket.put = put_late
    with pytest.raises(StoreError, match="another writer has replaced it"):
        target.put(NAME, *late, **writing)
    assert holds(target, other[0])
    assert begun(target) == 0


def test_two_writers_of_the_same_bytes_both_succeed(target, large):
    others = []

    def intrude(_bytes):
        if not others:
            others.append(True)
            copy.copy(target).put(NAME, *large)

    assert target.put(NAME, *large, intrude).level == "checksum"
    assert holds(target, large[0])


def test_a_file_that_changed_since_it_was_made_is_not_sent(target, large):
    path, sums = large
    with path.open("r+b") as file:
        file.seek(PART + 5)
        file.write(b"changed")
    with pytest.raises(StoreError, match="differs from its recorded SHA-256"):
        target.put(NAME, path, sums)
    assert list(target.list()) == []
    assert begun(target) == 0


def test_a_truncated_response_is_requested_again(target, proxy, large):
    target.put(NAME, *large)
    cut = proxy.add("cut_answer", 100_000, method="GET", match=NAME, times=2)
    assert holds(target, large[0])
    assert cut.hits == 2


def test_a_file_that_is_replaced_while_it_is_read_is_an_error(target, made):
    target.put(NAME, *made(3 * PART, seed=1))
    with target.open(NAME) as file:
        file.read(10)
        target.put(NAME, *made(3 * PART, seed=2))
        file.seek(2 * PART)
        with pytest.raises(StoreError, match="another writer has changed it"):
            file.read(10)


class TestRefusals:
    """One clear line at once: nothing is tried twice that cannot go well."""

    @pytest.fixture
    def refusal(self, seaweedfs, proxy, caplog):
        caplog.set_level(logging.INFO)

        def refuse(url=None, **settings):
            proxy.seen.clear()
            with (
                found(seaweedfs.settings(proxy.url) | settings),
                pytest.raises(StoreError) as caught,
            ):
                open_s3(url or seaweedfs.new_place())
            assert len(proxy.seen) <= 1
            text = "".join(traceback.format_exception(caught.value)) + caplog.text
            for secret in (KEY, SECRET, "wrong-secret", "AKWRONG", "wrong-token"):
                assert secret not in text
            assert not isinstance(caught.value, UnreachableStoreError)
            assert "\n" not in str(caught.value)
            return str(caught.value)

        return refuse

    def test_an_unknown_key(self, refusal):
        arguments = refusal(AWS_ACCESS_KEY_ID="AKWRONG")
        assert "refuses the keys (InvalidAccessKeyId); check AWS_PROFILE" in arguments

    def test_a_wrong_secret(self, refusal):
        arguments = refusal(AWS_SECRET_ACCESS_KEY="wrong-secret")  # noqa: S106
        assert "refuses the keys (SignatureDoesNotMatch)" in arguments

    def test_a_wrong_token(self, refusal):
        arguments = refusal(AWS_SESSION_TOKEN="wrong-token")  # noqa: S106
        assert "refuses the keys" in arguments

    def test_a_missing_bucket(self, refusal):
        arguments = refusal("s3://no-such-bucket/data")
        assert "bucket 'no-such-bucket' does not exist at '127.0.0.1:" in arguments

    def test_a_clock_that_is_wrong(self, refusal, monkeypatch):
        from botocore.crt import auth

        def years_ago(*, remove_tzinfo):
            return dt.datetime(2020, 1, 1, tzinfo=None if remove_tzinfo else dt.UTC)

        monkeypatch.setattr(auth, "get_current_datetime", years_ago)
        assert "set the clock" in refusal()

    def test_no_keys_at_all(self, refusal):
        arguments = refusal(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
        assert "no credentials were found; set AWS_PROFILE" in arguments

    def test_a_stopped_server_is_retried(self, seaweedfs):
        url = f"http://127.0.0.1:{free_ports(1)[0]}"
        with found(seaweedfs.settings(url)), pytest.raises(UnreachableStoreError) as caught:
            open_s3("s3://bucket/data")
        assert "no connection to '127.0.0.1:" in str(caught.value)

    def test_a_certificate_that_is_not_trusted(self, seaweedfs):
        url = seaweedfs.https_url
        with found(seaweedfs.settings(url)), pytest.raises(StoreError, match="AWS_CA_BUNDLE"):
            open_s3("s3://bucket/data")


def test_a_damaged_answer_about_what_was_sent_is_asked_for_again(target, large, monkeypatch):
    seen_object, asked = proof.seen_object, []

    def damaged(bucket, name):
        asked.append(name)
        seen = seen_object(bucket, name)
        return seen | {"ContentLength": 1} if len(asked) == 1 else seen

    monkeypatch.setattr(confirmation, "seen_object", damaged)
    assert target.put(NAME, *large).level == "checksum"
    assert len(asked) == 2
