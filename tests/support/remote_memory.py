"""A remote store in memory: it counts requests, and fails on demand."""

import hashlib
import json
import threading

from support.memory_store import MemoryStore

from wdsremux.core.errors import StoreError
from wdsremux.stores.base import Proof

URL = "mem://place"


class RemoteMemory(MemoryStore):
    """Takes files by `put` and proves them at the level `level`, by SHA-256.

    `before` is called with (operation, name) before each put, prove and remove.
    """

    def __init__(self, url=URL, level="checksum"):
        super().__init__()
        self.url, self.level = url, level
        self.notes = False
        """Whether it returns what was recorded when a file was sent."""
        self.calls = []
        self.before = lambda _operation, _name: None
        self._counting = threading.Lock()

    def put(self, name, path, sums, on_bytes=lambda _: None):
        self._count("put", name)
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sums.sha256:
            raise StoreError(f"{str(path)!r} is damaged")
        on_bytes(len(data))
        with self._counting:
            self.files[name] = data
            self.published.append(name)
        return Proof(self.level, "by itself", {"sum": sums.sha256[:8]})

    def prove(self, name, sums, path=None):
        self._count("prove", name)
        data = self.files.get(name)
        if data is None:
            return Proof("absent")
        if len(data) != sums.size_bytes:
            return Proof("differs")
        if self.level == "unverified":
            return Proof("unverified", is_noted=self.notes)
        # As with a server's checksum: it says nothing of a SHA-256 alone.
        if path is None and not sums.receipt:
            return Proof("unverified")
        is_same = (
            data == path.read_bytes()
            if path is not None
            else hashlib.sha256(data).hexdigest() == sums.sha256
        )
        return Proof(self.level if is_same else "differs", "", {"sum": sums.sha256[:8]})

    def remove(self, name):
        self._count("remove", name)
        super().remove(name)

    def called(self, operation):
        """Return the names that an operation was called with."""
        return [name for each, name in self.calls if each == operation]

    def _count(self, operation, name):
        self.before(operation, name)
        with self._counting:
            self.calls.append((operation, name))


def index_of(place):
    """Return the index.json that a place holds."""
    return json.loads(place.files["index.json"])
