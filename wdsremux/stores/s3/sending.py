"""Sends one file to S3, in parts where it is large; resumes where a killed process stopped."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.stores.base import Sums
from wdsremux.stores.copying import opened_file
from wdsremux.stores.s3.abilities import Abilities
from wdsremux.stores.s3.bucket import Bucket
from wdsremux.stores.s3.checksums import FileSums, Piece, parts_of
from wdsremux.stores.s3.proof import SHA256_NOTE
from wdsremux.stores.s3.uploads import (
    StoredPart,
    Upload,
    begun_uploads,
    checksum_of,
    new_upload,
    put_checked,
)

CONTENT_TYPES = {
    ".tar": "application/x-tar",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown; charset=utf-8",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SendSettings:
    """How files are sent to one store."""

    abilities: Abilities
    part_bytes: int
    jobs: int
    slots: threading.Semaphore
    """Bounds the parts in memory, those of all files of the store together."""
    on_bytes: Callable[[int], None]


class Sending:
    """The upload of one file to one name."""

    def __init__(
        self, bucket: Bucket, name: str, path: Path, sums: Sums, settings: SendSettings
    ) -> None:
        self._bucket = bucket
        self._name = name
        self._path = path
        self._sums = sums
        self._settings = settings
        self._able = settings.abilities
        self.read = FileSums(has_md5=not self._able.checks_crc64)
        """The sums of the bytes that were read and sent."""
        self.etag = ""
        """As the server answered, without quotes."""
        self.parts = parts_of(sums.size_bytes, settings.part_bytes)

    def run(self, existing: Mapping[str, Any] | None) -> None:
        """Publish the file in place of the object that HEAD reported, or where there was none.

        Raises RefusalError for a conflict with another writer, StoreError and
        UnreachableStoreError.
        """
        condition = self._condition(existing)
        try:
            with opened_file(self._path) as file:
                if len(self.parts) == 1:
                    self._put_whole(file, condition)
                else:
                    self._put_parts(file, condition)
        except OSError as exc:
            raise StoreError(
                f"cannot read {str(self._path)!r}: {exc.strerror or exc}; check the disk"
            ) from exc

    def receipt(self) -> dict[str, str]:
        """Return the checksums for later queries, as far as the server is known to check them."""
        receipt = {"part_bytes": str(self.parts[0].size_bytes)}
        if self._able.checks_crc64:
            receipt["crc64nvme"] = self.read.crc64
            if self.etag:
                receipt["etag"] = self.etag
        # Some servers have none for an empty object.
        elif self._able.etag_is_md5 and self.read.size_bytes:
            receipt["etag"] = self.read.etag
        return receipt

    def _condition(self, existing: Mapping[str, Any] | None) -> dict[str, str]:
        """Return the condition of the request that publishes the file."""
        if existing is None:
            return {"IfNoneMatch": "*"} if self._able.keeps_existing else {}
        has_version = self._able.replaces_seen and "ETag" in existing
        return {"IfMatch": existing["ETag"]} if has_version else {}

    def _labels(self) -> dict[str, Any]:
        return {
            "ContentType": CONTENT_TYPES.get(Path(self._name).suffix, "application/octet-stream"),
            "Metadata": {
                SHA256_NOTE: self._sums.sha256,
                "wdsremux-size": str(self._sums.size_bytes),
            },
        }

    def _put_whole(self, file: BinaryIO, condition: Mapping[str, str]) -> None:
        with self._settings.slots:
            piece = self.read.add(file.read(self._sums.size_bytes + 1))
            self._check_source()
            details = {**self._labels(), **checksum_of(piece, self._able), **condition}
            # The signature needs the SHA-256, too: it is that of the whole file.
            etag = put_checked(self._bucket, self._name, piece, details, self._sums.sha256)
            self.etag = etag.strip('"')
            self._settings.on_bytes(len(piece.data))

    def _put_parts(self, file: BinaryIO, condition: Mapping[str, str]) -> None:
        begun = begun_uploads(self._bucket, self._name, self._able)
        upload, stored = self._resumed(file, begun)
        try:
            parts = self._send_parts(file, upload, stored)
            self._check_source()
            etag = upload.complete(parts, self._sums.size_bytes, self.read.crc64, condition)
            self.etag = etag.strip('"')
        except StoreError as exc:
            # What may succeed later resumes from the stored parts.
            if not isinstance(exc, UnreachableStoreError):
                upload.abort()
            raise
        for left in begun:
            if left != upload:
                left.abort()

    def _resumed(
        self, file: BinaryIO, begun: list[Upload]
    ) -> tuple[Upload, Mapping[int, StoredPart]]:
        """Return the upload to resume and its parts: a new one where none begins as ours."""
        for upload in begun:
            stored = upload.stored()
            # One without parts may belong to another run that begins at this moment.
            first = min(stored, default=0)
            if 0 < first <= len(self.parts):
                part = self.parts[first - 1]
                file.seek(part.offset)
                piece = Piece(file.read(part.size_bytes))
                file.seek(0)
                if upload.holds(stored[first], piece):
                    _log.debug("%s: resumes with %d parts", self._name, len(stored))
                    return upload, stored
        return new_upload(self._bucket, self._name, self._able, self._labels()), {}

    def _send_parts(
        self, file: BinaryIO, upload: Upload, stored: Mapping[int, StoredPart]
    ) -> list[dict[str, str | int]]:
        """Send the missing parts, several at once, and return all as `complete` takes them."""
        named: list[dict[str, str | int]] = []
        waiting: deque[Future[dict[str, str | int]]] = deque()
        pool = ThreadPoolExecutor(self._settings.jobs, thread_name_prefix="wdsremux-s3")
        try:
            for part in self.parts:
                arrived = partial(self._arrived, upload, part.number, stored.get(part.number))
                waiting.append(self._submitted(pool, arrived, file, part.size_bytes))
                while waiting and waiting[0].done():
                    named.append(waiting.popleft().result())
            named.extend(sent.result() for sent in waiting)
        finally:
            pool.shutdown(cancel_futures=True)
        return named

    def _submitted(
        self,
        pool: ThreadPoolExecutor,
        arrived: Callable[[Piece], dict[str, str | int]],
        file: BinaryIO,
        size_bytes: int,
    ) -> Future[dict[str, str | int]]:
        """Read the next part when there is room for it, and send it in the pool."""
        self._settings.slots.acquire()
        try:
            sent = pool.submit(arrived, self.read.add(file.read(size_bytes)))
        except BaseException:
            self._settings.slots.release()
            raise
        sent.add_done_callback(lambda _: self._settings.slots.release())
        return sent

    def _arrived(
        self, upload: Upload, number: int, there: StoredPart | None, piece: Piece
    ) -> dict[str, str | int]:
        """Make sure that one part is stored, and return what names it in `complete`."""
        if there is not None and upload.holds(there, piece):
            etag = there.etag
        else:
            etag = upload.send(number, piece)
        self._settings.on_bytes(len(piece.data))
        return {"PartNumber": number, "ETag": etag, **checksum_of(piece, self._able)}

    def _check_source(self) -> None:
        """Refuse to publish a file that differs from its sums."""
        if self.read.sha256 != self._sums.sha256:
            raise StoreError(
                f"cannot write {f'{self._bucket.url}/{self._name}'!r}: {str(self._path)!r} "
                "differs from its recorded SHA-256; run `wdsremux verify`"
            )
