"""The formats of images that are read, and their names. Short because all codecs import it."""

from typing import Literal

ImageKind = Literal["jpeg", "png", "webp", "gif", "bmp", "tiff", "jp2", "avif"]

NAMES: dict[ImageKind, str] = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WebP",
    "gif": "GIF",
    "bmp": "BMP",
    "tiff": "TIFF",
    "jp2": "JPEG 2000",
    "avif": "AVIF",
}
