"""Escapes strings from outside before they are shown: names, labels, notes, errors.

A name in a dataset, the content of a lock or the answer of a server may hold control characters
(which set a terminal's title, move its cursor or forge a line) and marks that reverse the direction
of what follows. They are shown as Python escapes; letters of all scripts stay as they are. Short
because everything that prints imports it.
"""

import re

_LINE_BREAKS = "\n\t"


def escaped(value: object) -> str:
    r"""Return the value as one line, with \n, \x1b or \u202e for what is not printable."""
    text = str(value)
    return text if text.isprintable() else "".join(map(_shown, text))


def escaped_lines(text: str, keep: str = _LINE_BREAKS) -> str:
    """Return a string of several lines, escaped like `escaped` except the characters in `keep`."""
    if text.isprintable():
        return text
    parts = re.split(f"([{re.escape(keep)}])", text)
    return "".join(part if part in keep else escaped(part) for part in parts)


def _shown(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")


def shown_bytes(data: bytes | bytearray, most: int = 12) -> str:
    """Return the first bytes for a message: quoted where they are printable, else hexadecimal."""
    first, is_cut = bytes(data[:most]), len(data) > most
    if first.isascii() and first.decode("ascii").isprintable():
        return f"'{first.decode('ascii')}{'...' if is_cut else ''}'"
    return f"the bytes {first.hex(' ')}{' ...' if is_cut else ''}"
