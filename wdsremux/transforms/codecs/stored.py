"""Stored images, opened but not decoded: size and orientation are known, pixels are not."""

from collections.abc import Collection
from typing import Protocol

from PIL import ImageFile

from wdsremux.transforms.base import DecodeError, Pixels, rgb
from wdsremux.transforms.codecs import jpeg, pillow_formats, profiles
from wdsremux.transforms.codecs.depth import Depth
from wdsremux.transforms.codecs.image_kinds import ImageKind
from wdsremux.transforms.kernel.choice import Kernel
from wdsremux.transforms.kernel.native import NativeJpeg, PlaneKernel
from wdsremux.transforms.pending_geometry import Size


class Stored(Protocol):
    """The contract: `decode` may be called again and does not apply the orientation."""

    @property
    def size(self) -> Size:
        """Width and height of the stored pixels."""

    @property
    def orientation(self) -> int:
        """EXIF orientation to apply, 1 to 8."""

    @property
    def max_divisor(self) -> int:
        """Largest divisor of the size that it can be decoded at: 8, or 1 for the full size only."""

    @property
    def is_srgb(self) -> bool:
        """Whether `finish` has nothing to do."""

    @property
    def remarks(self) -> Collection[str]:
        """What a reader of the pixels should know; complete after `decode`."""

    def native(self) -> PlaneKernel | None:
        """Return the image for the native kernel; None where only `decode` reads it."""

    def decode(self, divisor: int) -> Pixels:
        """Return the pixels at 1/divisor of the size, rounded up; raises DecodeError."""

    def finish(self, pixels: Pixels) -> Pixels:
        """Convert the colours of pixels cut from the decoded ones to sRGB."""


class StoredJpeg:
    """A JPEG that libjpeg-turbo decodes to RGB."""

    max_divisor = 8
    remarks: Collection[str] = ()

    def __init__(
        self,
        data: bytes,
        header: jpeg.JpegHeader,
        cache: profiles.ProfileCache,
        kernel: Kernel = "portable",
    ) -> None:
        self.size = header.size
        self.orientation = header.orientation
        self._data = data
        self._header = header
        # Colours are converted after the resampling, not before: there are far fewer pixels then.
        self._transform = cache.transform(header.profile, "RGB") if header.profile else None
        self.is_srgb = self._transform is None
        self._kernel = kernel

    def native(self) -> PlaneKernel | None:
        """Return the image for the native kernel, if that is asked for and the image is whole.

        The kernel reads no row below those it needs, so it would not see that the end is missing.
        """
        if self._kernel != "native" or not jpeg.has_end(self._data, self._header):
            return None
        return NativeJpeg(self._data, self.size)

    def decode(self, divisor: int) -> Pixels:
        """Return RGBX pixels."""
        try:
            return jpeg.decode(self._data, self._header, divisor, "RGBX")
        except jpeg.StrayBytesError:
            return self._decode_leniently(divisor)

    def _decode_leniently(self, divisor: int) -> Pixels:
        """Decode with Pillow, which skips stray bytes but still refuses truncated data."""
        image = pillow_formats.open_image(self._data, "jpeg")
        image.info.pop("icc_profile", None)  # `finish` applies it
        width, height = self.size
        if divisor > 1:
            image.draft(None, (max(1, width // divisor), max(1, height // divisor)))
        cache = profiles.ProfileCache()
        return pillow_formats.decoded_pixels(image, "jpeg", (0, 0, 0), cache, Depth())

    def finish(self, pixels: Pixels) -> Pixels:
        """Convert the colours to sRGB."""
        if self._transform is None:
            return pixels
        return profiles.apply_to_rgb(self._transform, rgb(pixels))


class StoredOther:
    """An image that Pillow decodes."""

    max_divisor = 1
    is_srgb = True

    def __init__(
        self,
        image: ImageFile.ImageFile,
        file: tuple[bytes, ImageKind],
        orientation: int,
        matte: tuple[int, int, int],
        cache: profiles.ProfileCache,
        depth: Depth,
    ) -> None:
        """`file` holds the bytes that the image was opened from, and their format."""
        self.size = image.size
        self.orientation = orientation
        self._image: ImageFile.ImageFile | None = image
        self._data, self._kind = file
        self._matte = matte
        self._cache = cache
        self._depth = depth

    @property
    def remarks(self) -> Collection[str]:
        """How values of more than 8 bits were scaled; complete after `decode`."""
        return self._depth.remarks

    def native(self) -> None:
        """Return None: the native kernel reads JPEGs only."""

    def decode(self, divisor: int) -> Pixels:
        """Return RGB pixels."""
        if divisor != 1:
            raise ValueError(f"this format is decoded at full size only, not at 1/{divisor}")
        # Pillow's own pixels are freed with its image: the steps need the memory.
        image, self._image = self._image, None
        if image is None:
            image = pillow_formats.open_image(self._data, self._kind)
        return pillow_formats.decoded_pixels(
            image, self._kind, self._matte, self._cache, self._depth
        )

    def finish(self, pixels: Pixels) -> Pixels:
        """Return the pixels unchanged: `decode` has converted their colours."""
        return pixels


def check_pixels(size: Size, max_pixels: int) -> None:
    """Raise DecodeError for an image with too many pixels."""
    width, height = size
    if width * height > max_pixels:
        raise DecodeError(
            f"image has {width * height} pixels ({width} x {height}), "
            f"more than --max-pixels {max_pixels}"
        )
