"""The contract of a target: where finished files are published."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol


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
