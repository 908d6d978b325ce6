"""Reads headers of JPEGs, and decodes and encodes them with libjpeg-turbo."""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import simplejpeg

from wdsremux.transforms.base import DecodeError, Pixels
from wdsremux.transforms.codecs.decode_cost import jpeg_decode_bytes
from wdsremux.transforms.codecs.pillow_formats import orientation_from_metadata

_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HUFFMAN_DCT = frozenset((0xC0, 0xC1, 0xC2))
_BARE_MARKERS = frozenset((0x01, *range(0xD0, 0xD9)))
_PROGRESSIVE = 0xC2
_START_OF_SCAN = 0xDA
_MAX_SCANS = 500
"""Every scan, even an empty one, processes all pixels: thousands of them in a few bytes keep a core
busy for hours. Encoders write about ten; libjpeg-turbo recommends this limit for untrusted files.
"""
_END_OF_IMAGE = b"\xff\xd9"
_ORIENTATION = 0x0112
_SHORT = 3
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"

_STRAY_BYTES_MAX = 4096
_STRAY_BYTES = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """The header of a JPEG."""

    size: tuple[int, int]
    """Width and height of the stored pixels, before orientation."""
    is_simple: bool
    """8-bit, Huffman-coded, and RGB or gray: what `decode` below reads."""
    orientation: int
    """EXIF orientation, 1 to 8; 1 if it is missing or invalid."""
    profile: bytes | None
    """The embedded ICC profile."""
    data_start: int
    """Where the first scan begins."""
    decode_bytes: int
    """About how many bytes decoding it takes at its peak."""


class StrayBytesError(Exception):
    """The strict decoder refuses this JPEG, a less strict one may read it."""


def read_header(data: bytes) -> JpegHeader:
    """Read the segments up to the first scan; about 5 µs.

    Layout: ITU-T T.81 annex B; Exif in APP1 (CIPA DC-008); ICC profile in APP2 (ICC.1 annex B.4).

    Raises:
        DecodeError: the header is truncated or invalid.

    """
    frame: tuple[int, int] | None = None
    app1: list[tuple[int, int]] = []
    chunks: dict[int, bytes] = {}
    for marker, start, stop in _segments(data):
        if marker == 0xE1:
            app1.append((start, stop))
        elif marker == 0xE2 and data.startswith(b"ICC_PROFILE\0", start) and stop - start > 14:
            chunks.setdefault(data[start + 12], data[start + 14 : stop])
        elif marker in _FRAME_HEADERS and stop - start >= 6:
            frame = (marker, start)
    if frame is None:
        raise DecodeError("broken JPEG: no frame header")
    kind, offset = frame
    precision, height, width, components = struct.unpack_from(">BHHB", data, offset)
    if not width or not height:
        raise DecodeError(f"broken JPEG: its header says {width} x {height} pixels")
    # The last segment was the first scan's header, which begins with its number of components.
    held = kind == _PROGRESSIVE or data[start : start + 1] < bytes((components,))
    if held:
        _check_scans(data, stop)
    profile = b"".join(chunks[number] for number in sorted(chunks)) or None
    gray = components == 1 and profile is None
    simple = kind in _HUFFMAN_DCT and precision == 8 and (components == 3 or gray)
    orientation = _orientation(data, app1)
    factors = data[offset + 7 : offset + 6 + 3 * components : 3]
    needed = jpeg_decode_bytes((width, height), [(f >> 4, f & 15) for f in factors], held=held)
    return JpegHeader((width, height), simple, orientation, profile, stop, needed)


