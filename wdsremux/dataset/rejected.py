"""Lines of rejected.jsonl, one for each rejected record: written, and read where untrusted."""

import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from itertools import islice
from typing import Any

from wdsremux.core.manifest import STATE_FOLDER
from wdsremux.core.records import Rejected
from wdsremux.stores.base import Store
from wdsremux.stores.reading.untrusted import Folder

REJECTED_NAME = f"{STATE_FOLDER}/rejected.jsonl"
LINES_A_WRITE = 1000
MAX_LINE_BYTES = 1 << 20


def rejected_line(item: Rejected) -> bytes:
    """Return a line of rejected.jsonl: canonical JSON that is read back as it was written."""
    text = json.dumps(asdict(item), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # A reason may quote a file name that is not Unicode: JSON escapes its lone surrogates.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def reason_kind(item: Rejected) -> tuple[str, str]:
    """Return what rejected rows of one kind share: stage and reason without numbers and places."""
    reason = re.sub(r"\s*\([^()]*\)$", "", item.reason)
    return item.stage, re.sub(r"\d+", "N", reason)


def write_rejected(store: Store, rejected: Iterable[Rejected]) -> None:
    """Publish rejected.jsonl, in parts: the number of lines is unknown."""
    lines = map(rejected_line, rejected)
    staged = store.stage(REJECTED_NAME)
    try:
        while part := b"".join(islice(lines, LINES_A_WRITE)):
            staged.write(part)
        staged.commit()
    except BaseException:
        staged.discard()
        raise


def rejected_lines(folder: Folder) -> Iterator[tuple[Rejected, bytes]]:
    """Yield the lines of rejected.jsonl that are as wdsremux writes them; none without the file."""
    try:
        opened = folder.open(REJECTED_NAME)
    except OSError:
        return
    with io.BufferedReader(opened) as file:
        while line := file.readline(MAX_LINE_BYTES):
            item = _rejected_from(parsed_line(line))
            if item is not None and rejected_line(item) == line:
                yield item, line


def _rejected_from(raw: Any) -> Rejected | None:
    names = {each.name for each in fields(Rejected)}
    if not isinstance(raw, dict) or raw.keys() != names:
        return None
    are_numbers = type(raw["position"]) is int and type(raw["copy"]) is int
    are_strings = isinstance(raw["stage"], str) and isinstance(raw["reason"], str)
    return Rejected(**raw) if are_numbers and are_strings else None


def parsed_line(line: bytes) -> object:
    """Return the JSON value of a line; None when it is not JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
