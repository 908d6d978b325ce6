"""Images of a sheet: small, upright, in a format that every browser shows."""

from wdsremux.core.option_values import size
from wdsremux.dataset.sheets.sheet import IMAGE_PX, SheetImage
from wdsremux.transforms.base import DecodeError
from wdsremux.transforms.codecs.codec import Codec, stored_size
from wdsremux.transforms.steps.picture import SourceImage

MAX_EMBEDDED_BYTES = 100_000
"""Packed images up to this size are shown as they are."""


def original_image(data: bytes, codec: Codec) -> SheetImage:
    """Return a stored image as the steps get it: upright, small. Raises DecodeError."""
    source = SourceImage(data, codec)
    width, height = source.size
    small = _small(source, codec)
    return SheetImage(small, f"{width} × {height}, {size(len(data))}")


def packed_image(data: bytes, codec: Codec, lines: tuple[str, ...] = ()) -> SheetImage:
    """Return a packed image as it is; one of many bytes as a smaller copy. Raises DecodeError."""
    width, height = stored_size(data)
    words = f"{width} × {height}, {size(len(data))}"
    if len(data) > MAX_EMBEDDED_BYTES:
        data = _small(SourceImage(data, codec), codec)
    return SheetImage(data, words, lines)


def upright_size(data: bytes, codec: Codec) -> tuple[int, int] | None:
    """Return width and height as the steps get them; None for an image that has no header."""
    try:
        return SourceImage(data, codec).size
    except DecodeError:
        return None


def _small(source: SourceImage, codec: Codec) -> bytes:
    picture = source.picture()
    longest = max(picture.size)
    if longest > IMAGE_PX:
        width, height = (max(1, round(side * IMAGE_PX / longest)) for side in picture.size)
        picture.resize(width, height)
    return codec.encode(picture.pixels())
