"""Frees shards whose copies are proven, and remembers by what: the next run cannot ask the shard.

`.wdsremux/moved.jsonl` has a line for each shard, written and synced before the shard goes.
"""

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wdsremux.core.manifest import MOVED_NAME, ShardSummary
from wdsremux.dataset.reading import moved_lines
from wdsremux.stores.base import Proof, Store
from wdsremux.stores.copying import write_all
from wdsremux.stores.folder.disk_errors import explained
from wdsremux.stores.folder.store import sync_folder
from wdsremux.stores.reading.untrusted import open_below
from wdsremux.stores.whole_files import read_whole


@dataclass(frozen=True, slots=True)
class Moved:
    """What is remembered of a shard that has gone."""

    sha256: str
    receipt: Mapping[str, str]


class Mover:
    """Removes shards of one folder that stand at one store; may be used by several threads."""

    def __init__(self, root: Path, source: Store, address: str) -> None:
        """`address` is that of the store (`address_of`)."""
        self._root = root
        self._source = source
        self._address = address
        self._lock = threading.Lock()
        self._is_durable = False
        """Whether the name of the journal outlasts a power cut, as its lines do."""
        self.freed: list[str] = []

    def free(self, shard: ShardSummary, proof: Proof) -> None:
        """Remove a shard of which a proof says that the store has it."""
        line = {
            "name": shard.name,
            "sha256": shard.sha256,
            "at": self._address,
            "level": proof.level,
            "receipt": dict(proof.receipt),
        }
        with self._lock:
            self._note(json.dumps(line))
            self._source.remove(shard.name)
            self.freed.append(shard.name)

    def foresee(self, shard: ShardSummary) -> None:
        """Take note of a shard that `free` would remove."""
        self.freed.append(shard.name)

    def _note(self, line: str) -> None:
        """Add a line to the journal, behind one that a crash may have cut off."""
        path = self._root / MOVED_NAME
        with explained("write", path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            handle = open_below(self._root, MOVED_NAME, flags, 0o644)
            try:
                write_all(handle, f"\n{line}".encode())
                os.fsync(handle)
            finally:
                os.close(handle)
            if not self._is_durable:
                # Once is enough, but once in any case: the run that made it may have been killed.
                sync_folder(path.parent)
                self._is_durable = True


def moved_shards(source: Store, address: str) -> dict[str, Moved]:
    """Return what is remembered of the shards that were moved to `address_of` a store."""
    journal = read_whole(source, MOVED_NAME) if source.root is not None else None
    if journal is None:
        return {}
    return {
        str(told["name"]): Moved(str(told["sha256"]), dict(told["receipt"]))
        for told in moved_lines(journal)
        if told["at"] == address
    }
