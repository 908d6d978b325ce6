"""Which shard holds which key: keys must be unique over a whole dataset.

The keys lie in a temporary SQLite file, so that memory does not grow with the dataset.
"""

import sqlite3
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path


class KeyHolders:
    """Remembers who has a key; may be used by several threads, and is closed by its owner."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="wdsremux-keys-")
        path = Path(self._folder.name, "keys.sqlite")
        self._base = sqlite3.connect(path, check_same_thread=False)
        # A scratch file: nothing in it is worth a journal or a sync.
        self._base.execute("PRAGMA journal_mode=OFF")
        self._base.execute("PRAGMA synchronous=OFF")
        self._base.execute("CREATE TABLE keys (key TEXT PRIMARY KEY, shard INTEGER) WITHOUT ROWID")
        self._lock = threading.Lock()
        self._shards: list[str] = []
        self._numbers: dict[str, int] = {}

    def doubles(self, shard: str, keys: Iterable[str]) -> list[tuple[int, str]]:
        """Remember a shard's keys; return (number in `keys`, shard that has it) of known ones."""
        found = []
        insert = "INSERT OR IGNORE INTO keys VALUES (?, ?)"
        with self._lock:
            holder = self._number_of(shard)
            for number, key in enumerate(keys):
                if self._base.execute(insert, (key, holder)).rowcount != 1:
                    found.append((number, self._holder(key)))
        return found

    def close(self) -> None:
        """Remove the scratch file."""
        self._base.close()
        self._folder.cleanup()

    def _number_of(self, shard: str) -> int:
        """Return the number a shard goes by in the table."""
        if shard not in self._numbers:
            self._numbers[shard] = len(self._shards)
            self._shards.append(shard)
        return self._numbers[shard]

    def _holder(self, key: str) -> str:
        row = self._base.execute("SELECT shard FROM keys WHERE key = ?", (key,)).fetchone()
        return self._shards[int(row[0])]
