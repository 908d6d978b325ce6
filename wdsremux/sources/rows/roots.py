"""The folders below which image files of a source may be: the bounds of every path and link.

Paths in tables and symbolic links are untrusted data: they must not refer to other local files.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class ImageRoots:
    """Folders that bound the image files of a source; made by `image_roots`."""

    base: str
    """Resolved folder that relative paths start from."""
    others: tuple[str, ...] = ()
    """Resolved folders that may be referred to as well."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders."""
        return tuple(Path(each) for each in (self.base, *self.others))

    def find(self, path: str) -> Path | None:
        """Return the resolved path of a file, None when it is outside. Raises ValueError, OSError.

        The file need not exist.
        """
        # Resolved first: a symbolic link may point outside as well.
        found = Path(os.path.realpath(os.path.join(self.base, path)))  # noqa: PTH118 (must not drop "..")
        return found if self.allow(found) else None

    def allow(self, resolved: Path) -> bool:
        """Return whether a resolved path is inside."""
        return any(resolved.is_relative_to(root) for root in (self.base, *self.others))

    def rebased(self, folder: str) -> "ImageRoots":
        """Return the same bounds for paths that start from another folder of them."""
        return ImageRoots(folder, tuple(dict.fromkeys((self.base, *self.others))))


def image_roots(folder: Path, image_root: str | os.PathLike[str] | None = None) -> ImageRoots:
    """Return the bounds of a source in a folder: itself, --image-root and the Hub cache behind it.

    A folder that `huggingface_hub` downloaded holds links to `blobs/` beside its `snapshots/`.
    """
    own = os.path.realpath(folder)
    base = own if image_root is None else os.path.realpath(Path(image_root).expanduser())
    return ImageRoots(base, tuple(dict.fromkeys((own, *_blobs_of(Path(own).parts)))))


def _blobs_of(parts: Sequence[str]) -> list[str]:
    for number, part in enumerate(parts[:-1]):
        if part == "snapshots" and _COMMIT.fullmatch(parts[number + 1]):
            blobs = Path(*parts[:number], "blobs")
            return [os.path.realpath(blobs)] if blobs.is_dir() else []
    return []
