"""Google Cloud Storage and Azure as stores, by obstore: `gs://bucket/prefix`, `az://container/...`.

Credentials are found as obstore finds them: in the environment, or where the tools of the provider
put them. obstore returns no checksums, so for files that are sent in parts only the size and the
SHA-256 that we stored with it can be compared, which is not a proof. Where the ETag of a file that
was sent in one piece is its MD5, it is a proof. Other files are read back once they are sent; later
an unchanged ETag proves them.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import ObjectStore, from_url

from wdsremux.core.errors import StoreError, UnreachableStoreError, UsageError
from wdsremux.stores.base import Proof, Store, Sums, Version, too_large
from wdsremux.stores.copying import hashed_blocks, read_blocks
from wdsremux.stores.lease import Lease
from wdsremux.stores.obstore.errors import login_of, translating_errors
from wdsremux.stores.obstore.lock import LOCK, StoreLockObject, version_of
from wdsremux.stores.reading.range_file import open_ranges
from wdsremux.stores.spool import SpooledFile

PART_BYTES = 8 << 20
"""Files up to this size are sent in one piece."""
PARTS_AT_ONCE = 4
REREAD = "SHA-256 of the bytes read back"
ALLOW_HTTP = ("AZURE_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP")
"""Variables that allow endpoints with http:// URLs."""
SHA256_NOTE = "wdsremuxsha256"
"""Letters and digits only: Azure wants a valid identifier."""


def open_object_store(url: str, _parallel: int = 1) -> "CloudStore":
    """Return the store that `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX` names."""
    url = url.rstrip("/")
    if not url.partition("://")[2]:
        raise UsageError(
            f"{url!r} does not name a bucket; write {url.partition(':')[0]}://NAME/FOLDER"
        )
    try:
        store = from_url(
            url,
            client_options={
                "connect_timeout": "10s",
                "timeout": "120s",
                "allow_http": any(
                    os.environ.get(name, "").lower() == "true" for name in ALLOW_HTTP
                ),
            },
            # The caller waits for the end of outages.
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=30)},
        )
    except (BaseError, ValueError) as exc:
        raise UsageError(f"cannot open {url}: its settings are missing; {login_of(url)}") from exc
    return CloudStore(store, url, _azure_endpoint() if url.startswith("az:") else None)


