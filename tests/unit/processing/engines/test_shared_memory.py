"""Shared writer: what a worker puts down the run finds, and both let go of it."""

import io
import os
import resource
from pathlib import Path

import pytest

from wdsremux.core.errors import TransformError
from wdsremux.processing.engines.frames import Frame, FrameKind, read_frame, write_frame
from wdsremux.processing.engines.shared_memory import (
    MIN_BYTES,
    SharedMemoryReader,
    SharedMemoryWriter,
)

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="payloads go by the pipe on this system"
)

LARGE = bytes(range(256)) * (MIN_BYTES // 256)


@pytest.fixture
def writer():
    return SharedMemoryWriter()


@pytest.fixture
def reader():
    """Look into this very process, as the run looks into a worker."""
    return SharedMemoryReader(os.getpid())


def is_open(handle):
    try:
        os.fstat(handle)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_stored_bytes_are_found(writer, reader, kind):
    handle = writer.put(kind(LARGE))
    assert reader.take(handle, len(LARGE)) == LARGE


def test_a_mapping_survives_the_release_by_the_worker(writer, reader):
    handle = writer.put(LARGE)
    view = reader.take(handle, len(LARGE))[512:]
    writer.release(handle)
    assert not is_open(handle)
    assert view == LARGE[512:]


def test_an_unused_mapping_is_released_once(writer, reader):
    first, other = (writer.put(LARGE) for _ in range(2))
    views = [reader.take(handle, len(LARGE)) for handle in (first, other)]
    assert reader.unused() == []
    del views[0]
    assert reader.unused() == [first]
    assert reader.unused() == []
    del views[0]
    assert reader.unused() == [other]


def test_only_stored_regions_are_released(writer):
    with Path(os.devnull).open() as file:
        writer.release(file.fileno())
        assert is_open(file.fileno())
    handle = writer.put(LARGE)
    writer.release(handle)
    writer.release(handle)
    assert not is_open(handle)


def test_the_probe_is_found_only_where_it_is(writer, reader):
    assert reader.finds(writer.probe())
    assert not reader.finds(None)
    assert not reader.finds(2**20)
    assert not SharedMemoryReader(2**22 + 1).finds(writer.probe())


def test_large_parts_of_a_frame_use_shared_memory_and_small_ones_the_pipe(writer, reader):
    pipe = io.BytesIO()
    frame = Frame(FrameKind.RESULT, [b"pickle", LARGE, b"small", LARGE[::-1]])
    write_frame(pipe, frame, writer)
    assert len(pipe.getvalue()) < 200
    pipe.seek(0)
    assert read_frame(pipe, reader.take) == frame


def test_without_shared_memory_everything_uses_the_pipe(monkeypatch):
    def refused(_name):
        raise PermissionError

    monkeypatch.setattr(os, "memfd_create", refused)
    pipe = io.BytesIO()
    write_frame(pipe, Frame(FrameKind.RESULT, [b"pickle", LARGE]), SharedMemoryWriter())
    pipe.seek(0)
    assert read_frame(pipe).parts[1] == LARGE


def lowest_free():
    handle = os.open(os.devnull, os.O_RDONLY)
    os.close(handle)
    return handle


@pytest.fixture
def limited():
    """Return a function that leaves this process that many descriptors."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda left: resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free() + left, before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_where_descriptors_are_scarce_the_run_copies_and_holds_none(writer, reader, limited):
    handles = [writer.put(LARGE) for _ in range(3)]
    free = lowest_free()
    limited(1)
    views = [reader.take(handle, len(LARGE)) for handle in handles]
    assert lowest_free() == free
    assert views == [LARGE] * 3
    assert all(view.readonly for view in views)
    assert reader.unused() == handles
    assert reader.unused() == []


def test_where_descriptors_are_scarce_the_worker_leaves_them_to_others(writer, limited):
    limited(20)
    free = lowest_free()
    assert writer.put(LARGE) is None
    assert lowest_free() == free


def test_running_out_of_descriptors_is_not_taken_for_the_worker_s_end(writer, reader, limited):
    handle = writer.put(LARGE)
    limited(0)
    with pytest.raises(TransformError, match="Too many open files; raise `ulimit -n`"):
        reader.take(handle, len(LARGE))
