"""Opens and decodes images with Pillow, which leaves unusual modes to `modes`."""

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image, ImageFile

from wdsremux.transforms.base import DecodeError, Pixels
from wdsremux.transforms.codecs.depth import Depth
from wdsremux.transforms.codecs.image_kinds import NAMES, ImageKind
from wdsremux.transforms.codecs.modes import pixels_from_image
from wdsremux.transforms.codecs.png_chunks import png_without_harmful_chunks
from wdsremux.transforms.codecs.profiles import ProfileCache
from wdsremux.transforms.codecs.strictness import strict_pillow
from wdsremux.transforms.libraries import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF")
"""What `Image.open` may take bytes from elsewhere for: of EPS, Pillow would start Ghostscript."""

# The classes instead of Image.open, which judges large images by a global setting (our own limit is
# checked instead) and tries formats that are not supported here.
_READERS: dict[ImageKind, Callable[[], type[ImageFile.ImageFile]]] = {
    "jpeg": lambda: JpegImagePlugin.JpegImageFile,
    "png": lambda: PngImagePlugin.PngImageFile,
    "webp": lambda: WebPImagePlugin.WebPImageFile,
    "gif": lambda: GifImagePlugin.GifImageFile,
    "bmp": lambda: BmpImagePlugin.BmpImageFile,
    "tiff": lambda: TiffImagePlugin.TiffImageFile,
    "jp2": lambda: Jpeg2KImagePlugin.Jpeg2KImageFile,
    "avif": lambda: AvifImagePlugin.AvifImageFile,
}

_FAILURES = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,
    MemoryError,
)
"""What Pillow raises for broken data: its readers document nothing.

Warnings are included because users may turn warnings into errors. So is MemoryError: a header of
70 bytes may ask for any size.
"""

_ORIENTATION = 0x0112
_XMP_TAG = 700


def open_image(data: bytes, kind: ImageKind) -> ImageFile.ImageFile:
    """Read the header; raises DecodeError."""
    if kind == "png":
        data = png_without_harmful_chunks(data)
    try:
        with strict_pillow():
            return _READERS[kind]()(io.BytesIO(data))
    except _FAILURES as exc:
        raise _broken(kind, exc) from exc


def read_orientation(image: ImageFile.ImageFile, kind: ImageKind) -> int:
    """Return the EXIF orientation to apply, 1 to 8.

    Pillow rotates TIFFs itself. A PNG may have its Exif block after the pixels, and Pillow decodes
    them to find it: that is done here first, so that a truncated PNG is refused and not considered
    upright.
    """
    if kind == "tiff":
        if isinstance(image, TiffImagePlugin.TiffImageFile) and _XMP_TAG in image.tag_v2:
            load(image, kind)  # only then its size is that after an orientation in XMP
        return 1
    if kind == "png" and "exif" not in image.info:
        load(image, kind)
    return _orientation_of(image)


def orientation_from_metadata(exif: bytes, xmp: bytes) -> int:
    """Return the orientation, 1 to 8, that Pillow applies for a JPEG with these blocks."""
    image = Image.Image()
    image.info = {name: block for name, block in (("exif", exif), ("xmp", xmp)) if block}
    return _orientation_of(image)


def _orientation_of(image: Image.Image) -> int:
    try:
        with strict_pillow():
            value = image.getexif().get(_ORIENTATION, 1)
    except _FAILURES:
        return 1  # a broken Exif block does not cost the image
    return next((number for number in range(1, 9) if value == number), 1)


def load(image: ImageFile.ImageFile, kind: ImageKind) -> None:
    """Decode the first frame completely; raises DecodeError."""
    try:
        with strict_pillow():
            image.load()
    except _FAILURES as exc:
        raise _broken(kind, exc) from exc


def _broken(kind: ImageKind, exc: BaseException) -> DecodeError:
    cut = "truncated" in str(exc)
    return DecodeError(f"{'truncated' if cut else 'broken'} {NAMES[kind]}: {exc}")


def decoded_pixels(
    image: ImageFile.ImageFile,
    kind: ImageKind,
    matte: tuple[int, int, int],
    profiles: ProfileCache,
    depth: Depth,
) -> Pixels:
    """Decode and convert to H×W×3 uint8 sRGB; raises DecodeError."""
    load(image, kind)
    try:
        return pixels_from_image(depth.colour(image), matte, profiles, depth)
    except DecodeError:
        raise
    except _FAILURES as exc:
        raise _broken(kind, exc) from exc
