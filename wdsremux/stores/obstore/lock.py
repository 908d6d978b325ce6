"""The lock of a store in an object store: one object, written under conditions."""

import time
from collections.abc import Mapping
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import ObjectStore

from wdsremux.core.manifest import STATE_FOLDER
from wdsremux.stores.lease import Written
from wdsremux.stores.obstore.errors import explained

LOCK = f"{STATE_FOLDER}/lock"


def version_of(written: Mapping[str, Any]) -> dict[str, str]:
    """Return by what a store knows one writing of an object: ETag, generation, or both."""
    return {key: written[key] for key in ("e_tag", "version") if written.get(key)}


class StoreLockObject:
    """The object `.wdsremux/lock` of one store.

    Stores do not tell the time, so a lock is as old as the time since we saw it first: to take one
    over from the dead means to watch it for the whole lease.
    """

    def __init__(self, store: ObjectStore, url: str) -> None:
        self._store, self._url = store, url
        self._seen: tuple[str, float] = ("", 0.0)

    def create(self, text: bytes) -> Written | None:
        """Write it where there is none; None when there is one."""
        with explained("write the lock of", self._url):
            return self._put(text, "create")

    def read(self) -> Written | None:
        """Return what is there."""
        with explained("read the lock of", self._url):
            try:
                found = obstore.get(self._store, LOCK)
                text = bytes(found.bytes())
            except FileNotFoundError:
                return None
        return self._written(text, found.meta)

    def replace(self, text: bytes, seen: Written) -> Written | None:
        """Write it in place of what was seen; None when that is not there any more."""
        e_tag, _, version = seen.version.partition(" ")
        with explained("write the lock of", self._url):
            try:
                return self._put(text, version_of({"e_tag": e_tag, "version": version}))
            except FileNotFoundError:  # on `create` it means that there is no such bucket
                return None

    def remove(self, seen: Written) -> None:
        """Remove what was seen; another's only if it is written in this very instant."""
        there = self.read()
        if there is not None and there.version == seen.version:
            with explained("remove the lock of", self._url):
                obstore.delete(self._store, LOCK)

    def _put(self, text: bytes, mode: Any) -> Written | None:
        try:
            return self._written(text, obstore.put(self._store, LOCK, text, mode=mode))
        except (AlreadyExistsError, PreconditionError):
            return None

    def _written(self, text: bytes, told: Mapping[str, Any]) -> Written:
        version = f"{told['e_tag'] or ''} {told['version'] or ''}"
        if self._seen[0] != version:
            self._seen = (version, time.monotonic())
        return Written(text, version, time.monotonic() - self._seen[1])
