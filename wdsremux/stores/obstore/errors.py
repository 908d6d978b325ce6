"""Errors of obstore as messages of our own: its messages hold URLs, which may be signed."""

import contextlib
import re
from collections.abc import Iterator

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.stores.schemes import SCHEMES

_STATUS = re.compile(r"status code: (\d{3})")
_NO_BUCKET = "the bucket or container does not exist; create it, or check its name"
_TEMPORARY = ("408", "409", "425", "429", "5")


@contextlib.contextmanager
def translating_errors(doing: str, url: str) -> Iterator[None]:
    """Turn what obstore raises into a StoreError; who may find nothing catches that before."""
    try:
        yield
    except FileNotFoundError:
        raise StoreError(f"cannot {doing} {url}: {_NO_BUCKET}") from None
    except (BaseError, ValueError, NotImplementedError) as exc:
        # Not chained: what is below may hold a signed URL.
        raise _error(f"cannot {doing} {url}", exc) from None


def login_of(url: str) -> str:
    """Return how to log in to what a URL names."""
    return SCHEMES[url.partition(":")[0]].login_hint


def _error(what: str, exc: Exception) -> StoreError:
    """Classify by exception and status: lists and tokens have no exceptions of their own."""
    message = str(exc).partition("\n")[0]
    found = _STATUS.search(message)
    status = found[1] if found else ""
    if isinstance(exc, UnauthenticatedError) or status == "401" or "token request" in message:
        login = login_of(what.rpartition(" ")[2])
        return StoreError(f"{what}: no valid credentials were found; {login}")
    if isinstance(exc, PermissionDeniedError) or status == "403":
        return StoreError(
            f"{what}: these credentials lack the permission; they need to list, read, write and "
            "delete"
        )
    if status == "404":
        return StoreError(f"{what}: {_NO_BUCKET}")
    if status and not status.startswith(_TEMPORARY):
        return StoreError(
            f"{what}: the server answers {status}; check the name and the credentials"
        )
    if isinstance(exc, BaseError) and "BadScheme" not in str(exc):
        cause = f"the server answers {status}" if status else "no answer from the server"
        return UnreachableStoreError(f"{what}: {cause}; run the same command again later")
    reason = f"{type(exc).__name__} of obstore; check the spelling"
    if isinstance(exc, BaseError):
        variable = "AZURE" if " az://" in what else "GOOGLE"
        reason = f"its endpoint is an http:// URL; use https://, or set {variable}_ALLOW_HTTP=true"
    return StoreError(f"{what}: {reason}")
