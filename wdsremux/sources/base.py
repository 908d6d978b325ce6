"""The contract of a source: where records come from, and their identity.

Short because it holds the contract alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from wdsremux.core.columns import Column, Columns
from wdsremux.core.records import Unit


class Source(Protocol):
    """A dataset that can be divided into units; the module of each source has an open function.

    The order of rows never depends on the machine, locale or time; in sources with equal
    identities every position refers to the same row.
    """

    def identity(self) -> Mapping[str, Any]:
        """Return what identifies the source, as JSON: kind, commit, name and size of each file.

        No absolute path of this machine, no token, no signed URL. Two identities are equal exactly
        when the rows are.
        """

    def splits(self) -> Mapping[str, int | None]:
        """Return the split names in source order, with their numbers of rows (None: unknown)."""

    def features(self) -> Sequence[Column]:
        """Return the columns, in source order."""

    def notes(self) -> Sequence[str]:
        """Return what the source holds that is not read, and what is read in an unexpected way.

        Each is one sentence with a number and an example; the run, the manifest and the card show
        it.
        """

    def units(self, split: str, columns: Columns, start: int) -> Iterator[Unit]:
        """Yield the units of a split in order, beginning with the one that holds row `start`.

        `Unit.first` counts from 0 at the first row of the split, whatever `start` is. Cheap: only
        sources that can only be streamed read images here.
        """