def _check_scans(data: bytes, first_data: int) -> None:
    """Raise DecodeError for more scans than an encoder writes."""
    scans = 1 + data.count(bytes((0xFF, _START_OF_SCAN)), first_data)
    if scans > _MAX_SCANS:
        raise DecodeError(f"broken JPEG: it has {scans} scans, more than {_MAX_SCANS}")


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, first byte, end) of each segment's content up to the first scan's header."""
    at = 2
    marker = 0
    while marker != _START_OF_SCAN:
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            raise DecodeError("truncated JPEG: it ends within its header")
        marker = data[at + 1]
        if marker in (0x00, 0xFF) or marker in _BARE_MARKERS:
            at += 1 if marker == 0xFF else 2
            continue
        stop = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if stop > len(data) or marker == _END_OF_IMAGE[1]:
            raise DecodeError("truncated JPEG: it ends within its header")
        yield marker, at + 4, stop
        at = stop


def _orientation(data: bytes, segments: Sequence[tuple[int, int]]) -> int:
    """Return the orientation in APP1 segments, by Pillow's rules.

    Pillow itself decides what is rare: several Exif segments, which it joins, unusual types, broken
    blocks, and XMP where Exif has no tag.
    """
    exif = [data[start + 6 : stop] for start, stop in segments if data.startswith(_EXIF, start)]
    tag = _tag(exif[0]) if exif else 0
    xmp = [
        data[start + len(_XMP) : stop] for start, stop in segments if data.startswith(_XMP, start)
    ]
    in_xmp = xmp[-1] if xmp and not tag and b"tiff:Orientation" in xmp[-1] else b""
    if len(exif) > 1 or tag is None or in_xmp:
        return orientation_from_metadata(_EXIF + b"".join(exif) if exif else b"", in_xmp)
    return tag if 1 <= tag <= 8 else 1


def _tag(tiff: bytes) -> int | None:
    """Return the orientation in the first directory of an Exif block; 0 if it is missing.

    Returns None for a block that is broken, or a tag that is not one SHORT.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    found = 0
    try:
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, directory)
        for offset in range(directory + 2, directory + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", tiff, offset)
            if tag == _ORIENTATION:
                if kind != _SHORT or count != 1:
                    return None
                # Out of range is not missing: it hides the tag in XMP.
                found = struct.unpack_from(order + "H", tiff, offset + 8)[0] or 9
    except struct.error:
        return None
    return found


def check_end(data: bytes, header: JpegHeader) -> None:
    """Raise DecodeError if the end marker is missing; the pixels are not checked."""
    if not has_end(data, header):
        raise DecodeError("truncated JPEG: its end marker is missing")


def has_end(data: bytes, header: JpegHeader) -> bool:
    """Return whether there is an end marker.

    An embedded thumbnail has its own end marker: only what follows the first scan counts.
    """
    return data.rfind(_END_OF_IMAGE, header.data_start) >= 0


def decode(data: bytes, header: JpegHeader, divisor: int, space: str) -> Pixels:
    """Return the stored pixels at 1/divisor of their size, rounded up; `space` is simplejpeg's.

    Raises:
        StrayBytesError: the data holds a few extra bytes; a less strict decoder may read it.
        DecodeError: the data is truncated or damaged.

    """
    width, height = header.size
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(
            data,
            space,
            fastdct=False,
            fastupsample=False,
            min_height=-(-height // divisor),
            min_width=-(-width // divisor),
            min_factor=divisor,
            strict=True,
        )
    except ValueError as exc:
        raise _translated(str(exc)) from exc
    return pixels


def _translated(message: str) -> Exception:
    """Distinguish harmless warnings of libjpeg from those that mean lost pixels."""
    lowered = message.lower()
    if "premature end" in lowered:
        return DecodeError(f"truncated JPEG: {message}")
    stray = _STRAY_BYTES.search(lowered)
    if stray:
        restarts = 0xD0 <= int(stray[2], 16) <= 0xD7
        harmless = not restarts and int(stray[1]) <= _STRAY_BYTES_MAX
        return StrayBytesError(message) if harmless else DecodeError(f"broken JPEG: {message}")
    if "invalid sos parameters" in lowered:  # written by some phones; the scan itself is whole
        return StrayBytesError(message)
    if "subsampling" in lowered:  # TurboJPEG knows only six kinds, libjpeg decodes all
        return StrayBytesError(message)
    return DecodeError(f"broken JPEG: {message}")


def encode(pixels: Pixels, quality: int, subsampling: str) -> bytes:
    """Return a baseline JPEG with standard tables and no metadata except JFIF."""
    space = "RGBX" if pixels.shape[2] == 4 else "RGB"
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality, space, subsampling, fastdct=False
    )
    return encoded
