"""The contract of a target: where finished files are published."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, runtime_checkable

ProofLevel = Literal["absent", "differs", "unverified", "etag", "checksum", "reread"]
"""How sure it is that a target holds a file, from no to yes:

* `absent`, `differs`: it does not;
* `unverified`: only its size, or what we said of it ourselves, can be had;
* `etag`: the server's MD5 (of the whole, or of the parts' MD5s) is that of our bytes;
* `checksum`: a checksum that the server is known to compute itself is that of our bytes;
* `reread`: the bytes were read back and have the same SHA-256.
"""


class Staged(Protocol):
    """A file on its way: nobody sees it under its final name before `commit` returns."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of data, or raise TargetError."""

    def commit(self) -> None:
        """Publish the file whole and synced, or raise TargetError and leave nothing behind."""

    def discard(self) -> None:
        """Remove the unfinished file. Harmless after `commit` and when called twice."""


class Target(Protocol):
    """A place for whole files; names use "/" and are relative to the target's root.

    What must hold: a file that is listed is whole; publishing replaces an older file of that name
    in one instant; a published file is never edited.
    """

    def stage(self, name: str) -> Staged:
        """Begin a new file."""

    def open(self, name: str) -> BinaryIO:
        """Open a published file for reading; raises FileNotFoundError."""

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield (name, size in bytes) of the published files under a folder, sorted by name."""

    def remove(self, name: str) -> None:
        """Remove a published file; no error when it is not there."""

    def free_bytes(self) -> int | None:
        """Return how many bytes there is room for; None where nobody knows."""

    def lock(self) -> AbstractContextManager[bool]:
        """Keep other runs away while the block runs; gives whether the run before died.

        Removes what a killed run left unpublished. Raises TargetError naming who is there.
        """


@dataclass(frozen=True, slots=True)
class Sums:
    """What a file's bytes are known by."""

    size_bytes: int
    sha256: str
    """Hexadecimal."""
    receipt: Mapping[str, str] = field(default_factory=dict)
    """What the target said of these bytes when it took them (`Proof.receipt`), if it did."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How sure it is that a target holds a file with certain bytes."""

    level: ProofLevel
    how: str = ""
    """What was compared, for people: "CRC64NVME of the whole object"."""
    receipt: Mapping[str, str] = field(default_factory=dict)
    """Checksums by which the target can be asked again without the bytes at hand."""
    is_noted: bool = False
    """Whether the SHA-256 that we noted beside the file when we sent it is that of these bytes. It
    proves nothing of what arrived, but who sends need not begin again for it.
    """

    @property
    def is_there(self) -> bool:
        """Whether nothing says that the file is another."""
        return self.level not in ("absent", "differs")


class RemoteTarget(Target, Protocol):
    """A target to which finished files are carried, and which can prove that it holds them."""

    @property
    def url(self) -> str:
        """What people call the target; holds no credentials."""

    def put(
        self, name: str, path: Path, sums: Sums, on_bytes: Callable[[int], None] = ...
    ) -> Proof:
        """Publish a copy of a file of this machine whole, or raise TargetError and leave nothing.

        What came over from an earlier try is not sent again where the target allows that.
        `on_bytes` is told how many more bytes are there; may be called by several threads.
        Raises TargetError when the bytes that arrived, or those of `path`, are not those of `sums`.
        """

    def prove(self, name: str, sums: Sums, path: Path | None = None) -> Proof:
        """Return how sure it is that `name` has these bytes, without reading them over a network.

        With `path`, where the same bytes lie on this machine, more can be compared. Raises
        TargetError when the target cannot be asked.
        """


@dataclass(frozen=True, slots=True)
class Parcel:
    """A finished file of this machine that is to be published under a name."""

    name: str
    path: Path
    sums: Sums


@runtime_checkable
class BulkTarget(RemoteTarget, Protocol):
    """A remote target that takes many files far better together than one by one."""

    def put_many(
        self, parcels: Sequence[Parcel], on_bytes: Callable[[int], None] = ...
    ) -> Mapping[str, Proof]:
        """Publish copies of files as `put` does, none before one that stands ahead of it.

        So a table of contents belongs at the end. When it raises, the first so many are published.
        """

    def remove_many(self, names: Sequence[str]) -> None:
        """Remove published files; no error for those that are not there."""


@runtime_checkable
class SlottedTarget(RemoteTarget, Protocol):
    """A remote target that sends parts of files side by side, those of all files together."""

    def allow(self, jobs: int) -> None:
        """Let so many parts be on their way at once, before the first is sent."""


@runtime_checkable
class ServedTarget(RemoteTarget, Protocol):
    """A remote target on a server that its URL does not name."""

    @property
    def endpoint(self) -> str | None:
        """Where the server is, login and all; None where everybody finds it by the URL."""


@runtime_checkable
class QueueingTarget(Target, Protocol):
    """A target that publishes later what is committed to it, in the order it came."""

    def flush(self) -> None:
        """Wait until all is published; for the thread that writes."""
