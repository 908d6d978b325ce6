"""Images that a table names by path: read from below one folder, and from nowhere else.

A path is the data of a stranger: it must not lead to other files of this machine.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """The folder below which the paths of a column lie."""

    root: str | None
    """None when the files of the dataset are not on this machine."""

    def has(self, path: str) -> bool:
        """Return whether a path names a file below the folder."""
        try:
            return self.root is not None and self._find(path) is not None
        except (OSError, ValueError):
            return False

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """Return the file's contents and None, or None and what is wrong."""
        if self.root is None:
            return None, f"the image lies in a file {path!r}; name its folder with --image-root"
        try:
            found = self._find(path)
            if found is None:
                return None, f"no image file {path!r}; name its folder with --image-root"
            return found.read_bytes(), None
        except PermissionError:
            return None, f"image file {path!r} may not be read"
        except (OSError, ValueError, RuntimeError) as exc:
            return None, str(exc) if type(exc) is _LeavesRootError else f"bad image path {path!r}"

    def _find(self, path: str) -> Path | None:
        root = Path(self.root or "").resolve()
        found = (root / path).resolve()  # resolved first: a symbolic link may lead out as well
        if not found.is_relative_to(root):
            raise _LeavesRootError(
                f"image path {path!r} leads out of its folder; name the right one with --image-root"
            )
        return found if found.is_file() else None


class _LeavesRootError(ValueError):
    """A path that leads out of the folder."""
