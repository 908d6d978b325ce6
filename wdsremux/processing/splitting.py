"""Divides the rows of one series into several by a hash: `--split-ratio train=0.9,val=0.1`.

A row's place in [0, 1) decides its split, so a row stays in its split when rows are added behind
it. The place is a hash of the row number; with a key column it is a hash of the key, and stratified
by label it is the next term of a golden-ratio sequence of the label, whose terms are spread so
evenly that each label is divided by the ratio to within a few rows.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from wdsremux.core.errors import UsageError
from wdsremux.core.records import Record, Unit
from wdsremux.processing.tasks import RowRange, SeriesRows, UnitsOf, pieces
from wdsremux.sources.rows.pictures import UnreadableImage
from wdsremux.sources.rows.unit import StreamRow, bundled

SOURCE_ROW = "source_row"
"""Column that the samples get where their position is not their row number in the source."""

_GOLDEN = (math.sqrt(5) - 1) / 2
_HASH_ROWS = 1 << 16

Rows = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Names of splits, and the border of each in [0, 1]."""

    names: tuple[str, ...]
    borders: tuple[float, ...]
    """From 0 to 1: one more than there are names."""

    def bounds(self, name: str) -> tuple[float, float]:
        """Return the part of [0, 1) that belongs to a split."""
        number = self.names.index(name)
        return self.borders[number], self.borders[number + 1]


def ratio_from_text(text: str) -> Ratio:
    """Read "train=0.9,val=0.1". Raises UsageError."""
    names, shares = [], []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\w[\w.-]*)=(\d*\.?\d+)\s*", part, re.ASCII)
        if not match:
            raise UsageError(f"--split-ratio {text!r} is not valid; write train=0.9,val=0.1")
        names.append(match[1])
        shares.append(float(match[2]))
    total = sum(shares)
    if len(names) < 2 or len(set(names)) < len(names) or not all(shares):
        raise UsageError(f"--split-ratio {text!r}: name at least two splits, each once, above 0")
    if abs(total - 1) > 1e-6:
        raise UsageError(f"--split-ratio {text!r}: the shares add up to {total:g}, not to 1")
    borders = [math.fsum(shares[:number]) for number in range(len(shares))]
    return Ratio(tuple(names), (*borders, 1.0))


def places_of_rows(rows: Rows) -> npt.NDArray[np.float64]:
    """Return the place of row numbers in [0, 1): a hash of 53 bits (SplitMix64's mixing)."""
    mixed = rows + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return np.asarray((mixed >> np.uint64(11)) * 2.0**-53, np.float64)


def place_of_text(text: str) -> float:
    """Return the place of a key in [0, 1)."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


@dataclass(frozen=True, slots=True)
class ChosenRows:
    """Some rows of a unit."""

    first: int
    unit: Unit
    numbers: tuple[int, ...]
    """Of the chosen rows in the unit, in order."""
    adds_row: bool

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.numbers)

    @property
    def size_bytes(self) -> int:
        """About how many bytes the chosen rows have."""
        return self.unit.size_bytes * self.rows // self.unit.rows

    @property
    def name(self) -> str:
        """That of the unit."""
        return self.unit.name

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """Yield the chosen rows start..stop-1; the others between them are read and dropped."""
        chosen = self.numbers[start:stop]
        low = chosen[0]
        wanted = {number - low for number in chosen}
        position = self.first + start
        for number, record in enumerate(self.unit.read(low, chosen[-1] + 1)):
            if number in wanted:
                yield with_row(replace(record, position=position), record.position, self.adds_row)
                position += 1


def with_row(record: Record, row: int, adds_row: bool) -> Record:  # noqa: FBT001 (of the caller)
    """Return a record with its row number in the source, if it gets that column."""
    return replace(record, fields={**record.fields, SOURCE_ROW: row}) if adds_row else record


@dataclass(frozen=True, slots=True)
class SplitRows:
    """The rows of one series, divided into several."""

    units_of: UnitsOf
    source: SeriesRows
    ratio: Ratio
    key: str | None = None
    """Column whose value is hashed instead of the row number."""
    label: str | None = None
    """Column that the splits are stratified by."""
    adds_row: bool = True

    @property
    def series(self) -> tuple[SeriesRows, ...]:
        """The series as they are converted: each is a split of its own, counted from 0."""
        counts = self._counts()
        return tuple(
            SeriesRows(name, (RowRange(name, 0, count, is_sure=count is not None),))
            for name, count in zip(self.ratio.names, counts, strict=True)
        )

    def units(self, split: str, start: int) -> Iterator[Unit]:
        """Yield the units of a split from the one that holds row `start`."""
        if self._is_by_row:
            yield from self._chosen(split, start)
        else:
            yield from bundled(islice(self._streamed(split), start, None), start)

    @property
    def _is_by_row(self) -> bool:
        return self.key is None and self.label is None

    def _pieces(self) -> Iterator[Any]:
        base = self.source.ranges[0].start
        return pieces(self.units_of, self.source, base, base)

    def _chosen(self, split: str, start: int) -> Iterator[Unit]:
        low, high = self.ratio.bounds(split)
        first = 0
        for piece in self._pieces():
            places = places_of_rows(np.arange(piece.first, piece.first + piece.rows, dtype="u8"))
            found = np.flatnonzero((places >= low) & (places < high)) + piece.start
            if len(found) and first + len(found) > start:
                yield ChosenRows(first, piece.unit, tuple(found.tolist()), self.adds_row)
            first += len(found)

    def _streamed(self, split: str) -> Iterator[StreamRow]:
        low, high = self.ratio.bounds(split)
        place = self._place()
        for piece in self._pieces():
            for record in piece.unit.read(piece.start, piece.stop):
                if low <= place(record) < high:
                    yield row_from_record(with_row(record, record.position, self.adds_row))

    def _place(self) -> Callable[[Record], float]:
        """Return what finds the place of a record; they must come in order."""
        if self.label is None:
            return lambda record: place_of_text(str(record.fields.get(self.key or "")))
        seen: Counter[str] = Counter()

        def place(record: Record) -> float:
            label = str(record.fields.get(self.label or ""))
            number = seen[label]
            seen[label] += 1
            return (place_of_text(label) + number * _GOLDEN) % 1.0

        return place

    def _counts(self) -> Sequence[int | None]:
        """Return the number of rows of each split; None where rows must be read to know it."""
        if self.source.rows is None or not self._is_by_row:
            return [None] * len(self.ratio.names)
        base, total = self.source.ranges[0].start, np.zeros(len(self.ratio.names), np.int64)
        end = base + self.source.rows
        for low, high in pairwise([*range(base, end, _HASH_ROWS), end]):
            places = places_of_rows(np.arange(low, high, dtype="u8"))
            total += np.histogram(places, self.ratio.borders)[0]
        return [int(count) for count in total]


def row_from_record(record: Record) -> StreamRow:
    """Return a record that was read as a row that can be sent to a worker."""
    others = tuple(_held(*other) for other in record.others)
    image = _held(record.image, record.problem)
    return StreamRow(image, record.fields, others, record.remarks, record.location)


def _held(image: bytes | None, problem: str | None) -> bytes | UnreadableImage | None:
    return image if problem is None else UnreadableImage(problem)
