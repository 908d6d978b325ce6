"""Counts rejected rows, and ends a run that has more of them than it allows."""

from collections.abc import Collection

from wdsremux.core.errors import CorruptDataError, TransformError
from wdsremux.core.records import Rejected
from wdsremux.dataset.rejected import REJECTED_NAME
from wdsremux.dataset.shards.key_register import DUPLICATE_KEY
from wdsremux.processing.plan import Conversion

UNKNOWN_ROWS = 1000
"""The least number of rows that a percentage applies to when the total is unknown."""

_RAISE_LIMIT = (
    f"OUT/{REJECTED_NAME} lists all; raise --max-errors and run this command again, or "
    "fix the cause and start from scratch with --overwrite"
)
_NAME_FOLDER = " and, if it has paths, --image-root"
_CHECK_PATHS = {
    **dict.fromkeys(("parquet", "folder", "saved", "loadable"), _NAME_FOLDER),
    **dict.fromkeys(("iterable", "dataset"), " and, if it has paths, whether the files exist"),
}
"""What to check beside the column, by the kind of source: --image-root has no effect on others."""


class ErrorLimitGuard:
    """Compares what a run rejects with `--on-error` and `--max-errors`."""

    def __init__(self, conversion: Conversion) -> None:
        self._c = conversion
        self.rows = 0
        """Rows that are done, by this run and those before it."""
        self.last_rejected: Rejected | None = None
        self._errors = 0
        self._duplicates = 0
        """Rows that this run rejects for their key."""
        self._first_error: Rejected | None = None
        self._known: frozenset[int] = frozenset()

    def remember(self, rows: int, errors: Collection[int]) -> None:
        """Add the rows of finished shards, and the positions of their errors."""
        self.rows += rows
        self._known = frozenset(errors)
        self._errors = len(self._known)

    def take(self, rows: int, rejected: tuple[Rejected, ...]) -> None:
        """Count the outcome of some rows. Raises when there are more errors than allowed."""
        self.rows += rows
        if rejected:
            self.last_rejected = rejected[-1]
        errors = [item for item in rejected if item.stage != "filter"]
        if not errors:
            return
        self._errors += len({item.position for item in errors} - self._known)
        doubled = {r.position for r in errors if r.reason.startswith(DUPLICATE_KEY)}
        self._duplicates += len(doubled - self._known)
        first = self._first_error = self._first_error or errors[0]
        if self._c.fails_at_once:
            raise _error_from(first)
        self._check(self._c.rows or max(self.rows, UNKNOWN_ROWS))

    def finish(self) -> None:
        """Check the limit against the rows there were. Raises CorruptDataError."""
        self._check(self.rows)

    def _check(self, rows_in_all: int) -> None:
        if self._c.max_errors.allows(self._errors, rows_in_all):
            return
        first = self._first_error
        example = (
            f"the first was row {first.position} ({first.stage}): {first.reason}; " if first else ""
        )
        raise CorruptDataError(
            f"rejected for errors: {self._errors} of {self.rows} rows, more than "
            f"--max-errors {self._c.max_errors} allows; {example}{self._remedy(first)}"
        )

    def _remedy(self, first: Rejected | None) -> str:
        if first is None:
            return _RAISE_LIMIT
        if 2 * self._duplicates > self._errors:
            return (
                f"--key-column {self._c.job.columns.key} has the same value in several rows: "
                "choose a column with unique values, or leave --key-column out to number the "
                "rows, and start from scratch with --overwrite"
            )
        if self._errors == self.rows > 1 and first.stage in ("read", "decode"):
            kind = str(self._c.head.source.get("kind"))
            return f"every row failed: check --image-column{_CHECK_PATHS.get(kind, '')}"
        if self._errors == self.rows and first.stage == "transform":
            mode = f" and --transform-mode {self._c.job.mode}" if self._c.job.function else ""
            return f"every row failed: check the transform{mode}"
        return _RAISE_LIMIT


def _error_from(item: Rejected) -> CorruptDataError | TransformError:
    text = f"row {item.position} ({item.stage}): {item.reason}; fix it, or use --on-error skip"
    return TransformError(text) if item.stage == "transform" else CorruptDataError(text)
