"""What lies where in a tar: members and WebDataset samples, found from the headers alone.

Payloads are seeked over; what a header says is read in `tarheaders.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from wdsremux.core.errors import SourceError
from wdsremux.core.tar.headers import (
    EXTENSIONS,
    MAX_EXTENSION_BYTES,
    REGULAR,
    Extension,
    is_sound,
    padded,
    split_name,
    stated_size,
)
from wdsremux.core.tar.ustar import BLOCK_BYTES as BLOCK

__all__ = [
    "BLOCK",
    "Member",
    "Sample",
    "group_samples",
    "read_content",
    "scan_members",
    "split_name",
]


_TAIL_BYTES = 1 << 20


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
        return self.data + padded(self.size)


@dataclass(slots=True)
class Sample:
    """Consecutive members with one key."""

    key: str
    offset: int
    members: dict[str, Member] = field(default_factory=dict)
    """By field: what follows the first dot of the base name, in lower case."""
    problem: str | None = None
    end: int = 0


def scan_members(
    file: BinaryIO, tar: str, start: int = 0, *, is_last_archive: bool = False
) -> Iterator[Member]:
    """Yield the regular members from the header at `start` on, up to the end-of-archive blocks.

    An archive that just ends between two members, without those blocks, is taken as whole, as every
    reader does. What follows the blocks is passed over, but refused with `is_last_archive` when it
    is another archive.

    Raises:
        SourceError: it is damaged; the text names the tar and the offset.

    """
    file_bytes = file.seek(0, 2)
    offset = start
    extension = Extension()
    while header := _header(file, tar, offset, file_bytes):
        kind = header[156:157]
        try:
            stated = stated_size(header)
            size = extension.size_of(header)
        except ValueError as exc:
            raise _damaged(tar, offset, str(exc)) from exc
        if kind in EXTENSIONS:
            extension.note(kind, offset, _payload(file, tar, offset, stated, file_bytes))
            offset += BLOCK + padded(stated)
            continue
        maps = _sparse_maps(file, offset) if kind == b"S" and header[482] else 0
        name = extension.name_of(header)
        member = Member(
            name=name,
            header=offset if extension.start is None else extension.start,
            data=offset + BLOCK + maps,
            size=size,
            is_sparse=extension.sparse_name is not None or kind == b"S",
        )
        if member.data + member.size > file_bytes:
            raise _damaged(tar, offset, f"the member {name!r} goes on after the end of the file")
        # Before ustar a folder was a file whose name ends with a slash.
        if kind in REGULAR and not name.endswith("/"):
            yield member
        offset = member.end
        extension = Extension()
    if is_last_archive:
        _refuse_another(file, tar, offset)


def group_samples(members: Iterable[Member]) -> Iterator[Sample]:
    """Yield samples: neighbours whose names are equal up to the first dot of the base name.

    Members that belong to no sample are left out.
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
    if not is_sound(header):
        packed = " (it is compressed: unpack it)" if header[:2] in (b"\x1f\x8b", b"BZ") else ""
        raise _damaged(tar, offset, f"this is no tar header{packed}")
    return header


def _payload(file: BinaryIO, tar: str, offset: int, size: int, file_bytes: int) -> bytes:
    if size > MAX_EXTENSION_BYTES or offset + BLOCK + size > file_bytes:
        raise _damaged(tar, offset, f"an extension header claims {size} bytes")
    return _read_at(file, offset + BLOCK, size)


def _refuse_another(file: BinaryIO, tar: str, end: int) -> None:
    """Refuse a tar in which another archive follows the zeros at its end.

    `cat` puts archives together so; no reader sees the members of any but the first.
    """
    offset = end
    while chunk := _read_at(file, offset, _TAIL_BYTES):
        rest = chunk.lstrip(b"\0")
        offset += len(chunk) - len(rest)
        if rest:
            break
    offset -= (offset - end) % BLOCK
    if is_sound(_read_at(file, offset, BLOCK)):
        raise SourceError(
            f"behind the end of the tar {tar!r} another archive follows at offset {offset}, which "
            "no reader sees; unpack it with tar --ignore-zeros and pack it again"
        )


def _sparse_maps(file: BinaryIO, offset: int) -> int:
    """Return the bytes of the blocks that continue the map of an old GNU sparse file."""
    extra = 0
    while len(block := _read_at(file, offset + BLOCK + extra, BLOCK)) == BLOCK:
        extra += BLOCK
        if not block[504]:
            break
    return extra


def _damaged(tar: str, offset: int, what: str) -> SourceError:
    return SourceError(
        f"the tar {tar!r} is damaged at offset {offset}: {what}; "
        "fetch or pack it again, or leave it out of the pattern"
    )
