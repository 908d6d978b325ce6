"""Reads image files of a share that may be away for a while: that is not a fault of the record.

Short because it decides this alone, for all sources of image files.
"""

import errno
from collections.abc import Callable
from typing import TypeVar

from wdsremux.stores.patience import ReadingPatience, TemporaryError

T = TypeVar("T")

DEFAULT_GIVE_UP_AFTER_S = 120.0
_ERRORS = frozenset(
    (
        errno.EIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ENOTCONN,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
    )
)
"""What the system answers for files of a server or a disk that is away."""


def is_outage(error: OSError) -> bool:
    """Return whether an error of the system says nothing about the file itself."""
    return error.errno in _ERRORS


def read_through_outages(what: str, give_up_after_s: float, read: Callable[[], T]) -> T:
    """Return what `read` returns; it is called again while it raises an OSError of an outage.

    `what` names the file in messages. Raises SourceError when it is time to give up, and any other
    OSError.
    """
    patience = ReadingPatience(what, give_up_after_s)
    while True:
        try:
            return read()
        except OSError as exc:
            if not is_outage(exc):
                raise
            patience.wait(TemporaryError(str(exc.strerror)))
