"""Names and headers in tars of other tools that loaders cannot handle.

Short because it holds only these rules; `structure` walks the members.
"""

import re
from collections.abc import Iterable

from wdsremux.core.option_values import shortened
from wdsremux.core.tar.ustar import MAX_NAME_BYTES
from wdsremux.core.tar.walk import Member
from wdsremux.verifying.findings import Code
from wdsremux.verifying.reports import Collector

FOLDER_KIND = b"5"
_PLAIN = re.compile(r"[!-\[\]-~]+")
"""Printable ASCII without spaces and backslashes."""


def check_names(member: Member, found: Collector) -> None:
    """Report traps in a member's name and headers, whatever its content."""
    name, offset = member.name, member.header
    shown = repr(shortened(name, 120))
    if member.is_extended:
        found.add(Code.EXTENDED_HEADERS, shown, offset=offset)
    if member.is_sparse:
        found.add(Code.SPARSE_MEMBER, shown, offset=offset)
    if len(name) > MAX_NAME_BYTES or len(name.encode()) > MAX_NAME_BYTES:
        found.add(Code.LONG_NAME, shown, offset=offset)
    if not _PLAIN.fullmatch(name):
        found.add(Code.ODD_NAME, shown, offset=offset)
    if name.startswith("/") or ".." in name.split("/"):
        found.add(Code.UNSAFE_MEMBER, shown, offset=offset)
    if not member.is_regular:
        is_folder = member.kind == FOLDER_KIND or name.endswith("/")
        found.add(Code.FOLDER_MEMBER if is_folder else Code.LINK_MEMBER, shown, offset=offset)


def check_case(member: Member, field: str, found: Collector) -> None:
    """Report an extension in upper case: readers do not agree on it."""
    if member.name.rpartition("/")[2].partition(".")[2] != field:
        found.add(Code.UPPER_CASE, repr(shortened(member.name)), offset=member.header)


def has_dotted_key(fields: Iterable[str]) -> bool:
    """Return whether a sample's key was cut at a dot: no member has a plain extension.

    `a.jpg` with `a.seg.png` is correct; `v1.5x.jpg` with `v1.5x.json` is not.
    """
    plain = (re.sub(r"\.(gz|bz2|xz|zst|lz4)$", "", field) for field in fields)
    return all("." in field for field in plain)
