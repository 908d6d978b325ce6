"""One run at a time on a folder: who is refused, and whose lock is taken over."""

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys

import pytest

from wdsremux.core.errors import StoreError
from wdsremux.stores.folder import lock
from wdsremux.stores.folder.lock import folder_lock

OTHER_BOOT = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


@pytest.fixture
def without_flock(monkeypatch):
    """A mount whose server has no locks: only the content of the file counts."""

    def refuse(_handle, _how):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)


def dead_pid():
    """Return the number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def leave(path, **changes):
    """Leave a lock file as a run does that was killed; by default it looks alive: it is ours."""
    parent = os.getppid()
    known = lock.this_process() | {"pid": parent, "started": lock._start_ticks(parent)}
    path.write_text(json.dumps(known | changes))


def assert_taken_over(path):
    with folder_lock(path):
        assert json.loads(path.read_text()) == lock.this_process()
    assert not path.exists()


def refusal(path):
    """Return the message by which a second run is refused; the file must be unchanged."""
    before = path.read_text()
    with pytest.raises(StoreError) as caught, folder_lock(path):
        pass
    assert path.read_text() == before
    return str(caught.value)


def test_the_lock_file_names_host_process_boot_and_start(path):
    with folder_lock(path):
        said = json.loads(path.read_text())
    assert (said["host"], said["pid"]) == (socket.gethostname(), os.getpid())
    assert said["boot"]
    assert said["started"] > 0
    assert not path.exists()


def test_a_second_run_is_refused_by_host_and_process_with_the_way_out(path):
    with folder_lock(path):
        text = refusal(path)
    assert text.startswith(
        f"the output is being written by process {os.getpid()} on host {socket.gethostname()!r}; "
    )
    assert f"or remove {str(path)!r}" in text


def test_after_a_refusal_the_first_run_still_holds_the_lock(path):
    with folder_lock(path):
        refusal(path)
        refusal(path)


def test_the_lock_is_free_again_after_an_error(path):
    with pytest.raises(ZeroDivisionError), folder_lock(path):
        raise ZeroDivisionError
    assert_taken_over(path)


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"host": "so', '{"host": "x"', "null", "[]", "7", "\udcff", "[" * 9000],
    ids=lambda text: repr(text[:20]),
)
def test_a_lock_file_that_a_crash_cut_off_is_taken_over(path, text):
    path.write_text(text, errors="surrogateescape")
    assert_taken_over(path)


def test_a_lock_released_by_the_kernel_is_taken_over(path):
    # The file may name any process of this boot: flock was free, so the lock is stale.
    leave(path)
    assert_taken_over(path)


def test_a_lock_of_a_restarted_container_is_taken_over(path):
    leave(path, host="an-older-container", pid=1, started=1)
    assert_taken_over(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"boot": OTHER_BOOT},
        {"started": 1},
        {"pid": 0},
        {"pid": -1},
        {"pid": "17"},
        {"pid": None},
        {"pid": os.getpid()},
    ],
    ids=["other boot", "pid given again", "no pid", "a group", "a text", "null", "our own pid"],
)
def test_without_flock_a_stale_lock_of_this_host_is_taken_over(path, without_flock, changes):
    leave(path, **changes)
    assert_taken_over(path)


def test_without_flock_the_lock_of_a_dead_process_is_taken_over(path, without_flock):
    leave(path, pid=dead_pid())
    assert_taken_over(path)


def test_without_flock_the_lock_of_a_living_process_is_kept(path, without_flock):
    leave(path)
    assert f"process {os.getppid()} on host" in refusal(path)


def test_a_process_we_may_not_signal_counts_as_alive(path, without_flock, monkeypatch):
    def forbidden(_pid, _signal):
        raise PermissionError

    leave(path)
    monkeypatch.setattr(lock.os, "kill", forbidden)
    refusal(path)


@pytest.mark.parametrize("flock", [True, False])
def test_the_lock_of_another_host_is_never_taken_over(path, flock, request):
    if not flock:
        request.getfixturevalue("without_flock")
    leave(path, host="node-7", pid=dead_pid(), boot=OTHER_BOOT)
    text = refusal(path)
    assert "on host 'node-7'; wait for it, or remove" in text


def test_a_run_whose_lock_was_removed_keeps_the_lock_of_the_next(path):
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        first.enter_context(folder_lock(path))
        path.unlink()
        second.enter_context(folder_lock(path))
        first.close()
        refusal(path)


def test_a_full_disk_leaves_no_lock_behind(path, monkeypatch):
    def full(_handle, _data):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(lock.os, "write", full)
    with pytest.raises(OSError, match="no space"), folder_lock(path):
        pass
    assert not path.exists()


def test_a_lock_is_complete_after_short_writes(path, monkeypatch):
    whole = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: whole(handle, data[:7]))
    with folder_lock(path):
        assert json.loads(path.read_text()) == lock.this_process()


def test_a_broken_disk_does_not_hide_why_the_run_failed(path, monkeypatch):
    def gone(_path, **_options):
        raise OSError(errno.ESTALE, "stale file handle")

    with pytest.raises(StoreError, match="what really happened"), folder_lock(path):  # noqa: PT012
        monkeypatch.setattr(os, "unlink", gone)
        raise StoreError("what really happened")
    monkeypatch.undo()
    assert_taken_over(path)
