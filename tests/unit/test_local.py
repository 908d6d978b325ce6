"""The local target: the contract, and what a folder alone can do wrong."""

import errno
import subprocess
import sys
import textwrap

import pytest
from support.target_conformance import TargetConformance, content_of, listed, publish

from wdsremux.errors import TargetError
from wdsremux.targets import local
from wdsremux.targets.local import LocalTarget


def names_in(folder):
    """Return all that lies in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


class TestLocalTarget(TargetConformance):
    @pytest.fixture
    def target(self, tmp_path):
        return LocalTarget(tmp_path / "out")


def test_the_folder_is_made_when_the_first_file_is_staged(tmp_path):
    target = LocalTarget(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    publish(target, "x.tar")
    assert names_in(tmp_path / "a" / "b") == ["x.tar"]


def test_an_unfinished_file_lies_hidden_beside_its_place(tmp_path):
    staged = LocalTarget(tmp_path).stage("train-000000.tar")
    [name] = names_in(tmp_path)
    assert name.startswith(".train-000000.tar.")
    assert not name.endswith((".tar", ".json", ".msgpack"))
    staged.discard()
    assert names_in(tmp_path) == []


def test_locking_sweeps_away_what_a_killed_run_left(tmp_path):
    target = LocalTarget(tmp_path)
    publish(target, "a.tar")
    target.stage("b.tar")._file.close()
    target.stage(".wdsremux/b.msgpack")._file.close()
    with target.lock():
        assert names_in(tmp_path) == [".wdsremux", "a.tar"]
        assert names_in(tmp_path / ".wdsremux") == ["lock"]


def test_a_lock_that_cannot_be_taken_for_the_disks_sake_is_a_target_error(tmp_path):
    (tmp_path / ".wdsremux" / "lock").mkdir(parents=True)
    with pytest.raises(TargetError, match="cannot lock"), LocalTarget(tmp_path).lock():
        pass


def test_locking_leaves_hidden_files_of_others(tmp_path):
    (tmp_path / ".note.tmp").write_bytes(b"mine")
    with LocalTarget(tmp_path).lock():
        pass
    assert names_in(tmp_path) == [".note.tmp"]


def test_folders_and_links_are_not_listed(tmp_path):
    target = LocalTarget(tmp_path)
    publish(target, "a.tar")
    (tmp_path / "b.tar").mkdir()
    (tmp_path / "c.tar").symlink_to(tmp_path / "nowhere")
    assert [name for name, _ in listed(target)] == ["a.tar"]


def test_a_file_where_the_folder_should_be_is_named_in_the_error(tmp_path):
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(TargetError, match=r"cannot write '.*out.*choose a folder that is not a fi"):
        LocalTarget(tmp_path / "out").stage("a.tar")
    with pytest.raises(TargetError, match="choose a folder that is not a file"):
        LocalTarget(tmp_path / "out").stage(".wdsremux/recipe.json")
    assert (tmp_path / "out").read_bytes() == b"a file"


def test_reading_below_a_file_is_a_target_error_and_not_a_missing_file(tmp_path):
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(TargetError, match=r"cannot read '.*out/index\.json'"):
        LocalTarget(tmp_path / "out").open("index.json")


def test_a_folder_in_the_place_of_a_file_is_a_target_error(tmp_path):
    target = LocalTarget(tmp_path)
    (tmp_path / "README.md").mkdir()
    with pytest.raises(TargetError, match=r"cannot read '.*README\.md'"):
        target.open("README.md")
    staged = target.stage("README.md")
    staged.write(b"card")
    with pytest.raises(TargetError, match=r"cannot write '.*README\.md'"):
        staged.commit()
    with pytest.raises(TargetError, match=r"cannot remove '.*README\.md'"):
        target.remove("README.md")
    assert names_in(tmp_path) == ["README.md"]


def test_a_disk_that_lost_bytes_is_found_out_before_the_file_is_published(tmp_path):
    target = LocalTarget(tmp_path)
    staged = target.stage("a.tar")
    staged.write(b"0123456789")
    [name] = names_in(tmp_path)
    (tmp_path / name).write_bytes(b"0123")
    with pytest.raises(TargetError, match="10 bytes were written but the file has 4"):
        staged.commit()
    assert names_in(tmp_path) == []


def test_a_file_that_vanished_before_its_commit_is_a_target_error(tmp_path):
    staged = LocalTarget(tmp_path).stage("a.tar")
    staged.write(b"content")
    [name] = names_in(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(TargetError, match=r"cannot write '.*a\.tar'"):
        staged.commit()
    staged.discard()
    assert names_in(tmp_path) == []


def test_a_published_file_may_be_read_by_all(tmp_path):
    publish(LocalTarget(tmp_path), "a.tar")
    assert (tmp_path / "a.tar").stat().st_mode & 0o444


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EFBIG, "raise the file size limit or lower --max-shard-size"),
        (errno.EACCES, "make the folder writable"),
        (errno.EROFS, "make the folder writable"),
        (errno.ENOTDIR, "choose a folder that is not a file"),
        (errno.EIO, "check the disk or the mount"),
    ],
)
def test_every_failure_of_a_disk_comes_with_its_remedy(tmp_path, number, remedy):
    path = tmp_path / "a.tar"
    with pytest.raises(TargetError) as caught, local._explained("write", path):
        raise OSError(number, "what the system says")
    text = str(caught.value)
    assert text.startswith(f"cannot write {str(path)!r}: what the system says; {remedy}")


FILLS_THE_DISK = """
    import resource, sys
    from pathlib import Path
    from wdsremux.errors import TargetError
    from wdsremux.targets.local import LocalTarget

    target = LocalTarget(Path(sys.argv[1]))
    staged = target.stage("a.tar")
    staged.write(b"whole")
    staged.commit()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    staged = target.stage("b.tar")
    staged.write(bytes(60_000))
    try:
        staged.write(bytes(60_000))
    except TargetError as exc:
        print(exc)
"""


def test_a_write_that_the_system_cuts_short_is_a_target_error_and_leaves_no_file(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(FILLS_THE_DISK), str(tmp_path)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert ended.stdout.startswith(f"cannot write {str(tmp_path / 'b.tar')!r}: ")
    assert "raise the file size limit" in ended.stdout
    assert names_in(tmp_path) == ["a.tar"]
    assert content_of(LocalTarget(tmp_path), "a.tar") == b"whole"
