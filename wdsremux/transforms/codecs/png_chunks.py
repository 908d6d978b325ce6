"""Drops PNG chunks without pixels that would make Pillow refuse the whole image.

Pillow raises for text or a profile of more than 1 MB, against bombs, and for a damaged checksum in
any chunk. Such a chunk is left out before Pillow sees the file; pixels and small metadata stay.
"""

import struct
import zlib
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_BYTES = 1 << 20
"""Pillow's limit of a decompressed chunk (PngImagePlugin.MAX_TEXT_CHUNK)."""
_MAX_RATIO = 1032
"""zlib cannot compress better: a shorter chunk stays below the limit."""
_MAX_TEXT_BYTES = 16 << 20
"""Total of all text; Pillow's limit is 64 MB."""
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_PIXELS = (b"tRNS", b"acTL", b"fcTL", b"fdAT")
"""Ancillary chunks that decide pixels: never dropped."""


def png_without_harmful_chunks(data: bytes) -> bytes:
    """Return the file itself, or a copy without the chunks that Pillow would refuse."""
    kept = [data[:8]]
    start = 8
    text_bytes = 0
    for name, at, end in _chunks(data):
        size = end - at - 12
        text_bytes += size if name in _TEXT else 0
        is_harmful = _is_harmful(data, name, at, size) or text_bytes > _MAX_TEXT_BYTES
        if is_harmful and name[0] & 0x20 and name not in _PIXELS:
            kept.append(data[start:at])
            start = end
            text_bytes -= size if name in _TEXT else 0
    if start == 8:
        return data
    kept.append(data[start:])
    return b"".join(kept)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, first byte, end) of each whole chunk (PNG specification, 5.3)."""
    at = len(_SIGNATURE)
    while at + 12 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if end > len(data):
            return
        yield name, at, end
        at = end


def _is_harmful(data: bytes, name: bytes, at: int, size: int) -> bool:
    if not name[0] & 0x20:  # a critical chunk
        return False
    content = data[at + 8 : at + 8 + size]
    (checksum,) = struct.unpack_from(">I", data, at + 8 + size)
    if zlib.crc32(content, zlib.crc32(name)) != checksum:
        return True
    if size * _MAX_RATIO < _MAX_BYTES:
        return False
    if name == b"iTXt":
        _, _, rest = content.partition(b"\0")
        if rest[:1] != b"\1":  # not compressed
            return False
        content = rest[2:].split(b"\0", 2)[-1]
    elif name in (b"zTXt", b"iCCP"):
        content = content.partition(b"\0")[2][1:]
    else:
        return False
    return _is_too_large(content)


def _is_too_large(compressed: bytes) -> bool:
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(compressed, _MAX_BYTES)
    except zlib.error:
        return False  # Pillow ignores it
    return bool(inflater.unconsumed_tail)
