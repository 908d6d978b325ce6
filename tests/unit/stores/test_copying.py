"""Copies into a folder: hashed on the way, read back before they get their name."""

import errno
import hashlib
import io
import os
from pathlib import Path

import pytest
from support.store_conformance import listed, publish

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.stores.base import Sums
from wdsremux.stores.copying import MAX_NAME_BYTES, hashed_blocks, refuse_name
from wdsremux.stores.folder.file import LocalFile
from wdsremux.stores.folder.store import FolderStore

CONTENT = bytes(range(256)) * 8192 + b"tail"


def sums_of(content):
    return Sums(len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "here.tar"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def target(tmp_path):
    return FolderStore(tmp_path / "out")


def test_a_file_is_verified_by_reading_it_back(target, path):
    reported = []
    proof = target.put("a.tar", path, sums_of(CONTENT), reported.append)
    assert (proof.level, sum(reported)) == ("reread", len(CONTENT))
    assert (target.root / "a.tar").read_bytes() == CONTENT
    assert target.prove("a.tar", sums_of(CONTENT)).level == "reread"
    assert [item.name for item in target.root.iterdir()] == ["a.tar"]


def test_a_put_creates_folders_and_replaces_the_old_file(target, path):
    publish(target, ".wdsremux/x.msgpack", b"old")
    target.put(".wdsremux/x.msgpack", path, sums_of(CONTENT))
    assert listed(target, ".wdsremux") == [(".wdsremux/x.msgpack", len(CONTENT))]


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", CONTENT[:-1] + b"x"])
def test_a_file_that_differs_from_its_record_is_not_stored(target, path, content):
    publish(target, "a.tar", b"old")
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"here\.tar' is damaged") as caught:
        target.put("a.tar", path, sums_of(CONTENT))
    assert not isinstance(caught.value, UnreachableStoreError)
    assert (target.root / "a.tar").read_bytes() == b"old"
    assert [item.name for item in target.root.iterdir()] == ["a.tar"]


@pytest.mark.parametrize(
    ("content", "level"), [(None, "absent"), (b"short", "differs"), (CONTENT[::-1], "differs")]
)
def test_a_missing_or_different_file_is_not_verified(target, content, level):
    if content is not None:
        publish(target, "a.tar", content)
    assert target.prove("a.tar", sums_of(CONTENT)).level == level


def test_corruption_by_a_mount_is_detected_before_the_rename(target, path, monkeypatch):
    seal = LocalFile.seal

    def lose(self):
        seal(self)
        data = bytearray(self._temporary.read_bytes())
        data[70_000:80_000] = bytes(10_000)
        self._temporary.write_bytes(data)

    monkeypatch.setattr(LocalFile, "seal", lose)
    with pytest.raises(UnreachableStoreError, match="the bytes read back differ"):
        target.put("a.tar", path, sums_of(CONTENT))
    assert list(target.root.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "passes"),
    [
        (errno.EIO, True),
        (errno.ESTALE, True),
        (errno.ETIMEDOUT, True),
        (errno.ENOSPC, False),
        (errno.EDQUOT, False),
        (errno.EACCES, False),
    ],
)
def test_errors_of_an_unreachable_mount_are_retried(target, path, monkeypatch, number, passes):
    def fail(_file):
        raise OSError(number, "what the system says")

    monkeypatch.setattr(os, "fsync", fail)
    target.root.mkdir()
    with pytest.raises(StoreError, match="what the system says") as caught:
        target.put("a.tar", path, sums_of(CONTENT))
    assert isinstance(caught.value, UnreachableStoreError) is passes
    assert list(target.root.iterdir()) == []


def test_a_byte_counter_may_stop_the_copy(target, path):
    def stop(_size_bytes):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        target.put("a.tar", path, sums_of(CONTENT), stop)
    assert list(target.root.iterdir()) == []


def test_a_file_that_cannot_be_read_is_named(target, tmp_path):
    with pytest.raises(StoreError, match=r"cannot read '.*gone\.tar'"):
        target.put("a.tar", tmp_path / "gone.tar", sums_of(CONTENT))
    assert listed(target) == []


def test_a_source_is_verified_only_at_its_end(path):
    blocks = hashed_blocks(path, sums_of(b"other"))
    with pytest.raises(StoreError, match="damaged"):
        io.BytesIO().writelines(blocks)


@pytest.mark.parametrize(
    "name",
    [
        "a:b.tar",
        "a?.tar",
        "a*",
        "a\\b.tar",
        "a.tar.",
        "a ",
        "con",
        "NUL.tar",
        "a\n.tar",
        "a//b",
        "x/COM1",
    ],
)
def test_names_that_a_share_may_change_are_refused(target, path, name):
    with pytest.raises(StoreError, match="Windows shares do not allow that name"):
        target.put(name, path, sums_of(CONTENT))
    assert not target.root.exists()


def test_names_of_wdsremux_are_accepted():
    for name in (
        "train-000000.tar",
        ".wdsremux/train-c1-000000.msgpack",
        "README.md",
        "console.tar",
    ):
        refuse_name(name)


def test_names_too_long_for_any_file_system_are_refused():
    with pytest.raises(StoreError, match="longer than 255 bytes"):
        refuse_name("é" * (MAX_NAME_BYTES // 2) + ".tar")


def test_remnants_of_removed_files_on_a_mount_are_not_listed(target):
    publish(target, "a.tar")
    for name in (".nfs00000000000a", ".fuse_hidden0001"):
        Path(target.root, name).write_bytes(b"gone")
    assert [name for name, _ in listed(target)] == ["a.tar"]


def test_a_folder_is_shown_by_its_path(target):
    assert target.url == str(target.root)
