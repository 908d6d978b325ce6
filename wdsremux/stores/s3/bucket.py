"""One prefix of a bucket: all requests to S3 are made, and all errors translated, here.

`botocore` repeats a request a few times within seconds; the caller waits for the end of longer
outages.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from wdsremux.core.errors import StoreError, UsageError
from wdsremux.stores.s3.checksums import crc64_text
from wdsremux.stores.s3.direct import direct_requests
from wdsremux.stores.s3.errors import UNREADABLE, conflict, no_credentials, s3_error

SCHEME = "s3://"
TRIES = 3
CONNECTIONS = 32


class Bucket:
    """A bucket, and the prefix of our keys in it."""

    def __init__(self, url: str, *, timeout_s: float = 60) -> None:
        self.bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
        self.prefix = prefix.strip("/")
        if not url.startswith(SCHEME) or not self.bucket:
            raise UsageError(
                f"{url!r} does not name a bucket; write s3://BUCKET or s3://BUCKET/PREFIX"
            )
        self.url = f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")
        self._client, session = _client(self.url, timeout_s)
        self._direct = direct_requests(self._client, session, self.bucket)

    @property
    def endpoint(self) -> str:
        """URL of the server: "https://s3.eu-central-1.amazonaws.com"."""
        return str(self._client.meta.endpoint_url)

    def key(self, name: str) -> str:
        """Return the key of a name in the store."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def ask(self, operation: str, name: str, **details: Any) -> dict[str, Any]:
        """Do one operation on one object and return the answer.

        Raises RefusalError, or UnreachableStoreError for what may succeed later.
        """
        request = getattr(self._client, operation)
        try:
            answer: dict[str, Any] = request(Bucket=self.bucket, Key=self.key(name), **details)
        except (BotoCoreError, ClientError, OSError, *UNREADABLE) as exc:
            raise self.error(exc, f"{_verb(operation)} {f'{self.url}/{name}'!r}") from exc
        return answer

    def pages(self, operation: str, **details: Any) -> Iterator[dict[str, Any]]:
        """Yield all pages of a list."""
        pages = self._client.get_paginator(operation).paginate(Bucket=self.bucket, **details)
        try:
            yield from pages
        except (BotoCoreError, ClientError, OSError, *UNREADABLE) as exc:
            raise self.error(exc, f"list {self.url!r}") from exc

    def content(
        self, name: str, max_bytes: int | None = None, **details: Any
    ) -> tuple[bytes, dict[str, Any]]:
        """Return bytes of an object and the answer's other fields.

        `botocore` does not repeat a request once its answer has begun, so a broken one is requested
        again here.
        """
        left = TRIES
        while True:
            answer = self.ask("get_object", name, **details)
            left -= 1
            try:
                return answer["Body"].read(max_bytes), answer
            except (BotoCoreError, OSError, *UNREADABLE) as exc:
                if not left:
                    raise self.error(exc, f"read {f'{self.url}/{name}'!r}") from exc

    def put(
        self, name: str, data: bytes, details: Mapping[str, Any], sha256: str | None = None
    ) -> str:
        """Put an object, or a part where `details` name an upload; return the answered ETag.

        `sha256` is that of the data, if it is known. Raises as `ask`.
        """
        if self._direct is not None:
            answer = self._direct.put(self.key(name), data, details, sha256)
            if answer is not None and answer.is_conflict:
                raise conflict(f"write {f'{self.url}/{name}'!r}")
            if answer is not None:
                return answer.etag
        operation = "upload_part" if "UploadId" in details else "put_object"
        return str(self.ask(operation, name, Body=data, **details).get("ETag", ""))

    def data(self, name: str, max_bytes: int, **details: Any) -> bytes:
        """Return up to `max_bytes` of an object, or of a range of it. Raises as `ask`."""
        if self._direct is not None:
            answer = self._direct.get(self.key(name), details, max_bytes)
            if answer is not None and not answer.is_conflict:
                return answer.data
        return self.content(name, max_bytes, **details)[0]

    def whole(self, name: str, max_bytes: int) -> bytes:
        """Return up to `max_bytes` of an object. Raises as `ask`.

        One that differs from its checksum is fetched once more: the network may have damaged it.
        """
        if self._direct is not None:
            asked = {"ChecksumMode": "ENABLED"}
            answer = self._direct.get(self.key(name), asked, max_bytes)
            has_all = answer is not None and len(answer.data) < max_bytes
            is_damaged = (
                answer is not None
                and has_all
                and answer.crc64
                not in (
                    "",
                    crc64_text(answer.data),
                )
            )
            if answer is not None and not is_damaged:
                return answer.data
        return self.data(name, max_bytes)

    def check(self) -> None:
        """Raise StoreError if the bucket cannot be used, before any work is done."""
        try:
            self._client.list_objects_v2(Bucket=self.bucket, Prefix=self.key(""), MaxKeys=1)
        except (BotoCoreError, ClientError, OSError, *UNREADABLE) as exc:
            raise self.error(exc, f"use {self.url!r}") from exc

    def error(self, exc: Exception, what: str) -> StoreError | UsageError:
        """Return our error for an error of boto3."""
        return s3_error(exc, what, self.bucket, self.endpoint)


def _client(url: str, timeout_s: float) -> tuple[Any, Any]:
    """Return a client with profile, keys, region and endpoint by boto3's usual chain.

    And the session of botocore that it belongs to.
    """
    config = Config(
        connect_timeout=min(10, timeout_s),
        read_timeout=timeout_s,
        max_pool_connections=CONNECTIONS,
        # Servers without modern checksums fail on those that botocore adds by default.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "total_max_attempts": TRIES},
        user_agent_extra="wdsremux",
    )
    what = f"use {url!r}"
    try:
        core = botocore.session.get_session()
        session = boto3.session.Session(botocore_session=core)
        client = session.client("s3", config=config)
        if session.get_credentials() is None:
            raise no_credentials(what)
    except ValueError as exc:
        raise UsageError(
            f"cannot {what}: the endpoint is not a valid URL; check AWS_ENDPOINT_URL"
        ) from exc
    except BotoCoreError as exc:
        raise UsageError(
            f"cannot {what}: the configuration for S3 cannot be used ({type(exc).__name__}); "
            "check AWS_PROFILE and the files in ~/.aws"
        ) from exc
    return client, core


def _verb(operation: str) -> str:
    verb = operation.split("_", 1)[0]
    return {"get": "read", "head": "query", "delete": "remove", "list": "list"}.get(verb, "write")
