"""Object stores by obstore: the contract, proofs, conditions, refusals; over a store in memory."""

import hashlib
from dataclasses import replace
from unittest.mock import Mock

import obstore
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError, UnauthenticatedError
from obstore.store import MemoryStore
from support.store_conformance import StoreConformance, content_of, listed, publish

from wdsremux.core.errors import StoreError, UnreachableStoreError, UsageError
from wdsremux.stores import lease
from wdsremux.stores.address import address_of
from wdsremux.stores.base import Sums
from wdsremux.stores.lease import LockVersion
from wdsremux.stores.obstore import store as object_store
from wdsremux.stores.obstore.errors import translating_errors
from wdsremux.stores.obstore.lock import StoreLockObject
from wdsremux.stores.obstore.store import SHA256_NOTE, CloudStore, open_object_store
from wdsremux.stores.registry import open_store

URL = "gs://bucket/out"


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def target(store):
    return CloudStore(store, URL)


@pytest.fixture
def small_parts(monkeypatch):
    """Send in parts what is more than 1000 bytes."""
    monkeypatch.setattr(object_store, "PART_BYTES", 1000)


def file_of(tmp_path, content=b"content"):
    path = tmp_path / "file"
    path.write_bytes(content)
    return path, Sums(len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    ("settings", "endpoint"),
    [
        ({"AZURE_STORAGE_ACCOUNT_NAME": "acc"}, "https://acc.blob.core.windows.net"),
        (
            {"AZURE_STORAGE_ACCOUNT_NAME": "acc", "AZURE_STORAGE_ENDPOINT": "https://here"},
            "https://here",
        ),
        ({"AZURE_STORAGE_ACCOUNT_NAME": "acc", "AZURE_ENDPOINT": "https://here"}, "https://here"),
        ({"AZURE_STORAGE_USE_EMULATOR": "true"}, None),
    ],
)
def test_the_account_is_the_address_of_azure(monkeypatch, settings, endpoint):
    for name, value in {"AZURE_STORAGE_ACCOUNT_KEY": "c2VjcmV0", **settings}.items():
        monkeypatch.setenv(name, value)
    target = open_object_store("az://box/pets")
    assert target.endpoint == endpoint
    assert open_object_store("gs://box/pets").endpoint is None


def test_containers_of_two_accounts_are_different_stores(monkeypatch):
    addresses = set()
    for account in ("one", "two"):
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", account)
        addresses.add(address_of(open_object_store("az://box/pets")))
    assert addresses == {
        f"az://box/pets at https://{account}.blob.core.windows.net" for account in ("one", "two")
    }


class TestCloudStore(StoreConformance):
    """The contract, in memory."""


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("size", [0, 1000, 1001, 50_000])
def test_a_file_is_stored_and_reported(target, tmp_path, size):
    path, sums = file_of(tmp_path, b"x" * size)
    reported = []
    proof = target.put("a.tar", path, sums, reported.append)
    assert content_of(target, "a.tar") == path.read_bytes()
    assert sum(reported) == size
    # The ETags of a store in memory are numbers: the file is read back.
    assert proof.level == "reread"
    assert target.prove("a.tar", replace(sums, receipt=proof.receipt)).level == "etag"
    publish(target, "a.tar", b"y" * size)
    assert target.prove("a.tar", replace(sums, receipt=proof.receipt)).level != "etag"


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("size", [1000, 50_000])
def test_a_file_damaged_in_transit_is_removed_and_sent_again(target, tmp_path, monkeypatch, size):
    path, sums = file_of(tmp_path, b"x" * size)
    put, flips = obstore.put, [True]

    def flipping(store, name, content, **options):
        data = content if isinstance(content, bytes) else b"".join(content)
        if flips and flips.pop():
            data = b"y" + data[1:]
        return put(store, name, data, **options)

    monkeypatch.setattr(obstore, "put", flipping)
    with pytest.raises(UnreachableStoreError, match="it arrived damaged"):
        target.put("a.tar", path, sums)
    assert listed(target) == []
    assert target.put("a.tar", path, sums).level == "reread"


