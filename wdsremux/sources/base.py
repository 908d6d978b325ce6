"""The contract of a source: where records come from, and what it knows of itself."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from wdsremux.core.columns import Column, Columns
from wdsremux.core.records import Unit


class Source(Protocol):
    """A dataset that can be cut into units; opened by a function of its own file.

    What must hold: the order of rows never depends on the machine, locale or moment; for sources
    whose identity is equal, every position names the same row.
    """

    def identity(self) -> Mapping[str, Any]:
        """Return what pins the source, as JSON: kind, commit, for each file its name and size.

        No absolute path of this machine, no token, no signed URL. Two identities are equal exactly
        when the rows are.
        """

    def splits(self) -> Mapping[str, int | None]:
        """Return the split names in source order, each with its rows, None where not known."""

    def features(self) -> Sequence[Column]:
        """Return the columns, in source order."""

    def units(self, split: str, columns: Columns, start: int) -> Iterator[Unit]:
        """Yield the units of a split in order, from the one that holds row `start` on.

        `Unit.first` counts from 0 at the first row of the split, whatever `start` is. Cheap: no
        image is read here but by sources that can only be streamed.
        """
