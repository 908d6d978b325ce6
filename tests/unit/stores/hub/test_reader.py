"""Reading a file of the Hub: how it is cut into pieces, and what is reported meanwhile."""

import logging
import threading

import pytest

from wdsremux.stores.hub import reader
from wdsremux.stores.hub.ranges import HubAccess, HubFile
from wdsremux.stores.hub.reader import (
    CONNECTIONS,
    MAX_PIECE_BYTES,
    MIN_PIECE_BYTES,
    RemoteReader,
    pieces_of,
)

MIB = 1 << 20


def ranges(spans):
    return [(p.start, p.stop) for p in pieces_of(spans)]


def test_a_small_span_is_one_piece():
    assert ranges([(10, 20)]) == [(10, 20)]


def test_a_medium_span_is_split_over_all_connections():
    assert len(pieces_of([(0, 4 * MIB)])) == CONNECTIONS


def test_a_large_span_is_split_into_pieces_of_bounded_size():
    pieces = pieces_of([(7, 100 * MIB)])
    assert max(p.stop - p.start for p in pieces) == MAX_PIECE_BYTES
    assert [p.start for p in pieces] == [7, *(p.stop for p in pieces[:-1])]


def test_close_spans_are_fetched_as_one_and_far_ones_apart():
    assert ranges([(0, 100), (200, 300), (10 * MIB, 10 * MIB + 5)]) == [
        (0, 300),
        (10 * MIB, 10 * MIB + 5),
    ]


@pytest.mark.parametrize("gap", [0, 50])
def test_only_requested_bytes_are_buffered(gap):
    (piece,) = pieces_of([(0, 100), (100 + gap, 200)])
    assert piece.unread == 200 - gap
    assert MIN_PIECE_BYTES > 200


def test_a_silent_server_is_reported_during_the_wait(monkeypatch, caplog):
    monkeypatch.setattr(reader, "SHOWN_AFTER_S", 0.01)
    has_noted = threading.Event()

    class Silent:
        def fill(self, _file, fill):
            assert has_noted.wait(30)
            fill.data += b"x" * (fill.stop - fill.start)

    class Noting(logging.Handler):
        def emit(self, _record):
            has_noted.set()

    handler = Noting()
    logging.getLogger("wdsremux.stores.patience").addHandler(handler)
    monkeypatch.setattr(reader, "range_client", lambda _access: Silent())
    source = RemoteReader(HubFile("u/n a.parquet", "https://hub/a", 10, HubAccess()), [(0, 10)])
    try:
        assert source.read(10) == b"x" * 10
    finally:
        source.close()
        logging.getLogger("wdsremux.stores.patience").removeHandler(handler)
    assert caplog.messages == ["cannot read u/n a.parquet: no answer; still waiting"]
