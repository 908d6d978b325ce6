"""What lies where in a tar: members and WebDataset samples, found from the headers alone.

POSIX ustar and pax (IEEE Std 1003.1-2008, pax) and the GNU extensions for long names and sizes.
Payloads are seeked over. Python's `tarfile` is not used: it keeps every member it has seen, and
stops without a word where an archive is damaged.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from wdsremux.errors import SourceError

BLOCK = 512
_MAX_EXTENSION_BYTES = 1 << 20
_MAX_DIGITS = 20
_REGULAR = b"\x0007S"  # before ustar, ustar, contiguous, GNU sparse
_SIZELESS = b"123456"  # links, devices, folders, FIFOs: whatever their size field says, no payload


class Member(NamedTuple):
    """A regular file in a tar."""

    name: str
    header: int
    """Offset of its first header block, those that only extend it included."""
    data: int
    """Offset of its content."""
    size: int
    is_sparse: bool

    @property
    def end(self) -> int:
        """Offset after its content and padding."""
        return self.data + _padded(self.size)


@dataclass(slots=True)
class Sample:
    """Consecutive members with one key."""

    key: str
    offset: int
    members: dict[str, Member] = field(default_factory=dict)
    """By field: what follows the first dot of the base name, in lower case."""
    problem: str | None = None
    end: int = 0


@dataclass(slots=True)
class _Extension:
    """What extension headers say of the member that follows; it is forgotten after that."""

    start: int | None = None
    path: str | None = None
    size: int | None = None
    sparse_name: str | None = None
    """Not None when the member is a sparse file."""


def scan_members(file: BinaryIO, tar: str, start: int = 0) -> Iterator[Member]:
    """Yield the regular members from the header at `start` on, up to the end-of-archive blocks.

    An archive that just ends between two members, without those blocks, is taken as whole, as every
    reader does.

    Raises:
        SourceError: it is damaged; the text names the tar and the offset.

    """
    file_bytes = file.seek(0, 2)
    offset = start
    extension = _Extension()
    while header := _header(file, tar, offset, file_bytes):
        kind = header[156:157]
        size = _number(header[124:136], tar, offset)
        if kind in b"xLKgX":
            if kind in b"xLX":
                extension.start = offset if extension.start is None else extension.start
            _extend(extension, kind, _payload(file, tar, offset, size, file_bytes))
            offset += BLOCK + _padded(size)
            continue
        maps = _sparse_maps(file, offset) if kind == b"S" and header[482] else 0
        name = extension.sparse_name or extension.path or _name(header)
        member = Member(
            name=name,
            header=offset if extension.start is None else extension.start,
            data=offset + BLOCK + maps,
            size=0 if kind in _SIZELESS else size if extension.size is None else extension.size,
            is_sparse=extension.sparse_name is not None or kind == b"S",
        )
        if member.data + member.size > file_bytes:
            raise _damaged(tar, offset, f"the member {name!r} goes on after the end of the file")
        # Before ustar a folder was a file whose name ends with a slash.
        if kind in _REGULAR and not name.endswith("/"):
            yield member
        offset = member.end
        extension = _Extension()


def group_samples(members: Iterable[Member]) -> Iterator[Sample]:
    """Yield samples: neighbours whose names are equal up to the first dot of the base name.

    The rule of WebDataset; its meta members (`__name__`), hidden files and names without a dot are
    left out.
    """
    sample: Sample | None = None
    for member in members:
        key, name = split_name(member.name)
        if not key:
            continue
        if sample is None or sample.key != key:
            if sample is not None:
                yield sample
            sample = Sample(key, member.header)
        if name in sample.members:
            sample.problem = f"two members of the sample {key!r} are called {name!r}"
        elif member.is_sparse:
            sample.problem = f"the member {member.name!r} is stored as a sparse file; pack it again"
        sample.members[name] = member
        sample.end = member.end
    if sample is not None:
        yield sample


def split_name(name: str) -> tuple[str, str]:
    """Return (key, field) of a member name; ("", "") when it belongs to no sample."""
    folder, slash, base = name.rpartition("/")
    stem, dot, suffixes = base.partition(".")
    if not dot or not stem or _is_meta(stem) or _is_meta(name.split("/", 1)[0]):
        return "", ""
    return f"{folder}{slash}{stem}", suffixes.lower()


def _is_meta(name: str) -> bool:
    return len(name) > 3 and name.startswith("__") and name.endswith("__")


def read_content(file: BinaryIO, tar: str, member: Member) -> bytes:
    """Return a member's content. Raises SourceError when the file has become shorter."""
    content = _read_at(file, member.data, member.size)
    if len(content) < member.size:
        raise _damaged(tar, member.header, f"the member {member.name!r} is cut off")
    return content


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Return what is there of size bytes; an unbuffered file may give them in pieces."""
    file.seek(offset)
    data = file.read(size)
    while 0 < len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _header(file: BinaryIO, tar: str, offset: int, file_bytes: int) -> bytes:
    """Return a header block whose checksum is right; nothing at the end of the archive."""
    if offset >= file_bytes:
        return b""
    header = _read_at(file, offset, BLOCK)
    if len(header) < BLOCK:
        raise _damaged(tar, offset, "a header is cut off")
    if not any(header):
        return b""
    if not _is_sound(header):
        packed = " (it is compressed: unpack it)" if header[:2] in (b"\x1f\x8b", b"BZ") else ""
        raise _damaged(tar, offset, f"this is no tar header{packed}")
    return header


def _is_sound(header: bytes) -> bool:
    """Return whether the checksum of a header is right; it counts its own field as blanks."""
    try:
        stated = int(header[148:156].strip(b" \0"), 8)
    except ValueError:
        return False
    others = header[:148] + header[156:]
    plain = sum(others) + 8 * 32
    # Some old writers summed the bytes as signed numbers.
    return stated == plain or stated == plain - 256 * sum(byte > 127 for byte in others)


def _number(digits: bytes, tar: str, offset: int) -> int:
    """Return the number in a header field: octal digits, or binary as GNU writes large ones."""
    if digits[0] == 0x80:
        return int.from_bytes(digits[1:], "big")
    text = digits.strip(b" \0")
    if not text:
        return 0
    try:
        return int(text, 8) if text.isdigit() else int("", 8)
    except ValueError as exc:
        raise _damaged(tar, offset, f"the header holds {digits!r} for a number") from exc


def _payload(file: BinaryIO, tar: str, offset: int, size: int, file_bytes: int) -> bytes:
    if size > _MAX_EXTENSION_BYTES or offset + BLOCK + size > file_bytes:
        raise _damaged(tar, offset, f"an extension header claims {size} bytes")
    return _read_at(file, offset + BLOCK, size)


def _sparse_maps(file: BinaryIO, offset: int) -> int:
    """Return the bytes of the blocks that continue the map of an old GNU sparse file."""
    extra = 0
    while len(block := _read_at(file, offset + BLOCK + extra, BLOCK)) == BLOCK:
        extra += BLOCK
        if not block[504]:
            break
    return extra


def _extend(extension: _Extension, kind: bytes, payload: bytes) -> None:
    if kind == b"L":
        extension.path = _text(payload.rstrip(b"\0"))
    if kind not in b"xX":
        return  # "K" is a link's target and "g" holds for all members: neither may name or size one
    for keyword, value in _pax_records(payload):
        if keyword == "path":
            extension.path = _text(value)
        elif keyword == "size" and value.isdigit() and len(value) <= _MAX_DIGITS:
            extension.size = int(value)
        elif keyword == "GNU.sparse.name":
            extension.sparse_name = _text(value)
        elif keyword.startswith("GNU.sparse.") and extension.sparse_name is None:
            extension.sparse_name = ""


def _pax_records(payload: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the records "LENGTH KEYWORD=VALUE newline" as far as they have this form."""
    while payload:
        digits, blank, _ = payload.partition(b" ")
        if not blank or not digits.isdigit() or len(digits) > _MAX_DIGITS:
            return
        length = int(digits)
        if not len(digits) + 1 < length <= len(payload):
            return
        keyword, _, value = payload[len(digits) + 1 : length - 1].partition(b"=")
        yield keyword.decode("utf-8", "replace"), value
        payload = payload[length:]


def _name(header: bytes) -> str:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _damaged(tar: str, offset: int, what: str) -> SourceError:
    return SourceError(
        f"the tar {tar!r} is damaged at offset {offset}: {what}; "
        "fetch or pack it again, or leave it out of the pattern"
    )
