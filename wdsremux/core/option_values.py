"""Parses the strings of options; every parser raises ValueError that says what to write."""

import codecs
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import index
from typing import SupportsIndex

from wdsremux.core.tar import ustar

MB = 10**6
SIZE_UNITS = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
DEFAULT_SHARD_BYTES = 512 * MB
"""Upper bound of a shard without --max-shard-size."""
DEFAULT_MAX_PIXELS = 178_000_000
"""About 13,300 × 13,300: half a gigabyte of RGB."""
MIN_PREFIX_CHARS = 4
LONG_WORD_CHARS = 6


@dataclass(frozen=True, slots=True)
class ErrorLimit:
    """How many records may be rejected for errors: a number of rows or a percentage."""

    rows: int | None = None
    percent: float | None = None

    def __str__(self) -> str:
        return f"{self.percent:g}%" if self.rows is None else str(self.rows)

    def allows(self, errors: int, rows_in_all: int) -> bool:
        """Return whether this number of errors is allowed in this number of rows."""
        if self.rows is not None:
            return errors <= self.rows
        return errors <= rows_in_all * (self.percent or 0.0) / 100


def size_from_text(value: str | int) -> int:
    """Return bytes: "512MB" is 512 * 10^6, "512MiB" is 512 * 2^20, a bare number is bytes."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(value))
    if not match or match[2].upper() not in SIZE_UNITS:
        raise ValueError("write a size such as 512MB (10^6 bytes), 512MiB (2^20 bytes) or 1.5GB")
    # Decimal, not float: 1.001KB is 1001 bytes.
    size = int(Decimal(match[1]) * SIZE_UNITS[match[2].upper()])
    if size <= 0:
        raise ValueError("a size must be larger than 0")
    return size


def shard_size_from_text(value: str | int) -> int:
    """Return the bytes of a bound that at least the smallest tar file keeps."""
    size_bytes = size_from_text(value)
    if size_bytes < ustar.RECORD_BYTES:
        raise ValueError(
            f"a tar file has at least {ustar.RECORD_BYTES} bytes; write a size such as 512MB"
        )
    return size_bytes


def text_from_size(size_bytes: int) -> str:
    """Return the string that `size_from_text` reads as this size: 512MB."""
    return f"{size_bytes // MB}MB" if size_bytes % MB == 0 else str(size_bytes)


def error_limit_from_text(value: "str | int | ErrorLimit") -> ErrorLimit:
    """Return the limit of "25" (rows) or "1%" (of the rows)."""
    if isinstance(value, ErrorLimit):
        return value
    match = re.fullmatch(r"\s*(?:(\d+)|(\d+(?:\.\d+)?)\s*%)\s*", str(value))
    if not match or (match[2] and float(match[2]) > 100):
        raise ValueError("write a number of rows such as 25, or a percentage such as 1%")
    return ErrorLimit(rows=int(match[1])) if match[1] else ErrorLimit(percent=float(match[2]))


def aspect_from_text(value: str | float) -> float:
    """Return the most that a longer side may have, in shorter sides: at least 1."""
    try:
        ratio = float(value)
    except ValueError:
        ratio = 0.0
    if not 1 <= ratio < 1e6:
        raise ValueError("write a ratio from 1 on, such as 2 or 1.5")
    return ratio


def is_url(out: "str | os.PathLike[str]") -> bool:
    """Return whether an output is a URL and not a folder."""
    return re.match(r"[a-z][a-z0-9+.-]*://", os.fspath(out)) is not None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return "; did you mean X?" where an unknown name is a misspelling of a known one, else ""."""
    known = [each for each in candidates if _is_slip(word.lstrip("-"), each.lstrip("-"))]
    if not known:
        return ""
    near = min(known, key=lambda each: _slips(word, each))
    return f"; did you mean {near}?"


def _is_slip(word: str, known: str) -> bool:
    """Return whether a name is the beginning of a known one, or differs in a letter or two."""
    if len(word) >= MIN_PREFIX_CHARS and known.startswith(word):
        return True
    return _slips(word, known) <= (1 if len(word) < LONG_WORD_CHARS else 2)


def _slips(word: str, known: str) -> int:
    """Return how many letters to insert, remove, replace or swap with the next (OSA distance)."""
    older: list[int] = []
    old: list[int] = [*range(len(known) + 1)]
    for i, one in enumerate(word, 1):
        new: list[int] = [i]
        for j, other in enumerate(known, 1):
            new.append(min(old[j] + 1, new[j - 1] + 1, old[j - 1] + (one != other)))
            if i > 1 and j > 1 and (one, word[i - 2]) == (known[j - 2], other):
                new[j] = min(new[j], older[j - 2] + 1)
        older, old = old, new
    return old[-1]


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return "1 shard" or "2 shards"."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def listed(names: Sequence[str], most: int) -> str:
    """Return "a, b and 3 more": at most that many names, and the number of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def first_of(texts: Sequence[str], noun: str = "") -> str:
    """Return the first string and how many others there are: "a (and 2 more files)"."""
    others = len(texts) - 1
    more = f"{others} more" if not noun else counted(others, f"more {noun}")
    return f"{texts[0]} (and {more})" if others else texts[0]


def crew(workers: int, engine: str) -> str:
    """Return "1 process" or "2 threads": how many workers of an engine there are."""
    if engine == "ray":
        return f"{counted(workers, 'lane')} on Ray"
    return counted(workers, {"processes": "process", "threads": "thread"}[engine], engine)


def duration(seconds: float) -> str:
    """Return a time for people: 42 s, 3 min 5 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def shortened(text: str, most_chars: int = 100) -> str:
    """Return a string of at most that many characters; "..." at its end says that it was cut."""
    return text if len(text) <= most_chars else f"{text[: most_chars - 3]}..."


