"""Frames on the pipes between the run and a worker process: a kind, a pickle and its large buffers.

Layout, little endian: a mark (4 bytes), kind (1), number of parts (4), length of each part (8
each), the parts. The mark distinguishes a frame from what other code writes to our descriptor.
The first part is a pickle (protocol 5), the others are its out-of-band buffers: large payloads are
never copied through the pickle. A length with the bit `_IS_SHARED` belongs to a part in shared
memory; its descriptor (8 bytes) follows in the pipe.
"""

import io
import pickle
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import cloudpickle

from wdsremux.processing.engines.shared_memory import MIN_BYTES, SharedMemoryWriter

_MARK = b"\xfaWF\x01"
_HEAD = struct.Struct("<4sBI")
_MAX_PARTS = 1 << 20
_STEP_BYTES = 64 << 20
"""Memory allocated before the first byte of a part arrives, whatever length it claims."""
_HANDLE = struct.Struct("<Q")
_IS_SHARED = 1 << 63


class FrameKind(IntEnum):
    """What a frame says."""

    START = 1
    """To the worker: the pickled `make_work`, and the time limit of the run, or None."""
    READY = 2
    """From the worker: the work is built; with the descriptor of a probe of shared memory."""
    ITEM = 3
    """To the worker: work on this item."""
    RESULT = 4
    """From the worker: one result."""
    DONE = 5
    """From the worker: the item has no more results."""
    FAILED = 6
    """From the worker: building the work, or the item, ended with this failure."""
    ALIVE = 7
    """From the worker: a heartbeat, with the seconds allowed for the next stretch."""
    SHARE = 8
    """To the worker: the probe was found; large payloads may be sent in shared memory."""
    UNUSED = 9
    """To the worker: the shared memory of this descriptor is no longer used."""
    SIGNAL = 10
    """From the worker: a `Signal` for the run."""


_KINDS = frozenset(map(int, FrameKind))

Take = Callable[[int, int], memoryview]
"""Maps shared memory: (descriptor, length) → view."""


class BrokenFrameError(Exception):
    """Data from the pipe is not a frame; the message shows how it begins."""


class Pipe(Protocol):
    """The raw, unbuffered end of a pipe."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read some bytes; 0 at the end."""

    def write(self, buffer: memoryview, /) -> int | None:
        """Write some bytes and return how many."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message in transport."""

    kind: FrameKind
    parts: Sequence[bytes | bytearray | memoryview]

    def value(self) -> Any:
        """Unpickle the value; large buffers are not copied."""
        return pickle.loads(self.parts[0], buffers=self.parts[1:])


def frame_of(kind: FrameKind, value: Any = None) -> Frame:
    """Pickle a value into a frame; raises what pickling raises."""
    buffers: list[pickle.PickleBuffer] = []
    body = io.BytesIO()
    # By value what the other side cannot import.
    cloudpickle.Pickler(body, protocol=5, buffer_callback=buffers.append).dump(value)
    return Frame(kind, [body.getvalue(), *(buffer.raw() for buffer in buffers)])


def write_frame(pipe: Pipe, frame: Frame, memory: SharedMemoryWriter | None = None) -> None:
    """Write a whole frame, large buffers to shared memory if there is any.

    Raises OSError if the reader is gone.
    """
    lengths, parts = [len(frame.parts[0])], [frame.parts[0]]
    for part in frame.parts[1:]:
        handle = memory.put(part) if memory is not None and len(part) >= MIN_BYTES else None
        lengths.append(len(part) if handle is None else len(part) | _IS_SHARED)
        parts.append(part if handle is None else _HANDLE.pack(handle))
    head = _HEAD.pack(_MARK, frame.kind, len(lengths)) + struct.pack(f"<{len(lengths)}Q", *lengths)
    _write_all(pipe, head + parts[0])
    for part in parts[1:]:
        _write_all(pipe, part)


def read_frame(pipe: Pipe, take: Take | None = None) -> Frame:
    """Read a whole frame.

    `take` maps parts in shared memory. Raises EOFError at the end of the pipe, also in the middle
    of a frame, and BrokenFrameError for anything else than a frame.
    """
    head = _read_all(pipe, _HEAD.size)
    mark, kind, parts = _HEAD.unpack(head)
    if mark != _MARK or kind not in _KINDS or not 0 < parts <= _MAX_PARTS:
        raise BrokenFrameError(repr(bytes(head)))
    lengths = struct.unpack(f"<{parts}Q", _read_all(pipe, 8 * parts))
    return Frame(FrameKind(kind), [_read_part(pipe, length, take) for length in lengths])


def _read_part(pipe: Pipe, length: int, take: Take | None) -> bytearray | memoryview:
    if not length & _IS_SHARED:
        return _read_all(pipe, length)
    (handle,) = _HANDLE.unpack(_read_all(pipe, _HANDLE.size))
    assert take is not None, "shared memory is used only after SHARE"  # noqa: S101
    return take(handle, length ^ _IS_SHARED)


def _write_all(pipe: Pipe, data: bytes | bytearray | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[pipe.write(rest) :]


def _read_all(pipe: Pipe, length: int) -> bytearray:
    data = bytearray(min(length, _STEP_BYTES))
    got = 0
    while got < length:
        if got == len(data):
            data.extend(bytes(min(length - got, _STEP_BYTES)))
        with memoryview(data) as whole:
            count = pipe.readinto(whole[got:])
        if not count:
            raise EOFError("the pipe was closed")
        got += count
    return data
