"""The lock of an object store: one object, written under conditions."""

import time
from collections.abc import Mapping
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import ObjectStore

from wdsremux.core.manifest import STATE_FOLDER
from wdsremux.stores.lease import LockVersion
from wdsremux.stores.obstore.errors import translating_errors

LOCK = f"{STATE_FOLDER}/lock"


def version_of(written: Mapping[str, Any]) -> dict[str, str]:
    """Return what identifies one version of an object: ETag, generation, or both."""
    return {key: written[key] for key in ("e_tag", "version") if written.get(key)}


class StoreLockObject:
    """The object `.wdsremux/lock` of one store, or that of a part.

    Stores do not report the time, so the age of a lock is the time since we saw it first: taking
    over the lock of a dead run means to watch it for the whole lease.
    """

    def __init__(self, store: ObjectStore, url: str, name: str = LOCK) -> None:
        self._store, self._url, self._name = store, url, name
        self._seen: tuple[str, float] = ("", 0.0)

    def create(self, content: bytes) -> LockVersion | None:
        """Write it where there is none; None when there is one."""
        with translating_errors("write the lock of", self._url):
            return self._put(content, "create")

    def read(self) -> LockVersion | None:
        """Return the object; None when there is none."""
        with translating_errors("read the lock of", self._url):
            try:
                found = obstore.get(self._store, self._name)
                content = bytes(found.bytes())
            except FileNotFoundError:
                return None
        return self._written(content, found.meta)

    def replace(self, content: bytes, seen: LockVersion) -> LockVersion | None:
        """Write it in place of what was seen; None when that has changed."""
        e_tag, _, version = seen.version.partition(" ")
        with translating_errors("write the lock of", self._url):
            try:
                return self._put(content, version_of({"e_tag": e_tag, "version": version}))
            except FileNotFoundError:  # on `create` it means that the bucket does not exist
                return None

    def remove(self, seen: LockVersion) -> None:
        """Remove what was seen; another's only if it is written at this very moment."""
        there = self.read()
        if there is not None and there.version == seen.version:
            with translating_errors("remove the lock of", self._url):
                obstore.delete(self._store, self._name)

    def _put(self, content: bytes, mode: Any) -> LockVersion | None:
        try:
            return self._written(content, obstore.put(self._store, self._name, content, mode=mode))
        except (AlreadyExistsError, PreconditionError):
            return None

    def _written(self, content: bytes, answer: Mapping[str, Any]) -> LockVersion:
        version = f"{answer['e_tag'] or ''} {answer['version'] or ''}"
        if self._seen[0] != version:
            self._seen = (version, time.monotonic())
        return LockVersion(content, version, time.monotonic() - self._seen[1])
