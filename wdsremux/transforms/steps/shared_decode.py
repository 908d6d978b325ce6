"""One stored image, decoded once for all the pictures that are made of it; for one thread.

The decoder delivers pixels at the smallest fraction of the size that is enough for every picture's
plan of that moment. The native kernel works on the planes of a JPEG; what it does not read, and
what must be exact copies of stored pixels, takes the way over RGB.
"""

from typing import Protocol

from wdsremux.transforms.base import Pixels
from wdsremux.transforms.codecs.stored import Stored
from wdsremux.transforms.kernel.native import (
    Filter,
    PlaneKernel,
    Scale,
    UnreadableError,
    fits,
    rows_needed,
)
from wdsremux.transforms.pending_geometry import PendingGeometry
from wdsremux.transforms.resample import render

_SPARE = 1.5
"""Pixels that a decoded fraction of the size must have for each wanted one, along each side.

High-resolution photos come within 48 dB of the full decode with 1.5; 1.0 is visibly worse.
"""
_PLANE_SUBSAMPLINGS = ("444", "420")
"""What the native kernel encodes; other JPEGs are encoded from RGB."""


class View(Protocol):
    """A picture that waits for its pixels."""

    @property
    def first_plan(self) -> PendingGeometry:
        """What will be done first to the stored pixels."""


class SharedDecode:
    """What is decoded of a stored image, and which pictures still need it.

    It is decoded once, unless a plan made later needs more: take all pictures, and plan all that
    can be planned, before the first is made.
    """

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._native: PlaneKernel | None = stored.native()
        self._waiting: list[View] = []
        self._pixels: Pixels | None = None
        self._divisor = 1
        self._scale: Scale | None = None
        self.decodes = 0
        """How often pixels were decoded so far, by either kernel."""

    def expect(self, view: View) -> None:
        """Note that a picture will need its pixels."""
        self._waiting.append(view)

    @property
    def takes_filters(self) -> bool:
        """Whether filters may wait for the native kernel. They follow the colour conversion."""
        return self._native is not None and self._stored.is_srgb

    def jpeg(
        self,
        view: View,
        plan: PendingGeometry,
        filters: tuple[Filter, ...],
        subsampling: str,
        quality: int,
    ) -> bytes | None:
        """Return what the plan and the filters make, as a JPEG; None where that takes RGB."""
        is_possible = self.takes_filters and subsampling in _PLANE_SUBSAMPLINGS and fits(plan)
        if self._native is None or not is_possible:
            return None
        scale = self._scale_for(plan)
        try:
            made = self._native.jpeg(plan, filters, scale, subsampling, quality)
        except UnreadableError:
            self._give_up_native()
            return None
        self._release(view)
        return made

    def filtered(
        self, view: View, plan: PendingGeometry, filters: tuple[Filter, ...]
    ) -> Pixels | None:
        """Return what the plan and the filters make, as RGB pixels; None where `cut` must do it.

        Pixels that are not resampled are copied as they are stored, which planes of less chroma
        cannot give.
        """
        if self._native is None or not plan.resamples or not fits(plan):
            return None
        scale = self._scale_for(plan)
        try:
            pixels = self._native.rgb(plan, filters, scale)
        except UnreadableError:
            self._give_up_native()
            return None
        self._release(view)
        return self._stored.finish(pixels)

    def cut(self, view: View, plan: PendingGeometry) -> Pixels:
        """Return what the plan cuts from the decoded pixels; raises DecodeError."""
        divisor = self._divisor_for(plan)
        if self._pixels is None or divisor < self._divisor:
            self._divisor = self._smallest_divisor(divisor)
            self._pixels = self._stored.decode(self._divisor)
            self.decodes += 1
        pixels = render(self._pixels, plan.scaled(self._divisor))
        source = self._pixels
        self._release(view)
        if pixels is source and self._waiting:
            pixels = pixels.copy()  # what one picture's owner does to it is not seen by the others
        return self._stored.finish(pixels)

    def _scale_for(self, plan: PendingGeometry) -> Scale:
        """Return what is decoded for the native kernel, or is to be decoded now."""
        divisor = self._divisor_for(plan)
        if self._scale is not None and divisor >= self._scale[0]:
            first, last = rows_needed(plan, self._scale[0])
            if self._scale[1] <= first and last <= self._scale[2]:
                return self._scale
        divisor = self._smallest_divisor(divisor)
        plans = [plan, *(other.first_plan for other in self._waiting)]
        firsts, lasts = zip(*(rows_needed(each, divisor) for each in plans), strict=True)
        self._scale = (divisor, min(firsts), max(lasts))
        self.decodes += 1
        return self._scale

    def _smallest_divisor(self, divisor: int) -> int:
        return min([divisor, *(self._divisor_for(other.first_plan) for other in self._waiting)])

    def _divisor_for(self, plan: PendingGeometry) -> int:
        if not plan.resamples:
            return 1
        fitting = (d for d in (8, 4, 2) if plan.reduction >= _SPARE * d)
        return min(self._stored.max_divisor, next(fitting, 1))

    def _release(self, view: View) -> None:
        """Forget a picture that is made, and what is decoded when it was the last."""
        if view in self._waiting:
            self._waiting.remove(view)
        if not self._waiting:
            self._pixels = None
            self._scale = None
            if self._native is not None:
                self._native.close()

    def _give_up_native(self) -> None:
        """Leave an image to the portable kernel; which ones depends on the image only."""
        if self._native is not None:
            self._native.close()
        self._native = None
        self.decodes = 0
