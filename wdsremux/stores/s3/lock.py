"""The lock of an S3 store: one object, written under conditions where the server respects them.

A server without conditional writes cannot decide who was first: there each run reads back what it
wrote, and two that begin at the same moment can both believe that they hold the lock.
"""

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from wdsremux.core.errors import StoreError
from wdsremux.core.manifest import STATE_FOLDER
from wdsremux.stores.lease import LockVersion
from wdsremux.stores.s3.abilities import Abilities
from wdsremux.stores.s3.bucket import Bucket
from wdsremux.stores.s3.checksums import md5
from wdsremux.stores.s3.errors import RefusalError

LOCK = f"{STATE_FOLDER}/lock"


class S3LockObject:
    """The object `.wdsremux/lock` of one store, or that of a part."""

    def __init__(
        self, bucket: Bucket, abilities: Callable[[], Abilities], name: str = LOCK
    ) -> None:
        self._bucket = bucket
        self._name = name
        self._abilities = abilities

    def create(self, content: bytes) -> LockVersion | None:
        """Write it where there is none; None when there is one."""
        if self._abilities().keeps_existing:
            return self._put(content, IfNoneMatch="*")
        return self._put_unguarded(content) if self.read() is None else None

    def read(self) -> LockVersion | None:
        """Return the object, and its age by the clock of the server."""
        try:
            content, answer = self._bucket.content(self._name)
        except RefusalError as exc:
            if exc.is_absent:
                return None
            raise
        # Some return no ETag. The contents always differ.
        try:
            age_s = _age_s(answer)
        except (KeyError, TypeError, ValueError) as exc:
            raise StoreError(
                f"the server of {self._bucket.url!r} sends no Date header, so the age of its lock "
                "is unknown; check for a proxy that strips it"
            ) from exc
        return LockVersion(content, answer.get("ETag") or md5(content).hex(), age_s)

    def replace(self, content: bytes, seen: LockVersion) -> LockVersion | None:
        """Write it in place of what was seen; None when that has changed."""
        if self._abilities().replaces_seen:
            return self._put(content, IfMatch=seen.version)
        there = self.read()
        if there is None or there.version != seen.version:
            return None
        return self._put_unguarded(content)

    def remove(self, seen: LockVersion) -> None:
        """Remove what was seen, and nothing else."""
        there = self.read()
        if there is not None and there.version == seen.version:
            self._bucket.ask("delete_object", self._name)

    def _put(self, content: bytes, **condition: str) -> LockVersion | None:
        try:
            answer = self._bucket.ask("put_object", self._name, Body=content, **condition)
        except RefusalError as exc:
            # Absent on creating means that the store accepts no lock, not that another holds it.
            if exc.is_conflict or (exc.is_absent and "IfMatch" in condition):
                return None
            raise
        return LockVersion(content, answer.get("ETag", ""))

    def _put_unguarded(self, content: bytes) -> LockVersion | None:
        self._bucket.ask("put_object", self._name, Body=content)
        there = self.read()
        return there if there is not None and there.content == content else None


def _age_s(answer: dict[str, Any]) -> float:
    now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    age_s: float = (now - answer["LastModified"]).total_seconds()
    return age_s
