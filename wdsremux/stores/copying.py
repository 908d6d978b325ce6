"""Copies a finished file to a folder of any mount, and proves the copy.

A NAS may accept bytes and lose them, run full when a file is closed, or refuse names that others
allow. So the bytes are hashed while they are read, and read back before the file gets its name.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from wdsremux.core.errors import StoreError
from wdsremux.core.option_values import shortened
from wdsremux.stores.base import Sums
from wdsremux.stores.reading.untrusted import open_below

BLOCK_BYTES = 1 << 20
MAX_NAME_BYTES = 255
_FORBIDDEN = re.compile(r'[<>:"\\|?*\x00-\x1f]')
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def refuse_name(name: str) -> None:
    """Raise StoreError for a name that a share of Windows would change or refuse.

    Rules: "Naming Files, Paths, and Namespaces", learn.microsoft.com/windows/win32/fileio.
    """
    for part in name.split("/"):
        is_device = _DEVICE.fullmatch(part) is not None
        if _FORBIDDEN.search(part) or part.endswith((".", " ")) or is_device or part == "":
            raise StoreError(
                f"cannot write {name!r}: Windows shares do not allow that name; use names of "
                "letters, digits, '.', '_' and '-'"
            )
        if len(os.fsencode(part)) > MAX_NAME_BYTES:
            raise StoreError(
                f"cannot write {shortened(name)!r}: the name is longer than {MAX_NAME_BYTES} bytes"
            )


def write_all(handle: int, data: bytes) -> None:
    """Write all of data: a full disk, or a mount, may accept only a part of it at once.

    Raises OSError.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def opened_file(path: Path) -> BinaryIO:
    """Open a file of a dataset on this machine; a link or a device is refused. Raises OSError."""
    return os.fdopen(open_below(path.parent, path.name), "rb")


def read_blocks(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Yield the bytes of a file of this machine; raises StoreError where it cannot be read."""
    try:
        with opened_file(path) as file:
            while block := file.read(block_bytes):
                yield block
    except OSError as exc:
        raise StoreError(
            f"cannot read {str(path)!r}: {exc.strerror or exc}; check the disk"
        ) from exc


def hashed_blocks(path: Path, sums: Sums) -> Iterator[bytes]:
    """Yield a file's bytes; raises StoreError at the end when they differ from `sums`.

    Also when the file cannot be read: trying again does not help then.
    """
    digest, size_bytes = hashlib.sha256(), 0
    for block in read_blocks(path):
        digest.update(block)
        size_bytes += len(block)
        yield block
    if (size_bytes, digest.hexdigest()) != (sums.size_bytes, sums.sha256):
        raise StoreError(
            f"{str(path)!r} is damaged: it has {size_bytes} bytes, but {sums.size_bytes} are "
            "recorded"
            if size_bytes != sums.size_bytes
            else f"{str(path)!r} is damaged: its SHA-256 differs from the recorded one"
        )


def sha256_of(file: FileIO) -> str:
    """Return the SHA-256 of an open file, read from the disk.

    The page cache of the file is dropped before, where the system can do that.
    """
    digest = hashlib.sha256()
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
