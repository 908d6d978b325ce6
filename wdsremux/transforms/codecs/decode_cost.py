"""Estimates the memory that decoding an image takes, from its header.

A small file may ask for any size: pixels alone say little, because formats differ by a factor of
seven. The estimate is the peak of the decoder's buffers, of Pillow's image and of the RGB pixels
made of it.
"""

from PIL import ImageFile

from wdsremux.transforms.base import DecodeError
from wdsremux.transforms.codecs.image_kinds import ImageKind
from wdsremux.transforms.libraries import TiffImagePlugin

MIN_BOUND_BYTES = 1_500_000_000
"""Images that take less are never refused for their memory."""
_BOUND_BYTES_PER_PIXEL = 8
"""The bound grows with --max-pixels: a JPEG of that size takes 7 bytes for each pixel."""

_RGB_BYTES = 3
_ROW_BYTES = 8
"""Pillow keeps a pointer for each row."""
_BYTES_OF_MODE = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
"""Bytes of a pixel in Pillow's memory; 4 in all other modes."""
_BUFFER_BYTES: dict[ImageKind, int] = {"webp": 16, "avif": 20, "bmp": 2}
"""Bytes of a pixel in the decoder's own buffers."""
_JP2_COMPONENT_BYTES = 10
"""OpenJPEG holds two 32-bit numbers, and Pillow a copy of 16 bits, for each component."""
_CODESTREAM = b"\xff\x4f\xff\x51"
_MAX_COMPONENTS = 16_384

_TILE_WIDTH, _TILE_HEIGHT, _STRIP_ROWS, _SAMPLES, _BITS = 322, 323, 278, 277, 258


def check_decode_bytes(needed: int, max_pixels: int) -> None:
    """Raise DecodeError for an image whose decode takes more than the bound."""
    bound = max(MIN_BOUND_BYTES, _BOUND_BYTES_PER_PIXEL * max_pixels)
    if needed > bound:
        raise DecodeError(
            f"decoding the image takes about {needed / 1e9:.1f} GB, more than the "
            f"{bound / 1e9:.1f} GB that --max-pixels {max_pixels} allows"
        )


def decode_bytes(image: ImageFile.ImageFile, kind: ImageKind, data: bytes) -> int:
    """Return about how many bytes decoding an opened image takes at its peak."""
    width, height = image.size
    row = -(-width * _BYTES_OF_MODE.get(image.mode, 4) // 4) * 4 + _ROW_BYTES
    held = row * height + _RGB_BYTES * width * height
    return held + _buffers(image, kind, data)


def _buffers(image: ImageFile.ImageFile, kind: ImageKind, data: bytes) -> int:
    """Return the bytes of the decoder's own buffers."""
    pixels = image.width * image.height
    if kind == "jp2":
        return pixels * _components(image, data) * _JP2_COMPONENT_BYTES
    if kind == "tiff" and isinstance(image, TiffImagePlugin.TiffImageFile):
        is_compressed = any(part[0] == "libtiff" for part in image.tile)
        return _tile_bytes(image) if is_compressed else 0
    return pixels * _BUFFER_BYTES.get(kind, 0)


def _components(image: ImageFile.ImageFile, data: bytes) -> int:
    """Return the components of a JPEG 2000 codestream (ITU-T T.800, A.5.1), at least its bands."""
    at = data.find(_CODESTREAM)
    counted = int.from_bytes(data[at + 40 : at + 42], "big") if at >= 0 else 0
    return max(len(image.getbands()), min(counted, _MAX_COMPONENTS))


def _tile_bytes(image: "TiffImagePlugin.TiffImageFile") -> int:
    """Return the bytes of one tile or strip, which libtiff decodes at once."""
    tags = image.tag_v2
    width = _number(tags.get(_TILE_WIDTH), image.width)
    height = _number(tags.get(_TILE_HEIGHT), image.height)
    if _TILE_HEIGHT not in tags:
        height = min(_number(tags.get(_STRIP_ROWS), image.height), image.height)
    bits = _number(tags.get(_BITS), 8) * _number(tags.get(_SAMPLES), 1)
    return width * height * max(32, bits) // 8


def _number(value: object, default: int) -> int:
    """Return the value of a tag; the largest of several."""
    values = value if isinstance(value, tuple) else (value,)
    return max([each for each in values if isinstance(each, int) and each > 0], default=default)


def jpeg_decode_bytes(size: tuple[int, int], sampling: list[tuple[int, int]], *, held: bool) -> int:
    """Return about how many bytes decoding a JPEG takes at its peak.

    `sampling` are the factors of each component; `held` says that the coefficients of the whole
    image are kept, as for a progressive one. The native kernel takes less: it keeps no RGB pixels.
    """
    width, height = size
    pixels = (4 + _RGB_BYTES) * width * height
    if not held:
        return pixels
    wide = max([1, *(h for h, _ in sampling)])
    high = max([1, *(v for _, v in sampling)])
    blocks = sum(-(-width * h // (8 * wide)) * -(-height * v // (8 * high)) for h, v in sampling)
    return pixels + 128 * blocks
