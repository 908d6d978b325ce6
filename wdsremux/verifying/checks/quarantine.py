"""Moves damaged files to the quarantine folder; `repair` makes the shards again."""

import contextlib
import errno
import json
import os
from collections.abc import Sequence

from wdsremux.core.errors import StoreError
from wdsremux.core.manifest import STATE_FOLDER
from wdsremux.stores.reading.untrusted import NotAFileError, UntrustedFolder
from wdsremux.verifying.findings import Code, Finding

QUARANTINE_FOLDER = f"{STATE_FOLDER}/quarantine"

DAMAGE = frozenset(
    (
        Code.SHARD_SIZE, Code.SAMPLE_DAMAGED, Code.END_DAMAGED, Code.SHARD_SWAPPED,
        Code.BYTES_DAMAGED, Code.TAR_DAMAGED, Code.TAR_CUT, Code.NO_END_BLOCKS,
    )
)  # fmt: skip
"""Findings that mean that a shard's bytes have changed."""


def quarantine(folder: UntrustedFolder, file: str, findings: Sequence[Finding]) -> str:
    """Move a file to the quarantine folder beside a JSON of its findings; return its new name.

    Nothing is written anywhere else, and links are not followed. Raises StoreError.
    """
    parent, _, base = file.rpartition("/")
    try:
        source = folder.open_folder(parent)
        try:
            quarantine_fd = _open_quarantine(folder)
            try:
                name = _free_name(quarantine_fd, base)
                _write(quarantine_fd, f"{name}.json", findings)
                os.rename(base, name, src_dir_fd=source, dst_dir_fd=quarantine_fd)
            finally:
                os.close(quarantine_fd)
        finally:
            os.close(source)
    except OSError as exc:
        raise StoreError(
            f"cannot move {file!r} to {QUARANTINE_FOLDER!r}: {exc.strerror or exc}; "
            "make that folder writable"
        ) from exc
    return f"{QUARANTINE_FOLDER}/{name}"


def _open_quarantine(folder: UntrustedFolder) -> int:
    """Make the quarantine folder where it is missing, and open it."""
    handle = folder.open_folder()
    for part in QUARANTINE_FOLDER.split("/"):
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=handle)
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY
            below = os.open(part, flags, dir_fd=handle)
        except OSError as exc:
            if exc.errno in (errno.ELOOP, errno.ENOTDIR):
                raise NotAFileError(exc.errno, f"{part!r} is not a folder, or a link") from exc
            raise
        finally:
            os.close(handle)
        handle = below
    return handle


def _free_name(folder: int, base: str) -> str:
    """Return an unused name: files moved earlier are kept."""
    taken = set(os.listdir(folder))
    name, number = base, 1
    while name in taken or f"{name}.json" in taken:
        number += 1
        name = f"{base}.{number}"
    return name


def _write(folder: int, name: str, findings: Sequence[Finding]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    text = json.dumps([finding.to_json() for finding in findings], indent=1)
    with os.fdopen(os.open(name, flags, 0o644, dir_fd=folder), "wb") as file:
        file.write(text.encode() + b"\n")
