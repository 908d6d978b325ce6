"""Reading files of a target ahead: the order of their names, and no more at once than said."""

import threading

import pytest
from support.memory_store import MemoryStore
from support.store_conformance import publish

from wdsremux.core.errors import CorruptDataError, StoreError
from wdsremux.stores.reading.prefetch import READS_AT_ONCE, read_ahead

NAMES = [f"{number:03d}" for number in range(3 * READS_AT_ONCE)]


def filled():
    target = MemoryStore()
    for name in NAMES:
        publish(target, name, name.encode())
    return target


def test_a_missing_file_is_none():
    assert MemoryStore().read("a", 100) is None


def test_a_file_that_is_too_large_is_not_read_to_its_end():
    store = MemoryStore()
    publish(store, "a", b"12345")
    assert store.read("a", 5) == b"12345"
    with pytest.raises(CorruptDataError, match="cannot read 'a': it is larger than 4 bytes"):
        store.read("a", 4)


def test_files_come_in_the_requested_order():
    names = [*reversed(NAMES), "missing"]
    found = list(read_ahead(filled(), names, 100))
    assert found == [*(name.encode() for name in reversed(NAMES)), None]


def test_the_number_of_parallel_fetches_is_bounded():
    target, together = filled(), threading.Barrier(READS_AT_ONCE)
    open_at_once = target.open

    def open_with_others(name):
        together.wait(30)
        return open_at_once(name)

    target.open = open_with_others
    assert len(list(read_ahead(target, NAMES, 100))) == len(NAMES)


def test_stopping_early_does_not_fetch_everything():
    target, opened = filled(), []
    open_and_note = target.open
    target.open = lambda name: (opened.append(name), open_and_note(name))[1]
    found = read_ahead(target, NAMES, 100)
    next(found)
    found.close()
    assert len(opened) <= READS_AT_ONCE + 1


def test_a_read_error_is_raised():
    target = filled()

    def refuse(_name):
        raise StoreError("access denied")

    target.open = refuse
    with pytest.raises(StoreError, match="access denied"):
        list(read_ahead(target, NAMES, 100))
