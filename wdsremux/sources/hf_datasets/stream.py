"""What `datasets` streams, as a source: read in the calling process, row by row."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError
from wdsremux.core.paths import is_file
from wdsremux.core.redaction import redacted, shown_cause
from wdsremux.sources.dtypes import dtypes_from_features
from wdsremux.sources.rows.digest import digest_of_rows
from wdsremux.sources.rows.links import AllowedFiles
from wdsremux.sources.rows.pictures import columns_of_rows, detached
from wdsremux.sources.rows.unit import StreamUnit, bundled, item_from_row
from wdsremux.stores.hub.ranges import HubAccess
from wdsremux.stores.hub.timeouts import bound_requests

_ROWS_SEEN = 256
_ROWS_COMPARED = 16
"""Few: they may come over a network, and are read again when they are converted."""
_RETRY_S = 5
_TRY_S = 28
"""What one try of `datasets` takes: 23 s of retries in huggingface_hub, and the pause."""

Row = Mapping[str, Any]


def columns_from(features: Any) -> tuple[Column, ...]:
    """Return the columns of a `Features` object."""
    dtypes = dtypes_from_features(features.to_dict())
    return tuple(Column(name, dtype) for name, dtype in dtypes.items())


@contextmanager
def bounded_retries(give_up_after_s: float) -> Iterator[None]:
    """Limit the time for which `datasets` retries; its default is 9 to 20 minutes."""
    import datasets  # noqa: PLC0415 (imported by now)

    config = datasets.config
    names = ("STREAMING_READ_MAX_RETRIES", "STREAMING_READ_RETRY_INTERVAL", "USE_PARQUET_EXPORT")
    before = {name: getattr(config, name) for name in names if hasattr(config, name)}
    bound_requests(HubAccess(give_up_after_s))
    tries = max(1, int(give_up_after_s / _TRY_S))
    values = dict(zip(names, (tries, _RETRY_S, False), strict=True))
    try:
        for name in before:
            setattr(config, name, values[name])
        yield
    finally:
        for name, value in before.items():
            setattr(config, name, value)


@dataclass(frozen=True, slots=True)
class Shape:
    """Columns that differ from those of `datasets`."""

    columns: tuple[Column, ...]
    convert: Callable[[Row], Row | None]
    """Turns a row of `datasets` into one with the columns; None leaves it out."""


class RowStream:
    """What `datasets` streams, read in the calling process.

    Without `facts` about their origin, a digest of the first 16 rows of each split identifies them.

    Its Parquet readers can hang or abort the interpreter at exit when a stream is left before its
    end (apache/arrow#45214): a program that reads only a part should leave by `os._exit`, as the
    command line does.
    """

    def __init__(
        self,
        streams: Mapping[str, Any],
        facts: Mapping[str, Any] | None,
        allowed: AllowedFiles,
        shape: Shape | None = None,
        give_up_after_s: float = 120.0,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._notes = notes
        self._streams = {split: _undecoded(stream) for split, stream in streams.items()}
        self._facts, self._allowed = facts, allowed
        self._give_up_after_s = give_up_after_s
        self._convert = shape.convert if shape else _unchanged
        self._columns = shape.columns if shape else self._find_columns()

    def identity(self) -> Mapping[str, Any]:
        """Return what is known of where the rows come from, or a digest of the first rows."""
        if self._facts is None:
            digests = {name: self._digest(stream) for name, stream in self._streams.items()}
            self._facts = {"kind": "iterable", "resumable": False, "first_rows": digests}
        return self._facts

    def splits(self) -> Mapping[str, int | None]:
        """Return the splits; a stream does not know its length, whatever a card claims."""
        return dict.fromkeys(self._streams)

    def features(self) -> Sequence[Column]:
        """Return the columns, declared or as the first rows show them."""
        return self._columns

    def notes(self) -> Sequence[str]:
        """Return what is left out."""
        return self._notes

    def units(self, split: str, columns: Columns, start: int) -> Iterator[StreamUnit]:
        """Yield units that contain their rows; those before `start` are streamed and dropped."""
        if split not in self._streams:
            raise SourceError(
                f"the dataset has no split {split!r}, only {', '.join(self._streams)}; "
                "name one of these with --split"
            )
        rows = islice(self._rows(self._streams[split]), start, None)
        items = (item_from_row(row, columns, self._allowed) for row in rows)
        yield from bundled(items, start)

    def _find_columns(self) -> tuple[Column, ...]:
        stream = next(iter(self._streams.values()))
        declared = None if stream.features is None else columns_from(stream.features)
        if declared and any(column.dtype == "image" for column in declared):
            return declared
        # `take` reads its rows to their end: no reader stays open.
        rows = [
            {name: detached(value) for name, value in row.items()}
            for row in self._rows(stream.take(_ROWS_SEEN))
        ]
        if not rows:
            raise SourceError(
                "the dataset has no rows; check its files, or choose another --subset"
            )
        seen = columns_of_rows(rows, lambda path: _may_exist(path, self._allowed))
        images = {column.name for column in seen if column.dtype == "image"}
        return tuple(Column(c.name, "image") if c.name in images else c for c in declared or seen)

    def _digest(self, stream: Any) -> str:
        rows = self._rows(stream.take(_ROWS_COMPARED))
        return digest_of_rows({n: detached(value) for n, value in row.items()} for row in rows)

    def _rows(self, stream: Any) -> Iterator[Row]:
        """Yield the converted rows of a stream. Raises SourceError for whatever it raises."""
        number = 0
        rows = iter(stream)
        with bounded_retries(self._give_up_after_s):
            while True:
                bound_requests(HubAccess(self._give_up_after_s))
                try:
                    row = next(rows)
                except StopIteration:
                    return
                except Exception as exc:  # noqa: BLE001 (any format, network or user function)
                    raise SourceError(
                        f"the stream failed at row {number}: {redacted(repr(exc))}; fix the "
                        "cause, then run the same command again: finished shards are kept"
                    ) from shown_cause(exc)
                converted = self._convert(row)
                if converted is not None:
                    yield converted
                number += 1


def _unchanged(row: Row) -> Row:
    return row


def _may_exist(path: str, allowed: AllowedFiles) -> bool:
    full = allowed.absolute(path)
    return allowed.allows(full) and ("://" in full or is_file(full))


def _undecoded(stream: Any) -> Any:
    """Return a stream of plain rows whose images, if declared, are not decoded."""
    stream = stream.with_format(None)
    return stream if stream.features is None else stream.decode(enable=False)
