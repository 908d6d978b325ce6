"""All rows of each series in an exact random order, in bounded memory: `--shuffle SEED`.

Each row gets a 64-bit number, a keyed hash of seed, series and row; the rows are sorted by it. So
the order depends on nothing else: not on memory, workers, or how often the run was interrupted. The
first pass reads the rows in source order and appends each, as it is stored, to one of the bucket
files, by the leading bits of its number. The second pass sorts the numbers of one bucket at a time,
and the workers read the rows themselves.
"""

import contextlib
import hashlib
import pickle
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt

from wdsremux.core.errors import SourceError, StoreError, UsageError
from wdsremux.core.heartbeat import Phase, signal
from wdsremux.core.option_values import size
from wdsremux.core.records import Piece, Record
from wdsremux.processing.splitting import SOURCE_ROW, row_from_record
from wdsremux.processing.tasks import RowRange, SeriesRows, UnitsOf, pieces
from wdsremux.sources.rows.unit import UNIT_BYTES, UNIT_ROWS, StreamRow, StreamUnit
from wdsremux.stores.folder.disk_errors import free_bytes
from wdsremux.stores.staging.files import scratch_folder, staging_folder

BUCKETS = 64
"""A power of two. One file is open for each, and the numbers of one are sorted in memory."""

_SHOWN_EVERY_S = 1.0
_ENTRY = np.dtype([("number", "<u8"), ("row", "<u8"), ("start", "<u8"), ("size", "<u8")])

Entries = npt.NDArray[np.void]


def series_key(seed: int, series: str) -> bytes:
    """Return the key of the hash that orders a series."""
    return hashlib.blake2b(f"{seed} {series}".encode(), digest_size=16).digest()


def order_number(key: bytes, row: int) -> int:
    """Return the 64-bit number that decides where a row comes: the smallest first."""
    digest = hashlib.blake2b(row.to_bytes(8, "little"), key=key, digest_size=8)
    return int.from_bytes(digest.digest(), "big")


