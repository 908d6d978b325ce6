"""Cuts large images into parts, so that a conversion takes little more memory than its result.

Short because the conversions of modes and of deep values share it.
"""

from collections.abc import Iterator

PART_PIXELS = 1_000_000
"""Pixels that are converted at a time."""

Part = tuple[int, int, int, int]
"""Left, top, right and bottom."""


def parts_of(width: int, height: int) -> Iterator[Part]:
    """Yield the parts of an image, row by row."""
    columns = min(width, PART_PIXELS)
    rows = max(1, PART_PIXELS // columns)
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield left, top, min(left + columns, width), min(top + rows, height)
