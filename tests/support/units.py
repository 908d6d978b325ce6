"""Units in memory, and a source made of them."""

from dataclasses import dataclass

from wdsremux.core.records import Record
from wdsremux.processing.tasks import pieces, series_from_text


@dataclass(frozen=True, slots=True)
class MemoryUnit:
    """A unit whose records are made up from their positions."""

    first: int
    rows: int
    size_bytes: int = 1000
    split: str = "train"

    @property
    def name(self):
        return f"{self.split} from row {self.first}"

    def read(self, start, stop):
        for row in range(start, stop):
            yield Record(self.first + row, b"image", {})


class MemorySource:
    """Splits of units of given sizes; `units` records what a plan requests."""

    def __init__(self, splits, *, bytes_per_row=1000):
        self.splits = splits
        self.asked = []
        """(split, start) of every question."""
        self._bytes_per_row = bytes_per_row

    def units(self, split, start):
        """Yield the units of a split, from the one that holds row `start` on."""
        self.asked.append((split, start))
        first = 0
        for rows in self.splits[split]:
            if first + rows > start:
                yield MemoryUnit(first, rows, rows * self._bytes_per_row, split)
            first += rows

    def rows(self, split):
        return sum(self.splits[split])


def positions_of(found):
    return [piece.first + i for piece in found for i in range(piece.rows)]


def planned(source, text, *, base=0, start=None, limit=None):
    """Return the pieces of the only series of an expression."""
    splits = {name: source.rows(name) for name in source.splits}
    [series] = series_from_text(text, splits)
    return list(pieces(source.units, series, base, base if start is None else start, limit))