def test_an_endpoint_without_tls_is_refused(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(StoreError, match="its endpoint is an http:// URL; use https://") as caught:
        listed(open_object_store("az://container/folder"))
    assert not isinstance(caught.value, UnreachableStoreError)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("size", [1000, 50_000])
def test_a_file_that_differs_from_its_record_is_not_published(target, tmp_path, size):
    path, sums = file_of(tmp_path, b"x" * size)
    path.write_bytes(b"y" * size)
    with pytest.raises(StoreError, match="damaged"):
        target.put("a.tar", path, sums)
    with pytest.raises(StoreError, match="cannot read"):
        target.put("a.tar", tmp_path / "absent", sums)
    assert listed(target) == []


def test_objects_are_compared_by_size_and_recorded_checksum(target, tmp_path):
    path, sums = file_of(tmp_path, b"one")
    assert target.prove("a.tar", sums).level == "absent"
    target.put("a.tar", path, sums)
    assert target.prove("a.tar", Sums(4, sums.sha256)).level == "differs"
    assert target.prove("a.tar", Sums(3, "0" * 64)).level == "differs"


def test_a_foreign_object_is_compared_by_size_only(store, target, tmp_path):
    path, sums = file_of(tmp_path)
    obstore.put(store, "a.tar", path.read_bytes())
    proof = target.prove("a.tar", sums, path)
    assert (proof.level, proof.how) == ("unverified", "size")


def test_a_small_file_does_not_overwrite_a_concurrent_one(store, target, tmp_path, monkeypatch):
    path, sums = file_of(tmp_path)
    unguarded = CloudStore._put

    def overtaken(self, name, content, *args, **manner):
        obstore.put(store, name, b"another's")
        unguarded(self, name, content, *args, **manner)

    monkeypatch.setattr(CloudStore, "_put", overtaken)
    for _ in ("where there was none", "in place of an older one"):
        with pytest.raises(StoreError, match="another run has just written it"):
            target.put("index.json", path, sums)
        assert content_of(target, "index.json") == b"another's"


def test_a_file_with_a_lost_response_is_recognised_as_own(store, target, tmp_path, monkeypatch):
    path, sums = file_of(tmp_path)
    unguarded = CloudStore._put

    def repeated(self, name, content, *args, **manner):
        unguarded(self, name, content, *args, **manner)
        unguarded(self, name, content, *args, **manner)

    monkeypatch.setattr(CloudStore, "_put", repeated)
    assert target.put("index.json", path, sums).is_there


def test_a_file_replaced_during_ranged_reads_is_not_mixed(target, monkeypatch):
    monkeypatch.setattr("wdsremux.stores.reading.range_file.BLOCK_BYTES", 100)
    publish(target, "a.tar", b"o" * 1000)
    with target.open("a.tar") as file:
        file.read(10)
        publish(target, "a.tar", b"n" * 1000)
        with pytest.raises(StoreError, match="replaced while it was read"):
            file.read()


def test_another_writer_on_the_same_store_is_locked_out(store, target):
    other = CloudStore(store, URL)
    with target.lock() as died:
        assert not died
        with pytest.raises(StoreError, match="being written by"), other.lock():
            pass
    with other.lock():
        pass


def test_a_stale_lock_of_another_machine_is_taken_over_after_its_lease(store, target, monkeypatch):
    monkeypatch.setattr(lease, "LEASE_S", 0.1)
    obstore.put(store, ".wdsremux/lock", b'{"host": "elsewhere", "pid": 1}')
    with target.lock() as died:
        assert died
        publish(target, "a.tar")
    with pytest.raises(FileNotFoundError):
        obstore.head(store, ".wdsremux/lock")


def test_nothing_is_published_under_a_lock_that_was_taken_over(store, target, monkeypatch):
    monkeypatch.setattr(lease, "RENEW_S", 0.01)
    with target.lock():
        publish(target, "a.tar")
        obstore.put(store, ".wdsremux/lock", b"{}")
        while target._lease._held is not None:
            target._lease._ended.wait(0.01)
        with pytest.raises(StoreError, match="taken over"):
            publish(target, "b.tar")
        with pytest.raises(StoreError, match="taken over"):
            target.remove("a.tar")
    assert [name for name, _ in listed(target)] == ["a.tar"]
    assert bytes(obstore.get(store, ".wdsremux/lock").bytes()) == b"{}"


def test_an_unremoved_lock_of_this_process_can_be_reacquired(store, target, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(StoreLockObject, "remove", Mock(side_effect=StoreError("away")))
        with target.lock():
            pass
    obstore.head(store, ".wdsremux/lock")
    for each in (target, CloudStore(store, URL)):
        with each.lock():
            publish(each, "a.tar")


def test_a_missing_bucket_is_named(target, tmp_path, monkeypatch):
    def absent(*_args, **_options):
        raise FileNotFoundError

    monkeypatch.setattr(obstore, "put", absent)
    with pytest.raises(StoreError, match="the bucket or container does not exist"):
        target.put("a.tar", *file_of(tmp_path))
    lock = StoreLockObject(target._store, URL)
    with pytest.raises(StoreError, match="the bucket or container does not exist"):
        lock.create(b"{}")
    assert lock.replace(b"{}", LockVersion(b"", "1 ")) is None


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (GenericError("HTTP error: error sending request"), UnreachableStoreError, "no answer"),
        (GenericError("non-2xx status code: 503 x"), UnreachableStoreError, "answers 503"),
        (GenericError("non-2xx status code: 400 x"), StoreError, "answers 400"),
        (GenericError("Error performing token request: x"), StoreError, "gcloud auth"),
        (UnauthenticatedError("x"), StoreError, "gcloud auth"),
        (PermissionDeniedError("x"), StoreError, "lack the permission"),
        (ValueError("x"), StoreError, "ValueError"),
    ],
)
def test_refusals_are_reported_without_secrets(raised, kind, says):
    raised.args = (f"{raised} https://host/a?sig=SECRET\n\nDebug source: SECRET",)
    with pytest.raises(StoreError, match=says) as caught, translating_errors("write 'a' of", URL):
        raise raised
    assert type(caught.value) is kind
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "\n" not in str(caught.value)


