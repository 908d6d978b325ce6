"""Makes strings from elsewhere fit to be shown: the one function for names, labels, notes, errors.

A name in a dataset, a text in a lock or an answer of a server may hold control characters (which
set a terminal's title, move its cursor or forge a line) and marks that reverse the direction of
what follows. They are shown as Python escapes; letters of all scripts stay as they are. Small on
purpose: everything that prints depends on it.
"""

import re

_LINE_BREAKS = "\n\t"


def escaped(value: object) -> str:
    r"""Return the value's string in one line: what is not printable as \n, \x1b, \u202e."""
    text = str(value)
    return text if text.isprintable() else "".join(map(_shown, text))


def escaped_lines(text: str, keep: str = _LINE_BREAKS) -> str:
    """Return a text of several lines, escaped like `escaped` but for the characters in `keep`."""
    if text.isprintable():
        return text
    parts = re.split(f"([{re.escape(keep)}])", text)
    return "".join(part if part in keep else escaped(part) for part in parts)


def _shown(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
