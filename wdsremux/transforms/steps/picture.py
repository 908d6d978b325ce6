"""Images as steps see them: geometry is collected and applied at once when pixels are needed."""

from wdsremux.core.option_values import DEFAULT_MAX_PIXELS
from wdsremux.transforms.base import Pixels, StepError, rgb
from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.pending_geometry import PendingGeometry, Size, upright, whole
from wdsremux.transforms.resample import render
from wdsremux.transforms.steps.pixelwork import PixelWork

_SPARE = 1.5
"""Pixels per pixel of the result, along each side, that an image decoded at a fraction must have.

With 1.5, high-resolution photos are within 48 dB of the full decode; with 1.0 it is visible.
"""


class SourceImage:
    """One stored image and all pictures made of it; for one thread.

    The pixels are decoded when the first picture needs them, at the smallest fraction of the size
    that is enough for the current plan of every picture: create all pictures, and plan as much as
    possible, before. They are decoded once, unless a later plan needs more pixels.
    """

    def __init__(self, data: bytes, codec: Codec) -> None:
        """Read the header; raises DecodeError."""
        self._stored = codec.open(data)
        self._codec = codec
        self._upright = upright(self._stored.size, self._stored.orientation)
        self._waiting: list[Picture] = []
        self._pixels: Pixels | None = None
        self._divisor = 1
        self.decodes = 0
        """Number of decodes so far."""

    @property
    def size(self) -> Size:
        """Width and height with the orientation applied."""
        return self._upright.size

    def picture(self) -> "Picture":
        """Return a new view of the whole image, upright."""
        picture = Picture(self._upright, self, self._codec.matte, self._codec.max_pixels)
        self._waiting.append(picture)
        return picture

    def cut(self, picture: "Picture", plan: PendingGeometry) -> Pixels:
        """Return what the plan cuts from the decoded pixels; raises DecodeError."""
        divisor = self._divisor_for(plan)
        if self._pixels is None or divisor < self._divisor:
            needs = [divisor, *(self._divisor_for(other.first_plan) for other in self._waiting)]
            self._divisor = min(needs)
            self._pixels = self._stored.decode(self._divisor)
            self.decodes += 1
        pixels = render(self._pixels, plan.scaled(self._divisor))
        if picture in self._waiting:
            self._waiting.remove(picture)
        if pixels is self._pixels and self._waiting:
            pixels = pixels.copy()  # changes to one picture must not affect the others
        if not self._waiting:
            self._pixels = None
        return self._stored.finish(pixels)

    def _divisor_for(self, plan: PendingGeometry) -> int:
        if not plan.resamples:
            return 1
        fitting = (d for d in (8, 4, 2) if plan.reduction >= _SPARE * d)
        return min(self._stored.max_divisor, next(fitting, 1))


class Picture(PixelWork):
    """A lazy view of an image.

    `crop`, `resize` and the flips only change the plan, and everything up to the next step that
    needs pixels becomes one resampling. A crop after a resize equals a resize of the whole image
    that is then cut; a resize after a crop uses pixels just outside the crop at its edges.
    """

    def __init__(
        self,
        plan: PendingGeometry,
        source: SourceImage | Pixels,
        matte: tuple[int, int, int] = (255, 255, 255),
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> None:
        self._source = source
        self._plans = [plan]
        self._done: PendingGeometry | None = None
        """The plan of the current pixels before anything was added."""
        self._max_pixels = max_pixels
        self.matte = matte
        """Colour of padding."""

    @classmethod
    def from_pixels(
        cls, pixels: Pixels, matte: tuple[int, int, int] = (255, 255, 255)
    ) -> "Picture":
        """Return a picture of H×W×3 RGB or H×W×4 RGBX uint8 pixels, which are not copied."""
        height, width = pixels.shape[:2]
        return cls(whole((width, height)), pixels, matte)

    @property
    def size(self) -> Size:
        """Width and height in pixels, with all pending geometry."""
        return self._plans[-1].size

    @property
    def first_plan(self) -> PendingGeometry:
        """The plan that is applied first to the stored pixels."""
        return self._plans[0]

    def crop(self, left: float, top: float, width: float, height: float) -> None:
        """Keep a part; the size becomes the rounded one. Whole pixels are kept exactly.

        Raises ValueError for a part that is empty or not inside.
        """
        full_width, full_height = self.size
        inside = 0 <= left < left + width <= full_width and 0 <= top < top + height <= full_height
        if not inside:
            raise ValueError(
                f"a crop of {width} x {height} at {left}, {top} "
                f"is not inside {full_width} x {full_height} pixels"
            )
        self._plans[-1] = self._plans[-1].crop(left, top, width, height)

    def resize(self, width: int, height: int) -> None:
        """Resize to this size.

        Raises StepError for more pixels than an image may have.
        """
        self.check_room(width, height)
        if (width, height) == self.size:
            return
        if self._plans[-1].loses_detail(width, height):
            self._plans.append(whole(self.size))
        self._plans[-1] = self._plans[-1].resize(width, height)

    def flip_horizontal(self) -> None:
        """Swap left and right."""
        self._plans[-1] = self._plans[-1].flip_horizontal()

    def flip_vertical(self) -> None:
        """Swap top and bottom."""
        self._plans[-1] = self._plans[-1].flip_vertical()

    def raw(self) -> Pixels:
        """Return the pixels, H×W×3 RGB or H×W×4 RGBX, for `Codec.encode`.

        Do not write to them. Raises DecodeError.
        """
        first, *rest = self._plans
        if isinstance(self._source, SourceImage):
            pixels = self._source.cut(self, first)
        elif first is self._done and not rest:
            return self._source
        else:
            pixels = render(self._source, first)
        for plan in rest:
            pixels = render(pixels, plan)
        self.replace(pixels)
        return pixels

    def pixels(self) -> Pixels:
        """Return the pixels as H×W×3 uint8 RGB. Raises DecodeError."""
        raw = self.raw()
        pixels = rgb(raw)
        if pixels is not raw:
            self.replace(pixels)
        return pixels

    def replace(self, pixels: Pixels) -> None:
        """Replace the pixels, H×W×3 RGB or H×W×4 RGBX uint8, which are not copied."""
        height, width = pixels.shape[:2]
        self._source = pixels
        self._done = whole((width, height))
        self._plans = [self._done]

    def check_room(self, width: int, height: int) -> None:
        """Raise StepError for more pixels than an image may have."""
        if width * height > self._max_pixels:
            raise StepError(
                f"a step makes {width} x {height} pixels of {self.size[0]} x {self.size[1]}, "
                f"more than --max-pixels {self._max_pixels}"
            )
