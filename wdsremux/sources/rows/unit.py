"""Units that contain their rows: what the calling process has read, or the paths of images."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from wdsremux.core.records import Record
from wdsremux.sources.rows.embedded import embedded_image, first_of
from wdsremux.sources.rows.links import AllowedFiles, Content, Link, contents
from wdsremux.sources.rows.pictures import DecodedImage, UnreadableImage, detached, is_file_dict

UNIT_ROWS = 256
UNIT_BYTES = 16 << 20
_LINKED_BYTES = 100_000
"""Assumed size of an image that is not fetched yet."""


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A row for a worker."""

    image: bytes | DecodedImage | Link | UnreadableImage | None
    fields: Mapping[str, Any]

    @property
    def held_bytes(self) -> int:
        """About how many bytes are sent with it."""
        strings = (value for value in self.fields.values() if isinstance(value, str | bytes))
        held = len(self.image) if isinstance(self.image, bytes) else 0
        if isinstance(self.image, DecodedImage):
            held = self.image.size_bytes
        return held + sum(map(len, strings))


@dataclass(frozen=True, slots=True)
class StreamUnit:
    """Consecutive rows of a stream."""

    first: int
    items: tuple[StreamRow, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.items)

    @property
    def size_bytes(self) -> int:
        """Bytes that it holds or will fetch, roughly."""
        linked = sum(isinstance(item.image, Link) for item in self.items)
        return sum(item.held_bytes for item in self.items) + linked * _LINKED_BYTES

    @property
    def name(self) -> str:
        """What an error message calls it."""
        return f"rows {self.first} to {self.first + self.rows - 1} of the stream"

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """Yield the records of rows start..stop-1; fetches and encodes what is not yet bytes."""
        chosen = self.items[start:stop]
        fetched = contents([item.image for item in chosen if isinstance(item.image, Link)])
        for position, item in enumerate(chosen, self.first + start):
            image, problem = next(fetched) if isinstance(item.image, Link) else _held(item.image)
            yield Record(position, image, item.fields, problem)


def _held(image: bytes | DecodedImage | UnreadableImage | None) -> Content:
    if isinstance(image, DecodedImage):
        try:
            return image.encode(), None
        except (OSError, ValueError, TypeError) as exc:
            return None, f"the image cannot be encoded: {exc}"
    return (None, image.reason) if isinstance(image, UnreadableImage) else (image, None)


def item_from_row(
    row: Mapping[str, Any], image: str, fields: Iterable[str], allowed: AllowedFiles
) -> StreamRow:
    """Return the wanted columns of a row; its image may have any supported form."""
    return StreamRow(_image(row.get(image), allowed), {name: row.get(name) for name in fields})


def _image(
    value: Any, allowed: AllowedFiles
) -> bytes | DecodedImage | Link | UnreadableImage | None:
    value = detached(first_of(value))
    if is_file_dict(value):
        # Bytes take precedence: the path beside them is only the original file name.
        value = value.get("path") if value.get("bytes") is None else value["bytes"]
    if value is None or isinstance(value, bytes | DecodedImage | UnreadableImage):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str) and (data := embedded_image(value)) is not None:
        return data
    if isinstance(value, str | PurePath):
        return Link(os.fspath(value), allowed)
    shape = getattr(value, "shape", None)
    form = f" of shape {tuple(shape)} and {value.dtype}" if shape is not None else ""
    return UnreadableImage(
        f"the image is a {type(value).__name__}{form}; pass bytes, a PIL image, a path, "
        "or an array H×W×3 of uint8"
    )


def bundled(items: Iterable[StreamRow], first: int) -> Iterator[StreamUnit]:
    """Yield units of at most 256 rows and 16 MB (a larger row gets its own unit)."""
    held: list[StreamRow] = []
    size = 0
    for item in items:
        item_bytes = item.held_bytes
        if held and (len(held) == UNIT_ROWS or size + item_bytes > UNIT_BYTES):
            yield StreamUnit(first, tuple(held))
            first += len(held)
            held, size = [], 0
        held.append(item)
        size += item_bytes
    if held:
        yield StreamUnit(first, tuple(held))
