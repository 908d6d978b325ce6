"""Decodes stored images to pixels, and encodes pixels as JPEG, PNG or WebP."""

import io
from dataclasses import dataclass, field
from typing import Literal

from PIL import Image

from wdsremux.core.escaping import shown_bytes
from wdsremux.core.option_values import DEFAULT_MAX_PIXELS
from wdsremux.transforms.base import DecodeError, EncodeError, Pixels, rgb
from wdsremux.transforms.codecs import jpeg, pillow_formats
from wdsremux.transforms.codecs.decode_cost import check_decode_bytes, decode_bytes
from wdsremux.transforms.codecs.depth import Depth, Range, is_deep_colour
from wdsremux.transforms.codecs.image_kinds import NAMES, ImageKind
from wdsremux.transforms.codecs.label_image import LabelImage, decoded_labels
from wdsremux.transforms.codecs.pillow_formats import read_orientation
from wdsremux.transforms.codecs.profiles import ProfileCache
from wdsremux.transforms.codecs.stored import Stored, StoredJpeg, StoredOther, check_pixels
from wdsremux.transforms.codecs.strictness import strict_pillow
from wdsremux.transforms.kernel.choice import Kernel
from wdsremux.transforms.pending_geometry import Size, upright
from wdsremux.transforms.resample import render

__all__ = ["Codec", "DecodeError", "EncodeError", "Format", "ImageKind", "sniff", "stored_size"]

Format = Literal["jpeg", "png", "webp"]
"""Formats of packed images."""

Check = Literal["pixels", "structure", "none"]
"""How JPEGs that are packed unchanged are checked."""

_EXTENSIONS: dict[Format, str] = {"jpeg": "jpg", "png": "png", "webp": "webp"}
_MAX_SIDES: dict[Format, int] = {"jpeg": 65_500, "png": 2**31 - 1, "webp": 16_383}
_PNG_COMPRESS_LEVEL = 6

