"""Errors of the Hub as messages: what happened and what to do.

Messages of `huggingface_hub` may hold signed URLs, so none of them is shown; of the message of the
Hub one line is, without anything that looks like a token.
"""

import contextlib
from collections.abc import Iterator

from huggingface_hub import get_token
from huggingface_hub.errors import OfflineModeIsEnabled

from wdsremux.core.errors import StoreError, UnreachableStoreError, causes
from wdsremux.core.redaction import redacted
from wdsremux.stores.hub.answers import (
    LOG_IN,
    TEMPORARY_STATUSES,
    HttpError,
    asked_pause_s,
    headers_of,
    status_of,
)

OVERTAKEN = 412
"""Answered to a commit whose parent is no longer the head of its branch."""

_LOOK = "check the page of the repository, then run the same command again"
_RAISED = (OSError, HttpError, ValueError, RuntimeError)
"""Uploads wrap what went wrong in RuntimeErrors; malformed answers and names are ValueErrors."""


@contextlib.contextmanager
def translating_errors(doing: str) -> Iterator[None]:
    """Turn what `huggingface_hub` raises into a StoreError; `doing` is what could not be done."""
    try:
        yield
    except _RAISED as exc:
        # Not chained: what is below may hold a signed URL.
        raise _error(doing, exc) from None


def is_nothing_there(exc: Exception) -> bool:
    """Return whether the Hub answers that something does not exist.

    Without a token it answers 401 in that case, and also when access is refused.
    """
    return status_of(exc) == 404


def _error(doing: str, exc: Exception) -> StoreError:
    if isinstance(exc, OfflineModeIsEnabled):
        return StoreError(f"cannot {doing} in offline mode: unset HF_HUB_OFFLINE")
    status = status_of(exc)
    if status is not None:
        return _refusal(doing, status, exc)
    if isinstance(exc, OSError) and exc.filename is not None:
        return StoreError(
            f"cannot {doing}: {exc.filename!r}: {exc.strerror}; make it readable, then run "
            "the same command again"
        )
    chain = list(causes(exc))
    if any(isinstance(each, HttpError | OSError) or "closed" in str(each) for each in chain):
        return UnreachableStoreError(
            f"cannot {doing}: no connection to the Hub; check the network and run the same "
            "command again"
        )
    return StoreError(f"cannot {doing}: {redacted(str(exc))}; {_LOOK}")


def _refusal(doing: str, status: int, exc: Exception) -> StoreError:
    message = _message(exc)
    if status in TEMPORARY_STATUSES:
        what = "asks to slow down (429)" if status == 429 else f"answers {status}"
        return UnreachableStoreError(
            f"cannot {doing}: the Hub {what}; run the same command again later",
            retry_after_s=asked_pause_s(headers_of(exc), message) if status == 429 else 0.0,
        )
    if status == OVERTAKEN:
        return StoreError(
            f"cannot {doing}: another writer has committed since this run began; check the "
            "repository, then run the same command again"
        )
    if status == 401 and get_token() is None:
        return StoreError(f"cannot {doing}: not logged in to the Hub; {LOG_IN}")
    reason = {
        401: f"the Hub refuses the token (401); {LOG_IN}",
        403: (
            "the token lacks the permission (403); use one with read or write access to that user "
            "or group"
        ),
        404: "the repository does not exist, or the token has no access (404); check the name",
    }.get(status, f"the Hub answers {status}; {_LOOK}")
    return StoreError(
        f"cannot {doing}: {reason}{f' (message of the Hub: {message})' if message else ''}"
    )


def _message(exc: BaseException) -> str:
    """Return the message of the Hub about a refusal, such as exhausted storage."""
    messages = (getattr(each, "server_message", None) for each in causes(exc))
    return redacted(next((each for each in messages if isinstance(each, str)), ""))
