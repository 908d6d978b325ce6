"""Reads small files of a target whole, several at once: over a network each takes its time."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from wdsremux.ahead import ahead
from wdsremux.targets.base import QueueingTarget, Target
from wdsremux.targets.disk_errors import disk_error
from wdsremux.targets.local import LocalTarget

READS_AT_ONCE = 8


def read_whole(target: Target, name: str) -> bytes | None:
    """Return what a file holds; None when there is none of that name. Raises TargetError."""
    try:
        with target.open(name) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as exc:
        # A disk may open a file and not give it.
        path = target.root / name if isinstance(target, LocalTarget) else Path(name)
        raise disk_error("read", path, exc) from exc


def read_ahead(target: Target, names: Iterable[str]) -> Iterator[bytes | None]:
    """Yield what files hold, in the order of their names, while the next ones are fetched."""
    if isinstance(target, QueueingTarget):
        # What is on its way is waited for here: that is for the thread that writes alone.
        target.flush()
    read = partial(read_whole, target)
    for _, give in ahead(read, names, at_once=READS_AT_ONCE, name="entries"):
        yield give()
