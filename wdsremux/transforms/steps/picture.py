"""Images as steps see them: geometry is collected and applied at once when pixels are needed."""

from collections.abc import Collection

from wdsremux.core.option_values import DEFAULT_MAX_PIXELS
from wdsremux.transforms.base import Pixels, StepError, rgb
from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.kernel.native import MAX_FILTERS, Filter
from wdsremux.transforms.pending_geometry import PendingGeometry, Size, upright, whole
from wdsremux.transforms.resample import render
from wdsremux.transforms.steps.pixelwork import PixelWork
from wdsremux.transforms.steps.shared_decode import SharedDecode


class SourceImage:
    """One stored image and all pictures made of it; for one thread.

    The pixels are decoded when the first picture needs them: create all pictures, and plan as much
    as possible, before.
    """

    def __init__(self, data: bytes, codec: Codec) -> None:
        """Read the header; raises DecodeError."""
        stored = codec.open(data)
        self._codec = codec
        self._stored = stored
        self._upright = upright(stored.size, stored.orientation)
        self._decode = SharedDecode(stored)

    @property
    def size(self) -> Size:
        """Width and height with the orientation applied."""
        return self._upright.size

    @property
    def decodes(self) -> int:
        """Number of decodes so far."""
        return self._decode.decodes

    @property
    def remarks(self) -> Collection[str]:
        """What a reader of the pixels should know; complete after the pictures are made."""
        return self._stored.remarks

    def picture(self) -> "Picture":
        """Return a new view of the whole image, upright."""
        picture = Picture(self._upright, self._decode, self._codec.matte, self._codec.max_pixels)
        self._decode.expect(picture)
        return picture


class Picture(PixelWork):
    """A lazy view of an image.

    `crop`, `resize` and the flips only change the plan, and everything up to the next step that
    needs pixels becomes one resampling. A crop after a resize equals a resize of the whole image
    that is then cut; a resize after a crop uses pixels just outside the crop at its edges.
    """

    def __init__(
        self,
        plan: PendingGeometry,
        source: SharedDecode | Pixels,
        matte: tuple[int, int, int] = (255, 255, 255),
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> None:
        self._source = source
        self._plans = [plan]
        self._filters: list[Filter] = []
        """What is done to what the only plan makes, in order."""
        self._done: PendingGeometry | None = None
        """The plan of the current pixels before anything was added."""
        self._max_pixels = max_pixels
        self.matte = matte
        """Colour of padding."""

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
        self._do_filters()
        self._plans[-1] = self._plans[-1].crop(left, top, width, height)

    def resize(self, width: int, height: int) -> None:
        """Resize to this size.

        Raises StepError for more pixels than an image may have.
        """
        self.check_room(width, height)
        if (width, height) == self.size:
            return
        self._do_filters()
        if self._plans[-1].loses_detail(width, height):
            self._plans.append(whole(self.size))
        self._plans[-1] = self._plans[-1].resize(width, height)

    # Filters look the same in all directions: a flip after them is the same as one before.

    def flip_horizontal(self) -> None:
        """Swap left and right."""
        self._plans[-1] = self._plans[-1].flip_horizontal()

    def flip_vertical(self) -> None:
        """Swap top and bottom."""
        self._plans[-1] = self._plans[-1].flip_vertical()

    def sharpen(self) -> None:
        """Sharpen with the 3 × 3 kernel of Pillow's SHARPEN; edge pixels are repeated."""
        if not self._puts_off(("sharpen", 0.0)):
            super().sharpen()

    def blur(self, sigma: float) -> None:
        """Blur by a Gaussian of this standard deviation in pixels; mirrored at the edge."""
        if not self._puts_off(("blur", sigma)):
            super().blur(sigma)

    def gray(self) -> None:
        """Take the colours away: three equal channels of ITU-R 601 luma."""
        if not self._puts_off(("gray", 0.0)):
            super().gray()

    def _puts_off(self, each: Filter) -> bool:
        """Leave a filter to the native kernel, where that may come to make this picture."""
        waits = (
            isinstance(self._source, SharedDecode)
            and self._source.takes_filters
            and len(self._plans) == 1
            and len(self._filters) < MAX_FILTERS
        )
        if waits:
            self._filters.append(each)
        return waits

    def _do_filters(self) -> None:
        """Do what was put off: what follows is not done to planes."""
        if self._filters:
            self.raw()

    def jpeg(self, subsampling: str, quality: int) -> bytes | None:
        """Return the picture as a JPEG, without RGB pixels in between; None where it needs them."""
        if not isinstance(self._source, SharedDecode) or len(self._plans) > 1:
            return None
        plan, filters = self._plans[0], tuple(self._filters)
        return self._source.jpeg(self, plan, filters, subsampling, quality)

    def raw(self) -> Pixels:
        """Return the pixels, H×W×3 RGB or H×W×4 RGBX, for `Codec.encode`.

        Do not write to them. Raises DecodeError.
        """
        first, *rest = self._plans
        if isinstance(self._source, SharedDecode):
            return self._decoded(self._source, first, rest)
        if first is self._done and not rest:
            return self._source
        self._render(self._source, self._plans)
        return self._source

    def _decoded(
        self, source: SharedDecode, first: PendingGeometry, rest: list[PendingGeometry]
    ) -> Pixels:
        """Return the pixels of a picture that nothing was decoded for yet."""
        filters, self._filters = self._filters, []
        pixels = source.filtered(self, first, tuple(filters))
        if pixels is None:
            pixels = source.cut(self, first)
        else:
            filters = []
        self._render(pixels, rest)
        for name, value in filters:
            if name == "sharpen":
                super().sharpen()
            elif name == "blur":
                super().blur(value)
            else:
                super().gray()
        return self.raw()

    def _render(self, pixels: Pixels, plans: list[PendingGeometry]) -> None:
        for plan in plans:
            pixels = render(pixels, plan)
        self.replace(pixels)

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
