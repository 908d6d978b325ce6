"""Masks: images whose values are labels. No value is changed by decoding, encoding or conversion.

A mask is stored as a PNG: of one bit, palette indices, 8 or 16 bits, or RGB(A) where colours are
the labels. Colour profiles, transparency and the palette's colours change no value.
"""

import io
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wdsremux.transforms.base import DecodeError, EncodeError
from wdsremux.transforms.codecs.decode_cost import check_decode_bytes, decode_bytes
from wdsremux.transforms.codecs.image_kinds import ImageKind
from wdsremux.transforms.codecs.pillow_formats import load, open_image, read_orientation
from wdsremux.transforms.codecs.stored import check_pixels
from wdsremux.transforms.codecs.strictness import strict_pillow

MASK_EXTENSION = "png"

_ARRAY_MODES = ("1", "L", "P", "LA", "RGB", "RGBA")
_MAX_SIDE = 2**31 - 1
_MAX_LABEL = 65_535
_COMPRESS_LEVEL = 6

Labels = NDArray[Any]
"""H×W of bool, uint8 or uint16, or H×W×2 to H×W×4 of uint8."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelImage:
    """A decoded mask."""

    labels: Labels
    palette: bytes | None = None
    """The colours of palette indices, as R, G, B; labels are then H×W of uint8."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.labels.shape[1], self.labels.shape[0]

    def copied(self) -> "LabelImage":
        """Return a mask that does not share its values."""
        return replace(self, labels=self.labels.copy())

    def image(self) -> Image.Image:
        """Return a Pillow image with its own values, in mode 1, L, P, I;16, LA, RGB or RGBA."""
        image = Image.fromarray(np.ascontiguousarray(self.labels))
        if self.palette is not None:
            # Pillow chooses the bits of an index by the number of colours.
            missing = max(0, 3 * (int(self.labels.max(initial=0)) + 1) - len(self.palette))
            image.putpalette(self.palette + bytes(missing))
        return image

    def encode(self) -> bytes:
        """Return the mask as a PNG. Raises EncodeError."""
        width, height = self.size
        if not 1 <= min(width, height) <= max(width, height) <= _MAX_SIDE:
            raise EncodeError(f"mask is {width} x {height} pixels")
        file = io.BytesIO()
        with strict_pillow():
            self.image().save(file, "PNG", compress_level=_COMPRESS_LEVEL)
        return file.getvalue()


def decoded_labels(data: bytes, kind: ImageKind, max_pixels: int) -> tuple[LabelImage, int]:
    """Return a stored mask, and the EXIF orientation that is still to be applied.

    Raises DecodeError for a broken image, too many pixels, or values that a PNG cannot hold.
    """
    image = open_image(data, kind)
    check_pixels(image.size, max_pixels)
    check_decode_bytes(decode_bytes(image, kind, data), max_pixels)
    orientation = read_orientation(image, kind)
    load(image, kind)
    try:
        return labels_of(image), orientation
    except ValueError as exc:
        raise DecodeError(str(exc)) from exc


def labels_of(image: Image.Image) -> LabelImage:
    """Return the values of a Pillow image. Raises ValueError for those that a PNG cannot hold."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        return LabelImage(small_integers(np.asarray(image)))
    if image.mode not in _ARRAY_MODES:
        raise ValueError(
            f"a mask in mode {image.mode!r} cannot be stored as PNG without changing its values; "
            "convert it to integers"
        )
    palette = image.getpalette("RGB") if image.mode == "P" else None
    return LabelImage(np.array(image), None if palette is None else bytes(palette))


def small_integers(values: NDArray[Any]) -> Labels:
    """Return integers as uint8 or uint16. Raises ValueError for others."""
    if values.dtype in (np.bool_, np.uint8):
        return values
    if values.dtype.kind not in "iu":
        raise ValueError(f"a mask of {values.dtype}; its values must be integers from 0 to 65535")
    least, most = (int(values.min(initial=0)), int(values.max(initial=0)))
    if least < 0 or most > _MAX_LABEL:
        raise ValueError(
            f"a mask with the value {least if least < 0 else most}; a PNG holds 0 to {_MAX_LABEL}"
        )
    is_wide = values.dtype.itemsize == 2 or most > np.iinfo(np.uint8).max
    return values.astype(np.uint16 if is_wide else np.uint8)


def labels_from_returned(value: Any) -> LabelImage | bytes:
    """Return what a user's function returned as a mask, or the bytes of a file.

    Arrays and tensors are H×W, H×W×1 or 1×H×W of integers or bool, or H×W×3 of uint8. Raises
    ValueError for values that a PNG cannot hold, TypeError for what is not a mask.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, Image.Image):
        return labels_of(value)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{type(value).__name__!r} as a mask; return a PIL image, an array or tensor H×W of "
            "integers, or the bytes of a PNG"
        )
    if value.ndim == 3 and 1 in (value.shape[0], value.shape[2]):
        value = value[0] if value.shape[0] == 1 else value[:, :, 0]
    is_colour = value.ndim == 3 and value.shape[2] in (3, 4) and value.dtype == np.uint8
    if not is_colour and value.ndim != 2:
        shape = "×".join(map(str, value.shape))
        raise TypeError(f"an array of shape {shape} as a mask; return H×W of integers")
    if not value.size:
        raise ValueError("the function returned an empty mask")
    return LabelImage(small_integers(value))
