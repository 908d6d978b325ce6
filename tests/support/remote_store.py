"""A remote store in memory: a put can be watched, delayed and refused."""

import hashlib

from support.memory_store import MemoryStore

from wdsremux.core.errors import StoreError
from wdsremux.stores.base import Proof


class MemoryRemote(MemoryStore):
    """Takes copies of files; `before_put(name, path)` may wait or raise."""

    url = "mem://bucket/prefix"

    def __init__(self, before_put=lambda _name, _path: None, **options):
        super().__init__(**options)
        self.level = "checksum"
        """What is proven of what was put."""
        self.before_put = before_put
        self.reads = []
        """Names in the order in which they were opened."""
        self.lists = 0

    def open(self, name):
        self.reads.append(name)
        return super().open(name)

    def list(self, prefix=""):
        self.lists += 1
        return super().list(prefix)

    def put(self, name, path, sums, on_bytes=lambda _size: None):
        self.before_put(name, path)
        content = path.read_bytes()
        on_bytes(len(content))
        if (len(content), hashlib.sha256(content).hexdigest()) != (sums.size_bytes, sums.sha256):
            raise StoreError(f"cannot put {name!r}: its bytes are not those of its sums")
        self.files[name] = content
        self.published.append(name)
        return Proof(self.level, receipt={"sha256": sums.sha256})

    def prove(self, name, sums, path=None):  # noqa: ARG002 (the contract has it)
        content = self.files.get(name)
        if content is None:
            return Proof("absent")
        is_same = hashlib.sha256(content).hexdigest() == sums.sha256
        return Proof("checksum" if is_same else "differs", receipt={"sha256": sums.sha256})
