"""Ranged GETs of files on the Hub: one try each, checked for status, offset and length.

A file's `resolve` URL redirects to a signed URL on a content host. The Hub limits these
redirects, so each process asks once for each file, and again when the signed URL has expired. The
token is sent to the Hub only; neither it nor a signed URL is ever part of a message.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

from huggingface_hub import get_session
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, lazily

from wdsremux.core.errors import SourceError
from wdsremux.stores.hub.answers import LOG_IN, TEMPORARY_STATUSES, HttpError, asked_pause_s
from wdsremux.stores.patience import TemporaryError

REDIRECT_STATUSES = (301, 302, 303, 307, 308)
MAX_HOPS = 5
KEPT_REDIRECTS = 1000


@dataclass(frozen=True, slots=True)
class HubAccess:
    """How the Hub is reached; sent to workers inside units."""

    give_up_after_s: float = 120.0
    """The run ends after this time without a byte; finished shards are kept."""
    stall_timeout_s: float = 10.0
    """A connection without a byte for this time is closed and tried again."""
    token: str | None = field(default=None, repr=False)
    """Only one that was passed explicitly; else workers find it as huggingface_hub does."""

    @property
    def timeout_s(self) -> float:
        """How long one try waits for the next byte."""
        return min(self.stall_timeout_s, self.longest_timeout_s)

    @property
    def longest_timeout_s(self) -> float:
        """How long any try may wait: several fit into the time of giving up."""
        return self.give_up_after_s / 3


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file at one commit."""

    name: str
    """As shown to the user: repository and path."""
    url: str
    """Unsigned."""
    size_bytes: int
    access: HubAccess


@dataclass(slots=True)
class PendingRange:
    """A range of a file that is being read; `data` grows over several tries."""

    start: int
    stop: int
    data: bytearray = field(default_factory=bytearray)

    @property
    def is_full(self) -> bool:
        """Whether all bytes have arrived."""
        return len(self.data) == self.stop - self.start


@lru_cache(maxsize=4)
def range_client(access: HubAccess) -> "RangeClient":
    """Return the client of this process: all readers share the redirects that it knows."""
    return RangeClient(access)


class RangeClient:
    """Gets ranges; thread-safe."""

    def __init__(self, access: HubAccess) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._redirects: dict[str, str] = {}
        self._questions: dict[str, threading.Lock] = {}
        self._headers = build_hf_headers(token=access.token, library_name="wdsremux")

    def fill(self, file: HubFile, pending: PendingRange) -> None:
        """Try once to get the missing bytes of the range.

        Raises TemporaryError when it should be tried again, SourceError for a permanent error.
        """
        came = len(pending.data)
        try:
            with transport_errors(self._access.timeout_s):
                self._follow(file, pending)
            if not pending.is_full:
                missing = pending.stop - pending.start - len(pending.data)
                raise TemporaryError(f"the answer ended {missing} bytes early")
        except TemporaryError as error:
            error.has_progress = len(pending.data) > came
            raise

    def _follow(self, file: HubFile, pending: PendingRange) -> None:
        url: str | None = self._redirects.get(file.url)
        if url is None:
            with self._resolving(file):  # the others wait: each request counts against a limit
                url = self._redirects.get(file.url)
                if url is None:
                    url = self._get(file, file.url, pending)
                    self._remember(file, url or file.url)
        for _ in range(MAX_HOPS):
            if url is None:
                return
            url = self._get(file, url, pending)
            if url:
                self._remember(file, url)
        if url:
            raise SourceError(
                f"cannot read {file.name}: the Hub redirects in circles; run the same command "
                "again later"
            )

    def _resolving(self, file: HubFile) -> threading.Lock:
        with self._lock:
            return self._questions.setdefault(file.url, threading.Lock())

    def _remember(self, file: HubFile, url: str) -> None:
        with self._lock:
            self._redirects[file.url] = url
            if len(self._redirects) > KEPT_REDIRECTS:
                oldest = next(iter(self._redirects))
                del self._redirects[oldest]
                self._questions.pop(oldest, None)

    def _forget(self, file: HubFile, url: str) -> None:
        with self._lock:
            if self._redirects.get(file.url) == url:
                del self._redirects[file.url]

    def _get(self, file: HubFile, url: str, pending: PendingRange) -> str | None:
        """Get from one URL; return the URL it redirects to, None when the range is complete."""
        is_hub = urlsplit(url).netloc == urlsplit(file.url).netloc
        headers = {
            **(self._headers if is_hub else {"user-agent": self._headers.get("user-agent", "")}),
            "range": f"bytes={pending.start + len(pending.data)}-{pending.stop - 1}",
            "accept-encoding": "identity",
        }
        options: dict[str, Any] = {"follow_redirects": False, "headers": headers}
        timeout = self._access.timeout_s
        with get_session().stream("GET", url, timeout=timeout, **options) as answer:
            if answer.status_code in REDIRECT_STATUSES:
                return urljoin(url, answer.headers["location"])
            if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
                if url != file.url and answer.status_code in (400, 401, 403, 404, 410):
                    self._forget(file, url)  # the signed URL has expired
                    raise TemporaryError(f"the link to the file has expired ({answer.status_code})")
                raise_for_status(answer.status_code, answer.headers, file)
            _check_range(answer.headers.get("content-range", ""), file, pending)
            _take(answer.iter_raw(), pending)
        return None


def _take(chunks: Iterator[bytes], pending: PendingRange) -> None:
    missing = pending.stop - pending.start - len(pending.data)
    for chunk in chunks:  # to the end: only then the connection can be used again
        pending.data += chunk[: max(0, missing)]
        missing -= len(chunk)
        if missing < 0:
            return


def _check_range(content_range: str, file: HubFile, pending: PendingRange) -> None:
    span, _, size = content_range.removeprefix("bytes ").partition("/")
    if size not in (str(file.size_bytes), "*"):
        raise SourceError(f"cannot read {file.name}: its size has changed; start the run again")
    if span.partition("-")[0] != str(pending.start + len(pending.data)):
        raise TemporaryError("the answer holds another range of the file")


def raise_for_status(status: int, headers: Mapping[str, str], file: HubFile) -> None:
    """Raise the error that an answer without the requested range means."""
    if status in TEMPORARY_STATUSES:
        raise TemporaryError(f"the Hub answers {status}", retry_after_s=asked_pause_s(headers))
    reason = {
        200: "the server ignored the Range header; check for a proxy that rewrites responses",
        401: f"not logged in, or the token is refused; {LOG_IN}",
        403: f"access refused; request access on its page, and {LOG_IN}",
        404: "it has been removed; check the repository",
        416: "its size has changed; start the run again",
    }.get(status, f"the Hub answers {status}; run the same command again later")
    raise SourceError(f"cannot read {file.name}: {reason}")


@contextmanager
def transport_errors(timeout_s: float) -> Iterator[None]:
    """Translate what the HTTP library raises; its own messages may hold a signed URL."""
    try:
        yield
    except OfflineModeIsEnabled:
        raise SourceError("the Hub cannot be read in offline mode: unset HF_HUB_OFFLINE") from None
    except HttpError as exc:
        kind = type(exc).__name__
        if "Timeout" in kind:
            raise TemporaryError(f"no answer within {timeout_s:g} s") from None
        is_connecting = kind == "ConnectError"
        raise TemporaryError("no connection" if is_connecting else "the connection broke") from None
    except RuntimeError as exc:
        # huggingface_hub closes the session of all threads when one of its calls loses connection.
        if "closed" not in str(exc):
            raise
        raise TemporaryError("the connection was closed") from None
