"""The lock of an S3 store: one object, written under conditions where the server heeds them.

A server without conditional writes cannot tell who was first: there each reads back what it wrote,
and two that begin in the same instant can both believe that they hold the lock.
"""

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from wdsremux.core.errors import StoreError
from wdsremux.core.manifest import STATE_FOLDER
from wdsremux.stores.lease import Written
from wdsremux.stores.s3.abilities import Abilities
from wdsremux.stores.s3.bucket import Bucket
from wdsremux.stores.s3.checksums import md5
from wdsremux.stores.s3.errors import RefusalError

LOCK = f"{STATE_FOLDER}/lock"


class S3LockObject:
    """The object `.wdsremux/lock` of one store."""

    def __init__(self, bucket: Bucket, abilities: Callable[[], Abilities]) -> None:
        self._bucket = bucket
        self._abilities = abilities

    def create(self, text: bytes) -> Written | None:
        """Write it where there is none; None when there is one."""
        if self._abilities().keeps_existing:
            return self._put(text, IfNoneMatch="*")
        return self._put_unguarded(text) if self.read() is None else None

    def read(self) -> Written | None:
        """Return what is there, and its age by the server's clock."""
        try:
            text, answer = self._bucket.content(LOCK)
        except RefusalError as exc:
            if exc.is_absent:
                return None
            raise
        # Some tell no ETag. No two texts are the same.
        try:
            age_s = _age_s(answer)
        except (KeyError, TypeError, ValueError) as exc:
            raise StoreError(
                f"the server of {self._bucket.url!r} does not tell the time, so nobody knows how "
                "old a lock is; look what stands between that takes the Date away"
            ) from exc
        return Written(text, answer.get("ETag") or md5(text).hex(), age_s)

    def replace(self, text: bytes, seen: Written) -> Written | None:
        """Write it in place of what was seen; None when that is not there any more."""
        if self._abilities().replaces_seen:
            return self._put(text, IfMatch=seen.version)
        there = self.read()
        if there is None or there.version != seen.version:
            return None
        return self._put_unguarded(text)

    def remove(self, seen: Written) -> None:
        """Remove what was seen, and nothing else."""
        there = self.read()
        if there is not None and there.version == seen.version:
            self._bucket.ask("delete_object", LOCK)

    def _put(self, text: bytes, **condition: str) -> Written | None:
        try:
            answer = self._bucket.ask("put_object", LOCK, Body=text, **condition)
        except RefusalError as exc:
            # Absent on creating is no lock of another's, but a place that takes none.
            if exc.is_conflict or (exc.is_absent and "IfMatch" in condition):
                return None
            raise
        return Written(text, answer.get("ETag", ""))

    def _put_unguarded(self, text: bytes) -> Written | None:
        self._bucket.ask("put_object", LOCK, Body=text)
        there = self.read()
        return there if there is not None and there.text == text else None


def _age_s(answer: dict[str, Any]) -> float:
    now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    age_s: float = (now - answer["LastModified"]).total_seconds()
    return age_s