def test_urls_of_google_and_azure_open_their_stores(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    for arguments in ("gs://bucket/some/folder/", "az://container/folder", "gs://bucket"):
        target = open_store(arguments)
        assert isinstance(target, CloudStore)
        assert target.url == arguments.rstrip("/")


def test_missing_settings_are_named(monkeypatch):
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(UsageError, match="AZURE_STORAGE_ACCOUNT_NAME"):
        open_object_store("az://container/folder")
    with pytest.raises(UsageError, match="does not name a bucket"):
        open_object_store("gs://")


def test_an_unreadable_local_file_is_named(store, target, tmp_path):
    path, sums = file_of(tmp_path)
    obstore.put(store, "a.tar", path.read_bytes())
    path.unlink()
    with pytest.raises(StoreError, match=r"cannot read .*file'"):
        target.prove("a.tar", sums, path)


def test_a_stopped_store_is_unreachable(monkeypatch, tmp_path):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("AZURE_ALLOW_HTTP", "true")
    target = open_object_store("az://container/folder")
    with pytest.raises(UnreachableStoreError, match="no answer"):
        listed(target)
    path, sums = file_of(tmp_path)
    with pytest.raises(UnreachableStoreError, match="no answer"):
        target.put("a.tar", path, sums)


def test_the_metadata_key_is_valid_on_azure():
    assert SHA256_NOTE.isidentifier()
    assert SHA256_NOTE.isalnum()


def test_a_damaged_answer_about_what_was_sent_is_asked_for_again(target, tmp_path, monkeypatch):
    head, asked = target._head, []

    def damaged(name):
        asked.append(name)
        found = head(name)
        # The first answer is about the file before it is sent.
        return (found[0] | {"size": 1}, found[1]) if len(asked) == 2 else found

    monkeypatch.setattr(target, "_head", damaged)
    assert target.put("a.tar", *file_of(tmp_path)).is_there
    assert len(asked) > 2
