"""What every store must do: a test class that the tests of each store inherit.

The subclass has a fixture `target`, the new and empty store under test; it may add tests of its own.
"""

import hashlib
from dataclasses import replace

import pytest

from wdsremux.core.errors import CorruptDataError, StoreError
from wdsremux.stores.base import Sums


def publish(target, name, content=b"content"):
    """Publish a whole file."""
    staged = target.stage(name)
    staged.write(content)
    staged.commit()


def content_of(target, name):
    """Return a published file's bytes."""
    with target.open(name) as file:
        return file.read()


def listed(target, prefix=""):
    """Return the published files of a folder as a list."""
    return list(target.list(prefix))


class StoreConformance:
    """The contract of `wdsremux.stores.base`, one test a sentence."""

    def test_a_new_store_is_empty(self, target):
        assert listed(target) == []
        assert listed(target, ".wdsremux") == []

    def test_a_published_file_is_read_back_and_listed_with_its_size(self, target):
        publish(target, "train-000000.tar", b"x" * 10_240)
        assert content_of(target, "train-000000.tar") == b"x" * 10_240
        assert listed(target) == [("train-000000.tar", 10_240)]

    def test_what_is_written_in_parts_of_any_kind_is_appended_in_order(self, target):
        staged = target.stage("a.tar")
        for part in (b"12", b"", bytearray(b"345"), memoryview(b"-6789-")[1:-1], memoryview(b"")):
            staged.write(part)
        staged.commit()
        assert content_of(target, "a.tar") == b"123456789"

    def test_a_buffer_may_be_used_again_after_it_was_written(self, target):
        buffer = bytearray(b"first")
        staged = target.stage("a.tar")
        staged.write(buffer)
        buffer[:] = b"other"
        staged.commit()
        assert content_of(target, "a.tar") == b"first"

    def test_a_large_file_is_published_completely(self, target):
        content = bytes(range(256)) * 40_000
        publish(target, "a.tar", content)
        assert content_of(target, "a.tar") == content

    def test_a_file_without_content_is_published(self, target):
        publish(target, "empty", b"")
        assert listed(target) == [("empty", 0)]
        assert content_of(target, "empty") == b""

    def test_a_file_is_absent_until_it_is_committed(self, target):
        staged = target.stage("a.tar")
        staged.write(b"half")
        assert listed(target) == []
        with pytest.raises(FileNotFoundError):
            target.open("a.tar")
        staged.write(b" and half")
        staged.commit()
        assert content_of(target, "a.tar") == b"half and half"

    def test_a_discarded_file_leaves_nothing(self, target):
        staged = target.stage("a.tar")
        staged.write(b"half")
        staged.discard()
        assert listed(target) == []
        with pytest.raises(FileNotFoundError):
            target.open("a.tar")

    def test_discarding_twice_is_harmless(self, target):
        staged = target.stage("a.tar")
        staged.discard()
        staged.discard()
        assert listed(target) == []

    def test_discarding_after_the_commit_keeps_the_file(self, target):
        staged = target.stage("a.tar")
        staged.write(b"whole")
        staged.commit()
        staged.discard()
        assert content_of(target, "a.tar") == b"whole"

    def test_a_discarded_name_can_be_staged_again(self, target):
        target.stage("a.tar").discard()
        publish(target, "a.tar", b"whole")
        assert content_of(target, "a.tar") == b"whole"

    def test_a_published_file_cannot_be_extended(self, target):
        staged = target.stage("a.tar")
        staged.write(b"whole")
        staged.commit()
        with pytest.raises(StoreError, match=r"a\.tar"):
            staged.write(b" and more")
        assert content_of(target, "a.tar") == b"whole"

    def test_an_older_file_is_kept_until_its_successor_is_committed(self, target):
        publish(target, "index.json", b"old")
        staged = target.stage("index.json")
        staged.write(b"newer")
        assert content_of(target, "index.json") == b"old"
        assert listed(target) == [("index.json", 3)]
        staged.commit()
        assert content_of(target, "index.json") == b"newer"
        assert listed(target) == [("index.json", 5)]

    def test_an_older_file_is_kept_when_its_successor_is_discarded(self, target):
        publish(target, "index.json", b"old")
        staged = target.stage("index.json")
        staged.write(b"newer")
        staged.discard()
        assert content_of(target, "index.json") == b"old"

    def test_a_read_during_a_replacement_sees_one_complete_version(self, target):
        old, new = b"o" * 100_000, b"n" * 100_000
        publish(target, "index.json", old)
        with target.open("index.json") as file:
            begin = file.read(10)
            publish(target, "index.json", new)
            assert begin + file.read() in (old, new)

    def test_several_files_can_be_staged_at_once(self, target):
        one, other = target.stage("a.tar"), target.stage("b.tar")
        one.write(b"one")
        other.write(b"other")
        other.commit()
        assert listed(target) == [("b.tar", 5)]
        one.commit()
        assert listed(target) == [("a.tar", 3), ("b.tar", 5)]

    def test_files_are_listed_by_name_whatever_the_order_they_came_in(self, target):
        names = ["b.tar", "a-10.tar", "B.tar", "a-2.tar", "README.md", "a.tar"]
        for name in names:
            publish(target, name)
        assert [name for name, _ in listed(target)] == sorted(names)

    def test_the_files_of_a_folder_are_listed_with_the_folder_in_their_names(self, target):
        publish(target, ".wdsremux/train-000000.msgpack", b"entry")
        publish(target, ".wdsremux/recipe.json", b"{}")
        assert listed(target, ".wdsremux") == [
            (".wdsremux/recipe.json", 2),
            (".wdsremux/train-000000.msgpack", 5),
        ]
        assert content_of(target, ".wdsremux/recipe.json") == b"{}"

    def test_a_list_shows_one_folder_without_its_subfolders(self, target):
        publish(target, "train-000000.tar")
        publish(target, ".wdsremux/train-000000.msgpack")
        publish(target, "data/other.tar")
        assert [name for name, _ in listed(target)] == ["train-000000.tar"]
        assert [name for name, _ in listed(target, "data")] == ["data/other.tar"]

    def test_a_folder_is_not_listed_with_those_whose_names_begin_alike(self, target):
        publish(target, "data/a.tar")
        publish(target, "database/b.tar")
        assert [name for name, _ in listed(target, "data")] == ["data/a.tar"]

    def test_a_missing_file_cannot_be_opened(self, target):
        with pytest.raises(FileNotFoundError):
            target.open("index.json")
        with pytest.raises(FileNotFoundError):
            target.open(".wdsremux/recipe.json")

    def test_a_small_file_is_read_whole_up_to_its_maximum_size(self, target):
        publish(target, ".wdsremux/recipe.json", b"x" * 100)
        assert target.read(".wdsremux/recipe.json", 100) == b"x" * 100
        assert target.read("absent", 100) is None
        with pytest.raises(CorruptDataError, match="larger than 99 bytes"):
            target.read(".wdsremux/recipe.json", 99)

    def test_the_listed_version_proves_only_the_bytes_of_a_receipt(self, target, tmp_path):
        path = tmp_path / "to-send"
        path.write_bytes(b"content")
        sums = Sums(7, hashlib.sha256(b"content").hexdigest())
        receipt = target.put("a.tar", path, sums).receipt
        (version,) = target.versions()
        assert (version.name, version.size_bytes) == ("a.tar", 7)
        known = receipt.get("etag", "")
        proof = version.proof(replace(sums, receipt=receipt))
        assert (proof is not None) == bool(version.etag and known)
        assert version.proof(sums) is None
        assert version.proof(replace(sums, receipt={"etag": "another"})) is None

    def test_a_removed_file_is_gone(self, target):
        publish(target, "a.tar")
        publish(target, "b.tar")
        target.remove("a.tar")
        assert [name for name, _ in listed(target)] == ["b.tar"]
        with pytest.raises(FileNotFoundError):
            target.open("a.tar")

    def test_removing_a_missing_file_is_not_an_error(self, target):
        target.remove("a.tar")
        target.remove("folder/a.tar")

    def test_a_removed_name_can_be_published_again(self, target):
        publish(target, "a.tar", b"old")
        target.remove("a.tar")
        publish(target, "a.tar", b"new")
        assert content_of(target, "a.tar") == b"new"

    def test_a_locked_store_accepts_files_and_the_lock_is_not_listed(self, target):
        with target.lock():
            publish(target, "a.tar")
            assert [name for name, _ in listed(target)] == ["a.tar"]
            assert listed(target, ".wdsremux") == []
        assert [name for name, _ in listed(target)] == ["a.tar"]

    def test_a_locked_store_cannot_be_locked_by_another(self, target):
        with target.lock(), pytest.raises(StoreError, match="being written by"), target.lock():
            pass

    def test_a_released_lock_can_be_acquired_again(self, target):
        with pytest.raises(KeyError), target.lock():
            raise KeyError
        with target.lock():
            publish(target, "a.tar")

    def test_a_lock_keeps_published_files(self, target):
        publish(target, "a.tar")
        publish(target, ".wdsremux/recipe.json")
        with target.lock():
            pass
        assert [name for name, _ in listed(target)] == ["a.tar"]
        assert [name for name, _ in listed(target, ".wdsremux")] == [".wdsremux/recipe.json"]
