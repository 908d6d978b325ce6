"""Whether a path leads to a file or a folder, with errors of the system raised on every Python.

Since Python 3.14 `Path.is_file` and its kin return False where the system cannot answer: a share
that is away would be a dataset without files. Short because nothing else asks for paths.
"""

import errno
import os
import stat
from pathlib import Path


def is_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a path leads to a regular file. Raises OSError."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Return whether a path leads to a folder. Raises OSError."""
    return stat.S_ISDIR(_mode(path))


def exists(path: str | os.PathLike[str]) -> bool:
    """Return whether a path leads to anything. Raises OSError."""
    return bool(_mode(path))


def _mode(path: str | os.PathLike[str]) -> int:
    """Return the mode of what a path leads to; 0 for nothing."""
    try:
        return Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a name may hold a null byte
        return 0
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            return 0
        raise
