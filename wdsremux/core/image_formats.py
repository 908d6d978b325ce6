"""Which file names count as images: one list for folders, tars and columns of paths."""

from collections.abc import Iterable
from pathlib import PurePosixPath

IMAGE_EXTENSIONS = frozenset(
    {
        "apng",
        "avif",
        "avifs",
        "blp",
        "bmp",
        "bufr",
        "bw",
        "cur",
        "dcx",
        "dds",
        "dib",
        "emf",
        "eps",
        "fit",
        "fits",
        "flc",
        "fli",
        "ftc",
        "ftu",
        "gbr",
        "gif",
        "grib",
        "icb",
        "icns",
        "ico",
        "iim",
        "im",
        "j2c",
        "j2k",
        "jfif",
        "jp2",
        "jpc",
        "jpe",
        "jpeg",
        "jpf",
        "jpg",
        "jpx",
        "msp",
        "pbm",
        "pcd",
        "pcx",
        "pgm",
        "png",
        "pnm",
        "ppm",
        "ps",
        "psd",
        "pxr",
        "qoi",
        "ras",
        "rgb",
        "rgba",
        "sgi",
        "tga",
        "tif",
        "tiff",
        "vda",
        "vst",
        "webp",
        "wmf",
        "xbm",
        "xpm",
    }
)
"""Lower-case extensions of the formats that Pillow opens.

The list of `datasets` (its imagefolder and webdataset builders) with AVIF and QOI added and without
MPEG, HDF5 and PDF, which Pillow names but does not read. A fixed list: what Pillow itself reports
depends on how it was built, and the rows of a source must not.
"""

READ_EXTENSIONS = frozenset(
    (
        "apng", "avif", "avifs", "bmp", "gif", "j2c", "j2k", "jfif", "jp2", "jpc", "jpe", "jpeg",
        "jpf", "jpg", "jpx", "png", "tif", "tiff", "webp",
    )
)  # fmt: skip
"""Extensions of the formats that are decoded: see `transforms.codecs`."""

_SIGNATURES = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\x00",  # TIFF
    b"MM\x00*",
    b"\x00\x00\x00\x0cjP  ",  # JPEG 2000
    b"\xff\x4f\xff\x51",
)


def image_extension(members: Iterable[str]) -> str | None:
    """Return which member is the image, by its extension; the first where there are several."""
    return next((name for name in members if name.split(".")[-1] in IMAGE_EXTENSIONS), None)


def is_image_name(name: str) -> bool:
    """Return whether a file name has the extension of an image."""
    return PurePosixPath(name).suffix[1:].lower() in IMAGE_EXTENSIONS


def is_image_start(data: bytes) -> bool:
    """Return whether bytes begin as one of the common image formats does."""
    if data.startswith(_SIGNATURES):
        return True
    return (data[:4] == b"RIFF" and data[8:12] == b"WEBP") or data[4:12] in (
        b"ftypavif",
        b"ftypavis",
    )
