"""Reads entries and journals of an untrusted output."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from wdsremux.core.errors import CorruptDataError
from wdsremux.core.manifest import MAX_ENTRY_BYTES
from wdsremux.dataset.entry import ShardEntry
from wdsremux.dataset.rejected import parsed_line
from wdsremux.dataset.validation import entry_problem
from wdsremux.stores.reading.prefetch import Giver, prefetch
from wdsremux.stores.reading.untrusted import Folder

EntryFuture = Giver[tuple[ShardEntry | None, str | None]]


def read_entry(folder: Folder, name: str, *, is_ours: bool) -> tuple[ShardEntry | None, str | None]:
    """Return (entry, None), or (None, what is wrong with it). Raises OSError."""
    entry, problem = _read_entry(folder, name, is_ours=is_ours)
    if problem is not None and folder.reads_at_once > 1:
        # The network may have damaged it: a second copy decides.
        entry, problem = _read_entry(folder, name, is_ours=is_ours)
    return entry, problem


def _read_entry(
    folder: Folder, name: str, *, is_ours: bool
) -> tuple[ShardEntry | None, str | None]:
    data = folder.read(name, MAX_ENTRY_BYTES)
    if data is None:
        return None, "it is missing"
    try:
        entry = ShardEntry.from_bytes(data, name)
        # An entry with a fingerprint came from a conversion, whatever is left of the manifest.
        problem = entry_problem(entry, is_ours=is_ours or entry.fingerprint != "")
    except (CorruptDataError, TypeError, ValueError, OverflowError, RecursionError) as exc:
        return None, str(exc.__cause__ or exc)[:200]
    return (None, problem) if problem is not None else (entry, None)


def entries_ahead(
    folder: Folder, names: Iterable[str], *, is_ours: bool
) -> Iterator[tuple[str, EntryFuture]]:
    """Yield (name, what returns `read_entry`'s answer) in order, while others are fetched."""
    read = partial(read_entry, folder, is_ours=is_ours)
    if folder.reads_at_once == 1:
        yield from ((name, partial(read, name)) for name in names)
        return
    yield from prefetch(read, names, at_once=folder.reads_at_once, name="entries")


def moved_lines(journal: bytes) -> Iterator[Mapping[str, Any]]:
    """Yield what `sync --move` recorded of each shard that it moved away, in order.

    A crash may have cut a line off: its shard was not removed.
    """
    for line in journal.splitlines():
        moved = parsed_line(line)
        if not isinstance(moved, dict) or not {"name", "at", "sha256"} <= moved.keys():
            continue
        if isinstance(moved.get("receipt"), dict):
            yield moved
