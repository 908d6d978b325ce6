"""Built-in steps that change where pixels are: crops, sizes, flips, turns.

Crops, resizes and flips that follow each other become one resampling (antialiased bicubic).
A step documented as torchvision's draws like the class of that name in torchvision.transforms.v2.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from wdsremux.transforms.steps.arguments import Extent, Step, check_order, extent, number, side

if TYPE_CHECKING:
    from numpy.random import Generator

    from wdsremux.transforms.steps.picture import Picture

_TRIES = 10
"""How often a random rectangle is drawn before giving up, as torchvision does."""


@dataclass(frozen=True, slots=True)
class Resize(Step):
    """Resize the shorter side to SIZE pixels and keep the aspect ratio, rounded down.

    With SIZE as WIDTHxHEIGHT: resize to exactly this size, whatever the aspect ratio.
    """

    name: ClassVar[str] = "resize"
    size: Extent = extent()

    def apply(self, picture: "Picture", _rng: "Generator") -> None:
        """Resize."""
        if self.size.height is not None:
            picture.resize(*self.size.both)
            return
        width, height = picture.size
        short = self.size.width
        long = short * max(width, height) // min(width, height)
        picture.resize(*((short, long) if width <= height else (long, short)))


@dataclass(frozen=True, slots=True)
class ResizeMax(Step):
    """Shrink the longer side to SIZE pixels and keep the aspect ratio, rounded.

    Smaller images are not changed.
    """

    name: ClassVar[str] = "resize-max"
    size: int = side()

    def apply(self, picture: "Picture", _rng: "Generator") -> None:
        """Resize."""
        width, height = picture.size
        longest = max(width, height)
        if longest > self.size:
            picture.resize(
                max(1, round(width * self.size / longest)),
                max(1, round(height * self.size / longest)),
            )


@dataclass(frozen=True, slots=True)
class CenterCrop(Step):
    """Crop SIZE (or WIDTHxHEIGHT) pixels from the centre.

    An image that is too small is padded evenly with the matte (torchvision's CenterCrop).
    """

    name: ClassVar[str] = "center-crop"
    size: Extent = extent()

    def apply(self, picture: "Picture", _rng: "Generator") -> None:
        """Crop, then pad."""
        width, height = picture.size
        wanted_width, wanted_height = self.size.both
        kept_width, kept_height = min(width, wanted_width), min(height, wanted_height)
        picture.crop(
            round((width - kept_width) / 2),
            round((height - kept_height) / 2),
            kept_width,
            kept_height,
        )
        _pad_evenly(picture, wanted_width, wanted_height)


@dataclass(frozen=True, slots=True)
class RandomCrop(Step):
    """Crop SIZE (or WIDTHxHEIGHT) pixels at a random position.

    An image that is too small is padded with the matte, at a random position (torchvision's
    RandomCrop with pad_if_needed).
    """

    name: ClassVar[str] = "random-crop"
    size: Extent = extent()

    def apply(self, picture: "Picture", rng: "Generator") -> None:
        """Crop, then pad."""
        width, height = picture.size
        wanted_width, wanted_height = self.size.both
        top = int(rng.integers(abs(height - wanted_height) + 1))
        left = int(rng.integers(abs(width - wanted_width) + 1))
        missing_x, missing_y = max(0, wanted_width - width), max(0, wanted_height - height)
        picture.crop(
            0 if missing_x else left,
            0 if missing_y else top,
            min(width, wanted_width),
            min(height, wanted_height),
        )
        if missing_x or missing_y:
            beside, above = min(left, missing_x), min(top, missing_y)
            picture.pad(beside, above, missing_x - beside, missing_y - above)


@dataclass(frozen=True, slots=True)
class RandomResizedCrop(Step):
    """Crop a random part and resize it to SIZE (or WIDTHxHEIGHT) pixels.

    The part has SCALE_LO to SCALE_HI of the area, uniform, and a width / height from RATIO_LO to
    RATIO_HI, log-uniform; after ten tries that do not fit, the largest part with an allowed ratio
    is cropped from the centre (torchvision's RandomResizedCrop).
    """

    name: ClassVar[str] = "random-resized-crop"
    size: Extent = extent()
    scale_lo: float = number(1e-6, 1.0, 0.08)
    scale_hi: float = number(1e-6, 1.0, 1.0)
    ratio_lo: float = number(0.001, 1000.0, 3 / 4)
    ratio_hi: float = number(0.001, 1000.0, 4 / 3)

    def check(self) -> None:
        """Raise UsageError when a range is upside down."""
        check_order(self, "scale_lo", "scale_hi")
        check_order(self, "ratio_lo", "ratio_hi")

    def apply(self, picture: "Picture", rng: "Generator") -> None:
        """Crop and resize."""
        picture.crop(*self._box(*picture.size, rng))
        picture.resize(*self.size.both)

    def _box(self, width: int, height: int, rng: "Generator") -> tuple[int, int, int, int]:
        """Draw left, top, width and height."""
        for _ in range(_TRIES):
            area = width * height * rng.uniform(self.scale_lo, self.scale_hi)
            ratio = math.exp(rng.uniform(math.log(self.ratio_lo), math.log(self.ratio_hi)))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                top = int(rng.integers(height - h + 1))
                return int(rng.integers(width - w + 1)), top, w, h
        w, h = width, height
        if width / height < self.ratio_lo:
            h = max(1, round(width / self.ratio_lo))
        elif width / height > self.ratio_hi:
            w = max(1, round(height * self.ratio_hi))
        return (width - w) // 2, (height - h) // 2, w, h


@dataclass(frozen=True, slots=True)
class CenterCropScale(Step):
    """Crop a random fraction of both sides, LO to HI, uniform, from the centre.

    The aspect ratio stays the same, up to whole pixels.
    """

    name: ClassVar[str] = "center-crop-scale"
    lo: float = number(0.001, 1.0)
    hi: float = number(0.001, 1.0)

    def check(self) -> None:
        """Raise UsageError when the range is upside down."""
        check_order(self, "lo", "hi")

    def apply(self, picture: "Picture", rng: "Generator") -> None:
        """Crop."""
        share = rng.uniform(self.lo, self.hi)
        width, height = picture.size
        w, h = max(1, round(width * share)), max(1, round(height * share))
        picture.crop((width - w) // 2, (height - h) // 2, w, h)


@dataclass(frozen=True, slots=True)
class Pad(Step):
    """Pad to a square of SIZE x SIZE pixels, evenly with the matte.

    Nothing is cropped or shrunk: a longer side is not changed, so put resize-max=SIZE before this
    step if every image must be a square.
    """

    name: ClassVar[str] = "pad"
    size: int = side()

    def apply(self, picture: "Picture", _rng: "Generator") -> None:
        """Pad."""
        _pad_evenly(picture, self.size, self.size)


def _pad_evenly(picture: "Picture", width: int, height: int) -> None:
    """Pad up to this size; an odd pixel goes to the right and the bottom."""
    x, y = max(0, width - picture.size[0]), max(0, height - picture.size[1])
    if x or y:
        picture.pad(x // 2, y // 2, x - x // 2, y - y // 2)


@dataclass(frozen=True, slots=True)
class FlipHorizontal(Step):
    """Flip left to right with probability P."""

    name: ClassVar[str] = "hflip"
    p: float = number(0.0, 1.0, 0.5)

    def apply(self, picture: "Picture", rng: "Generator") -> None:
        """Flip, or not."""
        if rng.random() < self.p:
            picture.flip_horizontal()


@dataclass(frozen=True, slots=True)
class FlipVertical(Step):
    """Flip upside down with probability P."""

    name: ClassVar[str] = "vflip"
    p: float = number(0.0, 1.0, 0.5)

    def apply(self, picture: "Picture", rng: "Generator") -> None:
        """Flip, or not."""
        if rng.random() < self.p:
            picture.flip_vertical()


@dataclass(frozen=True, slots=True)
class Rotate(Step):
    """Rotate about the centre by a random angle from -DEGREES to DEGREES, bicubic.

    The size stays the same; the corners are filled with the matte.
    """

    name: ClassVar[str] = "rotate"
    degrees: float = number(0.0, 180.0)

    def apply(self, picture: "Picture", rng: "Generator") -> None:
        """Turn."""
        picture.rotate(rng.uniform(-self.degrees, self.degrees))
