"""A digest of the first rows, which distinguishes the rows of one program from another's.

The same in every process and on every machine for equal values, whatever the order of dicts and
sets. Objects without a plain value are represented by their class name.
"""

import datetime as dt
import decimal
import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import PurePath
from typing import Any

import numpy as np
from PIL import Image

from wdsremux.sources.rows.pictures import DecodedImage, UnreadableImage

_MAX_DEPTH = 8
"""Nesting depth that is followed: a container may contain itself."""
_PRINTABLE = (str, int, float, dt.date, dt.time, dt.timedelta, decimal.Decimal, uuid.UUID)
"""Types that `str` represents completely (a datetime is a date)."""


def digest_of_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a sha256 of the rows in their order; reads all their pixels."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(_digest(row, 0))
    return digest.hexdigest()


def _digest(value: Any, depth: int) -> bytes:
    kind, data = _described(value, depth)
    # A separator keeps kind and data apart.
    digest = hashlib.sha256(kind.encode() + b"\0")
    digest.update(data)
    return digest.digest()


def _described(value: Any, depth: int) -> tuple[str, bytes]:
    """Return the kind of a value, and bytes that identify it within its kind."""
    if isinstance(value, bytes | bytearray | memoryview):
        return "bytes", bytes(value)
    if isinstance(value, DecodedImage | Image.Image | np.ndarray | np.generic):
        return _of_pixels(value, depth + 1)
    if depth < _MAX_DEPTH and _is_container(value):
        return _of_container(value, depth + 1)
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    return name, _string(value).encode("utf-8", "surrogatepass")


def _string(value: Any) -> str:
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, UnreadableImage):
        return value.reason
    return str(value) if value is None or isinstance(value, _PRINTABLE) else ""


def _is_container(value: Any) -> bool:
    return isinstance(value, Mapping | Sequence | AbstractSet) and not isinstance(value, str)


def _of_container(value: Any, depth: int) -> tuple[str, bytes]:
    if isinstance(value, Mapping):
        pairs = (_digest(key, depth) + _digest(item, depth) for key, item in value.items())
        return "dict", b"".join(sorted(pairs))
    items = (_digest(item, depth) for item in value)
    if isinstance(value, AbstractSet):
        return "set", b"".join(sorted(items))
    return "list", b"".join(items)


def _of_pixels(value: Any, depth: int) -> tuple[str, bytes]:
    if isinstance(value, DecodedImage):
        parts = [value.image, value.orientation]
    elif isinstance(value, Image.Image):
        parts = _parts_of_image(value)
    elif value.dtype.hasobject:
        parts = [list(value.shape), value.tolist()]
    else:
        little = value.astype(value.dtype.newbyteorder("<"), copy=False)
        parts = [little.dtype.str, list(value.shape), little.tobytes()]
    return type(value).__name__, b"".join(_digest(part, depth) for part in parts)


def _parts_of_image(image: Image.Image) -> list[Any]:
    try:
        pixels = image.tobytes()
    except (OSError, ValueError, SyntaxError):  # what Pillow raises for broken files
        pixels = b""
    return [image.mode, image.size, image.getpalette() if image.mode == "P" else None, pixels]
