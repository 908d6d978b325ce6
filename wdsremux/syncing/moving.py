"""Removes shards whose copies are verified, and records the proof: the next run lacks the shard.

`.wdsremux/moved.jsonl` has a line for each shard, written and synced before its removal.
"""

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wdsremux.core.manifest import MAX_MANIFEST_BYTES, MOVED_NAME, ShardSummary
from wdsremux.dataset.reading import moved_lines
from wdsremux.stores.base import Proof, Store
from wdsremux.stores.copying import write_all
from wdsremux.stores.folder.disk_errors import translating_errors
from wdsremux.stores.folder.file import sync_folder
from wdsremux.stores.reading.untrusted import open_below


@dataclass(frozen=True, slots=True)
class Moved:
    """The record of a shard that was moved."""

    sha256: str
    receipt: Mapping[str, str]


class Mover:
    """Removes shards of a folder that one store holds; may be used by several threads."""

    def __init__(self, root: Path, source: Store, address: str) -> None:
        """`address` is that of the store (`address_of`)."""
        self._root = root
        self._source = source
        self._address = address
        self._lock = threading.Lock()
        self._is_durable = False
        """Whether the name of the journal survives a power cut, as its lines do."""
        self.freed: list[str] = []

    def free(self, shard: ShardSummary, proof: Proof) -> None:
        """Remove a shard whose copy is verified."""
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

    def record(self, shard: ShardSummary) -> None:
        """Record a shard that `free` would remove."""
        self.freed.append(shard.name)

    def _note(self, line: str) -> None:
        """Append a line to the journal, after one that a crash may have cut off."""
        path = self._root / MOVED_NAME
        with translating_errors("write", path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            handle = open_below(self._root, MOVED_NAME, flags, 0o644)
            try:
                write_all(handle, f"\n{line}".encode())
                os.fsync(handle)
            finally:
                os.close(handle)
            if not self._is_durable:
                # Once, but always: the run that created it may have been killed before.
                sync_folder(path.parent)
                self._is_durable = True


def moved_shards(source: Store, address: str) -> dict[str, Moved]:
    """Return the records of the shards that were moved to `address_of` a store."""
    journal = None
    if source.root is not None:
        journal = source.read(MOVED_NAME, MAX_MANIFEST_BYTES)
    if journal is None:
        return {}
    return {
        str(recorded["name"]): Moved(str(recorded["sha256"]), dict(recorded["receipt"]))
        for recorded in moved_lines(journal)
        if recorded["at"] == address
    }
