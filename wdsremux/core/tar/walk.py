"""Walks the members of a tar that may be damaged, cut, or made to do harm.

Moves forward only and holds one header at a time. What a header means is decided in `headers.py`.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple, Protocol

from wdsremux.core.tar.headers import (
    EXTENSIONS,
    MAX_EXTENSION_BYTES,
    REGULAR,
    Extension,
    is_sound,
    padded,
    stated_size,
)
from wdsremux.core.tar.ustar import BLOCK_BYTES

MAX_TAIL_BYTES = 1 << 20
"""How much of the bytes after the end blocks is read; more than that is not padding."""
_COMPRESSED = (b"\x1f\x8b", b"BZ", b"\xfd7", b"\x28\xb5", b"\x04\x22")


class TarFault(Exception):  # noqa: N818 (it ends the walk of one tar and becomes a finding)
    """Why a walk ended early: the tar ends within a member, or a header is damaged."""

    def __init__(self, kind: Literal["cut", "damaged"], detail: str, offset: int) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.offset = offset


class Member(NamedTuple):
    """A member of a tar; when the walk yields it, the reader is at its content."""

    name: str
    kind: bytes
    """Its type flag."""
    header: int
    """Offset of its first header, those that only extend it included."""
    data: int
    """Offset of its content."""
    size: int
    is_extended: bool
    """Whether PAX or GNU headers precede its own."""
    is_sparse: bool

    @property
    def is_regular(self) -> bool:
        """Whether it is a file; before ustar a folder was a file whose name ends with a slash."""
        return self.kind in REGULAR and not self.name.endswith("/")

    @property
    def end(self) -> int:
        """Offset after its content and padding."""
        return self.data + padded(self.size)


class TarReader(Protocol):
    """Reads a tar from front to back: a `BlockReader` every byte, a `SeekReader` headers only."""

    offset: int
    """Of the next byte."""
    size_bytes: int
    """Of the file."""

    def take(self, size_bytes: int) -> bytes:
        """Return the next bytes, fewer at the end of the file."""

    def skip(self, size_bytes: int) -> int:
        """Pass over bytes and return how many there were."""


class SeekReader:
    """Reads a seekable file where the walk asks for bytes, and seeks over all others.

    The file should be unbuffered. Its position may be changed between two calls.
    """

    def __init__(self, file: BinaryIO, offset: int = 0) -> None:
        self._file = file
        self.offset = offset
        self.size_bytes = file.seek(0, os.SEEK_END)

    def take(self, size_bytes: int) -> bytes:
        """Return the next bytes, fewer at the end of the file."""
        self._file.seek(self.offset)
        data = self._file.read(size_bytes)
        # An unbuffered file may return a part of what is there.
        while 0 < len(data) < size_bytes and (more := self._file.read(size_bytes - len(data))):
            data += more
        self.offset += len(data)
        return data

    def skip(self, size_bytes: int) -> int:
        """Pass over bytes, also where the padding of the last member is missing."""
        self.offset += size_bytes
        return size_bytes


class TarWalk:
    """The walk of one tar."""

    def __init__(self, reader: TarReader) -> None:
        self._reader = reader
        self.end = 0
        """Offset after the last member, known when the walk is over."""
        self.has_end_blocks = False

    def members(self) -> Iterator[Member]:
        """Yield the members; content that is not taken from the reader is passed over.

        An archive that ends between two members, without end blocks, ends the walk like any other.
        Raises TarFault where the tar is cut or damaged.
        """
        extension = Extension()
        while header := self._header():
            offset = self._reader.offset - BLOCK_BYTES
            kind = header[156:157]
            size = self._size(header, extension, offset)
            if kind in EXTENSIONS:
                extension.note(kind, offset, self._payload(size, offset))
                continue
            if kind == b"S" and header[482]:
                self._pass_sparse_maps()
            member = Member(
                name=extension.name_of(header),
                kind=kind,
                header=offset if extension.start is None else extension.start,
                data=self._reader.offset,
                size=size,
                is_extended=extension.start is not None,
                is_sparse=extension.sparse_name is not None or kind == b"S",
            )
            if member.data + member.size > self._reader.size_bytes:
                raise TarFault("cut", f"{member.name[:200]!r} is cut off", member.header)
            yield member
            self._pass_member(member)
            self.end = member.end
            extension = Extension()

    def tail(self) -> int | None:
        """Read what follows the end of the archive; return the offset of data, None for zeros.

        Call it after `members`.
        """
        left = self._reader.size_bytes - self._reader.offset
        if left > MAX_TAIL_BYTES:
            return self._reader.offset
        offset = self._reader.offset
        tail = self._reader.take(left)
        rest = tail.lstrip(b"\0")
        return offset + len(tail) - len(rest) if rest else None

    def _header(self) -> bytes:
        """Return the next header; nothing at the end of the archive."""
        offset = self._reader.offset
        header = self._reader.take(BLOCK_BYTES)
        if not header:
            return b""
        if len(header) < BLOCK_BYTES:
            raise TarFault("cut", f"{len(header)} of 512 header bytes", offset)
        if not any(header):
            # One zero block ends the archive for every reader; the second may be missing.
            self.has_end_blocks = self._reader.take(BLOCK_BYTES) == bytes(BLOCK_BYTES)
            return b""
        if not is_sound(header):
            packed = header.startswith(_COMPRESSED) and offset == 0
            raise TarFault("damaged", "it is compressed" if packed else "", offset)
        return header

    def _size(self, header: bytes, extension: Extension, offset: int) -> int:
        try:
            size = extension.size_of(header)
            if header[156:157] in EXTENSIONS:
                size = stated_size(header)
        except ValueError as exc:
            raise TarFault("damaged", str(exc), offset) from exc
        left = self._reader.size_bytes - self._reader.offset
        if size > left:
            raise TarFault(
                "cut",
                f"{extension.name_of(header)[:200]!r} claims {size} bytes, but {left} follow",
                offset,
            )
        return size

    def _payload(self, size: int, offset: int) -> bytes:
        """Return the content of an extension header."""
        if size > MAX_EXTENSION_BYTES:
            raise TarFault("damaged", f"an extension header claims {size} bytes", offset)
        payload = self._reader.take(size)
        self._reader.skip(padded(size) - size)
        return payload

    def _pass_sparse_maps(self) -> None:
        """Pass over the blocks that continue the map of an old GNU sparse file."""
        while len(block := self._reader.take(BLOCK_BYTES)) == BLOCK_BYTES:
            if not block[504]:
                return

    def _pass_member(self, member: Member) -> None:
        left = member.end - self._reader.offset
        if self._reader.skip(left) < left:
            raise TarFault("cut", f"{member.name[:200]!r} is cut off", member.header)