@dataclass(frozen=True, slots=True)
class ShuffledUnit:
    """Rows that come one after another, each somewhere in a bucket file."""

    first: int
    path: str
    spans: tuple[tuple[int, int], ...]
    """First byte and size of each row."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.spans)

    @property
    def size_bytes(self) -> int:
        """Bytes that are read."""
        return sum(size for _, size in self.spans)

    @property
    def name(self) -> str:
        """What an error message calls it."""
        return f"rows {self.first} to {self.first + self.rows - 1} in random order"

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """Yield the records of rows start..stop-1. Raises SourceError."""
        try:
            with Path(self.path).open("rb", buffering=0) as file:
                rows = [_row_at(file, *span) for span in self.spans[start:stop]]
        except OSError as exc:
            raise SourceError(
                f"cannot read the temporary file {self.path!r}: {exc.strerror or exc}; run the "
                "same command again"
            ) from exc
        yield from StreamUnit(self.first + start, tuple(rows)).read(0, len(rows))


def _row_at(file: BinaryIO, start: int, size: int) -> StreamRow:
    file.seek(start)
    # Written by this run, into a folder that only this user can open.
    row: StreamRow = pickle.loads(file.read(size))
    return row


@dataclass(frozen=True, slots=True)
class _Bucket:
    """A file of rows, and a file of where each of them is."""

    rows: Path
    entries: Path

    def sorted_entries(self) -> Entries:
        """Return the entries by number; equal numbers stay in source order."""
        entries = np.fromfile(self.entries, _ENTRY)
        return entries[np.argsort(entries["number"], kind="stable")]

    @property
    def count(self) -> int:
        """Number of rows."""
        return self.entries.stat().st_size // _ENTRY.itemsize


@dataclass(slots=True, weakref_slot=True)
class Shuffler:
    """The series of a conversion in random order; the first pass runs when rows are asked for.

    The temporary files are removed with the object, or by the next run if this one is killed.
    """

    units_of: UnitsOf
    """Rows of the source, in order; without the column `source_row`."""
    source_series: tuple[SeriesRows, ...]
    seed: int
    parent: str | None
    """Folder for the temporary files; None for the system's."""
    adds_row: bool = True
    """Whether the rows get the column `source_row`."""
    _buckets: dict[str, tuple[_Bucket, ...]] = field(default_factory=dict)
    _folder: Path | None = None
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def series(self) -> tuple[SeriesRows, ...]:
        """The series as they are converted: each is a split of its own, counted from 0."""
        return tuple(
            SeriesRows(rows.name, (RowRange(rows.name, 0, rows.rows, is_sure=_is_sure(rows)),))
            for rows in self.source_series
        )

    def units(self, split: str, start: int) -> Iterator[ShuffledUnit]:
        """Yield the units of a series in random order, from the one that holds row `start`."""
        first = 0
        for bucket in self._written(split):
            count = bucket.count
            if first + count > start:
                skipped = max(0, start - first)
                yield from _units(bucket.rows, bucket.sorted_entries()[skipped:], first + skipped)
            first += count

    def _written(self, split: str) -> tuple[_Bucket, ...]:
        if split not in self._buckets:
            rows = next(rows for rows in self.source_series if rows.name == split)
            self._buckets[split] = self._write(rows)
        return self._buckets[split]

    def _write(self, rows: SeriesRows) -> tuple[_Bucket, ...]:
        """Read a series and write its rows into buckets. Raises StoreError."""
        folder = self._scratch()
        buckets = tuple(
            _Bucket(folder / f"{rows.name}-{i:02d}.rows", folder / f"{rows.name}-{i:02d}.entries")
            for i in range(BUCKETS)
        )
        try:
            with contextlib.ExitStack() as stack:
                writers = [stack.enter_context(_BucketWriter(bucket)) for bucket in buckets]
                self._fill(rows, writers)
        except OSError as exc:
            raise StoreError(
                f"cannot write temporary files in {str(folder)!r}: {exc.strerror or exc}; free "
                "some space, or use another folder with --scratch, then run the same command again"
            ) from exc
        return buckets

    def _fill(self, rows: SeriesRows, writers: "Sequence[_BucketWriter]") -> None:
        key, shift = series_key(self.seed, rows.name), 64 - (BUCKETS.bit_length() - 1)
        done = written = 0
        shown_s = time.monotonic()
        base = rows.ranges[0].start
        for piece in pieces(self.units_of, rows, base, base):
            for row, item in enumerate(_items(piece), piece.first):
                number = order_number(key, row)
                kept = self._with_row(item, row)
                written += writers[number >> shift].add(number, row, kept)
                done += 1
                if time.monotonic() - shown_s >= _SHOWN_EVERY_S:
                    shown_s = time.monotonic()
                    of = "" if rows.rows is None else f" of {rows.rows:,}"
                    signal(Phase(f"shuffling: {done:,}{of} rows read, {size(written)} written"))

    def _with_row(self, item: StreamRow, row: int) -> StreamRow:
        if not self.adds_row:
            return item
        return replace(item, fields={**item.fields, SOURCE_ROW: row})

    def _scratch(self) -> Path:
        """Return the folder of this run's temporary files."""
        if self._folder is None:
            self._folder = self._stack.enter_context(scratch_folder("shuffle", self.parent))
            weakref.finalize(self, self._stack.close)
        return self._folder

    def remark(self) -> str:
        """Return what will be written where. Raises UsageError if there is no room for it."""
        folder = staging_folder("shuffle", self.parent).parent
        needed, free = self._needed_bytes(), free_bytes(folder)
        room = "" if free is None else f"; {size(free)} free"
        if needed is None:
            return f"--shuffle: temporary files with every row are written to {str(folder)!r}{room}"
        if free is not None and needed > free:
            raise UsageError(
                f"--shuffle writes about {size(needed)} of temporary files to {str(folder)!r}, "
                f"where {size(free)} is free; choose another folder with --scratch"
            )
        return (
            f"--shuffle: temporary files of about {size(needed)} are written to "
            f"{str(folder)!r}{room}"
        )

    def _needed_bytes(self) -> int | None:
        """Return about how much is written; None if that is not known without reading the rows."""
        total = 0
        for rows in self.source_series:
            base = rows.ranges[0].start
            for piece in pieces(self.units_of, rows, base, base):
                if isinstance(piece.unit, StreamUnit):
                    return None
                total += piece.unit.size_bytes * piece.rows // piece.unit.rows
        return total


class _BucketWriter:
    """Appends rows to a bucket."""

    def __init__(self, bucket: _Bucket) -> None:
        self._bucket = bucket
        self._at = 0

    def __enter__(self) -> Self:
        self._rows = self._bucket.rows.open("wb")
        try:
            self._entries = self._bucket.entries.open("wb")
        except OSError:
            self._rows.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.closing(self._entries):
            self._rows.close()

    def add(self, number: int, row: int, item: StreamRow) -> int:
        """Append a row and return how many bytes it takes."""
        data = pickle.dumps(item, protocol=5)
        self._rows.write(data)
        self._entries.write(np.array((number, row, self._at, len(data)), _ENTRY).tobytes())
        self._at += len(data)
        return len(data)


def _items(piece: Piece) -> Iterator[StreamRow]:
    """Yield the rows of a piece; paths of images stay paths, images stay as they are stored."""
    if isinstance(piece.unit, StreamUnit):
        return iter(piece.unit.items[piece.start : piece.stop])
    return map(row_from_record, piece.unit.read(piece.start, piece.stop))


def _units(path: Path, entries: Entries, first: int) -> Iterator[ShuffledUnit]:
    """Yield the units of a bucket, of at most 256 rows and 16 MB (a larger row gets its own)."""
    sizes = entries["size"]
    at = 0
    while at < len(entries):
        ends = np.cumsum(sizes[at : at + UNIT_ROWS])
        count = max(1, int(np.searchsorted(ends, UNIT_BYTES, "right")))
        part = entries[at : at + count]
        spans = tuple(zip(part["start"].tolist(), part["size"].tolist(), strict=True))
        yield ShuffledUnit(first + at, str(path), spans)
        at += count


def _is_sure(rows: SeriesRows) -> bool:
    return all(each.is_sure for each in rows.ranges)
