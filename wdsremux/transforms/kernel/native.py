"""The Python face of the C extension: plans and filters in, a new JPEG or RGB pixels out."""

import math
from typing import Literal, Protocol, cast

import numpy as np

from wdsremux.transforms.base import Pixels
from wdsremux.transforms.kernel.choice import extension
from wdsremux.transforms.pending_geometry import PendingGeometry, Size

MAX_SIDE = 65_500
"""Longer sides are left to the portable kernel, which says what is wrong with them."""
MAX_FILTERS = 16

Filter = tuple[Literal["sharpen", "blur", "gray"], float]
"""What is done to the planes; the number is the standard deviation of a blur in pixels, else 0."""

Scale = tuple[int, int, int]
"""Divisor of the decoded size, first row, and the row behind the last one, of the stored image."""


class UnreadableError(Exception):
    """The JPEG is left to the portable kernel."""


class PlaneKernel(Protocol):
    """What makes pictures of one stored JPEG over its planes."""

    def jpeg(
        self,
        plan: PendingGeometry,
        filters: tuple[Filter, ...],
        scale: Scale,
        subsampling: str,
        quality: int,
    ) -> bytes:
        """Return a new JPEG; the subsampling is "444" or "420". Raises UnreadableError."""

    def rgb(self, plan: PendingGeometry, filters: tuple[Filter, ...], scale: Scale) -> Pixels:
        """Return H×W×3 uint8 RGB pixels, which may be written to. Raises UnreadableError."""

    def close(self) -> None:
        """Forget the decoded planes, whose memory the next image uses."""


class NativeJpeg:
    """A stored JPEG, whose planes are decoded when they are first needed; for one thread."""

    def __init__(self, data: bytes, size: Size, vectors: str = "") -> None:
        """Take a JPEG whose size was read from its header and accepted.

        `vectors` names the instructions to use ("scalar", "avx2", "neon"), instead of the fastest.
        """
        module = extension()
        if module is None:
            raise RuntimeError("the native kernel is not built")
        self._unreadable: type[Exception] = module.UnreadableError
        self._image = module.Image(data, *size, vectors)

    def jpeg(
        self,
        plan: PendingGeometry,
        filters: tuple[Filter, ...],
        scale: Scale,
        subsampling: str,
        quality: int,
    ) -> bytes:
        """Return a new JPEG; the subsampling is "444" or "420". Raises UnreadableError."""
        return cast("bytes", self._render(plan, filters, scale, subsampling, quality))

    def rgb(self, plan: PendingGeometry, filters: tuple[Filter, ...], scale: Scale) -> Pixels:
        """Return H×W×3 uint8 RGB pixels, which may be written to. Raises UnreadableError."""
        made = self._render(plan, filters, scale, "rgb", 1)
        width, height = plan.size
        return np.frombuffer(made, np.uint8).reshape(height, width, 3)

    def _render(
        self,
        plan: PendingGeometry,
        filters: tuple[Filter, ...],
        scale: Scale,
        output: str,
        quality: int,
    ) -> bytes | bytearray:
        divisor, *rows = scale
        turns = plan.transposed | plan.mirrored << 1 | plan.inverted << 2
        request = (divisor, tuple(rows), plan.box, plan.target, turns, filters, output, quality)
        try:
            return cast("bytes | bytearray", self._image.render(*request))
        except self._unreadable as exc:
            raise UnreadableError from exc

    def close(self) -> None:
        """Forget the decoded planes, whose memory the next image uses."""
        self._image.close()


def rows_needed(plan: PendingGeometry, divisor: int) -> tuple[int, int]:
    """Return the first row of the stored image that a plan needs, and the row behind the last.

    The filter reaches two samples beyond the box, or two of the result where it shrinks; a chroma
    sample is up to two decoded pixels large.
    """
    _, top, _, bottom = plan.box
    reduction = (bottom - top) / plan.target[1]
    margin = math.ceil(2 * max(2 * divisor, reduction)) + 4 * divisor + math.ceil(reduction)
    return max(0, math.floor(top) - margin), min(plan.source[1], math.ceil(bottom) + margin)


def fits(plan: PendingGeometry) -> bool:
    """Return whether the kernel makes images of the plan's size."""
    return max(plan.target) <= MAX_SIDE
