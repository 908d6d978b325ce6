"""A contact sheet: rows with the original image beside the images that are packed."""

from dataclasses import dataclass, field

from wdsremux.core.option_values import size
from wdsremux.transforms.codecs.codec import Codec, stored_size
from wdsremux.transforms.steps.picture import SourceImage

IMAGE_PX = 320
"""Longer side of the images of a sheet, in pixels."""
MAX_EMBEDDED_BYTES = 100_000
"""Packed images up to this size are shown as they are."""


@dataclass(frozen=True, slots=True)
class SheetImage:
    """One image of a sheet."""

    data: bytes
    """A JPEG, PNG or WebP."""
    size: str
    """Its size as it is stored, such as "640 × 480, 81.2 kB"."""
    lines: tuple[str, ...] = ()
    """What was done to it, one line each."""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row of a source, or one key of an output."""

    title: str
    label: str = ""
    original: SheetImage | None = None
    packed: tuple[SheetImage, ...] = ()
    """One for each copy."""
    problem: str = ""
    """Why an image is missing."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A contact sheet."""

    title: str
    facts: tuple[str, ...] = ()
    """Lines below the title: the source, the recipe."""
    rows: tuple[SheetRow, ...] = field(default=(), repr=False)


def original_image(data: bytes, codec: Codec) -> SheetImage:
    """Return a stored image as the steps get it: upright, small. Raises DecodeError."""
    source = SourceImage(data, codec)
    width, height = source.size
    small = _small(source, codec)
    return SheetImage(small, f"{width} × {height}, {size(len(data))}")


def packed_image(data: bytes, codec: Codec, lines: tuple[str, ...] = ()) -> SheetImage:
    """Return a packed image as it is; one of many bytes as a smaller copy. Raises DecodeError."""
    width, height = stored_size(data)
    described = f"{width} × {height}, {size(len(data))}"
    if len(data) > MAX_EMBEDDED_BYTES:
        data = _small(SourceImage(data, codec), codec)
    return SheetImage(data, described, lines)


def _small(source: SourceImage, codec: Codec) -> bytes:
    picture = source.picture()
    longest = max(picture.size)
    if longest > IMAGE_PX:
        width, height = (max(1, round(side * IMAGE_PX / longest)) for side in picture.size)
        picture.resize(width, height)
    return codec.encode(picture.pixels())
