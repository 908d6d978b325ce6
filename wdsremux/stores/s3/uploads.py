"""One multipart upload on the server, possibly left by an earlier process."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wdsremux.core.errors import StoreError
from wdsremux.stores.s3.abilities import Abilities
from wdsremux.stores.s3.bucket import Bucket
from wdsremux.stores.s3.checksums import Piece, base64_text
from wdsremux.stores.s3.errors import RefusalError

DAMAGED_TRIES = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One part as the server lists it."""

    size_bytes: int
    etag: str
    crc64: str
    """Empty where the server stores none."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload in progress."""

    bucket: Bucket
    name: str
    id: str
    abilities: Abilities

    def stored(self) -> dict[int, StoredPart]:
        """Return the stored parts by number; none where listing is refused."""
        key = self.bucket.key(self.name)
        try:
            return {
                part["PartNumber"]: StoredPart(
                    part["Size"], part["ETag"].strip('"'), part.get("ChecksumCRC64NVME", "")
                )
                for page in self.bucket.pages("list_parts", Key=key, UploadId=self.id)
                for part in page.get("Parts", [])
            }
        except RefusalError:
            return {}

    def holds(self, stored: StoredPart | None, piece: Piece) -> bool:
        """Return whether a stored part provably has these bytes."""
        if stored is None or stored.size_bytes != len(piece.data):
            return False
        if self.abilities.checks_crc64 and stored.crc64:
            return stored.crc64 == piece.crc64
        return self.abilities.etag_is_md5 and stored.etag == piece.md5.hex()

    def send(self, number: int, piece: Piece) -> str:
        """Send one part and return its ETag; again where other bytes arrived."""
        details = {
            "UploadId": self.id,
            "PartNumber": number,
            **checksum_of(piece, self.abilities),
        }
        for _ in range(DAMAGED_TRIES):
            etag = put_checked(self.bucket, self.name, piece, details).strip('"')
            is_checked = self.abilities.checks_crc64 or not self.abilities.etag_is_md5
            if is_checked or etag == piece.md5.hex():
                return etag
        raise _damaged(self.bucket, self.name)

    def complete(
        self,
        parts: Sequence[Mapping[str, Any]],
        size_bytes: int,
        crc64: str,
        condition: Mapping[str, str],
    ) -> str:
        """Make the parts one object under its final name; return its ETag, if there is one."""
        checks = {
            "ChecksumCRC64NVME": crc64,
            "ChecksumType": "FULL_OBJECT",
            "MpuObjectSize": size_bytes,
        }
        answer = self.bucket.ask(
            "complete_multipart_upload",
            self.name,
            UploadId=self.id,
            MultipartUpload={"Parts": parts},
            **(checks if self.abilities.checks_crc64 else {}),
            **condition,
        )
        return str(answer.get("ETag", ""))

    def abort(self) -> None:
        """Abort; a server that refuses keeps the parts until its own clean-up."""
        with contextlib.suppress(StoreError):
            self.bucket.ask("abort_multipart_upload", self.name, UploadId=self.id)


def begun_uploads(bucket: Bucket, name: str, abilities: Abilities) -> list[Upload]:
    """Return the unfinished uploads of a name, newest first.

    None where the server cannot or may not list them: then all parts are sent from the start.
    """
    key = bucket.key(name)
    try:
        found = [
            upload
            for page in bucket.pages("list_multipart_uploads", Prefix=key)
            for upload in page.get("Uploads", [])
            if upload["Key"] == key
            # Parts without that checksum cannot be completed with it.
            and upload.get("ChecksumAlgorithm", "CRC64NVME") == "CRC64NVME"
        ]
    except RefusalError as exc:
        _log.debug("unfinished uploads are not listed: %s", exc)
        return []
    found.sort(key=lambda upload: upload["Initiated"], reverse=True)
    return [Upload(bucket, name, upload["UploadId"], abilities) for upload in found]


def abort_finished(bucket: Bucket) -> None:
    """Abort uploads that were begun before their file was completed.

    A run was killed after it completed another upload of the file. Uploads without a file are kept:
    sending resumes from their parts.
    """
    start = bucket.key("")
    for page in bucket.pages("list_multipart_uploads", Prefix=start):
        for item in page.get("Uploads", []):
            name = item["Key"].removeprefix(start)
            try:
                seen = bucket.ask("head_object", name)
            except RefusalError:
                continue
            if seen["LastModified"] >= item["Initiated"]:
                with contextlib.suppress(StoreError):
                    bucket.ask("abort_multipart_upload", name, UploadId=item["UploadId"])


def new_upload(
    bucket: Bucket, name: str, abilities: Abilities, labels: Mapping[str, Any]
) -> Upload:
    """Begin an upload."""
    # The algorithm must be named here: only then is the sum of the whole checked in the end.
    checks = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
    answer = bucket.ask(
        "create_multipart_upload", name, **labels, **(checks if abilities.checks_crc64 else {})
    )
    return Upload(bucket, name, answer["UploadId"], abilities)


def checksum_of(piece: Piece, abilities: Abilities) -> dict[str, str]:
    """Return the checksum to send along where it is checked."""
    return {"ChecksumCRC64NVME": piece.crc64} if abilities.checks_crc64 else {}


def put_checked(
    bucket: Bucket, name: str, piece: Piece, details: Mapping[str, Any], sha256: str | None = None
) -> str:
    """Send bytes with their sums and return the ETag; again where others arrived by the server.

    botocore repeats much, but not this. MD5 is sent where no better checksum is in `details`.
    """
    if "ChecksumCRC64NVME" not in details:
        details = {**details, "ContentMD5": base64_text(piece.md5)}
    for _ in range(DAMAGED_TRIES):
        try:
            return bucket.put(name, piece.data, details, sha256)
        except RefusalError as exc:
            if not exc.is_damage:
                raise
            _log.debug("sent again: %s", exc)
    raise _damaged(bucket, name)


def _damaged(bucket: Bucket, name: str) -> StoreError:
    return StoreError(
        f"cannot write {f'{bucket.url}/{name}'!r}: it arrived damaged {DAMAGED_TRIES} times; check "
        "the network, then run the same command again"
    )
