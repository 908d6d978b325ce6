"""A lock of another host is taken over once that host no longer renews it, and not before."""

import json
import os
import time

import pytest
from support.running import wait_until

from wdsremux.core.errors import StoreError
from wdsremux.stores.folder import lease
from wdsremux.stores.folder.lease import LEASE_S, FolderLease
from wdsremux.stores.folder.lock import folder_lock, this_process
from wdsremux.stores.folder.store import FolderStore

OTHER = {"host": "node-7", "pid": 4242, "boot": "00000000-0000-0000-0000-000000000000"}


class Clock:
    """A clock that runs while the code waits, and what happens meanwhile."""

    def __init__(self, meanwhile=lambda: None):
        self.now = 0.0
        self._meanwhile = meanwhile

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds
        self._meanwhile()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def leave(path, age_s=0.0, **changes):
    """Leave the lock of another host, renewed `age_s` ago by the clock of the file system."""
    path.write_text(json.dumps(this_process() | OTHER | {"lease_s": LEASE_S} | changes))
    written = path.stat().st_mtime - age_s
    os.utime(path, (written, written))


def watched(path, clock):
    return FolderLease(path, clock.wait, clock)


def test_an_old_lock_of_another_host_is_taken_over_at_once(path):
    leave(path, age_s=2 * LEASE_S)
    clock = Clock()
    with folder_lock(path, watched(path, clock)) as died:
        assert died
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert clock.now == 0
    assert not path.exists()


@pytest.mark.parametrize("age_s", [0.0, -3600.0], ids=["a fresh lock", "a clock that is ahead"])
def test_a_lock_that_is_not_renewed_is_taken_over_within_a_minute(path, age_s):
    leave(path, age_s=age_s)
    clock = Clock()
    with folder_lock(path, watched(path, clock)) as died:
        assert died
    assert LEASE_S - 5 <= clock.now <= LEASE_S


def test_a_lock_that_is_renewed_is_kept_and_its_holder_is_named(path):
    leave(path)
    clock = Clock(lambda: os.utime(path))
    with (
        pytest.raises(StoreError, match="process 4242 on host 'node-7'"),
        folder_lock(path, watched(path, clock)),
    ):
        pass
    assert clock.now <= 5
    assert json.loads(path.read_text())["pid"] == 4242


def test_a_lock_without_a_lease_is_never_taken_over(path):
    leave(path, age_s=100 * LEASE_S)
    path.write_text(json.dumps(this_process() | OTHER))
    os.utime(path, (1, 1))
    with pytest.raises(StoreError, match="node-7"), folder_lock(path, FolderLease(path)):
        pass


def test_the_holder_renews_its_lock(path, monkeypatch):
    monkeypatch.setattr(lease, "RENEW_S", 0.01)
    with folder_lock(path, FolderLease(path)):
        before = path.read_bytes()
        os.utime(path, (1, 1))
        wait_until(lambda: path.stat().st_mtime > time.time() - 3600, "the renewal", 20)
        assert path.read_bytes() == before


def test_a_run_that_lost_its_lock_publishes_nothing_and_leaves_the_lock_alone(tmp_path):
    store = FolderStore(tmp_path / "out")
    lock = tmp_path / "out" / ".wdsremux" / "lock"
    with store.lock():
        staged = store.stage("train-000000.tar")
        staged.write(b"tar")
        leave(lock)  # as another host does that found it abandoned, while this one was stopped
        with pytest.raises(StoreError, match="lost the lock"):
            staged.commit()
        assert not (tmp_path / "out" / "train-000000.tar").exists()
    assert json.loads(lock.read_text())["host"] == "node-7"


def test_a_run_that_lost_its_lock_does_not_renew_it(path, monkeypatch):
    monkeypatch.setattr(lease, "RENEW_S", 0.01)
    with folder_lock(path, FolderLease(path)) as _:
        leave(path, age_s=500)
        written = path.stat().st_mtime_ns
        # The keeper has several chances to write.
        deadline = time.monotonic() + 0.2
        wait_until(lambda: time.monotonic() > deadline, "some renewals", 20)
        assert path.stat().st_mtime_ns == written
