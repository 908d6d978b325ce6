"""Removes secrets from messages of libraries and servers before they are shown or recorded.

HTTP clients name the requested URL in their errors: a signed URL is a credential. What looks like a
key, a token or a URL is replaced by "[hidden]".
Short because sources, stores and transforms share it.
"""

import re

from wdsremux.core.errors import causes
from wdsremux.core.escaping import escaped
from wdsremux.core.option_values import shortened

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
    """Return a string in one line, without secrets, cut to `max_chars`."""
    return shortened(escaped(_SECRETS.sub("[hidden]", " ".join(text.split()))), max_chars)


def shown_cause(exc: BaseException) -> BaseException | None:
    """Return an exception to raise ours from; None where its traceback would show a secret."""
    is_clean = not any(_SECRETS.search(f"{each}\n{each!r}") for each in causes(exc))
    return exc if is_clean else None
