"""What an S3 server really does, found by probing: some store a checksum without checking it."""

import contextlib
import threading
import uuid
from dataclasses import dataclass

from wdsremux.core.errors import StoreError
from wdsremux.core.manifest import STATE_FOLDER
from wdsremux.stores.s3.bucket import Bucket
from wdsremux.stores.s3.checksums import base64_text, crc64_text, md5
from wdsremux.stores.s3.errors import RefusalError

PROBE = f"{STATE_FOLDER}/probe-"
"""Start of the names of the objects of a probe; they are removed at its end."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """The features of a server."""

    checks_crc64: bool
    """A wrong CRC64NVME is refused, and HEAD returns the right one."""
    etag_is_md5: bool
    """The ETag of an object is its MD5."""
    keeps_existing: bool
    """If-None-Match is respected: of two writers, the second does not overwrite."""
    replaces_seen: bool
    """If-Match is respected: only the version that was seen is overwritten, and that one is."""


UNKNOWN = Abilities(
    checks_crc64=False, etag_is_md5=False, keeps_existing=False, replaces_seen=False
)


class ServerAbilities:
    """The features of one server, probed when they first matter; may be used by several threads."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._probing = threading.Lock()
        self._found: Abilities | None = None

    @property
    def known(self) -> Abilities:
        """What is known without a probe."""
        return self._found or UNKNOWN

    @property
    def is_probed(self) -> bool:
        """Whether `known` is the outcome of a probe."""
        return self._found is not None

    def probed(self) -> Abilities:
        """Return the features; the first call probes the server by writing."""
        with self._probing:
            if self._found is None:
                self._found = tried_abilities(self._bucket)
            return self._found


def tried_abilities(bucket: Bucket) -> Abilities:
    """Probe with an object of a few bytes, and remove it; a versioned bucket keeps its versions."""
    name = f"{PROBE}{uuid.uuid4().hex}"
    body = b"probe"
    try:
        crc64 = _refuses_wrong_crc64(bucket, name)
        sums = {"ChecksumCRC64NVME": crc64_text(body)} if crc64 else {}
        etag = bucket.ask("put_object", name, Body=body, ContentMD5=base64_text(md5(body)), **sums)[
            "ETag"
        ]
        if crc64:
            seen = bucket.ask("head_object", name, ChecksumMode="ENABLED")
            crc64 = seen.get("ChecksumCRC64NVME") == crc64_text(body)
        return Abilities(
            checks_crc64=crc64,
            etag_is_md5=etag.strip('"') == md5(body).hex(),
            keeps_existing=_is_refused(bucket, name, IfNoneMatch="*"),
            replaces_seen=_is_refused(bucket, name, IfMatch=f'"{md5(b"another").hex()}"')
            and _is_accepted(bucket, name, IfMatch=etag),
        )
    finally:
        # Without the permission to delete, five bytes are left in the state folder.
        with contextlib.suppress(StoreError):
            bucket.ask("delete_object", name)


def _refuses_wrong_crc64(bucket: Bucket, name: str) -> bool:
    try:
        wrong = crc64_text(b"not the probe")
        bucket.ask("put_object", name, Body=b"probe", ChecksumCRC64NVME=wrong)
    except RefusalError as exc:
        if exc.status not in (400, 501):
            raise
        # The HEAD of the caller detects a server that refuses every checksum.
        return exc.is_damage or exc.code == "InvalidRequest"
    return False


def _is_refused(bucket: Bucket, name: str, **condition: str) -> bool:
    try:
        bucket.ask("put_object", name, Body=b"again", **condition)
    except RefusalError as exc:
        if exc.status not in (400, 404, 412, 501):
            raise
        return exc.is_conflict
    return False


def _is_accepted(bucket: Bucket, name: str, **condition: str) -> bool:
    """Return whether a condition that holds lets a write through: some servers refuse all."""
    try:
        bucket.ask("put_object", name, Body=b"again", **condition)
    except RefusalError as exc:
        if exc.status not in (400, 404, 412, 501):
            raise
        return False
    return True
