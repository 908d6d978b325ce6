"""A store in memory: for tests of what publishes, not of where."""

import contextlib
import io

from wdsremux.core.errors import StoreError
from wdsremux.stores.base import Proof, Store


class MemoryStore(Store):
    """Keeps published files in a dict; `fail_on` names one that cannot be written."""

    def __init__(self, fail_on=None, free_bytes=None):
        self.files = {}
        self.published = []
        """Names in the order of their publication."""
        self.staged = set()
        """Names on their way."""
        self.fail_on = fail_on
        self.room = free_bytes
        self._is_locked = False

    def stage(self, name):
        return MemoryFile(self, name)

    def put(self, name, path, _sums, on_bytes=lambda _: None):
        staged = self.stage(name)
        staged.write(path.read_bytes())
        staged.commit()
        on_bytes(len(self.files[name]))
        return Proof("reread")

    def open(self, name):
        if name not in self.files:
            raise FileNotFoundError(name)
        return io.BytesIO(self.files[name])

    def list(self, prefix=""):
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        for name in sorted(self.files):
            if name.startswith(folder) and "/" not in name[len(folder) :]:
                yield name, len(self.files[name])

    def remove(self, name):
        self.files.pop(name, None)

    def free_bytes(self):
        return self.room

    @contextlib.contextmanager
    def lock(self, part=""):  # noqa: ARG002 (one lock for all)
        if self._is_locked:
            raise StoreError("the output is being written by another run")
        self._is_locked = True
        try:
            yield False
        finally:
            self._is_locked = False


class MemoryFile:
    """A file on its way."""

    def __init__(self, store, name):
        self._store = store
        self._name = name
        self._content = bytearray()
        store.staged.add(name)

    def write(self, data):
        if self._name not in self._store.staged:
            raise StoreError(f"cannot write {self._name!r}: the file is closed already")
        if self._name == self._store.fail_on:
            self.discard()
            raise StoreError(f"cannot write {self._name!r}: no space left")
        self._content += data

    def commit(self):
        self._store.staged.remove(self._name)
        self._store.files[self._name] = bytes(self._content)
        self._store.published.append(self._name)

    def discard(self):
        self._store.staged.discard(self._name)
