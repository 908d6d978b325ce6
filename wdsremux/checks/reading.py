"""Reads the small files of a dataset that may be damaged, missing, or something else altogether."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from wdsremux.ahead import Giver, ahead
from wdsremux.checks.entries import entry_problem
from wdsremux.errors import CorruptDataError
from wdsremux.findings import Code, Finding
from wdsremux.ledger import REJECTED_NAME
from wdsremux.manifest import MAX_ENTRY_BYTES
from wdsremux.records import Rejected
from wdsremux.reports import Collector
from wdsremux.shards.entry import ShardEntry
from wdsremux.untrusted import Folder, NotAFileError

MAX_LINE_BYTES = 1 << 20

EntryGiver = Giver[tuple[ShardEntry | None, str | None]]


def read_file(folder: Folder, name: str, max_bytes: int, found: Collector) -> bytes | None:
    """Return a file's content; None, and a finding, when the system refuses; None without it."""
    try:
        return folder.read(name, max_bytes)
    except OSError as exc:
        found.take(finding_of(exc, name))
        return None


def finding_of(
    exc: OSError, name: str, key: str | None = None, offset: int | None = None
) -> Finding:
    """Return what an error of the system means for a file."""
    code = Code.NOT_A_FILE if isinstance(exc, NotAFileError) else Code.UNREADABLE
    return Finding(code, name, key, offset, exc.strerror or str(exc))


def read_entry(folder: Folder, name: str, *, is_ours: bool) -> tuple[ShardEntry | None, str | None]:
    """Return (entry, None) or, where it cannot be believed, (None, why). Raises OSError."""
    data = folder.read(name, MAX_ENTRY_BYTES)
    if data is None:
        return None, "it is gone"
    try:
        entry = ShardEntry.from_bytes(data, name)
        # What has a fingerprint came from a conversion, whatever is left of the manifest.
        problem = entry_problem(entry, is_ours=is_ours or entry.fingerprint != "")
    except (CorruptDataError, TypeError, ValueError, OverflowError, RecursionError) as exc:
        return None, str(exc.__cause__ or exc)[:200]
    return (None, problem) if problem is not None else (entry, None)


def entries_ahead(
    folder: Folder, names: Iterable[str], *, is_ours: bool
) -> Iterator[tuple[str, EntryGiver]]:
    """Yield (name, what gives `read_entry`'s answer) in order, while the next ones are fetched."""
    read = partial(read_entry, folder, is_ours=is_ours)
    if folder.reads_at_once == 1:
        yield from ((name, partial(read, name)) for name in names)
        return
    yield from ahead(read, names, at_once=folder.reads_at_once, name="entries")


def moved_lines(journal: bytes) -> Iterator[Mapping[str, Any]]:
    """Yield what `sync --move` noted of each shard that it took away, in order.

    A crash may have cut a line off: its shard is still there.
    """
    for line in journal.splitlines():
        told = _parsed(line)
        if not isinstance(told, dict) or not {"name", "at", "sha256"} <= told.keys():
            continue
        if isinstance(told.get("receipt"), dict):
            yield told


class RejectedLines:
    """Compares rejected.jsonl, line by line, with what the entries say was rejected."""

    def __init__(self, folder: Folder, found: Collector) -> None:
        self._found = found
        self._line = 0
        self._file: io.BufferedReader | None = None
        self._problem: str | None = None
        self._refusal: OSError | None = None
        try:
            self._file = io.BufferedReader(folder.open(REJECTED_NAME))
        except FileNotFoundError:
            self._problem = "it is not there"
        except OSError as exc:
            self._refusal = exc

    def compare(self, rejected: Iterable[Rejected]) -> None:
        """Take the rejected records of the next entry."""
        for item in rejected:
            line = self._read(MAX_LINE_BYTES)
            if line is None:
                return
            self._line += 1
            if _parsed(line) != asdict(item):
                self._problem = f"line {self._line} is not row {item.position}"

    def finish(self) -> None:
        """Report the first difference, after the last entry."""
        if self._read(1):
            self._problem = f"it goes on after line {self._line}"
        if self._refusal is not None:
            self._found.take(finding_of(self._refusal, REJECTED_NAME))
        elif self._problem is not None:
            self._found.take(Finding(Code.REJECTED_DISAGREES, REJECTED_NAME, detail=self._problem))

    def _read(self, max_bytes: int) -> bytes | None:
        """Return a line or its begin, nothing at the end; None where it is of no use any more."""
        if self._file is None or self._problem is not None or self._refusal is not None:
            return None
        try:
            return self._file.readline(max_bytes)
        except OSError as exc:
            self._refusal = exc
            return None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
