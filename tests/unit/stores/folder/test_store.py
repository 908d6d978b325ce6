"""The local target: the contract, and what a folder alone can do wrong."""

import errno
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.store_conformance import StoreConformance, content_of, listed, publish

from wdsremux.core.errors import StoreError
from wdsremux.stores.folder import disk_errors, store
from wdsremux.stores.folder.store import FolderStore


def names_in(folder):
    """Return all files of a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


class TestFolderStore(StoreConformance):
    @pytest.fixture
    def target(self, tmp_path):
        return FolderStore(tmp_path / "out")


def test_the_folder_is_created_with_the_first_file(tmp_path):
    target = FolderStore(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    publish(target, "x.tar")
    assert names_in(tmp_path / "a" / "b") == ["x.tar"]


def test_an_unfinished_file_is_hidden_in_its_folder(tmp_path):
    staged = FolderStore(tmp_path).stage("train-000000.tar")
    [name] = names_in(tmp_path)
    assert name.startswith(".train-000000.tar.")
    assert not name.endswith((".tar", ".json", ".msgpack"))
    staged.discard()
    assert names_in(tmp_path) == []


def test_two_writers_of_a_file_have_separate_unfinished_files(tmp_path):
    target = FolderStore(tmp_path)
    one, other = target.stage("a.tar"), target.stage("a.tar")
    one.write(b"one")
    other.write(b"other")
    one.commit()
    assert content_of(target, "a.tar") == b"one"
    other.commit()
    assert content_of(target, "a.tar") == b"other"


def test_locking_removes_the_leftovers_of_a_killed_run(tmp_path):
    target = FolderStore(tmp_path)
    publish(target, "a.tar")
    target.stage("b.tar")._file.close()
    target.stage(".wdsremux/b.msgpack")._file.close()
    with target.lock():
        assert names_in(tmp_path) == [".wdsremux", "a.tar"]
        assert names_in(tmp_path / ".wdsremux") == ["lock"]


def test_a_disk_error_while_locking_is_a_store_error(tmp_path):
    (tmp_path / ".wdsremux" / "lock").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot lock"), FolderStore(tmp_path).lock():
        pass


def test_a_run_that_was_stopped_in_the_middle_leaves_no_unfinished_file(tmp_path):
    target = FolderStore(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt), target.lock():  # noqa: PT012
        for name in ("a.tar", ".wdsremux/a.msgpack"):
            target.stage(name)._file.close()
        raise KeyboardInterrupt
    assert names_in(tmp_path / "out") == []


def test_locking_keeps_foreign_hidden_files(tmp_path):
    (tmp_path / ".note.tmp").write_bytes(b"mine")
    with FolderStore(tmp_path).lock():
        pass
    assert names_in(tmp_path) == [".note.tmp"]


def test_folders_and_links_are_not_listed(tmp_path):
    target = FolderStore(tmp_path)
    publish(target, "a.tar")
    (tmp_path / "b.tar").mkdir()
    (tmp_path / "c.tar").symlink_to(tmp_path / "nowhere")
    assert [name for name, _ in listed(target)] == ["a.tar"]


def test_a_file_where_the_folder_should_be_is_named_in_the_error(tmp_path):
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(StoreError, match=r"cannot write below '.*/out', which is not a folder"):
        FolderStore(tmp_path / "out").stage("a.tar")
    with pytest.raises(StoreError, match=r"cannot write below '.*/out', which is not a folder"):
        FolderStore(tmp_path / "out").stage(".wdsremux/recipe.json")
    assert (tmp_path / "out").read_bytes() == b"a file"


def test_a_state_folder_that_is_a_link_is_refused_and_left_alone(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".wdsremux").symlink_to(tmp_path / "other")
    with (
        pytest.raises(StoreError, match="is a symbolic link"),
        FolderStore(tmp_path / "out").lock(),
    ):
        pytest.fail("nobody may write there")
    assert list((tmp_path / "other").iterdir()) == []
    assert (tmp_path / "out" / ".wdsremux").is_symlink()


def test_reading_below_a_file_is_a_store_error_not_a_missing_file(tmp_path):
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(StoreError, match=r"cannot read '.*out/index\.json'"):
        FolderStore(tmp_path / "out").open("index.json")


def test_a_folder_instead_of_a_file_is_a_store_error(tmp_path):
    target = FolderStore(tmp_path)
    (tmp_path / "README.md").mkdir()
    with pytest.raises(StoreError, match=r"cannot read '.*README\.md'"):
        target.open("README.md")
    staged = target.stage("README.md")
    staged.write(b"card")
    with pytest.raises(StoreError, match=r"cannot write '.*README\.md'"):
        staged.commit()
    with pytest.raises(StoreError, match=r"cannot remove '.*README\.md'"):
        target.remove("README.md")
    assert names_in(tmp_path) == ["README.md"]


def test_bytes_lost_by_the_disk_are_detected_before_publication(tmp_path):
    target = FolderStore(tmp_path)
    staged = target.stage("a.tar")
    staged.write(b"0123456789")
    [name] = names_in(tmp_path)
    (tmp_path / name).write_bytes(b"0123")
    with pytest.raises(StoreError, match="10 bytes were written but the file has 4"):
        staged.commit()
    assert names_in(tmp_path) == []


def test_a_file_that_vanished_before_its_commit_is_a_store_error(tmp_path):
    staged = FolderStore(tmp_path).stage("a.tar")
    staged.write(b"content")
    [name] = names_in(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(StoreError, match=r"cannot write '.*a\.tar'"):
        staged.commit()
    staged.discard()
    assert names_in(tmp_path) == []


def test_a_published_file_is_readable_by_all(tmp_path):
    publish(FolderStore(tmp_path), "a.tar")
    assert (tmp_path / "a.tar").stat().st_mode & 0o444


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EFBIG, "raise the file size limit or lower --max-shard-size"),
        (errno.EACCES, "make the folder writable"),
        (errno.EROFS, "make the folder writable"),
        (errno.ENOTDIR, "choose another folder: a file has that name"),
        (errno.EIO, "check the disk or the mount"),
    ],
)
def test_every_failure_of_a_disk_comes_with_its_remedy(tmp_path, number, remedy):
    path = tmp_path / "a.tar"
    with pytest.raises(StoreError) as caught, disk_errors.translating_errors("write", path):
        raise OSError(number, "what the system says")
    text = str(caught.value)
    assert text.startswith(f"cannot write {str(path)!r}: what the system says; {remedy}")


class FullDisk:
    """A file on a disk that accepts that many bytes in all."""

    def __init__(self, room, number):
        self.room, self.number = room, number

    def write(self, data):
        if not self.room:
            raise OSError(self.number, os.strerror(self.number))
        taken = min(len(data), self.room)
        self.room -= taken
        return taken

    def close(self):
        """Do nothing."""


def refusal_of(tmp_path, monkeypatch, *, free, number=errno.ENOSPC):
    """Return what is said when a file of 5000 bytes does not fit."""
    target = FolderStore(tmp_path)
    staged = target.stage("a.tar")
    staged._file.close()
    staged._file = FullDisk(4096, number)
    monkeypatch.setattr(disk_errors, "free_bytes", lambda _folder: free)
    with pytest.raises(StoreError) as caught:
        staged.write(bytes(5000))
    assert names_in(tmp_path) == []
    return str(caught.value).removeprefix(f"cannot write {str(tmp_path / 'a.tar')!r}: ")


def test_a_full_disk_is_reported_with_bytes_needed_and_free(tmp_path, monkeypatch):
    assert refusal_of(tmp_path, monkeypatch, free=4096) == (
        "No space left on device (it needs at least 5000 bytes, 4096 are free); free some space, "
        "then run the same command again: finished shards are kept"
    )


def test_a_disk_full_despite_free_bytes_is_reported(tmp_path, monkeypatch):
    text = refusal_of(tmp_path, monkeypatch, free=10**9)
    assert "(but 1000000000 bytes are free: check for a quota, or for too many files)" in text


@pytest.mark.parametrize(
    ("free", "number"), [(None, errno.ENOSPC), (10**9, errno.EDQUOT), (0, errno.EIO)]
)
def test_meaningless_free_bytes_are_not_shown(tmp_path, monkeypatch, free, number):
    assert "free)" not in refusal_of(tmp_path, monkeypatch, free=free, number=number)


def test_the_free_space_is_that_of_the_nearest_existing_folder(tmp_path, monkeypatch):
    asked = []

    def usage(folder):
        asked.append(folder)
        return shutil._ntuple_diskusage(100, 60, 40)

    monkeypatch.setattr(disk_errors.shutil, "disk_usage", usage)
    assert FolderStore(tmp_path / "not" / "there" / "yet").free_bytes() == 40
    monkeypatch.chdir(tmp_path)
    assert FolderStore(Path("not")).free_bytes() == 40
    assert asked == [tmp_path, tmp_path]


def test_a_mount_of_unknown_size_has_unknown_free_space(tmp_path, monkeypatch):
    empty = shutil._ntuple_diskusage(0, 0, 0)
    monkeypatch.setattr(disk_errors.shutil, "disk_usage", lambda _folder: empty)
    assert FolderStore(tmp_path).free_bytes() is None


def test_new_folders_are_synced_in_the_folders_above_them(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(store, "sync_folder", synced.append)
    FolderStore(tmp_path / "a" / "b").stage(".wdsremux/x").discard()
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    FolderStore(tmp_path / "a" / "b").stage(".wdsremux/x").discard()
    assert len(synced) == 3


FILLS_THE_DISK = """
    import resource, sys
    from pathlib import Path
    from wdsremux.core.errors import StoreError
    from wdsremux.stores.folder.store import FolderStore

    target = FolderStore(Path(sys.argv[1]))
    staged = target.stage("a.tar")
    staged.write(b"whole")
    staged.commit()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    staged = target.stage("b.tar")
    staged.write(bytes(60_000))
    try:
        staged.write(bytes(60_000))
    except StoreError as exc:
        print(exc)
"""


def test_a_failed_short_write_is_a_store_error_and_leaves_no_file(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(FILLS_THE_DISK), str(tmp_path)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert ended.stdout.startswith(f"cannot write {str(tmp_path / 'b.tar')!r}: ")
    assert "raise the file size limit" in ended.stdout
    assert names_in(tmp_path) == ["a.tar"]
    assert content_of(FolderStore(tmp_path), "a.tar") == b"whole"


def test_a_folder_that_another_thread_creates_meanwhile_is_used(tmp_path, monkeypatch):
    real = store.is_folder

    def created_after_the_answer(path):
        answer = real(path)
        Path(path).mkdir(exist_ok=True)
        return answer

    monkeypatch.setattr(store, "is_folder", created_after_the_answer)
    publish(FolderStore(tmp_path), "below/file", b"x")
    assert (tmp_path / "below/file").read_bytes() == b"x"