_SIGNATURES: tuple[tuple[bytes, ImageKind], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II\x2a\x00", "tiff"),
    (b"MM\x00\x2a", "tiff"),
    (b"II\x2b\x00", "tiff"),
    (b"MM\x00\x2b", "tiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
)


def sniff(data: bytes) -> ImageKind | None:
    """Return the format of a stored image by its first bytes; None if it is not supported."""
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp" and _is_avif(data):
        return "avif"
    return None


def _is_avif(data: bytes) -> bool:
    """Look for an AVIF brand in the file type box (ISO/IEC 14496-12)."""
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return any(box[at : at + 4] in (b"avif", b"avis") for at in range(0, len(box), 4))


def _kind(data: bytes) -> ImageKind:
    kind = sniff(data)
    if kind is None:
        begin = f"it begins with {shown_bytes(data)}" if data else "it is empty"
        raise DecodeError(
            f"not an image in a supported format ({', '.join(NAMES.values())}): {begin}"
        )
    return kind


def stored_size(data: bytes) -> Size:
    """Return width and height from the header; no orientation is applied.

    Raises:
        DecodeError: not an image, or a broken header.

    """
    kind = _kind(data)
    if kind == "jpeg":
        return jpeg.read_header(data).size
    return pillow_formats.open_image(data, kind).size


@dataclass(frozen=True, slots=True)
class Codec:
    """How images are decoded and encoded. Can be pickled; thread-safe."""

    format: Format = "jpeg"
    """Format of packed images."""
    quality: int = 90
    """Quality of JPEG and WebP, 1 to 100."""
    subsampling: Literal["444", "422", "420"] = "420"
    """Chroma subsampling of JPEG."""
    matte: tuple[int, int, int] = (255, 255, 255)
    """Colour (red, green, blue) behind transparency and around padded or rotated images."""
    max_pixels: int = DEFAULT_MAX_PIXELS
    """Images with more pixels, or more bytes to decode than that allows, are refused before."""
    depth_range: Range | None = None
    """Values of black and white where there are more than 8 bits per value; None is the rule."""
    kernel: Kernel = "portable"
    """What transforms JPEGs; the native kernel must be built."""
    _profiles: ProfileCache = field(
        default_factory=ProfileCache, init=False, repr=False, compare=False
    )

    @property
    def extension(self) -> str:
        """File name extension of packed images, without a dot."""
        return _EXTENSIONS[self.format]

    def open(self, data: bytes) -> Stored:
        """Read the header of a stored image.

        Raises:
            DecodeError: not an image, a broken header, more than `max_pixels`, or more bytes to
                decode than that allows.

        """
        kind = _kind(data)
        header = jpeg.read_header(data) if kind == "jpeg" else None
        if header is not None:
            check_pixels(header.size, self.max_pixels)
            check_decode_bytes(header.decode_bytes, self.max_pixels)
            if header.is_simple:
                return StoredJpeg(data, header, self._profiles, self.kernel)
        image = pillow_formats.open_image(data, kind)
        check_pixels(image.size, self.max_pixels)
        check_decode_bytes(decode_bytes(image, kind, data), self.max_pixels)
        # Asked before the image is loaded, which the orientation may need.
        depth = Depth(self.depth_range, data if is_deep_colour(image) else None)
        orientation = header.orientation if header else read_orientation(image, kind)
        return StoredOther(image, (data, kind), orientation, self.matte, self._profiles, depth)

    def decode(self, data: bytes) -> Pixels:
        """Return a stored image as H×W×3 uint8 sRGB, upright; raises DecodeError.

        `picture.SourceImage` does the same for images to crop or resize, and decodes less.
        """
        stored = self.open(data)
        plan = upright(stored.size, stored.orientation)
        return rgb(stored.finish(render(stored.decode(1), plan)))

    def labels(self, data: bytes) -> tuple[LabelImage, int]:
        """Return a stored mask and the EXIF orientation to apply to it; raises DecodeError."""
        return decoded_labels(data, _kind(data), self.max_pixels)

    def check_stored(self, data: bytes, check: Check) -> None:
        """Raise DecodeError for a JPEG that is too large, or that a check shows to be damaged.

        "pixels" decodes it at 1/8 of the scale, which reads all of the data for about half the time
        of a decode. "structure" only looks for the end marker, and "none" reads the header.
        """
        header = jpeg.read_header(data)
        check_pixels(header.size, self.max_pixels)
        if check == "none":
            return
        jpeg.check_end(data, header)
        if check == "pixels":
            stored = self.open(data)
            stored.decode(stored.max_divisor)

    def encode(self, pixels: Pixels) -> bytes:
        """Return H×W×3 RGB or H×W×4 RGBX uint8 pixels as a file, without metadata.

        Raises:
            EncodeError: a side is zero or longer than the format allows.

        """
        height, width = pixels.shape[:2]
        if not 1 <= min(width, height) <= max(width, height) <= _MAX_SIDES[self.format]:
            raise EncodeError(
                f"image is {width} x {height} pixels; "
                f"a {NAMES[self.format]} has 1 to {_MAX_SIDES[self.format]} on each side"
            )
        if self.format == "jpeg":
            return jpeg.encode(pixels, self.quality, self.subsampling)
        return self._encode_by_pillow(pixels)

    def _encode_by_pillow(self, pixels: Pixels) -> bytes:
        file = io.BytesIO()
        image = Image.fromarray(rgb(pixels))
        try:
            with strict_pillow():
                if self.format == "png":
                    image.save(file, "PNG", compress_level=_PNG_COMPRESS_LEVEL)
                else:
                    image.save(file, "WEBP", quality=self.quality)
        except (OSError, ValueError) as exc:
            raise EncodeError(f"cannot write a {NAMES[self.format]}: {exc}") from exc
        return file.getvalue()
