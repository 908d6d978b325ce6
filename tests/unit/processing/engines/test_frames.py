"""Frames on the pipes: what goes in comes out, large payloads are not copied through pickle."""

import io
import pickle
import struct

import pytest

from wdsremux.core.records import Batch, PackedSamples, Rejected
from wdsremux.processing.engines.frames import (
    BrokenFrameError,
    Frame,
    FrameKind,
    frame_of,
    read_frame,
    write_frame,
)


class Narrow(io.BytesIO):
    """A pipe that accepts and returns a few bytes at a time, as real ones may."""

    def write(self, buffer):
        return super().write(buffer[:7])

    def readinto(self, buffer):
        return super().readinto(memoryview(buffer)[:5])


def sent(frame):
    pipe = Narrow()
    write_frame(pipe, frame)
    pipe.seek(0)
    return read_frame(pipe)


def batch_with(payload):
    packs = tuple(
        PackedSamples(payload, [5, 6], [f"a{copy}", "b"], [512, 1024], [1, 2], [(10, 20), (30, 40)])
        for copy in range(2)
    )
    return Batch(5, 3, packs, (Rejected(7, 0, "decode", "truncated"),), 99)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_batch_comes_out_as_it_went_in(kind):
    frame = sent(frame_of(FrameKind.RESULT, batch_with(kind(b"x" * 1536))))
    batch = frame.value()
    assert frame.kind is FrameKind.RESULT
    assert batch == batch_with(b"x" * 1536)
    assert batch.size_bytes == 2 * 1536


def test_payloads_travel_beside_the_pickle():
    frame = frame_of(FrameKind.RESULT, batch_with(bytes(100_000)))
    assert [len(part) for part in frame.parts[1:]] == [100_000, 100_000]
    assert len(frame.parts[0]) < 1_000


def test_a_received_payload_is_not_copied():
    frame = sent(frame_of(FrameKind.RESULT, batch_with(bytearray(2_000))))
    assert frame.value().packed[0].payload is frame.parts[1]


def test_an_empty_payload_is_a_payload():
    assert sent(frame_of(FrameKind.RESULT, batch_with(b""))).value() == batch_with(b"")


def test_a_function_that_cannot_be_imported_is_pickled_by_value():
    step = 3
    assert sent(frame_of(FrameKind.ITEM, lambda x: x + step)).value()(4) == 7


@pytest.mark.parametrize("length", [0, 1, 4, 8, 16, 24])
def test_a_frame_that_is_cut_off_is_the_end_of_the_pipe(length):
    pipe = io.BytesIO()
    write_frame(pipe, Frame(FrameKind.ITEM, [pickle.dumps("an item")]))
    with pytest.raises(EOFError):
        read_frame(io.BytesIO(pipe.getvalue()[:length]))


def begun(mark=None, kind=FrameKind.RESULT, parts=1):
    """Return the head of a frame, sound but for what is given."""
    pipe = io.BytesIO()
    write_frame(pipe, Frame(FrameKind.RESULT, [b""]))
    return (mark or pipe.getvalue()[:4]) + struct.pack("<BI", kind, parts)


@pytest.mark.parametrize(
    "junk",
    [
        b"junk" * 10,
        b"\0" * 40,
        begun(mark=b"junk") + bytes(8),
        begun(kind=0) + bytes(8),
        begun(kind=99) + bytes(8),
        begun(parts=0),
        begun(parts=2**32 - 1),
    ],
)
def test_malformed_frames_are_reported_by_their_header(junk):
    with pytest.raises(BrokenFrameError):
        read_frame(io.BytesIO(junk))


def test_the_same_header_without_a_fault_is_read():
    assert read_frame(io.BytesIO(begun() + bytes(8))).parts == [b""]


def test_memory_is_allocated_for_received_bytes_only():
    claimed = begun() + struct.pack("<Q", 1 << 62) + b"a little"
    with pytest.raises(EOFError):
        read_frame(io.BytesIO(claimed))


def test_a_part_of_many_steps_comes_whole(monkeypatch):
    monkeypatch.setattr("wdsremux.processing.engines.frames._STEP_BYTES", 8)
    assert sent(frame_of(FrameKind.ITEM, bytes(range(100)))).value() == bytes(range(100))
