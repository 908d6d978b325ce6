"""Built-in steps that change what pixels are: colours, sharpness, erased parts."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from wdsremux.transforms.steps.arguments import Step, number, whole_number

if TYPE_CHECKING:
    from numpy.random import Generator

    from wdsremux.transforms.steps.picture import Picture

_ERASED_AREA = (0.02, 0.33)
_ERASED_RATIO = (0.3, 3.3)
_TRIES = 10


@dataclass(frozen=True, slots=True)
class ColorJitter(Step):
    """Change brightness, contrast, saturation and hue at random, in random order.

    The factors of the first three are uniform from 1 - B to 1 + B (likewise C and S), never below
    0; the hue is shifted by -H to H of the colour circle (torchvision's ColorJitter).
    """

    name: ClassVar[str] = "color-jitter"
    b: float = number(0.0, 10.0)
    c: float = number(0.0, 10.0, 0.0)
    s: float = number(0.0, 10.0, 0.0)
    h: float = number(0.0, 0.5, 0.0)

    def apply(self, picture: "Picture", rng: "Generator") -> None:
        """Draw the order, then the factors, then change the colours."""
        order = rng.permutation(4)
        factors = [rng.uniform(max(0.0, 1 - x), 1 + x) for x in (self.b, self.c, self.s)]
        shift = rng.uniform(-self.h, self.h)
        changes = (
            (self.b, picture.brightness, factors[0]),
            (self.c, picture.contrast, factors[1]),
            (self.s, picture.saturation, factors[2]),
            (self.h, picture.hue, shift),
        )
        for index in order:
            strength, change, factor = changes[index]
            if strength:
                change(factor)


@dataclass(frozen=True, slots=True)
class Grayscale(Step):
    """Convert to grey (three equal channels) with probability P."""

    name: ClassVar[str] = "grayscale"
    p: float = number(0.0, 1.0, 1.0)

    def apply(self, picture: "Picture", rng: "Generator") -> None:
        """Make gray, or not."""
        if rng.random() < self.p:
            picture.gray()


@dataclass(frozen=True, slots=True)
class Sharpen(Step):
    """Sharpen with probability P, by the 3 x 3 kernel of Pillow's ImageFilter.SHARPEN.

    At the border the edge pixels are repeated (Pillow leaves a border of one pixel as it was).
    """

    name: ClassVar[str] = "sharpen"
    p: float = number(0.0, 1.0, 1.0)

    def apply(self, picture: "Picture", rng: "Generator") -> None:
        """Sharpen, or not."""
        if rng.random() < self.p:
            picture.sharpen()


@dataclass(frozen=True, slots=True)
class Blur(Step):
    """Blur by a Gaussian with a standard deviation of SIGMA pixels.

    At the border the image is mirrored.
    """

    name: ClassVar[str] = "blur"
    sigma: float = number(0.1, 100.0, 1.0)

    def apply(self, picture: "Picture", _rng: "Generator") -> None:
        """Blur."""
        picture.blur(self.sigma)


@dataclass(frozen=True, slots=True)
class Autocontrast(Step):
    """Stretch every channel so that its darkest value becomes 0 and its brightest 255."""

    name: ClassVar[str] = "autocontrast"

    def apply(self, picture: "Picture", _rng: "Generator") -> None:
        """Stretch."""
        picture.autocontrast()


@dataclass(frozen=True, slots=True)
class Equalize(Step):
    """Equalize the histogram of every channel."""

    name: ClassVar[str] = "equalize"

    def apply(self, picture: "Picture", _rng: "Generator") -> None:
        """Equalize."""
        picture.equalize()


@dataclass(frozen=True, slots=True)
class Posterize(Step):
    """Keep the highest BITS bits of every value."""

    name: ClassVar[str] = "posterize"
    bits: int = whole_number(1, 8)

    def apply(self, picture: "Picture", _rng: "Generator") -> None:
        """Posterize."""
        picture.posterize(self.bits)


@dataclass(frozen=True, slots=True)
class Solarize(Step):
    """Invert every value that is THRESHOLD or more."""

    name: ClassVar[str] = "solarize"
    threshold: int = whole_number(0, 256)

    def apply(self, picture: "Picture", _rng: "Generator") -> None:
        """Solarize."""
        picture.solarize(self.threshold)


@dataclass(frozen=True, slots=True)
class RandomErasing(Step):
    """Make a random rectangle black with probability P.

    It has 2 % to 33 % of the area and a height / width from 0.3 to 3.3, log-uniform (torchvision's
    RandomErasing).
    """

    name: ClassVar[str] = "random-erasing"
    p: float = number(0.0, 1.0, 0.5)

    def apply(self, picture: "Picture", rng: "Generator") -> None:
        """Erase, or not; also not when ten rectangles in a row do not fit."""
        if rng.random() >= self.p:
            return
        width, height = picture.size
        low, high = (math.log(ratio) for ratio in _ERASED_RATIO)
        for _ in range(_TRIES):
            area = width * height * rng.uniform(*_ERASED_AREA)
            ratio = math.exp(rng.uniform(low, high))
            w, h = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
            if 0 < w < width and 0 < h < height:
                top = int(rng.integers(height - h + 1))
                picture.fill(int(rng.integers(width - w + 1)), top, w, h)
                return
