"""Units that contain their rows: what the calling process has read, or the paths of images."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from wdsremux.core.columns import Column, Columns
from wdsremux.core.records import Record
from wdsremux.sources.rows.embedded import embedded_image, first_of, others_of, remark_on_list
from wdsremux.sources.rows.links import AllowedFiles, Content, Link, contents
from wdsremux.sources.rows.pictures import DecodedImage, UnreadableImage, detached, is_file_dict

StreamImage = bytes | DecodedImage | Link | UnreadableImage | None

UNIT_ROWS = 256
UNIT_BYTES = 16 << 20
_LINKED_BYTES = 100_000
"""Assumed size of an image that is not fetched yet."""


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A row for a worker."""

    image: StreamImage
    fields: Mapping[str, Any]
    others: tuple[StreamImage, ...] = ()
    """Further images, as in `Record`."""
    remarks: tuple[tuple[str, int], ...] = ()
    location: str | None = None

    @property
    def held_bytes(self) -> int:
        """About how many bytes are sent with it."""
        strings = (value for value in self.fields.values() if isinstance(value, str | bytes))
        return sum(map(_held_bytes, (self.image, *self.others))) + sum(map(len, strings))


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
        images = (image for item in self.items for image in (item.image, *item.others))
        linked = sum(isinstance(image, Link) for image in images)
        return sum(item.held_bytes for item in self.items) + linked * _LINKED_BYTES

    @property
    def name(self) -> str:
        """What an error message calls it."""
        return f"rows {self.first} to {self.first + self.rows - 1} of the stream"

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """Yield the records of rows start..stop-1; fetches and encodes what is not yet bytes."""
        chosen = self.items[start:stop]
        images = [image for item in chosen for image in (item.image, *item.others)]
        fetched = contents([image for image in images if isinstance(image, Link)])

        def content(image: StreamImage) -> Content:
            return next(fetched) if isinstance(image, Link) else _held(image)

        for position, item in enumerate(chosen, self.first + start):
            image, problem = content(item.image)
            others = tuple(map(content, item.others))
            yield Record(position, image, item.fields, problem, item.location, others, item.remarks)


def _held_bytes(image: StreamImage) -> int:
    if isinstance(image, DecodedImage):
        return image.size_bytes
    return len(image) if isinstance(image, bytes) else 0


def _held(image: bytes | DecodedImage | UnreadableImage | None) -> Content:
    if isinstance(image, DecodedImage):
        try:
            return image.encode(), None
        except (OSError, ValueError, TypeError) as exc:
            return None, f"the image cannot be encoded: {exc}"
    return (None, image.reason) if isinstance(image, UnreadableImage) else (image, None)


def item_from_row(row: Mapping[str, Any], columns: Columns, allowed: AllowedFiles) -> StreamRow:
    """Return the wanted columns of a row; its image may have any supported form."""
    names = (columns.image, *(column.name for column in columns.more_images))
    values = [row.get(name) for name in names]
    first, *more = (first_of(value) for value in values)
    remarks: tuple[tuple[str, int], ...] = ()
    if columns.every_image:
        more = [*others_of(values[0])]
    else:
        for name, value in zip(names, values, strict=True):
            remarks += remark_on_list(name, len(others_of(value)))
    return StreamRow(
        _image(first, allowed),
        {name: row.get(name) for name in columns.fields},
        tuple(_image(each, allowed) for each in more),
        remarks,
    )


def plain_columns(columns: Columns) -> Columns:
    """Return columns for a unit: class names, which may be many, are left out."""
    extras = tuple(Column(name, "null") for name in columns.fields)
    return Columns(
        columns.image,
        None,
        extras,
        None,
        every_image=columns.every_image,
        packed_images=columns.packed_images,
    )


def _image(value: Any, allowed: AllowedFiles) -> StreamImage:
    value = detached(value)
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