class CloudStore(Store):
    """Publishes files as objects of a store; may be used by several threads."""

    def __init__(self, store: ObjectStore, url: str, endpoint: str | None = None) -> None:
        self._store = store
        self.url = url
        self.endpoint = endpoint
        self._leases: dict[str, Lease] = {}
        self._lease = self._lease_of("")
        self._is_locked = False

    def stage(self, name: str) -> SpooledFile:
        """Begin a new file, which is written on this machine first."""
        return SpooledFile(name, self.put)

    def put(
        self, name: str, path: Path, sums: Sums, on_bytes: Callable[[int], None] = lambda _: None
    ) -> Proof:
        """Publish a copy of a file, in one piece where it is small.

        A small file is not published if another run has written it meanwhile; of large ones the
        last one wins, unless the store is locked.
        """
        self._check_lease()
        md5 = None
        with self._translating_errors("write", name):
            blocks = _reported_blocks(path, sums, on_bytes)
            if sums.size_bytes <= PART_BYTES:
                content = b"".join(blocks)
                md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
                self._put_guarded(name, content, sums)
            else:
                self._put(name, blocks, sums, use_multipart=True)
        sent = replace(sums, receipt={"md5": md5} if md5 else {})
        proof = self.prove(name, sent)
        if not proof.is_there:
            # The answer may have been damaged on its way.
            proof = self.prove(name, sent)
        if proof.level == "unverified":
            return self._read_back(name, sums)
        if not proof.is_there:
            raise StoreError(
                f"{name!r} at {self.url} differs from what was sent ({proof.level}); make sure "
                "that only one run writes there, then run the same command again"
            )
        return proof

    def prove(self, name: str, sums: Sums, path: Path | None = None) -> Proof:
        """Compare size, note and, of what was sent in one piece, the MD5 where it is the ETag.

        The MD5 is taken from the receipt of `put`, or from `path`.
        """
        found = self._head(name)
        if found is None:
            return Proof("absent")
        meta, noted = found
        if meta["size"] != sums.size_bytes:
            return Proof("differs", f"it has {meta['size']} bytes")
        if noted not in (None, sums.sha256):
            return Proof("differs", "the SHA-256 noted when it was sent")
        md5 = sums.receipt.get("md5") or _md5_of(path, sums)
        if md5 and (meta["e_tag"] or "").strip('"').lower() == md5:
            return Proof("etag", "MD5", {"md5": md5, "etag": meta["e_tag"] or ""})
        if meta["e_tag"] and meta["e_tag"] == sums.receipt.get("etag"):
            return Proof("etag", "ETag of the object that was read back", sums.receipt)
        how = "size and the SHA-256 stored with it" if noted else "size"
        return Proof("unverified", how, is_noted=noted is not None)

    def open(self, name: str) -> BinaryIO:
        """Open a published file, to be read by range requests."""
        found = self._head(name)
        if found is None:
            raise FileNotFoundError(f"{self.url} has no file {name!r}")
        meta = found[0]
        return open_ranges(meta["size"], partial(self._fetch, name, meta["e_tag"]))

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return the content of a small file by one request; None when it does not exist."""
        with self._translating_errors("read", name):
            try:
                found = obstore.get(self._store, name)
                if found.meta["size"] > max_bytes:
                    raise too_large(name, max_bytes)
                return bytes(found.bytes())
            except FileNotFoundError:
                return None

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield (name, size in bytes) of the files of one folder, sorted by name."""
        yield from ((file.name, file.size_bytes) for file in self.versions(prefix))

    def versions(self, prefix: str = "") -> Iterator[Version]:
        """Yield the files of one folder, sorted by name, with their ETags."""
        with translating_errors("list", self.url):
            found = obstore.list_with_delimiter(self._store, prefix or None)["objects"]
        yield from sorted(
            Version(each["path"], each["size"], each["e_tag"] or "")
            for each in found
            if each["path"] != LOCK and not each["path"].startswith(f"{LOCK}-")
        )

    def remove(self, name: str) -> None:
        """Remove a published file; no error when it does not exist."""
        self._check_lease()
        with self._translating_errors("remove", name), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, name)

    @contextlib.contextmanager
    def lock(self, part: str = "") -> Iterator[bool]:
        """Keep other runs away by an object that is renewed all the time (`lease`).

        With `part`, only other runs of that part.
        """
        self._lease = self._lease_of(part)
        with self._lease.held() as died:
            self._is_locked = True
            try:
                yield died
            finally:
                self._is_locked = False

    def _lease_of(self, part: str) -> Lease:
        """Return the lease of a part: always the same, which knows what it has written."""
        if part not in self._leases:
            name = LOCK + part
            lock = StoreLockObject(self._store, self.url, name)
            self._leases[part] = Lease(lock, f"{self.url}/{name}")
        return self._leases[part]

    def _read_back(self, name: str, sums: Sums) -> Proof:
        """Compare the stored bytes with those sent: the store has no checksum to compare."""
        found = self._head(name)
        digest = hashlib.sha256()
        e_tag = found[0]["e_tag"] if found is not None else None
        for start in range(0, sums.size_bytes, PART_BYTES):
            stop = min(sums.size_bytes, start + PART_BYTES)
            digest.update(self._fetch(name, e_tag, start, stop))
        if digest.hexdigest() != sums.sha256:
            self.remove(name)
            raise UnreachableStoreError(
                f"cannot write {name!r} of {self.url}: it arrived damaged; check the network, then "
                "run the same command again"
            )
        return Proof("reread", REREAD, {"etag": e_tag} if e_tag else {})

    def _check_lease(self) -> None:
        """Publish nothing more under a lock that another has taken over."""
        if self._is_locked:
            self._lease.check()

    def _put_guarded(self, name: str, content: bytes, sums: Sums) -> None:
        found = self._head(name)
        mode = "create" if found is None else version_of(found[0])
        try:
            self._put(name, content, sums, mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            # The answer to our own first try may have been lost.
            found = self._head(name)
            if found is None or found[1] != sums.sha256:
                raise StoreError(
                    f"cannot write {name!r} of {self.url}: another run has just written it; "
                    "make sure that only one runs, then run the same command again"
                ) from None

    def _put(self, name: str, content: Any, sums: Sums, **options: Any) -> None:
        obstore.put(
            self._store,
            name,
            content,
            attributes={SHA256_NOTE: sums.sha256},
            chunk_size=PART_BYTES,
            max_concurrency=PARTS_AT_ONCE,
            **options,
        )

    def _head(self, name: str) -> tuple[Mapping[str, Any], str | None] | None:
        """Return the metadata of a file, and the SHA-256 stored with it, if any."""
        with self._translating_errors("ask for", name):
            try:
                found = obstore.get(self._store, name, options={"head": True})
            except FileNotFoundError:
                return None
        return found.meta, found.attributes.get(SHA256_NOTE)

    def _fetch(self, name: str, e_tag: str | None, start: int, stop: int) -> bytes:
        """Get bytes of a file as it was when it was opened."""
        with self._translating_errors("read", name):
            try:
                options: obstore.GetOptions = {"range": (start, stop)}
                if e_tag:
                    options["if_match"] = e_tag
                return bytes(obstore.get(self._store, name, options=options).bytes())
            except (PreconditionError, FileNotFoundError):
                raise StoreError(
                    f"{name!r} of {self.url} was replaced while it was read; run the same command "
                    "again"
                ) from None

    def _translating_errors(self, doing: str, name: str) -> contextlib.AbstractContextManager[None]:
        return translating_errors(f"{doing} {name!r} of", self.url)


def _azure_endpoint() -> str | None:
    """Return the address of the account whose containers obstore opens by the environment.

    The emulator's and Fabric's have other URLs for a blob than Azure's.
    """
    variable = os.environ.get
    if variable("AZURE_STORAGE_USE_EMULATOR") or variable("AZURE_USE_FABRIC_ENDPOINT"):
        return None
    account = variable("AZURE_STORAGE_ACCOUNT_NAME")
    usual = f"https://{account}.blob.core.windows.net" if account else None
    return variable("AZURE_STORAGE_ENDPOINT") or variable("AZURE_ENDPOINT") or usual


def _reported_blocks(path: Path, sums: Sums, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    for block in hashed_blocks(path, sums):
        yield block
        on_bytes(len(block))


def _md5_of(path: Path | None, sums: Sums) -> str | None:
    """Return the MD5 of a file that is sent in one piece; of a larger one it is not the ETag."""
    if path is None or sums.size_bytes > PART_BYTES:
        return None
    return hashlib.md5(b"".join(read_blocks(path)), usedforsecurity=False).hexdigest()
