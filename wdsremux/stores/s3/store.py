"""S3 and compatible servers as store: files are objects, which exist whole or not at all.

A probe (`abilities.py`) distinguishes two kinds of servers: those that check modern checksums and
respect conditions, where what is published is proven and no file is overwritten unseen; and older
ones, where only MD5 can be compared and the last writer wins.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from wdsremux.core.errors import StoreError
from wdsremux.stores.base import Proof, Store, Sums, Version, bounded
from wdsremux.stores.lease import Lease
from wdsremux.stores.reading.range_file import open_ranges
from wdsremux.stores.s3.abilities import PROBE, ServerAbilities
from wdsremux.stores.s3.bucket import Bucket
from wdsremux.stores.s3.checksums import MIB
from wdsremux.stores.s3.confirmation import Confirmation
from wdsremux.stores.s3.errors import RefusalError
from wdsremux.stores.s3.lock import LOCK, S3LockObject
from wdsremux.stores.s3.proof import note_of, seen_object
from wdsremux.stores.s3.sending import Sending, SendSettings
from wdsremux.stores.s3.uploads import abort_finished
from wdsremux.stores.spool import SpooledFile

PART_BYTES = 16 * MIB


def open_s3(
    url: str, jobs: int = 4, *, part_bytes: int = PART_BYTES, timeout_s: float = 60
) -> "S3Store":
    """Return the store that "s3://BUCKET/PREFIX" names; asks the server once whether it exists.

    Keys, profile, region and endpoint are found as boto3 finds them. At most `jobs` parts of
    `part_bytes` (5 MiB or more) are in memory at once. Raises UsageError, StoreError.
    """
    bucket = Bucket(url, timeout_s=timeout_s)
    bucket.check()
    return S3Store(bucket, jobs=jobs, part_bytes=part_bytes)


class S3Store(Store):
    """Publishes files as objects of one bucket, below one prefix."""

    def __init__(self, bucket: Bucket, *, jobs: int = 4, part_bytes: int = PART_BYTES) -> None:
        self.url = bucket.url
        host = urlsplit(bucket.endpoint).hostname or ""
        # Every client finds AWS by the URL of the bucket.
        self.endpoint = None if host.endswith("amazonaws.com") else bucket.endpoint
        self._bucket = bucket
        self._jobs = jobs
        self._part_bytes = part_bytes
        self._slots = threading.Semaphore(jobs)
        self._abilities = ServerAbilities(bucket)
        self._confirmation = Confirmation(bucket, self._abilities, part_bytes, self.remove)
        self._leases: dict[str, Lease] = {}
        self._lease = self._lease_of("")
        self._is_locked = False

    def put(
        self, name: str, path: Path, sums: Sums, on_bytes: Callable[[int], None] = lambda _: None
    ) -> Proof:
        """Publish a copy of a file; parts that came over from an earlier try are not sent again.

        `on_bytes` is called by the thread that sent a part, which waits for it to return. Raises
        StoreError, also where another writer has published other bytes in the meantime.
        """
        self._check_lease()
        proof = self._put_new(name, path, sums, on_bytes)
        if proof is not None:
            return proof
        existing = seen_object(self._bucket, name)
        if existing is not None and note_of(existing) == sums.sha256:
            with contextlib.suppress(RefusalError):  # keys without the permission to write
                self._abilities.probed()
            proof = self._confirmation.proof(name, existing, sums, path)
            if proof.level in ("checksum", "etag"):
                on_bytes(sums.size_bytes)
                return proof
        sending = self._sending(name, path, sums, on_bytes)
        try:
            sending.run(existing)
        except RefusalError as exc:
            # It may be our own upload: an answer can get lost.
            if not (exc.is_conflict or exc.is_absent):
                raise
            return self._confirmation.after_refusal(name, sums, path, exc)
        return self._confirmation.after_sending(name, sums, sending.receipt())

    def _put_new(
        self, name: str, path: Path, sums: Sums, on_bytes: Callable[[int], None]
    ) -> Proof | None:
        """Publish a small file that does not exist yet by one request; None where it exists.

        A server that refuses wrong checksums and existing names needs no HEAD before and after.
        """
        able = self._abilities.known
        is_small = sums.size_bytes <= self._part_bytes
        if not (is_small and able.checks_crc64 and able.keeps_existing):
            return None
        sending = self._sending(name, path, sums, on_bytes)
        try:
            sending.run(None)
        except RefusalError as exc:
            if not exc.is_conflict:
                raise
            return None
        return Proof("checksum", "CRC64NVME of the whole object", sending.receipt())

    def _sending(
        self, name: str, path: Path, sums: Sums, on_bytes: Callable[[int], None]
    ) -> Sending:
        settings = SendSettings(
            self._abilities.probed(), self._part_bytes, self._jobs, self._slots, on_bytes
        )
        return Sending(self._bucket, name, path, sums, settings)

    def prove(self, name: str, sums: Sums, path: Path | None = None) -> Proof:
        """Return how sure it is that `name` has these bytes, by the answer to HEAD."""
        return self._confirmation.asked(name, sums, path)[1]

    def stage(self, name: str) -> SpooledFile:
        """Begin a new file, on this machine until it is committed."""
        return SpooledFile(name, self.put)

    def open(self, name: str) -> BinaryIO:
        """Open a published file for reading; raises FileNotFoundError."""
        seen = seen_object(self._bucket, name)
        if seen is None:
            raise FileNotFoundError(f"{self.url}/{name}")
        # Never bytes of two versions. An empty object may lack an ETag.
        version = {"IfMatch": seen["ETag"]} if "ETag" in seen else {}

        def fetched(start: int, stop: int) -> bytes:
            asked = f"bytes={start}-{stop - 1}"
            data = self._bucket.data(name, stop - start + 1, Range=asked, **version)
            if len(data) != stop - start:
                raise StoreError(
                    f"cannot read {f'{self.url}/{name}'!r}: the server sent {len(data)} bytes "
                    f"instead of {stop - start}; check for a proxy that changes the Range header"
                )
            return data

        return open_ranges(seen["ContentLength"], fetched)

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return the content of a small file by one request; None when it does not exist."""
        try:
            data = self._bucket.whole(name, max_bytes + 1)
        except RefusalError as exc:
            if exc.is_absent:
                return None
            raise
        return bounded(data, name, max_bytes)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield (name, size in bytes) of the files of one folder, sorted by name."""
        yield from ((file.name, file.size_bytes) for file in self.versions(prefix))

    def versions(self, prefix: str = "") -> Iterator[Version]:
        """Yield the files of one folder, sorted by name, with their ETags."""
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        start = self._bucket.key(folder)
        found = [
            Version(
                folder + item["Key"].removeprefix(start),
                item["Size"],
                str(item.get("ETag", "")).strip('"'),
            )
            for page in self._bucket.pages("list_objects_v2", Prefix=start, Delimiter="/")
            for item in page.get("Contents", [])
            # Some consoles mark a folder by an empty object with its name.
            if item["Key"] != start
        ]
        yield from sorted(item for item in found if not _is_private(item.name))

    def remove(self, name: str) -> None:
        """Remove a published file; no error when it does not exist."""
        self._check_lease()
        try:
            self._bucket.ask("delete_object", name)
        except RefusalError as exc:
            if not exc.is_absent:
                raise

    @contextlib.contextmanager
    def lock(self, part: str = "") -> Iterator[bool]:
        """Keep other runs away while the block runs; yields whether the run before died.

        With `part`, only other runs of that part.
        Parts that a killed run sent are kept: `put` resumes from them.
        """
        self._lease = self._lease_of(part)
        with self._lease.held() as died:
            self._is_locked = True
            try:
                if died and not part:
                    self._sweep()
                yield died
            finally:
                self._is_locked = False

    def _lease_of(self, part: str) -> Lease:
        """Return the lease of a part: always the same, which knows what it has written."""
        if part not in self._leases:
            name = LOCK + part
            lock = S3LockObject(self._bucket, self._abilities.probed, name)
            self._leases[part] = Lease(lock, f"{self.url}/{name}")
        return self._leases[part]

    def _sweep(self) -> None:
        """Remove what a killed run left: objects of a probe, and uploads of complete files."""
        # Some servers do not list uploads, and some keys may not.
        with contextlib.suppress(StoreError):
            abort_finished(self._bucket)
        start = self._bucket.key(PROBE)
        for page in self._bucket.pages("list_objects_v2", Prefix=start):
            for item in page.get("Contents", []):
                with contextlib.suppress(StoreError):
                    self._bucket.ask("delete_object", PROBE + item["Key"].removeprefix(start))

    def _check_lease(self) -> None:
        """Publish nothing more under a lock that another run has taken over."""
        if self._is_locked:
            self._lease.check()


def _is_private(name: str) -> bool:
    return name == LOCK or name.startswith((f"{LOCK}-", PROBE))
