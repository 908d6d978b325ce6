"""The keys of samples: the row number, or the user's own key made safe.

WebDataset splits a member's name at the first dot after the last slash, so a key holds neither;
every reader tested accepts `[A-Za-z0-9_-]`.
Short because the workers that make keys and the checks that expect them share it.
"""

import hashlib
import re

MAX_KEY_CHARS = 80
"""So that key, copy suffix and extension stay within the 100 bytes of a ustar name."""


def is_safe_key(key: str) -> bool:
    """Return whether every reader accepts a key; some skip names that begin with __."""
    return re.fullmatch(rf"(?!__)[A-Za-z0-9_-]{{1,{MAX_KEY_CHARS}}}", key) is not None


def key_from_position(position: int) -> str:
    """Return the key of a row: nine digits, so that names sort as rows do."""
    return f"{position:09d}"


def key_from_value(value: object) -> tuple[str, str]:
    """Return (key, original string) of a key column's value.

    A string that is changed to be safe gets a part of its SHA-256 at the end: different strings
    keep different keys. Raises ValueError for a value that cannot be a key.
    """
    if value is None or isinstance(value, float | bytes | list | dict):
        raise ValueError(f"a key must be a string or a whole number, not {type(value).__name__}")
    text = str(value)
    if not text:
        raise ValueError("the key is empty")
    safe = re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-")
    if safe == text and is_safe_key(text):
        return text, text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    room = MAX_KEY_CHARS - len(digest) - 1
    return f"{safe[:room]}-{digest}".lstrip("-"), text
