"""Requests for one object each, by less CPU than boto3's client, which works by models, needs.

A request is signed by botocore and sent by urllib3. Only its success is understood here: for
anything else the caller lets the client make the same request, and repeat or explain it.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3
from botocore.auth import EMPTY_SHA256_HASH, UNSIGNED_PAYLOAD, S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

MAX_FAILURES = 3
"""After this number in sequence, every request is left to the client."""
MAX_PUT_ANSWER_BYTES = 1 << 16
NOT_FOUND, CONFLICT = 404, 412
"""Refusals that say nothing against the next request."""
_FIELDS = {
    "ContentType": "content-type",
    "ContentMD5": "content-md5",
    "ChecksumCRC64NVME": "x-amz-checksum-crc64nvme",
    "ChecksumMode": "x-amz-checksum-mode",
    "IfMatch": "if-match",
    "IfNoneMatch": "if-none-match",
    "Range": "range",
}
"""Header fields by their names in boto3."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request that succeeded, or whose condition was not met."""

    data: bytes
    etag: str
    """As the server writes it; empty where it has none."""
    is_conflict: bool = False
    crc64: str = ""
    """CRC64NVME of the whole object in base64, where it was asked for and the server has it."""


class DirectRequests:
    """Puts and gets objects of one bucket; may be used by several threads."""

    def __init__(self, base_url: str, credentials: Any, region: str, pool: Any) -> None:
        """`base_url` is that of the empty key; `pool` connects to its host."""
        self._base_url = base_url
        self._credentials = credentials
        self._region = region
        self._pool = pool
        parts = urlsplit(base_url)
        self._origin_length = len(f"{parts.scheme}://{parts.netloc}")
        self._failures = 0

    def put(
        self, key: str, data: bytes, details: Mapping[str, Any], sha256: str | None
    ) -> Answer | None:
        """Put an object, or a part of an upload; `details` are those of boto3.

        `sha256` is that of the data, if it is known. None means to leave it to the client.
        """
        parts = {"partNumber": "PartNumber", "uploadId": "UploadId"}
        query = "&".join(
            f"{field}={quote(str(details[name]), safe='')}"
            for field, name in parts.items()
            if name in details
        )
        fields = _fields_of(details)
        if sha256 is None:
            # As botocore: TLS and a checksum are enough.
            is_protected = self._base_url.startswith("https:") and (
                fields.keys() & {"content-md5", "x-amz-checksum-crc64nvme"}
            )
            sha256 = UNSIGNED_PAYLOAD if is_protected else hashlib.sha256(data).hexdigest()
        url = self._url(key) + (f"?{query}" if query else "")
        return self._done(AWSRequest("PUT", url, headers=fields, data=data), sha256)

    def get(self, key: str, details: Mapping[str, Any], max_bytes: int) -> Answer | None:
        """Get an object, or a range of it, up to some size; None as by `put`."""
        return self._done(
            AWSRequest("GET", self._url(key), headers=_fields_of(details)),
            EMPTY_SHA256_HASH,
            max_bytes,
        )

    def _url(self, key: str) -> str:
        return self._base_url + quote(key, safe="/~")

    def _done(
        self, request: AWSRequest, sha256: str, max_bytes: int = MAX_PUT_ANSWER_BYTES
    ) -> Answer | None:
        if self._failures >= MAX_FAILURES:
            return None
        url = request.url
        try:
            _Signature(self._credentials.get_frozen_credentials(), self._region, sha256).add_auth(
                request
            )
            answer = self._pool.urlopen(
                request.method,
                url[self._origin_length :],
                body=request.data or None,
                headers=dict(request.headers.items()),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                assert_same_host=False,
            )
            content = answer.read(max_bytes)
            # A connection with unread bytes is not used again.
            (answer.release_conn if len(content) < max_bytes else answer.close)()
        except (BotoCoreError, urllib3.exceptions.HTTPError, OSError, ValueError) as exc:
            _log.debug("left to the client: %s", type(exc).__name__)
            self._failures += 1
            return None
        if answer.status in (200, 206):
            self._failures = 0
            crc64 = answer.headers.get("x-amz-checksum-crc64nvme", "")
            return Answer(content, answer.headers.get("etag", ""), crc64=crc64)
        _log.debug("left to the client: status %d", answer.status)
        self._failures += answer.status not in (NOT_FOUND, CONFLICT)
        return Answer(b"", "", is_conflict=True) if answer.status == CONFLICT else None


class _Signature(S3SigV4Auth):  # type: ignore[misc] # botocore has no types
    """Signs a request whose SHA-256 is known."""

    def __init__(self, credentials: Any, region: str, sha256: str) -> None:
        super().__init__(credentials, "s3", region)
        self._sha256 = sha256

    def payload(self, _request: AWSRequest) -> str:
        """Return what is signed in place of the content."""
        return self._sha256


def direct_requests(client: Any, session: Any, bucket: str) -> DirectRequests | None:
    """Return direct requests as a client of boto3 would make them; None where that is not known.

    `session` is that of botocore. Other signatures, proxies and buckets by ARN are left to the
    client.
    """
    credentials = session.get_credentials()
    if client.meta.config.signature_version != "s3v4" or credentials is None:
        return None
    try:
        signed = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "x"})
        bundle = session.get_config_variable("ca_bundle")
    except (BotoCoreError, ClientError, ValueError):
        return None
    base_url = signed.partition("?")[0].removesuffix("x")
    is_plain = ":" not in bucket and not bucket.endswith("--x-s3") and base_url.endswith("/")
    proxies = get_environ_proxies(base_url)
    if not is_plain or proxies.keys() & {urlsplit(base_url).scheme, "all"}:
        return None
    config = client.meta.config
    tls = {"ca_certs": get_cert_path(bundle or True)} if base_url.startswith("https:") else {}
    pool = urllib3.connectionpool.connection_from_url(
        base_url,
        timeout=urllib3.Timeout(connect=config.connect_timeout, read=config.read_timeout),
        maxsize=config.max_pool_connections,
        **tls,
    )
    return DirectRequests(base_url, credentials, client.meta.region_name, pool)


def _fields_of(details: Mapping[str, Any]) -> dict[str, str]:
    """Return the header fields for parameters of boto3."""
    fields = {_FIELDS[name]: str(value) for name, value in details.items() if name in _FIELDS}
    notes: Mapping[str, str] = details.get("Metadata", {})
    return fields | {f"x-amz-meta-{name}": value for name, value in notes.items()}
