"""A source whose rows have lists of images, as one row for each image.

How many images a list has is known only when its row is read, so the rows are read in the calling
process, and their number is unknown before. Short because it wraps any source and adds only this.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from wdsremux.core.columns import Column, Columns
from wdsremux.core.records import Record
from wdsremux.sources.base import Source
from wdsremux.sources.rows.pictures import UnreadableImage
from wdsremux.sources.rows.unit import StreamRow, StreamUnit, bundled


@dataclass(frozen=True)
class EveryImage:
    """Wraps a source; a row without an image stays one row, which is rejected."""

    source: Source

    def identity(self) -> Mapping[str, Any]:
        """Return that of the source."""
        return self.source.identity()

    def splits(self) -> Mapping[str, int | None]:
        """Return the splits; their numbers of images are unknown."""
        return dict.fromkeys(self.source.splits())

    def features(self) -> Sequence[Column]:
        """Return the columns of the source."""
        return self.source.features()

    def notes(self) -> Sequence[str]:
        """Return those of the source."""
        return self.source.notes()

    def units(self, split: str, columns: Columns, start: int) -> Iterator[StreamUnit]:
        """Yield units that contain their rows; those before `start` are read and dropped."""
        units = self.source.units(split, columns, 0)
        records = (record for unit in units for record in unit.read(0, unit.rows))
        rows = (row for record in records for row in _rows_of(record))
        yield from bundled(islice(rows, start, None), start)


def _rows_of(record: Record) -> Iterator[StreamRow]:
    for image, problem in ((record.image, record.problem), *record.others):
        at = f" (in {record.location})" if problem and record.location else ""
        held = UnreadableImage(f"{problem}{at}") if problem else image
        yield StreamRow(held, record.fields, remarks=record.remarks)
