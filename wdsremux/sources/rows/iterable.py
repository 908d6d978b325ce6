"""Any iterable of rows as a source: read in the calling process, pixels encoded by the workers."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import chain, islice, product
from pathlib import Path
from typing import Any

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError
from wdsremux.core.image_formats import is_image_name
from wdsremux.core.paths import is_file
from wdsremux.core.redaction import redacted, shown_cause
from wdsremux.sources.rows.digest import digest_of_rows
from wdsremux.sources.rows.links import AllowedFiles
from wdsremux.sources.rows.pictures import DecodedImage, columns_of_rows, detached
from wdsremux.sources.rows.unit import StreamUnit, bundled, item_from_row

ROWS_SEEN = 256
_SEEN_BYTES = 64 << 20

Row = Mapping[str, Any]


def open_iterable(rows: Iterable[Row], image_column: str | None = None) -> "IterableSource":
    """Open any iterable of rows: dicts, each with an image and other values by column name.

    An image may be bytes (packed or decoded as any stored image), a path (read in the workers),
    an undecoded image of `datasets` ({"bytes": ..., "path": ...}), a PIL image, or an array H×W×3
    of uint8. The last two are copied here and encoded as PNG in a worker, which is the most
    expensive form: pass bytes where you have them.

    The first 256 rows (or 64 MB) are read at once to infer the columns, and are not lost. A
    generator can be read once; a list, or any object that can be iterated again, any number of
    times.

    Raises:
        SourceError: there are no rows, a row is not a dict, the iterable fails, or no
            `image_column` is named and the only names of images are of files that do not exist.

    """
    source = IterableSource(rows)
    if image_column is None:
        source.refuse_missing_files()
    return source


class IterableSource:
    """The rows of an iterable; made by `open_iterable`."""

    def __init__(self, rows: Iterable[Row]) -> None:
        iterator = iter(rows)
        self._rows = rows
        self._is_once = iterator is rows
        self._was_read = False
        self._rest = _checked(iterator)
        self._head = list(_first(self._rest))
        if not self._head:
            raise SourceError("the iterable is empty; pass one dict for each image")
        self._columns = columns_of_rows(self._head, os.path.isfile)
        self._digest = digest_of_rows(self._head)

    def identity(self) -> Mapping[str, Any]:
        """Return a digest of the first rows, the only thing that identifies them."""
        return {"kind": "iterable", "resumable": False, "first_rows": self._digest}

    def splits(self) -> Mapping[str, int | None]:
        """Return one split, "train", with its rows where the iterable has a length."""
        return {"train": len(self._rows) if isinstance(self._rows, Sized) else None}

    def features(self) -> Sequence[Column]:
        """Return the columns that the first rows show."""
        return self._columns

    def refuse_missing_files(self) -> None:
        """Raise SourceError for names of image files that do not exist, if no image is found."""
        if any(column.dtype in ("image", "binary") for column in self._columns):
            return
        for row, column in product(self._head, self._columns):
            value = row.get(column.name)
            if isinstance(value, str) and is_image_name(value) and not is_file(value):
                raise SourceError(
                    f"column {column.name!r} names image files that cannot be read, for "
                    f"example {value!r}; pass paths that are absolute or relative to "
                    f"{str(Path.cwd())!r}, or images as bytes, PIL images or arrays"
                )

    def notes(self) -> Sequence[str]:
        """Return nothing: all is read."""
        return ()

    def units(self, split: str, columns: Columns, start: int) -> Iterator[StreamUnit]:
        """Yield units that contain their rows; those before `start` are read and dropped."""
        if split != "train":
            raise SourceError(
                f"an iterable has no split {split!r}, only 'train'; leave --split out"
            )
        rows = islice(self._all_rows(), start, None)
        yield from bundled((item_from_row(row, columns, AllowedFiles(None)) for row in rows), start)

    def _all_rows(self) -> Iterator[Row]:
        if not self._is_once and self._was_read:
            return _checked(iter(self._rows))
        if self._was_read:
            raise SourceError(
                "this iterable can be read only once; pass a list, or an object that can be "
                "iterated again"
            )
        self._was_read = True
        head, self._head = self._head, []
        return chain(head, self._rest)


def _checked(rows: Iterator[Any]) -> Iterator[Row]:
    """Yield the rows with images detached. Raises SourceError for what the iterable raises."""
    number = 0
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except Exception as exc:  # noqa: BLE001 (user code may raise anything)
            raise SourceError(
                f"the iterable failed at row {number}: {redacted(repr(exc))}; fix it, then run "
                "this again: finished shards are kept"
            ) from shown_cause(exc)
        if not isinstance(row, Mapping):
            raise SourceError(
                f"row {number} is a {type(row).__name__}, not a dict; pass one dict for each image"
            )
        yield {str(name): detached(value) for name, value in row.items()}
        number += 1


def _first(rows: Iterator[Row]) -> Iterator[Row]:
    size = 0
    for row in islice(rows, ROWS_SEEN):
        yield row
        for value in row.values():
            size += value.size_bytes if isinstance(value, DecodedImage) else 0
            size += len(value) if isinstance(value, bytes) else 0
        if size > _SEEN_BYTES:
            return
