"""Reads the small files of a dataset, which may be damaged, missing or of another kind."""

import io
from collections.abc import Iterable
from dataclasses import asdict

from wdsremux.core.records import Rejected
from wdsremux.dataset.rejected import MAX_LINE_BYTES, REJECTED_NAME, parsed_line
from wdsremux.stores.reading.untrusted import Folder, NotAFileError
from wdsremux.verifying.findings import Code, Finding
from wdsremux.verifying.reports import Collector


def read_file(folder: Folder, name: str, max_bytes: int, found: Collector) -> bytes | None:
    """Return a file's content; None without the file, and None with a finding on an error."""
    try:
        return folder.read(name, max_bytes)
    except OSError as exc:
        found.take(finding_of(exc, name))
        return None


def finding_of(
    exc: OSError, name: str, key: str | None = None, offset: int | None = None
) -> Finding:
    """Return the finding for an error of the system."""
    code = Code.NOT_A_FILE if isinstance(exc, NotAFileError) else Code.UNREADABLE
    return Finding(code, name, key, offset, exc.strerror or str(exc))


class RejectedLines:
    """Compares rejected.jsonl, line by line, with the rejected records of the entries."""

    def __init__(self, folder: Folder, found: Collector) -> None:
        self._found = found
        self._line = 0
        self._file: io.BufferedReader | None = None
        self._problem: str | None = None
        self._refusal: OSError | None = None
        try:
            self._file = io.BufferedReader(folder.open(REJECTED_NAME))
        except FileNotFoundError:
            self._problem = "it is missing"
        except OSError as exc:
            self._refusal = exc

    def compare(self, rejected: Iterable[Rejected]) -> None:
        """Compare the rejected records of the next entry."""
        for item in rejected:
            line = self._read(MAX_LINE_BYTES)
            if line is None:
                return
            self._line += 1
            if parsed_line(line) != asdict(item):
                self._problem = f"line {self._line} does not describe row {item.position}"

    def finish(self) -> None:
        """Report the first difference, after the last entry."""
        if self._read(1):
            self._problem = f"it has more than {self._line} lines"
        if self._refusal is not None:
            self._found.take(finding_of(self._refusal, REJECTED_NAME))
        elif self._problem is not None:
            self._found.take(Finding(Code.REJECTED_DISAGREES, REJECTED_NAME, detail=self._problem))

    def _read(self, max_bytes: int) -> bytes | None:
        """Return a line or its start, empty at the end; None once the comparison has ended."""
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
