"""Images as Python programs hold them: which values are images, and their bytes for the worker."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from PIL import Image

from wdsremux.core.columns import Column
from wdsremux.core.image_formats import is_image_name, is_image_start
from wdsremux.sources.inference import infer_columns
from wdsremux.sources.rows.embedded import has_embedded_start

_PNG_MODES = ("1", "L", "LA", "I;16", "P", "RGB", "RGBA")
_TIFF_MODES = ("CMYK", "F", "I", "LAB", "YCbCr")
_ORIENTATION = 0x0112
_FILE_KEYS = {"bytes", "path"}


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """A decoded image for a worker, which encodes it losslessly."""

    image: Any
    """An unshared PIL image, or an array H×W, H×W×1, H×W×3 (RGB) or H×W×4 (RGBA) of uint8."""
    orientation: int | None = None
    """The EXIF tag that decides which way is up; other tags are dropped later anyway."""

    @property
    def size_bytes(self) -> int:
        """Bytes of the pixels."""
        if isinstance(self.image, np.ndarray):
            return int(self.image.nbytes)
        return int(self.image.width * self.image.height * len(self.image.getbands()))

    def encode(self) -> bytes:
        """Return the image as a file: PNG, or TIFF for what PNG cannot hold (CMYK, float)."""
        image = self.image
        if isinstance(image, np.ndarray):
            image = Image.fromarray(image[:, :, 0] if image.shape[2:] == (1,) else image)
        if image.mode not in (*_PNG_MODES, *_TIFF_MODES):
            image = image.convert("RGBA" if "a" in image.mode.lower() else "RGB")
        file = io.BytesIO()
        if image.mode in _TIFF_MODES:
            image.save(file, "TIFF")
        else:
            exif = Image.Exif()
            if self.orientation is not None:
                exif[_ORIENTATION] = self.orientation
            image.save(file, "PNG", compress_level=1, exif=exif)
        return file.getvalue()


@dataclass(frozen=True, slots=True)
class UnreadableImage:
    """A value that should be an image and is not."""

    reason: str


def detached(value: Any) -> Any:
    """Return a copy of pixels, and other values unchanged.

    A program may close the file of a lazy PIL image, or reuse the same array, as soon as it is
    asked for the next row. Costs a copy, and the decoding of a lazy image.
    """
    if isinstance(value, Image.Image):
        try:
            return DecodedImage(value.copy(), value.getexif().get(_ORIENTATION))
        except (OSError, ValueError, SyntaxError) as exc:  # what Pillow raises for broken files
            return UnreadableImage(f"the image cannot be decoded: {exc}")
    return DecodedImage(value.copy()) if is_pixel_array(value) else value


def is_pixel_array(value: Any) -> bool:
    """Return whether a value is an array that can be an image."""
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or 0 in value.shape:
        return False
    return value.ndim == 2 or (value.ndim == 3 and value.shape[2] in (1, 3, 4))


def is_file_dict(value: Any) -> bool:
    """Return whether a value is an undecoded image of `datasets`: {"bytes": ..., "path": ...}."""
    return isinstance(value, Mapping) and bool(value) and value.keys() <= _FILE_KEYS


def columns_of_rows(
    rows: Sequence[Mapping[str, Any]], file_exists: Callable[[str], bool]
) -> tuple[Column, ...]:
    """Return the columns of detached rows, images found by their values.

    A string is an image path only when no other column is an image and one of the files exists.
    """
    columns = infer_columns([{n: _without_image(v) for n, v in row.items()} for row in rows])
    images = {name for row in rows for name, value in row.items() if _is_image(value)}
    if not images:
        images = {c.name for c in columns if _names_files(rows, c.name, file_exists)}
    return tuple(Column(c.name, "image") if c.name in images else c for c in columns)


def _without_image(value: Any) -> Any:
    return None if _is_image(value) or isinstance(value, PurePath) else value


def _is_image(value: Any) -> bool:
    if isinstance(value, bytes | bytearray | memoryview):
        return is_image_start(bytes(value[:16]))
    if isinstance(value, PurePath):
        return is_image_name(value.name)
    if isinstance(value, list) and value:
        return _is_image(value[0])
    known = isinstance(value, DecodedImage | UnreadableImage | Image.Image)
    return known or is_file_dict(value) or has_embedded_start(value)


def _names_files(
    rows: Sequence[Mapping[str, Any]], name: str, file_exists: Callable[[str], bool]
) -> bool:
    values = [row[name] for row in rows if row.get(name) is not None]
    return (
        bool(values)
        and all(isinstance(value, str) and is_image_name(value) for value in values)
        and any(map(file_exists, values))
    )
