"""Keys of the user's own must be unique over the whole dataset: who has a key first keeps it.

The keys seen lie in a private SQLite file, so that memory does not grow with the dataset.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from wdsremux.lots import lot_without
from wdsremux.records import Lot, Rejected


class KeyRegister:
    """Remembers keys; made for one run and closed by its owner."""

    def __init__(self) -> None:
        # Without a name SQLite makes a temporary file that goes with its process, also by kill -9.
        # https://www.sqlite.org/inmemorydb.html#temp_db
        self._base = sqlite3.connect("")
        # Nothing in it is worth a journal or a sync.
        self._base.execute("PRAGMA journal_mode=OFF")
        self._base.execute("PRAGMA synchronous=OFF")
        self._base.execute("CREATE TABLE keys (key TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, keys: Iterable[str]) -> None:
        """Remember keys of shards that stand already."""
        self._base.executemany("INSERT OR IGNORE INTO keys VALUES (?)", ((key,) for key in keys))

    def without_doubles(self, lots: Sequence[Lot]) -> tuple[tuple[Lot, ...], tuple[Rejected, ...]]:
        """Return the lots without samples whose key was given before, and those as rejected."""
        kept, rejected = [], []
        for copy, lot in enumerate(lots):
            doubles = {i for i, key in enumerate(lot.keys) if not self.is_new(key)}
            kept.append(lot_without(lot, doubles) if doubles else lot)
            rejected += [
                Rejected(
                    lot.positions[i],
                    copy,
                    "pack",
                    f"duplicate key {lot.keys[i]!r}: an earlier row has it",
                    lot.keys[i],
                )
                for i in sorted(doubles)
            ]
        return tuple(kept), tuple(rejected)

    def is_new(self, key: str) -> bool:
        """Remember a key and return whether it was unknown."""
        return self._base.execute("INSERT OR IGNORE INTO keys VALUES (?)", (key,)).rowcount == 1

    def close(self) -> None:
        """Remove the scratch file."""
        self._base.close()
