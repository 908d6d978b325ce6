"""Images that a table names by path: read below one folder, and nowhere else.

Paths are untrusted data: they must not refer to other local files.
Short because local and remote tables share it.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wdsremux.core.paths import is_file
from wdsremux.sources.rows.embedded import shown
from wdsremux.sources.rows.outages import (
    DEFAULT_GIVE_UP_AFTER_S,
    is_outage,
    read_through_outages,
)
from wdsremux.sources.rows.roots import ImageRoots


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """The folder below which the files of a path column are."""

    root: str | None
    """None when the files of the dataset are not on this machine."""
    others: tuple[str, ...] = ()
    """Further folders that paths and links may refer to."""
    give_up_after_s: float = DEFAULT_GIVE_UP_AFTER_S
    """How long a share may be away."""

    def has(self, path: str) -> bool:
        """Return whether a path names a file below the folder."""
        try:
            return self.root is not None and self._find(path) is not None
        except (OSError, ValueError):
            return False

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """Return the file's contents and None, or None and what is wrong. Raises SourceError."""
        what = f"the image file {shown(path)}"
        return read_through_outages(what, self.give_up_after_s, partial(self._read, path))

    def _read(self, path: str) -> tuple[bytes | None, str | None]:
        name = shown(path)
        if "://" in path[:12]:
            return None, f"the image is a URL, {name}; download the images first"
        if self.root is None:
            return None, f"the image is in the file {name}, which the dataset does not contain"
        try:
            found = self._find(path)
            if found is None:
                return None, f"no image file {name}; name its folder with --image-root"
            return found.read_bytes(), None
        except PermissionError:
            return None, f"no permission to read the image file {name}"
        except (OSError, ValueError, RuntimeError) as exc:
            if isinstance(exc, OSError) and is_outage(exc):
                raise
            return None, str(exc) if type(exc) is _LeavesRootError else f"bad image path {name}"

    def _find(self, path: str) -> Path | None:
        found = ImageRoots(str(Path(self.root or "").resolve()), self.others).find(path)
        if found is None:
            raise _LeavesRootError(
                f"image path {shown(path)} is outside of its folder; choose another with "
                "--image-root"
            )
        return found if is_file(found) else None


class _LeavesRootError(ValueError):
    """A path that points outside of the folder."""
