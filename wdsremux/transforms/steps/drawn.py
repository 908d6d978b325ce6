"""What the steps do to one image, as text: which crop, which flip, which factor was drawn.

The steps run on a picture without pixels, with the random stream of the row, so nothing is decoded
and the answer is what `convert` does.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from wdsremux.transforms.base import sample_rng

if TYPE_CHECKING:
    from wdsremux.transforms.steps.arguments import Step
    from wdsremux.transforms.steps.picture import Picture


class PictureLog:
    """Has the methods of `Picture` that steps call, and records the calls in `lines`."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        """Width and height in pixels after the calls so far."""
        self.lines: list[str] = []

    def crop(self, left: float, top: float, width: float, height: float) -> None:
        """Record a crop, unless it keeps all."""
        kept = round(width), round(height)
        if kept != self.size:
            self.lines.append(f"crop {kept[0]} × {kept[1]} at {round(left)}, {round(top)}")
        self.size = kept

    def resize(self, width: int, height: int) -> None:
        """Record a change of size, unless it is none."""
        if (width, height) != self.size:
            self.lines.append(f"resize to {width} × {height}")
        self.size = width, height

    def pad(self, left: int, top: int, right: int, bottom: int) -> None:
        """Record the added border."""
        self.size = self.size[0] + left + right, self.size[1] + top + bottom
        self.lines.append(f"pad to {self.size[0]} × {self.size[1]}")

    def flip_horizontal(self) -> None:
        """Record the flip."""
        self.lines.append("flip left to right")

    def flip_vertical(self) -> None:
        """Record the flip."""
        self.lines.append("flip upside down")

    def rotate(self, degrees: float) -> None:
        """Record the angle, counter-clockwise."""
        self.lines.append(f"rotate by {degrees:+.1f}°")

    def brightness(self, factor: float) -> None:
        """Record the factor."""
        self.lines.append(f"brightness × {factor:.2f}")

    def contrast(self, factor: float) -> None:
        """Record the factor."""
        self.lines.append(f"contrast × {factor:.2f}")

    def saturation(self, factor: float) -> None:
        """Record the factor."""
        self.lines.append(f"saturation × {factor:.2f}")

    def hue(self, shift: float) -> None:
        """Record the shift, a share of the colour circle."""
        self.lines.append(f"hue {shift:+.2f}")

    def gray(self) -> None:
        """Record that the colours are gone."""
        self.lines.append("grey")

    def sharpen(self) -> None:
        """Record the filter."""
        self.lines.append("sharpen")

    def blur(self, sigma: float) -> None:
        """Record the standard deviation in pixels."""
        self.lines.append(f"blur, sigma {sigma:g}")

    def fill(self, left: int, top: int, width: int, height: int) -> None:
        """Record the erased part."""
        self.lines.append(f"erase {width} × {height} at {left}, {top}")

    def autocontrast(self) -> None:
        """Record the step."""
        self.lines.append("autocontrast")

    def equalize(self) -> None:
        """Record the step."""
        self.lines.append("equalize")

    def posterize(self, bits: int) -> None:
        """Record the bits that are kept."""
        self.lines.append(f"posterize to {bits} bits")

    def solarize(self, threshold: int) -> None:
        """Record the threshold."""
        self.lines.append(f"solarize from {threshold}")


def drawn(
    steps: Sequence["Step"], size: tuple[int, int], *, seed: int, copy: int, position: int
) -> tuple[str, ...]:
    """Return what the steps do to one copy of a row, an upright image of `size`, one line each."""
    log, rng = PictureLog(*size), sample_rng(seed, copy, position)
    for step in steps:
        step.apply(cast("Picture", cast("Any", log)), rng)
    return tuple(log.lines)
