"""Shared memory: what a worker puts down the run finds, and both let go of it."""

import io
import os
import resource
from pathlib import Path

import pytest

from wdsremux.core.errors import TransformError
from wdsremux.processing.engines.frames import Frame, Kind, read_frame, write_frame
from wdsremux.processing.engines.shared_memory import MIN_BYTES, Maps, Shelf

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="payloads go by the pipe on this system"
)

LARGE = bytes(range(256)) * (MIN_BYTES // 256)


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def maps():
    """Look into this very process, as the run looks into a worker."""
    return Maps(os.getpid())


def is_open(handle):
    try:
        os.fstat(handle)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_what_is_put_down_is_found(shelf, maps, kind):
    handle = shelf.put(kind(LARGE))
    assert maps.take(handle, len(LARGE)) == LARGE


def test_it_stays_as_long_as_it_is_looked_at_even_after_the_worker_let_go(shelf, maps):
    handle = shelf.put(LARGE)
    view = maps.take(handle, len(LARGE))[512:]
    shelf.release(handle)
    assert not is_open(handle)
    assert view == LARGE[512:]


def test_what_is_looked_at_no_more_is_told_once(shelf, maps):
    first, other = (shelf.put(LARGE) for _ in range(2))
    views = [maps.take(handle, len(LARGE)) for handle in (first, other)]
    assert maps.unused() == []
    del views[0]
    assert maps.unused() == [first]
    assert maps.unused() == []
    del views[0]
    assert maps.unused() == [other]


def test_only_what_was_put_down_is_let_go_of(shelf):
    with Path(os.devnull).open() as file:
        shelf.release(file.fileno())
        assert is_open(file.fileno())
    handle = shelf.put(LARGE)
    shelf.release(handle)
    shelf.release(handle)
    assert not is_open(handle)


def test_the_probe_is_found_only_where_it_is(shelf, maps):
    assert maps.finds(shelf.probe())
    assert not maps.finds(None)
    assert not maps.finds(2**20)
    assert not Maps(2**22 + 1).finds(shelf.probe())


def test_a_large_part_of_a_frame_goes_by_memory_and_small_ones_by_the_pipe(shelf, maps):
    pipe = io.BytesIO()
    frame = Frame(Kind.RESULT, [b"pickle", LARGE, b"small", LARGE[::-1]])
    write_frame(pipe, frame, shelf)
    assert len(pipe.getvalue()) < 200
    pipe.seek(0)
    assert read_frame(pipe, maps.take) == frame


def test_without_such_memory_all_goes_by_the_pipe(monkeypatch):
    def refused(_name):
        raise PermissionError

    monkeypatch.setattr(os, "memfd_create", refused)
    pipe = io.BytesIO()
    write_frame(pipe, Frame(Kind.RESULT, [b"pickle", LARGE]), Shelf())
    pipe.seek(0)
    assert read_frame(pipe).parts[1] == LARGE


def lowest_free():
    handle = os.open(os.devnull, os.O_RDONLY)
    os.close(handle)
    return handle


@pytest.fixture
def limited():
    """Return a function that leaves this process so many descriptors."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda left: resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free() + left, before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_where_descriptors_are_scarce_the_run_copies_and_holds_none(shelf, maps, limited):
    handles = [shelf.put(LARGE) for _ in range(3)]
    free = lowest_free()
    limited(1)
    views = [maps.take(handle, len(LARGE)) for handle in handles]
    assert lowest_free() == free
    assert views == [LARGE] * 3
    assert all(view.readonly for view in views)
    assert maps.unused() == handles
    assert maps.unused() == []


def test_where_descriptors_are_scarce_the_worker_leaves_them_to_others(shelf, limited):
    limited(20)
    free = lowest_free()
    assert shelf.put(LARGE) is None
    assert lowest_free() == free


def test_no_descriptor_at_all_is_not_taken_for_the_worker_s_end(shelf, maps, limited):
    handle = shelf.put(LARGE)
    limited(0)
    with pytest.raises(TransformError, match="Too many open files; raise `ulimit -n`"):
        maps.take(handle, len(LARGE))
