"""What answers of the Hub mean, for reading and writing alike: temporary statuses and pauses.

The Hub asks for a pause in three ways: by a `Retry-After` header, by a `ratelimit` header, which
every answer has, and for its limit of commits by a sentence: "(128 per hour). You can retry this
action in 43 minutes". Short because `sources/hub` and `stores/hub` share it.
"""

import re
from collections.abc import Mapping

from huggingface_hub.errors import HfHubHTTPError

from wdsremux.core.errors import causes
from wdsremux.stores.schemes import SCHEMES

# The base of what the HTTP library raises: httpx's in huggingface_hub 1, httpx2's in 2.
HttpError: type[Exception] = HfHubHTTPError.__bases__[0]

TEMPORARY_STATUSES = (408, 409, 425, 429, 500, 502, 503, 504)
LOG_IN = SCHEMES["hf"].login_hint

_PAUSE_IN_MESSAGE = re.compile(r"retry this action in (\d+|an?) (second|minute|hour)")
_PAUSE_LEFT = re.compile(r"\br\s*=\s*0\s*;\s*t\s*=\s*(\d+)")
"""In a `ratelimit` header: only an exhausted limit is the reason of a refusal."""
_UNIT_S = {"second": 1, "minute": 60, "hour": 3600}


def status_of(exc: BaseException | None) -> int | None:
    """Return the HTTP status that an exception, or one of its causes, came with."""
    for each in causes(exc):
        status = getattr(getattr(each, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
    return None


def headers_of(exc: BaseException | None) -> Mapping[str, str]:
    """Return the headers of the answer that an exception, or one of its causes, came with."""
    answers = (getattr(each, "response", None) for each in causes(exc))
    found = next((getattr(answer, "headers", {}) for answer in answers if answer is not None), {})
    return dict(found)


def asked_pause_s(headers: Mapping[str, str], message: str = "") -> float:
    """Return the pause that a refusal asks for; 0 where it asks for none.

    `message` is the message of the Hub.
    """
    found = _PAUSE_IN_MESSAGE.search(message)
    if found is not None:
        return (int(found[1]) if found[1].isdigit() else 1) * _UNIT_S[found[2]]
    fields = {name.lower(): value.strip() for name, value in headers.items()}
    left = _PAUSE_LEFT.search(fields.get("ratelimit", ""))
    asked = left[1] if left is not None else fields.get("retry-after", "")
    return float(asked) if asked.isdecimal() else 0.0
