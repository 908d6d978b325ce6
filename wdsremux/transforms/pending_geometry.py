"""Pending geometry: crops, resizes and flips that are requested and not yet applied to pixels."""

import math
from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels; the left edge of the first pixel is 0."""

Size = tuple[int, int]
"""Width and height in pixels."""

_WHOLE = 1e-9


@dataclass(frozen=True, slots=True)
class PendingGeometry:
    """One resampling of a box of stored pixels, and how the result is rotated or mirrored."""

    source: Size
    """Size of the stored pixels."""
    box: Box
    """The part of them to use."""
    target: Size
    """Size that the box is resampled to, before it is transposed."""
    transposed: bool = False
    """Rows and columns are swapped first ..."""
    mirrored: bool = False
    """... then left and right ..."""
    inverted: bool = False
    """... and top and bottom."""

    @property
    def size(self) -> Size:
        """Size of the result."""
        return self.target[::-1] if self.transposed else self.target

    @property
    def resamples(self) -> bool:
        """Whether new pixels are computed; if not, stored pixels are copied unchanged."""
        left, top, right, bottom = self.box
        if (round(right - left), round(bottom - top)) != self.target:
            return True
        return any(abs(edge - round(edge)) >= _WHOLE for edge in self.box)

    @property
    def reduction(self) -> float:
        """Stored pixels per pixel of the result, along the axis with fewer."""
        left, top, right, bottom = self.box
        return min((right - left) / self.target[0], (bottom - top) / self.target[1])

    def crop(self, left: float, top: float, width: float, height: float) -> "PendingGeometry":
        """Return the plan that keeps this part of the result, at least one pixel."""
        full_width, full_height = self.size
        if self.mirrored:
            left = full_width - left - width
        if self.inverted:
            top = full_height - top - height
        if self.transposed:
            left, top, width, height = top, left, height, width
        x0, y0, x1, y1 = self.box
        step_x, step_y = (x1 - x0) / self.target[0], (y1 - y0) / self.target[1]
        box = (
            max(x0, x0 + left * step_x),
            max(y0, y0 + top * step_y),
            min(x1, x0 + (left + width) * step_x),
            min(y1, y0 + (top + height) * step_y),
        )
        return self._cut(self.source, box, (max(1, round(width)), max(1, round(height))))

    def resize(self, width: int, height: int) -> "PendingGeometry":
        """Return the plan that resizes the result to this size."""
        target = (height, width) if self.transposed else (width, height)
        return self._cut(self.source, self.box, target)

    def loses_detail(self, width: int, height: int) -> bool:
        """Return whether a resize enlarges what this plan shrinks.

        The two must then be applied one after the other: a single one would keep detail that the
        first removes.
        """
        wanted = (height, width) if self.transposed else (width, height)
        left, top, right, bottom = self.box
        sides = (right - left, bottom - top)
        return any(
            now < math.floor(side) and new > now
            for now, side, new in zip(self.target, sides, wanted, strict=True)
        )

    def flip_horizontal(self) -> "PendingGeometry":
        """Return the plan that also swaps left and right."""
        return self._turned(mirrored=not self.mirrored, inverted=self.inverted)

    def flip_vertical(self) -> "PendingGeometry":
        """Return the plan that also swaps top and bottom."""
        return self._turned(mirrored=self.mirrored, inverted=not self.inverted)

    def scaled(self, divisor: int) -> "PendingGeometry":
        """Return the plan for pixels decoded at 1/divisor of their size.

        Boxes shrink by exactly 1/divisor, not by the ratio of the rounded sizes, which would
        stretch the image by a part of a pixel and cost 5 dB.
        """
        if divisor == 1:
            return self
        width, height = self.source
        left, top, right, bottom = (edge / divisor for edge in self.box)
        source = (-(-width // divisor), -(-height // divisor))
        return self._cut(source, (left, top, right, bottom), self.target)

    # Not `dataclasses.replace`, which takes three times as long: each image makes several plans.

    def _cut(self, source: Size, box: Box, target: Size) -> "PendingGeometry":
        return PendingGeometry(source, box, target, self.transposed, self.mirrored, self.inverted)

    def _turned(self, *, mirrored: bool, inverted: bool) -> "PendingGeometry":
        return PendingGeometry(
            self.source, self.box, self.target, self.transposed, mirrored, inverted
        )


def whole(size: Size) -> PendingGeometry:
    """Return the plan that changes nothing."""
    width, height = size
    return PendingGeometry(size, (0.0, 0.0, float(width), float(height)), size)


_TURNS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def upright(size: Size, orientation: int) -> PendingGeometry:
    """Return the plan that applies an EXIF orientation (1 to 8) to stored pixels.

    Values as in the Exif standard (CIPA DC-008, tag 0x0112): 6 means rotate by 90° clockwise.
    """
    width, height = size
    return PendingGeometry(
        size, (0.0, 0.0, float(width), float(height)), size, *_TURNS[orientation]
    )
