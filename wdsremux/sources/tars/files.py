"""The files that hold tars: found by a pattern, checked, opened; a tar may be within another."""

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import BinaryIO, cast

from braceexpand import braceexpand

from wdsremux.core.errors import SourceError
from wdsremux.core.option_values import counted
from wdsremux.core.paths import exists, is_folder
from wdsremux.core.tar.ustar import BLOCK_BYTES
from wdsremux.core.tar.walk import SeekReader
from wdsremux.sources.tars.survey import refuse_compressed


@dataclass(frozen=True, slots=True)
class InnerTar:
    """A member of a tar that is a tar itself."""

    name: str
    offset: int
    """Of its content in the outer tar."""
    size_bytes: int

    @property
    def class_name(self) -> str:
        """The class that it is named after."""
        return self.name.rpartition("/")[2].removesuffix(".tar")


@dataclass(frozen=True, slots=True)
class TarFile:
    """A tar: a file, or a member of one."""

    path: str
    inner: InnerTar | None = None

    @property
    def name(self) -> str:
        """Its name in messages."""
        outer = Path(self.path).name
        return outer if self.inner is None else f"{outer}/{self.inner.name}"

    def open(self) -> BinaryIO:
        """Return the tar as an unbuffered file. Raises SourceError."""
        file = opened(self.path)
        # It has what readers of tars call.
        return file if self.inner is None else cast("BinaryIO", _PartOfFile(file, self.inner))


class _PartOfFile(io.RawIOBase):
    """A part of a seekable file, as a file; for one thread."""

    def __init__(self, file: BinaryIO, part: InnerTar) -> None:
        super().__init__()
        self._file = file
        self._part = part
        self._at = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move within the part; `whence` is as in `io`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._part.size_bytes}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of the part."""
        left = max(0, self._part.size_bytes - self._at)
        wanted = left if size < 0 else min(size, left)
        data = SeekReader(self._file, self._part.offset + self._at).take(wanted)
        self._at += len(data)
        return data

    def close(self) -> None:
        """Close the whole file."""
        self._file.close()
        super().close()


def opened(path: str | Path) -> BinaryIO:
    """Return the file, unbuffered. Raises SourceError."""
    try:
        # Unbuffered: the payload between two headers is not read, or only once.
        return Path(path).open("rb", buffering=0)
    except OSError as exc:
        raise SourceError(
            f"cannot read the tar {str(path)!r}: {exc.strerror}; check the path"
        ) from exc


def size_of(path: Path) -> int:
    """Return the size of a file. Raises SourceError."""
    try:
        return path.stat().st_size
    except OSError as exc:
        raise SourceError(
            f"cannot read the tar {str(path)!r}: {exc.strerror}; check the path"
        ) from exc


def check_size(path: Path) -> None:
    """Refuse a file that is compressed, or not as long as a tar. Raises SourceError."""
    size = size_of(path)
    if size:
        with opened(path) as file:
            refuse_compressed(path, file.read(8))
    if size == 0 or size % BLOCK_BYTES:
        raise SourceError(
            f"{path.name!r} is not a complete tar: its size, {size} bytes, is not a multiple of "
            f"{BLOCK_BYTES}; download or pack it again, or exclude it from the pattern"
        )


def notes_on_ends(paths: Sequence[Path]) -> Iterator[str]:
    """Yield a note on tars that end without end blocks: a copy or a writer may have been cut."""
    without = [path.name for path in paths if not _has_end_block(path)]
    if without:
        yield (
            f"{counted(len(without), 'tar')} without end blocks, for example {without[0]!r}: the "
            "last samples may be missing, if a copy or the program that wrote it was interrupted; "
            "compare its size with the original"
        )


def _has_end_block(path: Path) -> bool:
    with opened(path) as file:
        return not any(SeekReader(file, max(0, size_of(path) - BLOCK_BYTES)).take(BLOCK_BYTES))


def paths_of(pattern: str) -> list[Path]:
    """Return the files of a pattern, a file or a folder, in order. Raises SourceError."""
    folder = Path(pattern)
    if is_folder(folder):
        found = sorted(map(str, folder.glob("*.tar")), key=os.fsencode)
        if not found:
            raise SourceError(
                f"no .tar file in the folder {pattern!r}; pass a pattern such as 'x/*.tar'"
            )
        return [Path(name) for name in found]
    if exists(folder):
        return [folder]
    try:
        names = list(braceexpand(pattern))
    except ValueError as exc:
        raise SourceError(f"the braces of {pattern!r} do not match; write {{000..009}}") from exc
    paths = []
    for name in names:
        matches = [name] if exists(name) else sorted(glob(name), key=os.fsencode)  # noqa: PTH207 (any path)
        if not matches:
            raise SourceError(f"no file {name!r}; check the pattern {pattern!r}")
        paths += matches
    return [Path(name) for name in dict.fromkeys(paths)]
