"""The lock on a remote target: who is refused, who waits, and whose lock is taken over."""

import json
import os
import threading

import pytest

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.stores import lease as leases
from wdsremux.stores.folder import lock as locks
from wdsremux.stores.lease import LEASE_S, Lease, LockVersion

WHERE = "s3://bucket/data/.wdsremux/lock"


class Lock:
    """One object on a server with a clock of its own."""

    def __init__(self):
        self.now = 1000.0
        self.there = None
        self.writes = 0
        self.is_reachable = True

    def create(self, text):
        return self.write(text) if self.there is None else None

    def read(self):
        self.answer()
        if self.there is None:
            return None
        text, version, at = self.there
        return LockVersion(text, version, self.now - at)

    def replace(self, text, seen):
        self.answer()
        is_same = self.there is not None and self.there[1] == seen.version
        return self.write(text) if is_same else None

    def remove(self, seen):
        if self.there is not None and self.there[1] == seen.version:
            self.there = None

    def write(self, text):
        self.answer()
        self.writes += 1
        self.there = (bytes(text), f"version {self.writes}", self.now)
        return LockVersion(*self.there[:2])

    def answer(self):
        if not self.is_reachable:
            raise UnreachableStoreError("the server is away")

    def left_by(self, **holder):
        """Leave a lock as another process has it."""
        self.write(json.dumps(leases._myself() | {"token": "another"} | holder).encode())

    @property
    def holder(self):
        return json.loads(self.there[0])


@pytest.fixture
def lock():
    return Lock()


@pytest.fixture
def lease(lock):
    """A lease whose waiting moves the server's clock on."""

    def wait(seconds):
        assert seconds > 0
        lock.now += seconds

    return Lease(lock, WHERE, wait, clock=lambda: lock.now)


def test_the_lock_names_its_holder_and_is_removed_afterwards(lock, lease):
    with lease.held() as died:
        assert died is False
        assert lock.holder["pid"] == os.getpid()
        lease.check()
    assert lock.there is None


def test_a_lock_of_a_dead_process_of_this_machine_is_taken_over_at_once(lock, lease):
    lock.left_by(pid=2**22 + 1)
    assert lease.take() is True
    assert lock.now == 1000


def test_a_live_process_of_this_machine_is_named_at_once(lock, lease):
    lock.left_by(pid=os.getppid(), started=locks._start_ticks(os.getppid()))
    with pytest.raises(StoreError, match=rf"process {os.getppid()} on host .*{WHERE}"):
        lease.take()
    assert lock.now == 1000


def test_another_lock_of_this_process_is_refused_while_its_thread_runs(lock, lease):
    other = Lease(lock, WHERE)
    with other.held(), pytest.raises(StoreError, match="being written by"):
        lease.take()


def test_an_unremoved_lock_of_this_process_is_taken_over(lock, lease):
    with Lease(lock, WHERE).held():
        lock.is_reachable = False
        left = lock.there
    lock.there, lock.is_reachable = left, True
    assert lease.take() is True


def test_a_lease_can_be_acquired_repeatedly_but_not_nested(lock, lease):
    for _ in range(2):
        with lease.held() as died:
            assert died is False
            with pytest.raises(StoreError, match="being written by this process already"):
                lease.held().__enter__()
            lease.check()
        assert lock.there is None


@pytest.mark.parametrize("of_the_dead", [False, True])
def test_a_lock_acquired_by_a_failed_attempt_is_ours_at_the_next(
    lock, lease, monkeypatch, of_the_dead
):
    """And whether it was that of a dead process is not forgotten."""
    if of_the_dead:
        lock.left_by(pid=2**22 + 1)

    def lose_answer(text):
        Lock.write(lock, text)
        raise UnreachableStoreError("the answer was lost")

    monkeypatch.setattr(lock, "write", lose_answer)
    with pytest.raises(UnreachableStoreError), lease.held():
        pass
    monkeypatch.undo()
    with lease.held() as died:
        assert died is of_the_dead
        lease.check()


@pytest.mark.parametrize("other", [{"host": "elsewhere"}, {"boot": "other"}, {"space": "pid:[1]"}])
def test_a_lock_of_another_machine_is_taken_over_when_it_expires(lock, lease, other):
    """Also after a reboot, and of another container: process numbers mean nothing there."""
    lock.left_by(pid=2**22 + 1, **other)
    assert lease.take() is True
    assert lock.now >= 1000 + LEASE_S


