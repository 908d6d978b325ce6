"""Removes shards whose copies are verified, and records the proof: the next run lacks the shard.

`.wdsremux/moved.jsonl` has a line for each shard, written and synced before its removal. Its lines
are in the order of the shards, whichever copy is proven first.
"""

import json
import os
import threading
from collections import deque
from collections.abc import Iterable, Mapping
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
        self._order: deque[str] = deque()
        self._settled: dict[str, tuple[ShardSummary, Proof] | None] = {}
        """Shards whose turn has not come; None for those to keep."""
        self.freed: list[str] = []

    def begin(self, names: Iterable[str]) -> None:
        """Remove shards in this order; each of these waits until those ahead of it are settled."""
        self._order.extend(names)

    def free(self, shard: ShardSummary, proof: Proof) -> None:
        """Remove a shard whose copy is verified, when its turn comes."""
        self._settle(shard.name, (shard, proof))

    def keep(self, name: str) -> None:
        """Do not remove a shard, and let those behind it have their turn."""
        self._settle(name, None)

    def _settle(self, name: str, outcome: tuple[ShardSummary, Proof] | None) -> None:
        with self._lock:
            self._settled[name] = outcome
            while self._order and self._order[0] in self._settled:
                next_one = self._settled.pop(self._order.popleft())
                if next_one is not None:
                    self._remove(*next_one)

    def _remove(self, shard: ShardSummary, proof: Proof) -> None:
        line = {
            "name": shard.name,
            "sha256": shard.sha256,
            "at": self._address,
            "level": proof.level,
            "receipt": dict(proof.receipt),
        }
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
