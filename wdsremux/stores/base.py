"""The contract of a store: where finished files are published."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

from wdsremux.core.errors import CorruptDataError, UnreachableStoreError

ProofLevel = Literal["absent", "differs", "unverified", "etag", "checksum", "reread"]
"""How sure it is that a store holds a file, from no to yes:

* `absent`, `differs`: it does not;
* `unverified`: the store reports only its size, or what we noted beside it ourselves;
* `etag`: the MD5 of the server (of the whole, or of the MD5s of the parts) is that of our bytes, or
  the object has the ETag that it had when its bytes were proven;
* `checksum`: a checksum that the server is known to compute itself is that of our bytes;
* `reread`: the bytes were read back and have the same SHA-256.
"""


@dataclass(frozen=True, slots=True)
class Sums:
    """What identifies the bytes of a file."""

    size_bytes: int
    sha256: str
    """Hexadecimal."""
    receipt: Mapping[str, str] = field(default_factory=dict)
    """What the store reported of these bytes when it stored them (`Proof.receipt`), if anything."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How sure it is that a store holds a file with certain bytes."""

    level: ProofLevel
    how: str = ""
    """What was compared, for people: "CRC64NVME of the whole object"."""
    receipt: Mapping[str, str] = field(default_factory=dict)
    """Checksums by which the store can be asked again without a copy of the bytes."""
    is_noted: bool = False
    """Whether the SHA-256 that we noted beside the file when we sent it is that of these bytes.

    It does not prove what arrived, but such a file is not sent again.
    """

    @property
    def is_there(self) -> bool:
        """Whether the file exists and nothing shows that it differs."""
        return self.level not in ("absent", "differs")


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A published file as the store lists it."""

    name: str
    size_bytes: int
    etag: str = ""
    """Differs for each version of a file, as that in receipts; empty where none is listed."""

    def proof(self, sums: Sums) -> Proof | None:
        """Return the proof that it has these bytes; None where the list alone does not prove it."""
        known = sums.receipt.get("etag")
        if not self.etag or self.etag != known or self.size_bytes != sums.size_bytes:
            return None
        return Proof("etag", "the ETag in the list", sums.receipt)


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """A finished file of this machine that is to be published under a name."""

    name: str
    path: Path
    sums: Sums


class Staged(Protocol):
    """A file that is being written: its final name does not exist before `commit` returns."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of data, or raise StoreError."""

    def commit(self) -> None:
        """Publish the file whole and synced, or raise StoreError and leave nothing behind."""

    def discard(self) -> None:
        """Remove the unfinished file. Harmless after `commit` and when called twice."""


class Store(Protocol):
    """A place for whole files; names use "/" and are relative to the root of the store.

    What must hold: a file that is listed is whole; publishing replaces an older file of that name
    atomically; a published file is never edited. Stores inherit from this class: what it defines is
    right for a server that takes one file per request.
    """

    url: str
    """How users name the store; holds no credentials."""
    root: Path | None = None
    """The folder of this machine that the store is, if it is one."""
    endpoint: str | None = None
    """URL of the server, credentials included; None where the URL of the store names it."""
    files_per_call: int = 1
    """How many files `put_many` publishes in one call to the server."""

    def stage(self, name: str) -> Staged:
        """Begin a new file."""

    def put(
        self, name: str, path: Path, sums: Sums, on_bytes: Callable[[int], None] = lambda _: None
    ) -> Proof:
        """Publish a copy of a file of this machine whole, or raise StoreError and leave nothing.

        Parts that an earlier try uploaded are not sent again where the store allows that.
        `on_bytes` is called with the number of further bytes that are stored; several threads may
        call it. Raises StoreError when the bytes that arrived, or those of `path`, differ from
        those of `sums`.
        """

    def put_many(
        self, files: Sequence[OutgoingFile], on_bytes: Callable[[int], None] = lambda _: None
    ) -> Mapping[str, Proof]:
        """Publish copies of files in their order, as `put` does.

        No file is published before one ahead of it, so an index belongs at the end. When it raises,
        the files up to some point are published.
        """
        return {each.name: self.put(each.name, each.path, each.sums, on_bytes) for each in files}

    def prove(self, name: str, sums: Sums, path: Path | None = None) -> Proof:
        """Return how sure it is that `name` has these bytes, without reading them over a network.

        With `path`, a file of this machine with the same bytes, more can be compared. Raises
        StoreError when the store cannot be asked.
        """

    def open(self, name: str) -> BinaryIO:
        """Open a published file for reading; raises FileNotFoundError."""

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return the content of a small file; None when it does not exist.

        Raises CorruptDataError when it is larger than `max_bytes`, StoreError.
        """
        try:
            with self.open(name) as file:
                return read_bounded(file, name, max_bytes)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise UnreachableStoreError(
                f"cannot read {name!r} of {self.url!r}: {exc.strerror or exc}; run the same "
                "command again"
            ) from exc

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield (name, size in bytes) of the published files of one folder, sorted by name."""

    def versions(self, prefix: str = "") -> Iterator[Version]:
        """Yield the files that `list` yields, with what proves them where the store lists it."""
        yield from (Version(name, size_bytes) for name, size_bytes in self.list(prefix))

    def remove(self, name: str) -> None:
        """Remove a published file; no error when it does not exist."""

    def remove_many(self, names: Sequence[str]) -> None:
        """Remove published files; no error for those that do not exist."""
        for name in names:
            self.remove(name)

    def flush(self) -> None:
        """Wait until all that was committed is published; for the thread that writes."""
        return

    def free_bytes(self) -> int | None:
        """Return how many bytes the store has room for; None where it does not say."""
        return None

    def lock(self, part: str = "") -> AbstractContextManager[bool]:
        """Keep other runs away while the block runs; yields whether the run before died.

        With `part`, only others of that part of the output.
        Removes what a killed run left unpublished. Raises StoreError naming the holder.
        """


def read_bounded(file: BinaryIO, name: str, max_bytes: int) -> bytes:
    """Return the content of an open file. Raises CorruptDataError when it is too large.

    Memory is allocated as the bytes arrive: the size that a file claims may be wrong.
    """
    # The buffer of a store would be fetched for a file of a few bytes.
    raw: Any = file.raw if isinstance(file, io.BufferedReader) else file
    parts: list[bytes] = []
    left_bytes = max_bytes + 1
    while left_bytes and (part := raw.read(min(left_bytes, 1 << 20))):
        parts.append(part)
        left_bytes -= len(part)
    return bounded(b"".join(parts), name, max_bytes)


def bounded(data: bytes, name: str, max_bytes: int) -> bytes:
    """Return the content of a file, of which one byte more was asked for than it may have.

    Raises CorruptDataError when it came.
    """
    if len(data) > max_bytes:
        raise too_large(name, max_bytes)
    return data


def too_large(name: str, max_bytes: int) -> CorruptDataError:
    """Return the error for a file that is larger than any of its kind."""
    return CorruptDataError(
        f"cannot read {name!r}: it is larger than {max_bytes} bytes, the maximum for such a file; "
        "remove it, or check what wrote it"
    )
