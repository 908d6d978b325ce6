"""Images with more than 8 bits per value: which stored value is black, and which is white.

One rule for every image, never by its own darkest and brightest value: 16-bit integers are scaled
from 0..65535 (12-bit TIFFs from 0..4095), 32-bit integers from 0..65535, floats from 0..1.
`--depth-range` names other values. Without it, values outside of the range reject the image.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from wdsremux.core.option_values import text_from_range
from wdsremux.transforms.base import DecodeError
from wdsremux.transforms.codecs.parts import Part, parts_of
from wdsremux.transforms.libraries import TiffImagePlugin, cv2

Range = tuple[float, float]
"""The values of black and of white."""

Values = npt.NDArray[np.generic]

_BITS_PER_SAMPLE = 258
_DARK = 8
"""An image that uses less than this part of its range is reported: 12-bit data in 16 bits."""


class DepthError(DecodeError, ValueError):
    """Values that the range does not apply to; the message is the reason of the reject."""


@dataclass(slots=True)
class Depth:
    """How the deep values of one image are scaled, and what was seen of them."""

    range: Range | None = None
    """None: the rule of the kind."""
    colour_file: bytes | None = None
    """The file of an image with 16 bits per value and several channels."""
    remarks: set[str] = field(default_factory=set)

    def eight_bit(self, image: Image.Image) -> Image.Image:
        """Return a gray image of 16 or 32 bits as mode L. Raises DepthError."""

        def values(part: Part) -> Values:
            return np.asarray(image.crop(part))

        kind, rule = _kind_of(image)
        return Image.fromarray(self._scaled(values, image.size, kind, rule))

    def colour(self, image: Image.Image) -> Image.Image:
        """Return a decoded image; 16-bit colours, of which Pillow keeps 8 bits, by the range.

        Raises DepthError.
        """
        if self.colour_file is None:
            return image
        if self.range is None:
            self._note_dark_colour(image)
            return image
        values = None
        if image.format == "PNG":
            values = cv2.imdecode(np.frombuffer(self.colour_file, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is None or values.dtype != np.uint16 or values.ndim != 3:
            raise DepthError(
                f"--depth-range does not apply to 16-bit {image.format} images in colour; convert "
                "them to PNG"
            )
        rgb = values[:, :, 2::-1]

        def colours(part: Part) -> Values:
            left, top, right, bottom = part
            return rgb[top:bottom, left:right]

        kind = "16-bit images in colour"
        scaled = Image.fromarray(self._scaled(colours, image.size, kind, (0.0, 65535.0), 3))
        if values.shape[2] == 4:
            scaled.putalpha(Image.fromarray((values[:, :, 3] // 257).astype(np.uint8)))
        scaled.info = {n: v for n, v in image.info.items() if n == "icc_profile"}
        return scaled

    def _scaled(
        self,
        values: Callable[[Part], Values],
        size: tuple[int, int],
        kind: str,
        rule: Range,
        channels: int = 1,
    ) -> npt.NDArray[np.uint8]:
        """Return the values of all parts as 8 bits, H×W or H×W×channels."""
        low, high = self.range or rule
        ends = [_ends(values(part)) for part in parts_of(*size)]
        least, most = min(least for least, _ in ends), max(most for _, most in ends)
        if self.range is None and not low <= least <= most <= high:
            found = text_from_range((least, most))
            raise DepthError(
                f"{kind.removesuffix('s')} with values {found}, outside of "
                f"{text_from_range(rule)}; name the values of black and white, for example "
                f"--depth-range {found}"
            )
        self._note(kind, (low, high), most)
        shape = (size[1], size[0], channels) if channels > 1 else (size[1], size[0])
        result = np.empty(shape, np.uint8)
        for left, top, right, bottom in parts_of(*size):
            numbers = values((left, top, right, bottom)).astype(np.float64)
            numbers = np.nan_to_num(numbers, nan=low, posinf=high, neginf=low)
            scaled = (np.clip(numbers, low, high) - low) * 255.0 / (high - low)
            result[top:bottom, left:right] = np.rint(scaled).astype(np.uint8)
        return result

    def _note(self, kind: str, used: Range, most: float) -> None:
        low, high = used
        if self.range is None and low < most < high / _DARK:
            self.remarks.add(_dark(kind, used))
            return
        self.remarks.add(
            f"{kind} are scaled to 0..255: {low:g} is black, {high:g} is white (--depth-range)"
        )

    def _note_dark_colour(self, image: Image.Image) -> None:
        most = 0
        for part in parts_of(*image.size):
            extrema = image.crop(part).convert("RGB").getextrema()
            most = max(most, *(int(high) for _, high in extrema))  # type: ignore[misc]  # RGB has pairs
        if 0 < most < 256 // _DARK:
            self.remarks.add(_dark("16-bit images in colour", (0.0, 65535.0)))


def _dark(kind: str, used: Range) -> str:
    low, high = used
    return (
        f"{kind} use less than 1/{_DARK} of {low:g}..{high:g} and are nearly black; if white is a "
        "lower value, name it: --depth-range 0:4095 for 12 bits, 0:255 for 8"
    )


def _ends(values: Values) -> Range:
    """Return the least and the largest finite value; 0 and 0 where none is."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def is_deep(image: Image.Image) -> bool:
    """Return whether an image is gray with more than 8 bits per value."""
    return image.mode.startswith("I;16") or image.mode in ("I", "F")


def _kind_of(image: Image.Image) -> tuple[str, Range]:
    """Return the kind of a deep image, for messages, and its rule."""
    if image.mode == "F":
        return "float images", (0.0, 1.0)
    if image.mode == "I":
        return "32-bit images", (0.0, 65535.0)
    if image.format == "TIFF" and isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (16,))
        if isinstance(bits, tuple) and bits[0] == 12:
            return "12-bit images", (0.0, 4095.0)
    return "16-bit images", (0.0, 65535.0)


def is_deep_colour(image: Image.Image) -> bool:
    """Return whether a file has 16 bits per value and several channels; ask before it is loaded."""
    tiles = getattr(image, "tile", None) or ()
    args = [tile[3] for tile in tiles]
    modes = [each[0] if isinstance(each, tuple) and each else each for each in args]
    is_deep = any(isinstance(mode, str) and ";16" in mode for mode in modes)
    return is_deep and image.mode in ("RGB", "RGBA", "LA", "RGBX", "CMYK")
