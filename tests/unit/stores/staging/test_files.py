"""Folders for files on their way, and what a killed run leaves of them."""

import tempfile
from pathlib import Path

import pytest

from wdsremux.core.errors import StoreError
from wdsremux.stores.staging.files import scratch_folder

ADDRESS = "s3://bucket/prefix at http://nas:9000"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Let TMPDIR be a folder of the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_by_a_killed_run(address):
    """Return a folder as a kill -9 leaves it: the kernel drops its lock."""
    with scratch_folder(address) as folder:
        again = folder.rename(folder.with_name(f"{folder.name}x"))
    (again / "lock").touch()
    (again / "train-000000.tar").write_bytes(b"half")
    return again


def test_nothing_is_left_at_the_end(temporary):
    with scratch_folder(ADDRESS) as folder:
        (folder / "train-000000.tar").write_bytes(b"whole")
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(temporary.iterdir()) == []


def test_files_of_a_killed_run_to_the_same_store_are_removed():
    left = left_by_a_killed_run(ADDRESS)
    with scratch_folder(ADDRESS):
        assert not left.exists()


def test_files_staged_for_another_store_are_left_alone():
    left = left_by_a_killed_run("s3://bucket/prefix at http://other:9000")
    with scratch_folder(ADDRESS):
        assert left.exists()


def test_concurrent_runs_to_the_same_store_have_separate_folders():
    with scratch_folder(ADDRESS) as one:
        (one / "train-000000.tar").touch()
        with scratch_folder(ADDRESS) as other:
            assert one != other
        assert (one / "train-000000.tar").exists()


def test_a_folder_removed_by_another_run_is_created_again(monkeypatch):
    made, mkdtemp = [], tempfile.mkdtemp

    def swept(**ways):
        made.append(Path(mkdtemp(**ways)))
        if len(made) < 3:
            made[-1].rmdir()
        return str(made[-1])

    monkeypatch.setattr(tempfile, "mkdtemp", swept)
    with scratch_folder(ADDRESS) as folder:
        assert folder == made[2]
        assert folder.is_dir()


def test_a_foreign_link_is_not_followed(temporary):
    left = left_by_a_killed_run(ADDRESS)
    mine = left.rename(temporary / "mine")
    left.symlink_to(mine)
    with scratch_folder(ADDRESS):
        assert (mine / "train-000000.tar").exists()


def test_a_full_disk_is_reported_with_what_to_do(temporary, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "gone"))
    with pytest.raises(StoreError, match=r"No such file or directory; .*TMPDIR"):
        scratch_folder(ADDRESS).__enter__()
