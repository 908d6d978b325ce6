"""What the Hub and `datasets` mean by their errors: tried again, or told in our words."""

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
from wdsremux.stores.hub.ranges import RETRY_STATUSES, Access, HttpError, retry_after_s
from wdsremux.stores.hub.timeouts import bound_requests
from wdsremux.stores.patience import ReadingPatience, TemporaryError

ValueT = TypeVar("ValueT")

LOG_IN = "log in with `hf auth login` or set HF_TOKEN"
_LOOK = "see what `datasets.load_dataset` says to it"

_REFUSALS: dict[type[Exception], str] = {
    # Gated repos are a kind of repos not found: they come first.
    GatedRepoError: f"is gated: ask for access on its page on the Hub, then {LOG_IN}",
    RevisionNotFoundError: "has no such revision: check --revision",
    RepositoryNotFoundError: (
        f"is not on the Hub, or it is private: check the name; if it is private, {LOG_IN}"
    ),
    HFValidationError: "cannot have that name: write user/name",
}


def patiently(call: Callable[[], ValueT], repo: str, access: Access) -> ValueT:
    """Call until it answers, as long as the access allows; translate what the Hub refuses."""
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
    """Return what a refusal of the Hub means, None when it is no refusal."""
    for kind, text in _REFUSALS.items():
        if isinstance(exc, kind):
            return SourceError(f"dataset {repo!r} {text}")
    status = _status(exc)
    if status in (401, 403):
        return SourceError(f"the Hub refuses the token for dataset {repo!r}: {LOG_IN}")
    if status is not None and status not in RETRY_STATUSES:
        return SourceError(
            f"the Hub answers {status} for dataset {repo!r}: look at its page on the Hub, or run "
            "the same command again later"
        )
    return None


def _unknown(exc: Exception, repo: str) -> SourceError:
    return SourceError(f"dataset {repo!r} cannot be opened: {reason_of(exc)}; {_LOOK}")


def reason_of(exc: Exception) -> str:
    """Return what `datasets` says, without secrets and without its list of all suffixes."""
    what, listed, _ = str(exc).partition(" with any supported")
    return redacted(f"{what} with a suffix that it reads" if listed else what)


def builder_error(exc: Exception, repo: str, subset: str | None) -> Exception:
    """Return what `datasets` means by a dataset not found, a ValueError or a RuntimeError."""
    text = str(exc)
    names = re.search(r"\[.*\]", text)
    listed = ", ".join(re.findall(r"'([^']+)'", names[0])) if names else ""
    if "Config name is missing" in text:
        return UsageError(f"dataset {repo!r} has several subsets: {listed}; choose with --subset")
    if "BuilderConfig" in text and "not found" in text:
        return UsageError(f"--subset {subset!r}: dataset {repo!r} has {listed}")
    if "is a gated dataset" in text:
        return SourceError(f"dataset {repo!r} {_REFUSALS[GatedRepoError]}")
    if "scripts are no longer supported" in text:
        return SourceError(
            f"dataset {repo!r} is made by a script, which `datasets` no longer runs; "
            "try --revision refs/convert/parquet"
        )
    return SourceError(f"dataset {repo!r} cannot be opened: {redacted(text)}; {_LOOK}")


def _status(exc: BaseException) -> int | None:
    response = getattr(exc, "response", None)
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else None


def _is_temporary(exc: BaseException) -> bool:
    if _status(exc) is not None:
        return _status(exc) in RETRY_STATUSES
    return isinstance(exc, HttpError | ConnectionError | TimeoutError | LocalEntryNotFoundError)


def _temporary(exc: BaseException) -> TemporaryError:
    status = _status(exc)
    if status is None:
        return TemporaryError("no connection to the Hub")
    headers = getattr(getattr(exc, "response", None), "headers", {})
    return TemporaryError(f"the Hub answers {status}", retry_after_s=retry_after_s(headers))
