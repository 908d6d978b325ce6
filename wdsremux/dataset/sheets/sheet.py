"""A contact sheet: rows with the original image beside the images that are packed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from wdsremux.core.image_formats import is_image_name
from wdsremux.core.option_values import size
from wdsremux.transforms.codecs.codec import Codec, stored_size
from wdsremux.transforms.codecs.label_image import LabelImage
from wdsremux.transforms.steps.picture import SourceImage

IMAGE_PX = 320
"""Longer side of the images of a sheet, in pixels."""
MAX_EMBEDDED_BYTES = 100_000
"""Packed images up to this size are shown as they are."""


def _label_colour(label: int) -> tuple[int, int, int]:
    """Return a colour in which neighbouring labels differ: bit b of a channel is bit 3k of it."""
    bits = [[label >> 3 * place + channel & 1 for place in range(3)] for channel in range(3)]
    red, green, blue = (sum(bit << 7 - place for place, bit in enumerate(own)) for own in bits)
    return red, green, blue


_COLOURS = bytes(value for label in range(256) for value in _label_colour(label))
"""Colours of masks without a palette of their own; 0, the background, is black."""


@dataclass(frozen=True, slots=True)
class SheetImage:
    """One image of a sheet."""

    data: bytes
    """A JPEG, PNG or WebP."""
    size: str
    """Its size as it is stored, such as "640 × 480, 81.2 kB"."""
    lines: tuple[str, ...] = ()
    """What was done to it, one line each."""
    what: str = ""
    """The column of a further image of a sample, such as "mask"; empty for the main image."""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row of a source, or one key of an output."""

    title: str
    label: str = ""
    original: SheetImage | None = None
    packed: tuple[SheetImage, ...] = ()
    """For each copy its image, followed by its further images."""
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


def further_images(members: Mapping[str, bytes], codec: Codec) -> Iterator[SheetImage]:
    """Yield the images of a sample after the first; labels without a palette get colours."""
    names = [name for name in members if "." in name and is_image_name(name)]
    for name in names[1:]:
        data = members[name]
        image = packed_image(_coloured(data, codec) if name.endswith(".png") else data, codec)
        width, height = stored_size(data)
        described = f"{width} × {height}, {size(len(data))}"
        yield replace(image, size=described, what=name.rpartition(".")[0])


def _coloured(data: bytes, codec: Codec) -> bytes:
    """Return a mask of 8 or fewer bits with a colour for each label, other images unchanged."""
    mask, _ = codec.labels(data)
    if mask.palette is not None or mask.labels.ndim != 2 or mask.labels.dtype == np.uint16:
        return data
    return LabelImage(mask.labels.astype(np.uint8), _COLOURS).encode()


def _small(source: SourceImage, codec: Codec) -> bytes:
    picture = source.picture()
    longest = max(picture.size)
    if longest > IMAGE_PX:
        width, height = (max(1, round(side * IMAGE_PX / longest)) for side in picture.size)
        picture.resize(width, height)
    return codec.encode(picture.pixels())
