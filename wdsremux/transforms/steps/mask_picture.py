"""Masks as steps see them: geometry by nearest neighbour, and nothing else.

A mask gets the steps of its image with the same draws, so that both stay in register; steps that
change colours draw, and leave it as it is.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wdsremux.core.option_values import DEFAULT_MAX_PIXELS
from wdsremux.transforms.base import StepError
from wdsremux.transforms.codecs.label_image import LabelImage, Labels
from wdsremux.transforms.pending_geometry import PendingGeometry, Size, upright, whole


class MaskPicture:
    """Has the methods of `Picture` that steps call."""

    def __init__(
        self, mask: LabelImage, orientation: int = 1, max_pixels: int = DEFAULT_MAX_PIXELS
    ) -> None:
        """`mask` is shared and never written to."""
        self._mask = mask
        self._plan = upright(mask.size, orientation)
        self._max_pixels = max_pixels
        self.matte = (255, 255, 255)
        """Not used: what is added to a mask is 0, the background."""

    @property
    def size(self) -> Size:
        """Width and height in pixels, with all pending geometry."""
        return self._plan.size

    def mask(self) -> LabelImage:
        """Return the mask with all geometry applied."""
        self._replace(nearest(self._mask.labels, self._plan))
        return self._mask

    def crop(self, left: float, top: float, width: float, height: float) -> None:
        """Keep a part, as `Picture.crop` does."""
        self._plan = self._plan.crop(left, top, width, height)

    def resize(self, width: int, height: int) -> None:
        """Resize to this size. Raises StepError for more pixels than an image may have."""
        self._check_room(width, height)
        self._plan = self._plan.resize(width, height)

    def flip_horizontal(self) -> None:
        """Swap left and right."""
        self._plan = self._plan.flip_horizontal()

    def flip_vertical(self) -> None:
        """Swap top and bottom."""
        self._plan = self._plan.flip_vertical()

    def pad(self, left: int, top: int, right: int, bottom: int) -> None:
        """Add pixels of the value 0 on each side. Raises StepError."""
        width, height = self.size
        self._check_room(left + width + right, top + height + bottom)
        labels = self.mask().labels
        channels = [(0, 0)] * (labels.ndim - 2)
        self._replace(np.pad(labels, [(top, bottom), (left, right), *channels]))

    def rotate(self, degrees: float) -> None:
        """Turn counter-clockwise about the centre; same size, corners 0."""
        # By index: Pillow rotates every mode of a mask only after a conversion.
        labels = self.mask().labels
        height, width = labels.shape[:2]
        numbers = np.arange(1, width * height + 1, dtype=np.int32).reshape(height, width)
        turned = np.asarray(Image.fromarray(numbers).rotate(degrees, Image.Resampling.NEAREST))
        flat = labels.reshape(width * height, *labels.shape[2:])
        found = flat[np.maximum(turned, 1) - 1]
        found[turned == 0] = 0
        self._replace(found)

    def brightness(self, _factor: float) -> None:
        """Change nothing, as all that follows."""

    def contrast(self, _factor: float) -> None:
        """Change nothing."""

    def saturation(self, _factor: float) -> None:
        """Change nothing."""

    def hue(self, _shift: float) -> None:
        """Change nothing."""

    def gray(self) -> None:
        """Change nothing."""

    def sharpen(self) -> None:
        """Change nothing."""

    def blur(self, _sigma: float) -> None:
        """Change nothing."""

    def fill(self, _left: int, _top: int, _width: int, _height: int) -> None:
        """Change nothing: what is erased of an image keeps its label, as in torchvision."""

    def autocontrast(self) -> None:
        """Change nothing."""

    def equalize(self) -> None:
        """Change nothing."""

    def posterize(self, _bits: int) -> None:
        """Change nothing."""

    def solarize(self, _threshold: int) -> None:
        """Change nothing."""

    def _check_room(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise StepError(
                f"a step makes {width} x {height} pixels of a mask, more than --max-pixels "
                f"{self._max_pixels}"
            )

    def _replace(self, labels: Labels) -> None:
        self._mask = LabelImage(labels, self._mask.palette)
        self._plan = whole(self._mask.size)


def nearest(labels: Labels, plan: PendingGeometry) -> Labels:
    """Apply a plan: each value of the result is the one at the same place of the original."""
    left, top, right, bottom = plan.box
    columns = _places(left, right, plan.target[0], labels.shape[1])
    rows = _places(top, bottom, plan.target[1], labels.shape[0])
    result = labels[np.ix_(rows, columns)]
    if plan.transposed:
        result = result.swapaxes(0, 1)
    if plan.mirrored:
        result = result[:, ::-1]
    if plan.inverted:
        result = result[::-1]
    return np.ascontiguousarray(result)


def _places(start: float, stop: float, count: int, most: int) -> NDArray[np.intp]:
    """Return the stored pixels below the centres of `count` pixels from start to stop."""
    centres = start + (np.arange(count) + 0.5) * ((stop - start) / count)
    return np.asarray(np.clip(np.floor(centres), 0, most - 1), np.intp)
