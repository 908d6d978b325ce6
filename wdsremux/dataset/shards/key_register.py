"""Keys must be unique over the whole dataset: the first sample with a key keeps it.

The keys seen are in a private SQLite file, so that memory does not grow with the dataset.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence

from wdsremux.core.errors import StoreError
from wdsremux.core.records import PackedSamples, Rejected
from wdsremux.dataset.shards.packing import packed_without

DUPLICATE_KEY = "duplicate key"
"""How the reason of a row begins that is rejected for its key."""

_INSERT = "INSERT OR IGNORE INTO keys VALUES (?, ?)"


class KeyRegister:
    """Remembers keys and their owners during one run; its creator closes it.

    Several threads may use it.
    """

    def __init__(self) -> None:
        # Without a name SQLite makes a temporary file that vanishes with its process.
        # https://www.sqlite.org/inmemorydb.html#temp_db
        self._base = sqlite3.connect("", check_same_thread=False)
        # Its content is not needed after a crash: no journal, no sync.
        self._base.execute("PRAGMA journal_mode=OFF")
        self._base.execute("PRAGMA synchronous=OFF")
        self._base.execute("CREATE TABLE keys (key PRIMARY KEY, owner INTEGER) WITHOUT ROWID")
        self._lock = threading.Lock()
        self._owners: list[str] = []
        self._numbers: dict[str, int] = {}

    def add(self, keys: Iterable[str]) -> None:
        """Remember the keys of finished shards."""
        with self._lock, _room_for_keys():
            self._base.executemany(_INSERT, ((key, None) for key in keys))

    def duplicates(self, owner: str, keys: Iterable[str]) -> list[tuple[int, str]]:
        """Remember an owner's keys; return (index in `keys`, its owner) of those already known.

        A key that `add` or `is_new` remembered belongs to "".
        """
        with self._lock, _room_for_keys():
            number = self._number_of(owner)
            return [
                (index, self._owner_of(key))
                for index, key in enumerate(keys)
                if not self._insert(key, number)
            ]

    def without_duplicates(
        self, packs: Sequence[PackedSamples]
    ) -> tuple[tuple[PackedSamples, ...], tuple[Rejected, ...]]:
        """Return the samples without those whose key was seen before, and those as rejected."""
        kept, rejected = [], []
        for copy, packed in enumerate(packs):
            duplicates = {i for i, key in enumerate(packed.keys) if not self.is_new(key)}
            kept.append(packed_without(packed, duplicates) if duplicates else packed)
            rejected += [
                Rejected(
                    packed.positions[i],
                    copy,
                    "pack",
                    f"{DUPLICATE_KEY} {packed.keys[i]!r}: an earlier row has it",
                    packed.keys[i],
                )
                for i in sorted(duplicates)
            ]
        return tuple(kept), tuple(rejected)

    def is_new(self, key: str) -> bool:
        """Remember a key and return whether it was unknown."""
        with self._lock, _room_for_keys():
            return self._insert(key, None)

    def close(self) -> None:
        """Remove the scratch file."""
        self._base.close()

    def _insert(self, key: str, owner: int | None) -> bool:
        return self._base.execute(_INSERT, (key, owner)).rowcount == 1

    def _number_of(self, owner: str) -> int:
        """Return the number of an owner in the table."""
        if owner not in self._numbers:
            self._numbers[owner] = len(self._owners)
            self._owners.append(owner)
        return self._numbers[owner]

    def _owner_of(self, key: str) -> str:
        row = self._base.execute("SELECT owner FROM keys WHERE key = ?", (key,)).fetchone()
        return "" if row[0] is None else self._owners[row[0]]


@contextlib.contextmanager
def _room_for_keys() -> Iterator[None]:
    """Translate errors of SQLite: the temporary file could not grow."""
    try:
        yield
    except sqlite3.Error as exc:
        raise StoreError(
            f"cannot keep the keys seen in a temporary file: {exc}; free disk space, or set TMPDIR "
            "to a folder that has some, then run the same command again: finished shards are kept"
        ) from exc
