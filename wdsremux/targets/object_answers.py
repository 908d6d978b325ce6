"""What obstore means by its refusals, in our words: its own hold URLs, which may be signed."""

import contextlib
import re
from collections.abc import Iterator

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from wdsremux.errors import TargetError, UnreachableTargetError

_STATUS = re.compile(r"status code: (\d{3})")
_TEMPORARY = ("408", "409", "425", "429", "5")
_LOGIN = {
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS or run `gcloud auth application-default login`",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or run `az login`",
}


@contextlib.contextmanager
def explained(doing: str, url: str) -> Iterator[None]:
    """Turn what obstore raises into a TargetError; FileNotFoundError passes."""
    try:
        yield
    except (BaseError, ValueError, NotImplementedError) as exc:
        # Not chained: what is below may hold a signed URL.
        raise _error(f"cannot {doing} {url}", exc) from None


def login_of(url: str) -> str:
    """Return how to log in to what a URL names."""
    return _LOGIN.get(url.partition(":")[0], "check the credentials")


def _error(what: str, exc: Exception) -> TargetError:
    url = what.rpartition(" ")[2]
    text = str(exc).partition("\n")[0]
    status = _STATUS.search(text)
    if isinstance(exc, UnauthenticatedError) or "token request" in text:
        return TargetError(f"{what}: no valid credentials were found; {login_of(url)}")
    if isinstance(exc, PermissionDeniedError):
        return TargetError(
            f"{what}: these credentials may not do that; ask for the right to list, read, write "
            "and delete"
        )
    if status and not status[1].startswith(_TEMPORARY):
        return TargetError(f"{what}: the server answers {status[1]}; check name and credentials")
    if isinstance(exc, BaseError):
        said = f"the server answers {status[1]}" if status else "no answer from the server"
        return UnreachableTargetError(f"{what}: {said}; run the same command again later")
    return TargetError(f"{what}: {type(exc).__name__} of obstore; check the spelling")