def size(size_bytes: int) -> str:
    """Return a size in decimal units, as --max-shard-size reads it."""
    number = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        text = f"{number:.0f}" if unit == "B" else f"{number:.1f}"
        if float(text) < 1000:
            return f"{text} {unit}"
        number /= 1000
    return f"{number:.2f} TB"


def colour_from_text(value: object) -> tuple[int, int, int]:
    """Return (red, green, blue) of a name Pillow knows ("white") or of "#rrggbb"."""
    if not isinstance(value, str):
        parts = tuple(value) if isinstance(value, tuple | list) else ()
        if len(parts) != 3 or not all(type(part) is int and 0 <= part <= 255 for part in parts):
            raise ValueError("write three whole numbers from 0 to 255")
        return parts[0], parts[1], parts[2]
    from PIL import ImageColor  # noqa: PLC0415 (keeps Pillow out of `--help`)

    try:
        colour = ImageColor.getrgb(value)
    except ValueError:
        raise ValueError("write a colour name such as white, or #rrggbb") from None
    return colour[0], colour[1], colour[2]


def text_from_colour(colour: tuple[int, int, int]) -> str:
    """Return the string that `colour_from_text` reads as this colour: white, else #rrggbb."""
    return "white" if colour == (255, 255, 255) else f"#{bytes(colour).hex()}"


def encoding_from_text(value: object) -> str:
    """Return the name of a character encoding as Python has it: "GBK" is "gbk"."""
    try:
        return codecs.lookup(str(value)).name
    except LookupError:
        raise ValueError("write an encoding such as gbk, shift_jis or cp437") from None


def range_from_text(value: object) -> tuple[float, float]:
    """Return (low, high) of "0:4095", or of a list of two numbers."""
    parts = value.split(":") if isinstance(value, str) else value
    try:
        low, high = (float(part) for part in parts)  # type: ignore[attr-defined]  # see below
    except (ValueError, TypeError):
        raise ValueError("write the values of black and white, such as 0:4095") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError("the first number must be lower than the second")
    return low, high


def text_from_range(values: tuple[float, float]) -> str:
    """Return the string that `range_from_text` reads as this range."""
    return ":".join(str(int(each)) if each.is_integer() else repr(each) for each in values)


def text_from_value(value: object) -> str:
    """Return a value as users write it: a whole number of seconds without ".0"."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def names_from_text(value: object) -> tuple[str, ...]:
    """Return the names in "a,b", or in a list; an empty string holds none."""
    names = value.split(",") if isinstance(value, str) else _strings_in(value)
    if names is None:
        raise ValueError("write names such as a,b, or a list of them")
    return tuple(name.strip() for name in names if name.strip())


def rows_from(value: object) -> tuple[int, ...]:
    """Return one row number, or a list of them, in order, each once."""
    items = value if isinstance(value, tuple | list) else [value]
    return tuple(sorted({number_from(1)(item) for item in items}))


def strings(value: object) -> tuple[str, ...]:
    """Return a tuple of strings; a single string becomes a tuple of one."""
    found = [value] if isinstance(value, str) else _strings_in(value)
    if found is None:
        raise ValueError("write a string, or a list of strings")
    return tuple(found)


def _strings_in(value: object) -> list[str] | None:
    """Return the strings of a list; None if it holds anything else."""
    if not isinstance(value, tuple | list):
        return None
    found = [item for item in value if isinstance(item, str)]
    return found if len(found) == len(value) else None


def number_from(low: int, high: int | None = None) -> Callable[[object], int]:
    """Return a parser of whole numbers in a range."""

    def parse(value: object) -> int:
        number = _whole_number(value)
        if number is None or number < low or (high is not None and number > high):
            above = "" if high is None else f" to {high}"
            raise ValueError(f"write a whole number from {low}{above}")
        return number

    return parse


def _whole_number(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d+\s*", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        return None
    return index(value)  # NumPy's integers


def switch_from(value: object) -> bool:
    """Return true or false; a string such as "no" is neither."""
    if not isinstance(value, bool):
        raise ValueError("write true or false")  # noqa: TRY004 (as every parser here)
    return value


def seconds_from_text(value: str | float) -> float:
    """Return seconds: "90", "1.5", "2m", "1h"."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", str(value))
    if not match or float(match[1]) <= 0:
        raise ValueError("write seconds such as 90, or 2m, or 1h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