def test_a_lock_of_another_machine_that_is_renewed_is_refused(lock):
    lock.left_by(host="elsewhere", pid=77)

    def wait(seconds):
        lock.now += seconds
        lock.left_by(host="elsewhere", pid=77, writes=2)

    with pytest.raises(StoreError, match="process 77 on host 'elsewhere'; wait for it"):
        Lease(lock, WHERE, wait).take()


def test_only_one_of_two_waiting_processes_takes_over_a_stale_lock(lock):
    lock.left_by(host="elsewhere", pid=77)

    def wait(seconds):
        lock.now += LEASE_S
        if lock.holder["host"] == "elsewhere":
            lock.left_by(host="third", pid=78)

    with pytest.raises(StoreError, match="process 78 on host 'third'"):
        Lease(lock, WHERE, wait).take()


def test_a_lock_released_during_the_wait_is_acquired(lock):
    lock.left_by(host="elsewhere", pid=77)
    lease = Lease(lock, WHERE, lambda _: setattr(lock, "there", None))
    assert lease.take() is False


def test_an_unreadable_lock_is_taken_over_when_it_expires(lock, lease):
    lock.write(b"cut o")
    assert lease.take() is True
    assert lock.now >= 1000 + LEASE_S


def test_a_created_lock_with_a_lost_response_is_ours(lock, lease, monkeypatch):
    create = lock.create
    monkeypatch.setattr(lock, "create", lambda text: create(text) and None)
    assert lease.take() is False
    lease.check()


@pytest.mark.parametrize("is_there", [False, True])
def test_acquiring_an_unwritable_lock_ends_after_several_attempts(lock, lease, is_there):
    if is_there:
        lock.left_by(pid=2**22 + 1)
    lock.create = lock.replace = lambda *_: None
    with pytest.raises(StoreError, match=f"cannot acquire the lock '{WHERE}' after 5 attempts"):
        lease.take()
    assert lock.now == 1000 + 4


def test_a_lost_race_for_the_lock_is_retried_after_a_pause(lock, lease, monkeypatch):
    monkeypatch.setattr(lock, "create", lambda _: monkeypatch.undo())
    assert lease.take() is False
    assert lock.now == 1001


def test_a_renewed_lock_has_a_new_age(lock, lease):
    lease.take()
    before = lock.read()
    lock.now += 40
    lease.renew()
    after = lock.read()
    assert (before.version, after.age_s) != (after.version, before.age_s + 40)
    assert after.age_s == 0
    lease.check()


def test_a_renewal_with_a_lost_response_keeps_the_lock(lock, lease, monkeypatch):
    lease.take()
    replace = lock.replace
    monkeypatch.setattr(lock, "replace", lambda text, seen: replace(text, seen) and None)
    lease.renew()
    lease.check()


def test_a_holder_learns_that_its_lock_was_taken_over(lock, lease):
    lease.take()
    lock.left_by(host="elsewhere")
    lease.renew()
    with pytest.raises(StoreError, match="taken over or expired"):
        lease.check()


def test_an_expired_lock_is_renewed_before_publishing(lock, lease):
    """As after the machine has slept."""
    lease.take()
    lock.now += LEASE_S - 1
    lease.check()
    assert lock.writes == 1
    lock.now += 1
    lock.is_reachable = False
    with pytest.raises(UnreachableStoreError):
        lease.check()
    lock.is_reachable = True
    lease.check()
    lease.check()
    assert lock.writes == 2


def test_a_suspended_holder_learns_of_the_takeover_at_once(lock, lease):
    lease.take()
    lock.now += LEASE_S
    lock.left_by(host="elsewhere")
    with pytest.raises(StoreError, match="taken over or expired"):
        lease.check()


def test_an_unknown_error_of_a_renewal_stops_publishing(lock, lease, monkeypatch):
    monkeypatch.setattr(leases, "RENEW_S", 0.001)

    def broken(*_):
        raise KeyError("date")

    with lease.held():
        (keeper,) = (t for t in threading.enumerate() if t.name.endswith(lease._token))
        monkeypatch.setattr(lock, "replace", broken)
        keeper.join(30)
        with pytest.raises(StoreError, match="taken over or expired"):
            lease.check()


def test_a_foreign_lock_is_not_removed_at_the_end(lock, lease):
    with lease.held():
        lock.left_by(host="elsewhere", pid=77)
    assert lock.holder["pid"] == 77


def test_an_outage_at_the_end_does_not_hide_what_the_block_raised(lock, lease):
    def broken():
        with lease.held():
            lock.is_reachable = False
            raise KeyError

    with pytest.raises(KeyError):
        broken()
