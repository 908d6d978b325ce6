"""How the texts of options become values; every parser raises ValueError with what to write."""

import re
from collections.abc import Callable
from dataclasses import dataclass

MB = 10**6
SIZE_UNITS = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ErrorLimit:
    """How many records may be rejected for errors: a number of rows or a share of them."""

    rows: int | None = None
    percent: float | None = None

    def __str__(self) -> str:
        return f"{self.percent:g}%" if self.rows is None else str(self.rows)

    def allows(self, errors: int, rows_in_all: int) -> bool:
        """Return whether so many errors are allowed among so many rows."""
        if self.rows is not None:
            return errors <= self.rows
        return errors <= rows_in_all * (self.percent or 0.0) / 100


def size_from_text(value: str | int) -> int:
    """Return bytes: "512MB" is 512 * 10^6, "512MiB" is 512 * 2^20, a bare number is bytes."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(value))
    if not match or match[2].upper() not in SIZE_UNITS:
        raise ValueError("write a size such as 512MB (10^6 bytes), 512MiB (2^20 bytes) or 1.5GB")
    size = int(float(match[1]) * SIZE_UNITS[match[2].upper()])
    if size <= 0:
        raise ValueError("a size must be larger than 0")
    return size


def error_limit_from_text(value: "str | int | ErrorLimit") -> ErrorLimit:
    """Return the limit that "25" (rows) or "1%" (of the rows) names."""
    if isinstance(value, ErrorLimit):
        return value
    match = re.fullmatch(r"\s*(?:(\d+)|(\d+(?:\.\d+)?)\s*%)\s*", str(value))
    if not match or (match[2] and float(match[2]) > 100):
        raise ValueError("write a number of rows such as 25, or a share such as 1%")
    return ErrorLimit(rows=int(match[1])) if match[1] else ErrorLimit(percent=float(match[2]))


def colour_from_text(value: str | tuple[int, int, int]) -> tuple[int, int, int]:
    """Return (red, green, blue) of a name Pillow knows ("white") or of "#rrggbb"."""
    if not isinstance(value, str):
        if not all(0 <= part <= 255 for part in value):
            raise ValueError("write three numbers from 0 to 255")
        return value[0], value[1], value[2]
    from PIL import ImageColor  # noqa: PLC0415 (keeps Pillow out of `--help`)

    colour = ImageColor.getrgb(value)
    return colour[0], colour[1], colour[2]


def names_from_text(value: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Return the names of "a,b", or of a list; an empty text is no name at all."""
    names = value.split(",") if isinstance(value, str) else value
    return tuple(name.strip() for name in names if name.strip())


def texts(value: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Return a tuple of texts; one text alone is a tuple of one."""
    return (value,) if isinstance(value, str) else tuple(str(item) for item in value)


def number_from(low: int, high: int | None = None) -> Callable[[str | int], int]:
    """Return a parser of whole numbers in a range."""

    def parse(value: str | int) -> int:
        number = int(value)
        if number < low or (high is not None and number > high):
            above = "" if high is None else f" to {high}"
            raise ValueError(f"write a whole number from {low}{above}")
        return number

    return parse


def seconds_from_text(value: str | float) -> float:
    """Return seconds: "90", "1.5", "2m", "1h"."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", str(value))
    if not match or float(match[1]) <= 0:
        raise ValueError("write seconds such as 90, or 2m, or 1h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
