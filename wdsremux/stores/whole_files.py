"""Reads small files of a store whole, several at once: each waits for the network."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from wdsremux.core.errors import CorruptDataError
from wdsremux.core.manifest import MAX_ENTRY_BYTES, MAX_MANIFEST_BYTES
from wdsremux.stores.base import Store
from wdsremux.stores.folder.disk_errors import disk_error
from wdsremux.stores.reading.prefetch import prefetch

READS_AT_ONCE = 8
_PART_BYTES = 1 << 20


def read_whole(store: Store, name: str) -> bytes | None:
    """Return the content of a small file; None when it does not exist.

    Raises CorruptDataError for one that is larger than any of ours, StoreError.
    """
    try:
        with store.open(name) as file:
            return read_bounded(file, name)
    except FileNotFoundError:
        return None
    except OSError as exc:
        # A disk may open a file that it cannot read.
        path = store.root / name if store.root is not None else Path(name)
        raise disk_error("read", path, exc) from exc


def read_bounded(file: BinaryIO, name: str) -> bytes:
    """Return the content of an open file. Raises CorruptDataError when it is too large.

    Memory is allocated as the bytes arrive: the size that a file claims may be wrong.
    """
    max_bytes = MAX_ENTRY_BYTES if name.endswith(".msgpack") else MAX_MANIFEST_BYTES
    parts: list[bytes] = []
    left_bytes = max_bytes + 1
    while left_bytes and (part := file.read(min(left_bytes, _PART_BYTES))):
        parts.append(part)
        left_bytes -= len(part)
    if not left_bytes:
        raise CorruptDataError(
            f"cannot read {name!r}: it is larger than {max_bytes} bytes, the maximum for such a "
            "file; remove it, or check what wrote it"
        )
    return b"".join(parts)


def read_ahead(store: Store, names: Iterable[str]) -> Iterator[bytes | None]:
    """Yield the contents of files, in the order of their names, while the next ones are fetched."""
    # Here, in the thread that writes: other threads may not wait for what is queued.
    store.flush()
    read = partial(read_whole, store)
    for _, result in prefetch(read, names, at_once=READS_AT_ONCE, name="entries"):
        yield result()
