"""A store in memory that behaves as a remote one: read by ranges, with checksums."""

import hashlib
import io
import os

from support.memory_store import MemoryStore

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.stores import registry
from wdsremux.stores.base import Proof

URL = "memory://bucket/out"


def named(store, monkeypatch):
    """Let URL name a store, which is given up at once when it is unreachable; return it."""
    real = registry.open_store
    monkeypatch.setattr(registry, "READING_GIVE_UP_AFTER_S", 0)
    monkeypatch.setattr(registry, "open_store", lambda out, **_: store if out == URL else real(out))
    return store


class RangedStore(MemoryStore):
    """Notes what is asked of it; `level` is how sure it is of what it holds."""

    url = URL

    def __init__(self, folder=None, level="checksum"):
        super().__init__()
        self.asked = []
        """(name, offset, size) of every request for bytes."""
        self.proven = []
        """(name, sums) of every question."""
        self.level = level
        self.broken = None
        """What reading raises."""
        self.is_away = False
        if folder is not None:
            self.fill(folder)

    def fill(self, folder):
        """Take what is published in a folder."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != "lock":
                self.files[path.relative_to(folder).as_posix()] = path.read_bytes()

    def shards_asked(self):
        """Return the names of the shards of which bytes were asked for."""
        return {name for name, _, _ in self.asked if name.endswith(".tar")}

    def open(self, name):
        if self.is_away:
            raise UnreachableStoreError("the server is away")
        content = super().open(name).read()
        # Real stores buffer much: no reader may rely on small reads being small requests.
        return io.BufferedReader(_Ranges(self, name, content), 1 << 20)

    def list(self, prefix=""):
        if self.is_away:
            raise UnreachableStoreError("the server is away")
        return super().list(prefix)

    def put(self, name, path, sums, on_bytes=lambda _bytes: None):
        self.files[name] = path.read_bytes()
        on_bytes(sums.size_bytes)
        return Proof("checksum")

    def prove(self, name, sums, _path=None):
        self.proven.append((name, sums))
        if self.is_away:
            raise UnreachableStoreError("the server is away")
        if self.level == "refuses":
            raise StoreError(f"cannot ask for {name!r}: access denied")
        if name not in self.files:
            return Proof("absent")
        if self.level == "unverified":
            return Proof("unverified", "the server tells no checksum")
        same = hashlib.sha256(self.files[name]).hexdigest() == sums.sha256
        return Proof(self.level if same else "differs", "CRC64NVME of the whole object")


class _Ranges(io.RawIOBase):
    """A file whose reads are noted."""

    def __init__(self, store, name, content):
        self.store, self.name, self.content, self.at = store, name, content, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=os.SEEK_SET):
        self.at = offset + (len(self.content) if whence == os.SEEK_END else 0)
        return self.at

    def readinto(self, buffer):
        if self.store.broken is not None:
            raise self.store.broken
        data = self.content[self.at : self.at + len(buffer)]
        self.store.asked.append((self.name, self.at, len(buffer)))
        buffer[: len(data)] = data
        self.at += len(data)
        return len(data)
