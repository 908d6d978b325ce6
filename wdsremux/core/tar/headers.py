"""Parses the headers of foreign tars, one 512-byte block at a time; reads no file itself.

POSIX ustar and pax (IEEE Std 1003.1-2008, pax) and the GNU extensions for long names and sizes.
Python's `tarfile` is not used: it keeps every member it has seen, stops silently where an archive
is damaged, and takes several times as long.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from wdsremux.core.tar.ustar import BLOCK_BYTES

MAX_EXTENSION_BYTES = 1 << 20
"""An extension header that claims more is damaged, or an attack."""
REGULAR = b"\x0007S"
"""Types of regular files: before ustar, ustar, contiguous, GNU sparse."""
SIZELESS = b"123456"
"""Links, devices, folders, FIFOs: whatever their size field says, nothing follows them."""
EXTENSIONS = b"xLKgX"
"""Types of headers that only extend the next member (g: all that follow)."""

_MAX_DIGITS = 20


def is_sound(header: bytes) -> bool:
    """Return whether the checksum of a header is right; it counts its own field as blanks."""
    try:
        stated = int(header[148:156].strip(b" \0"), 8)
    except ValueError:
        return False
    # Most bytes of a header are zeros: to sum up the others is three times as fast.
    others = (header[:148] + header[156:]).translate(None, b"\0")
    plain = sum(others) + 8 * 32
    # Some old writers summed the bytes as signed numbers.
    return stated == plain or stated == plain - 256 * sum(byte > 127 for byte in others)


def stated_size(header: bytes) -> int:
    """Return the size in a header: octal digits, or binary as GNU writes large ones.

    Raises ValueError, which names the bytes found instead.
    """
    digits = header[124:136]
    if digits[0] == 0x80:
        return int.from_bytes(digits[1:], "big")
    text = digits.strip(b" \0")
    if not text:
        return 0
    if text.translate(None, b"01234567"):
        raise ValueError(f"the header holds {digits!r} for a number")
    return int(text, 8)


def stated_name(header: bytes) -> str:
    """Return the name in a header, with the ustar prefix if there is one."""
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return text_from_name(prefix + b"/" + name if prefix else name)


def text_from_name(name: bytes) -> str:
    """Return a stored name as a string; bytes that are not UTF-8 become escapes."""
    return name.decode("utf-8", "backslashreplace")


def padded(size: int) -> int:
    """Return a size rounded up to whole blocks."""
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


@dataclass(slots=True)
class Extension:
    """What extension headers record of the member that follows; they hold for that member only."""

    start: int | None = None
    """Offset of the first of them."""
    path: str | None = None
    size: int | None = None
    sparse_name: str | None = None
    """Not None when the member is a sparse file."""

    def note(self, kind: bytes, offset: int, payload: bytes) -> None:
        """Take over the content of an extension header of this type."""
        if kind in b"xLX" and self.start is None:
            self.start = offset
        if kind == b"L":
            self.path = text_from_name(payload.rstrip(b"\0"))
        if kind not in b"xX":
            return  # "K" is a link's target, "g" holds for all members: neither names nor sizes one
        for keyword, value in _pax_records(payload):
            self._note_record(keyword, value)

    def _note_record(self, keyword: str, value: bytes) -> None:
        if keyword == "path":
            self.path = text_from_name(value)
        elif keyword == "size" and value.isdigit() and len(value) <= _MAX_DIGITS:
            self.size = int(value)
        elif keyword == "GNU.sparse.name":
            self.sparse_name = text_from_name(value)
        elif keyword.startswith("GNU.sparse.") and self.sparse_name is None:
            self.sparse_name = ""

    def name_of(self, header: bytes) -> str:
        """Return the name of the member that follows."""
        return self.sparse_name or self.path or stated_name(header)

    def size_of(self, header: bytes) -> int:
        """Return how many bytes follow the header. Raises ValueError."""
        if header[156:157] in SIZELESS:
            return 0
        return stated_size(header) if self.size is None else self.size


def _pax_records(payload: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the records "LENGTH KEYWORD=VALUE newline" as far as they have this form."""
    at = 0
    while at < len(payload):
        blank = payload.find(b" ", at, at + _MAX_DIGITS + 1)
        digits = payload[at:blank]
        if blank < 0 or not digits.isdigit():
            return
        end = at + int(digits)
        if not blank + 1 < end <= len(payload):
            return
        keyword, _, value = payload[blank + 1 : end - 1].partition(b"=")
        yield keyword.decode("utf-8", "replace"), value
        at = end


def split_name(name: str) -> tuple[str, str]:
    """Return (key, field) of a member name; ("", "") when it belongs to no sample.

    The rule of WebDataset: the key ends at the first dot of the base name. Its meta members
    (`__name__`), hidden files and names without a dot are left out.
    """
    folder, slash, base = name.rpartition("/")
    stem, dot, suffixes = base.partition(".")
    if not dot or not stem or _is_meta(stem) or _is_meta(name.split("/", 1)[0]):
        return "", ""
    return f"{folder}{slash}{stem}", suffixes.lower()


def _is_meta(name: str) -> bool:
    return len(name) > 3 and name.startswith("__") and name.endswith("__")
