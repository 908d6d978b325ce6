"""A file on the Hub as a file object for pyarrow: read ahead in parallel, bounded in bytes.

Bandwidth is per connection, so a range is cut into pieces that are read over several connections.
Tries run in threads of a pool, but waiting between tries happens in the reader's own thread: a
stream left open keeps the interpreter from ending no longer than the pieces in flight take.
"""

import io
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from wdsremux.stores.hub.ranges import HubFile, PendingRange, range_client
from wdsremux.stores.patience import SHOWN_AFTER_S, ReadingPatience, TemporaryError

CONNECTIONS = 4
MAX_PIECE_BYTES = 4 << 20
MIN_PIECE_BYTES = 1 << 18
AHEAD_PIECES = 6
"""Pieces in memory at a time, those in flight included."""
MERGE_GAP_BYTES = 1 << 16
"""Ranges with a gap up to this size are fetched as one."""

Span = tuple[int, int]
"""First byte, byte after the last."""


@dataclass(slots=True)
class _Piece:
    start: int
    stop: int
    unread: int
    """Bytes that have not been read yet; the piece is released when all have been read."""
    pending: PendingRange = field(init=False)
    coming: "Future[None] | None" = None

    def __post_init__(self) -> None:
        self.pending = PendingRange(self.start, self.stop)

    @property
    def is_in_flight(self) -> bool:
        return self.coming is not None and not self.coming.done()


def read_range(file: HubFile, start: int, stop: int) -> bytearray:
    """Return bytes [start, stop) of a file, tried until the access gives up."""
    pending, client = PendingRange(start, stop), range_client(file.access)
    patience = ReadingPatience(file.name, file.access.give_up_after_s)
    while not pending.is_full:
        try:
            client.fill(file, pending)
        except TemporaryError as error:
            patience.wait(error)
    return pending.data


def pieces_of(spans: Iterable[Span]) -> list[_Piece]:
    """Cut spans into pieces: close ones joined, each piece small enough for all connections."""
    spans = sorted(spans)
    joined: list[list[int]] = []
    for start, stop in spans:
        if joined and start - joined[-1][1] <= MERGE_GAP_BYTES:
            joined[-1][1] = max(stop, joined[-1][1])
        else:
            joined.append([start, stop])
    pieces = []
    for start, stop in joined:
        size = min(MAX_PIECE_BYTES, max(MIN_PIECE_BYTES, -(-(stop - start) // CONNECTIONS)))
        for at in range(start, stop, size):
            end = min(at + size, stop)
            wanted = sum(max(0, min(b, end) - max(a, at)) for a, b in spans)
            pieces.append(_Piece(at, end, wanted))
    return pieces


class RemoteReader:
    """Reads spans of a file, each byte once, in any order; other bytes by separate requests.

    The caller closes it. For one reader at a time; memory is bounded by AHEAD_PIECES pieces beside
    those that several columns are still reading from.
    """

    def __init__(self, file: HubFile, spans: Sequence[Span]) -> None:
        self.closed = False
        self._file, self._client = file, range_client(file.access)
        self._patience = ReadingPatience(file.name, file.access.give_up_after_s)
        self._pieces = pieces_of(spans)
        self._starts = [piece.start for piece in self._pieces]
        self._held: dict[int, _Piece] = {}
        self._pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="wdsremux-hub")
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size_bytes}[whence]
        self._at = base + offset
        return self._at

    def close(self) -> None:
        """Release everything; requests in flight end on their own."""
        self.closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._held.clear()

    def read(self, size: int | None = -1) -> bytearray:
        """Return bytes from the current offset. Raises SourceError for an unreachable source."""
        end = self._file.size_bytes if size is None or size < 0 else self._at + size
        end = min(end, self._file.size_bytes)
        out = bytearray(max(0, end - self._at))
        done = 0
        while done < len(out):
            part = self._part(self._at + done, end)
            out[done : done + len(part)] = part
            done += len(part)
        self._at = max(self._at, end)
        return out  # pyarrow accepts any buffer: no copy

    def _part(self, at: int, end: int) -> bytearray | memoryview:
        """Return some bytes from `at` on, at least one."""
        index = bisect_right(self._starts, at) - 1
        piece = self._pieces[index] if index >= 0 else None
        if piece is None or at >= piece.stop or piece.unread <= 0:
            # Outside of the spans, or read a second time.
            following = self._starts[index + 1] if index + 1 < len(self._starts) else end
            inside = piece.stop if piece and at < piece.stop else following
            return read_range(self._file, at, min(end, inside))
        self._fetch_ahead(index)
        self._await(piece)
        stop = min(end, piece.stop)
        part = memoryview(piece.pending.data)[at - piece.start : stop - piece.start]
        piece.unread -= len(part)
        if piece.unread <= 0:
            self._held.pop(index, None)
            piece.pending, piece.coming = PendingRange(piece.start, piece.stop), None
        return part

    def _fetch_ahead(self, index: int) -> None:
        """Request a piece, and those that follow as far as the bounds allow."""
        self._fetch(index)
        in_flight = sum(piece.is_in_flight for piece in self._held.values())
        for following in range(index + 1, len(self._pieces)):
            if len(self._held) >= AHEAD_PIECES or in_flight >= CONNECTIONS:
                return
            if following not in self._held and self._pieces[following].unread > 0:
                self._fetch(following)
                in_flight += 1

    def _fetch(self, index: int) -> None:
        piece = self._pieces[index]
        if piece.coming is None:
            self._held[index] = piece
            piece.coming = self._pool.submit(self._client.fill, self._file, piece.pending)

    def _result(self, piece: _Piece, coming: "Future[None]") -> None:
        """Wait for one try; report a server that sends nothing meanwhile."""
        came = len(piece.pending.data)
        while True:
            done, _ = wait((coming,), SHOWN_AFTER_S)
            if done:
                coming.result()
                return
            if came == len(piece.pending.data):
                self._patience.note(f"cannot read {self._file.name}: no answer; still waiting")
            came = len(piece.pending.data)

    def _await(self, piece: _Piece) -> None:
        while piece.coming is not None and not piece.pending.is_full:
            try:
                self._result(piece, piece.coming)
            except TemporaryError as error:
                self._patience.wait(error)
                piece.coming = self._pool.submit(self._client.fill, self._file, piece.pending)
        self._patience.succeeded()
