import pytest

from wdsremux.stores.hub.reader import CONNECTIONS, MAX_PIECE_BYTES, MIN_PIECE_BYTES, pieces_of

MIB = 1 << 20


def ranges(spans):
    return [(p.start, p.stop) for p in pieces_of(spans)]


def test_a_small_span_is_one_piece():
    assert ranges([(10, 20)]) == [(10, 20)]


def test_a_middling_span_is_spread_over_all_connections():
    assert len(pieces_of([(0, 4 * MIB)])) == CONNECTIONS


def test_a_big_span_is_cut_into_pieces_of_bounded_size():
    pieces = pieces_of([(7, 100 * MIB)])
    assert max(p.stop - p.start for p in pieces) == MAX_PIECE_BYTES
    assert [p.start for p in pieces] == [7, *(p.stop for p in pieces[:-1])]


def test_close_spans_are_fetched_as_one_and_far_ones_apart():
    assert ranges([(0, 100), (200, 300), (10 * MIB, 10 * MIB + 5)]) == [
        (0, 300),
        (10 * MIB, 10 * MIB + 5),
    ]


@pytest.mark.parametrize("gap", [0, 50])
def test_only_wanted_bytes_wait_for_being_read(gap):
    (piece,) = pieces_of([(0, 100), (100 + gap, 200)])
    assert piece.unread == 200 - gap
    assert MIN_PIECE_BYTES > 200
