"""The checksums of S3: CRC64NVME in base64, MD5 of an object and of the MD5s of its parts.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property

from awscrt import checksums

MIB = 1 << 20
MAX_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a file that is sent in several."""

    number: int
    """From 1, as S3 counts."""
    offset: int
    size_bytes: int


@dataclass(frozen=True)
class Piece:
    """The bytes of one part, or of a small file; checksums are computed when they are needed."""

    data: bytes

    @cached_property
    def md5(self) -> bytes:
        """The MD5: it takes three times the CPU of all others together."""
        return md5(self.data)

    @cached_property
    def crc64(self) -> str:
        """The CRC64NVME in base64, as in S3's headers."""
        return crc64_text(self.data)


def parts_of(size_bytes: int, part_bytes: int) -> list[Part]:
    """Cut a file: all parts but the last have one size, and there are never too many."""
    least = -(-size_bytes // MAX_PARTS)
    size = max(part_bytes, -(-least // MIB) * MIB)
    offsets = range(0, max(size_bytes, 1), size)
    return [Part(i + 1, at, min(size, size_bytes - at)) for i, at in enumerate(offsets)]


class FileSums:
    """The sums of a file that is read in order, part by part."""

    def __init__(self, *, has_md5: bool) -> None:
        """`has_md5` adds what the ETag is made from: only for servers that check nothing better."""
        self._has_md5 = has_md5
        self.size_bytes = 0
        self._sha256 = hashlib.sha256()
        self._crc64 = 0
        self._md5s: list[bytes] = []

    def add(self, data: bytes) -> Piece:
        """Add the next part and return it with its sums."""
        self.size_bytes += len(data)
        self._sha256.update(data)
        self._crc64 = checksums.crc64nvme(data, self._crc64)
        piece = Piece(data)
        if self._has_md5:
            self._md5s.append(piece.md5)
        return piece

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of all parts together, hexadecimal."""
        return self._sha256.hexdigest()

    @property
    def crc64(self) -> str:
        """Return the CRC64NVME of all parts together, in base64."""
        return base64_text(self._crc64.to_bytes(8, "big"))

    @property
    def etag(self) -> str:
        """Return the ETag of servers that make it from MD5s."""
        if len(self._md5s) == 1:
            return self._md5s[0].hex()
        return etag_of_parts(self._md5s)


def etag_of_parts(md5s: list[bytes]) -> str:
    """Return the ETag of an object that was sent in parts with these MD5s."""
    return f"{md5(b''.join(md5s)).hex()}-{len(md5s)}"


def crc64_text(data: bytes) -> str:
    """Return the CRC64NVME in base64."""
    return base64_text(checksums.crc64nvme(data).to_bytes(8, "big"))


def md5(data: bytes) -> bytes:
    """Return the MD5, which detects accidents here, not malice."""
    return hashlib.md5(data, usedforsecurity=False).digest()


def base64_text(data: bytes) -> str:
    """Return bytes as in the headers of S3."""
    return base64.b64encode(data).decode()
