"""Errors of the Hub and of `datasets`: retried, or translated."""

import re
from collections.abc import Callable
from typing import TypeVar

from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from wdsremux.core.errors import SourceError, UsageError, causes
from wdsremux.core.redaction import redacted, shown_cause
from wdsremux.stores.hub.answers import (
    LOG_IN,
    TEMPORARY_STATUSES,
    HttpError,
    asked_pause_s,
    headers_of,
)
from wdsremux.stores.hub.ranges import HubAccess
from wdsremux.stores.hub.timeouts import bound_requests
from wdsremux.stores.patience import ReadingPatience, TemporaryError

ValueT = TypeVar("ValueT")

_LOOK = "check whether `datasets.load_dataset` can open it"

_REFUSALS: dict[type[Exception], str] = {
    # GatedRepoError is a subclass of RepositoryNotFoundError: it comes first.
    GatedRepoError: f"is gated: request access on its Hub page, then {LOG_IN}",
    RevisionNotFoundError: "does not have this revision: check --revision",
    RepositoryNotFoundError: (
        f"does not exist on the Hub or is private: check the name; if it is private, {LOG_IN}"
    ),
    HFValidationError: "does not have a valid name: write user/name",
}


def with_retries(call: Callable[[], ValueT], repo: str, access: HubAccess) -> ValueT:
    """Call and retry for as long as `access` allows; translate what the Hub refuses."""
    patience = ReadingPatience(f"dataset {repo!r}", access.give_up_after_s)
    while True:
        bound_requests(access)
        try:
            return call()
        except OfflineModeIsEnabled as exc:
            raise SourceError(
                f"dataset {repo!r} cannot be read in offline mode: unset HF_HUB_OFFLINE"
            ) from exc
        except (OSError, HttpError, HFValidationError) as exc:
            refused = _refusal(exc, repo)
            if refused:
                raise refused from shown_cause(exc)
            cause = next((each for each in causes(exc) if _is_temporary(each)), None)
            if cause is None:
                raise _unknown(exc, repo) from shown_cause(exc)
            patience.wait(_temporary(cause))


def _refusal(exc: Exception, repo: str) -> SourceError | None:
    """Return the error for a refusal of the Hub, None when it did not refuse."""
    for kind, refusal in _REFUSALS.items():
        if isinstance(exc, kind):
            return SourceError(f"dataset {repo!r} {refusal}")
    status = _status(exc)
    if status in (401, 403):
        return SourceError(f"the Hub refuses the token for dataset {repo!r}: {LOG_IN}")
    if status is not None and status not in TEMPORARY_STATUSES:
        return SourceError(
            f"the Hub answered {status} for dataset {repo!r}: check its page on the Hub, or run "
            "the same command again later"
        )
    return None


def _unknown(exc: Exception, repo: str) -> SourceError:
    return SourceError(f"dataset {repo!r} cannot be opened: {reason_of(exc)}; {_LOOK}")


def reason_of(exc: Exception) -> str:
    """Return the message of `datasets` without secrets and without its list of all suffixes."""
    what, listed, _ = str(exc).partition(" with any supported")
    return redacted(f"{what} with a supported suffix" if listed else what)


def builder_error(exc: Exception, repo: str, subset: str | None) -> Exception:
    """Return what a DatasetNotFoundError, ValueError or RuntimeError of `datasets` means."""
    message = str(exc)
    names = re.search(r"\[.*\]", message)
    listed = ", ".join(re.findall(r"'([^']+)'", names[0])) if names else ""
    if "Config name is missing" in message:
        return UsageError(
            f"dataset {repo!r} has several subsets: {listed}; choose one with --subset"
        )
    if "BuilderConfig" in message and "not found" in message:
        return UsageError(f"--subset {subset!r}: dataset {repo!r} has the subsets {listed}")
    if "is a gated dataset" in message:
        return SourceError(f"dataset {repo!r} {_REFUSALS[GatedRepoError]}")
    if "scripts are no longer supported" in message:
        return SourceError(
            f"dataset {repo!r} is built by a script, which `datasets` no longer runs; "
            "try --revision refs/convert/parquet"
        )
    return SourceError(f"dataset {repo!r} cannot be opened: {redacted(message)}; {_LOOK}")


def _status(exc: BaseException) -> int | None:
    response = getattr(exc, "response", None)
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else None


def _is_temporary(exc: BaseException) -> bool:
    if _status(exc) is not None:
        return _status(exc) in TEMPORARY_STATUSES
    return isinstance(exc, HttpError | ConnectionError | TimeoutError | LocalEntryNotFoundError)


def _temporary(exc: BaseException) -> TemporaryError:
    status = _status(exc)
    if status is None:
        return TemporaryError("no connection to the Hub")
    message = getattr(exc, "server_message", None) or ""
    pause_s = asked_pause_s(headers_of(exc), message)
    return TemporaryError(f"the Hub answers {status}", retry_after_s=pause_s)
