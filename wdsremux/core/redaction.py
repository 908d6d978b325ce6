"""Texts of other people's libraries and servers, made fit to be shown, logged and written down.

An HTTP client names the URL it was sent to in its errors: signed, such a URL is a key. What looks
like a key, a token or a URL gives way to "…".
"""

import re

from wdsremux.core.errors import causes
from wdsremux.core.escaping import escaped

MAX_CHARS = 300

_SECRETS = re.compile(
    r"\bhf_\w+"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}"
    r"|(?i:bearer|(?<=authorization: )basic)\s+\S+"
    r"|(?i:https?)://\S+"
    r"|\w+://[^\s/]*@\S+"  # a name and a password before the host
    r"|(?<!\S)[^\s?]*\?[^\s=]*=\S*"  # what urllib3 calls a URL: the path and all that signs it
)


def redacted(text: str, max_chars: int = MAX_CHARS) -> str:
    """Return a text in one line, without secrets, of at most so many characters."""
    return escaped(_SECRETS.sub("…", " ".join(text.split())))[:max_chars]


def shown_cause(exc: BaseException) -> BaseException | None:
    """Return an exception as the cause of ours, None where a traceback would show a secret."""
    is_clean = not any(_SECRETS.search(f"{each}\n{each!r}") for each in causes(exc))
    return exc if is_clean else None
