"""Which rows of an output were made by which of its functions, where the function has changed.

`recipe.json` records it as the option `function_changes`: a list, oldest first, of the function
that was replaced (`was`) and, by prefix of a series, the row at which the next one began (`until`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wdsremux.core.head import FUNCTION_CHANGES, Head, fingerprint_of

SHORT_HASH = 12


@dataclass(frozen=True, slots=True)
class FunctionChange:
    """A function that another one replaced while the output was made."""

    was: Mapping[str, Any]
    """Fingerprint of the former function."""
    until: Mapping[str, int]
    """By prefix of a series: rows before this one are its work, or that of an earlier function."""

    @property
    def label(self) -> str:
        """Name and hash of the former function."""
        return function_label(self.was)


def function_label(fingerprint: Any) -> str:
    """Return "'augment' (SHA-256 0123456789ab)"."""
    known = fingerprint if isinstance(fingerprint, dict) else {}
    return f"{known.get('name')!r} (SHA-256 {str(known.get('sha256'))[:SHORT_HASH]})"


def function_changes_of(head: Head) -> tuple[FunctionChange, ...]:
    """Return the changes that a head records, oldest first."""
    recorded = head.options.get(FUNCTION_CHANGES, ())
    return tuple(FunctionChange(each["was"], each["until"]) for each in recorded)


def with_function_changes(head: Head, changes: Sequence[FunctionChange]) -> Head:
    """Return a head with these changes, the notes about them, and its new fingerprint."""
    recorded = [{"was": dict(each.was), "until": dict(each.until)} for each in changes]
    options = {name: value for name, value in head.options.items() if name != FUNCTION_CHANGES}
    if recorded:
        options[FUNCTION_CHANGES] = recorded
    former = {*notes_on_changes(head)}
    notes = [note for note in head.notes if note not in former]
    head = replace(head, options=options, notes=tuple(notes))
    head = replace(head, notes=(*notes, *notes_on_changes(head)))
    return replace(head, fingerprint=fingerprint_of(head.to_json()))


def notes_on_changes(head: Head) -> Iterator[str]:
    """Yield a note for each function that was replaced, and one for the present one."""
    begun: dict[str, int] = {}
    changes = function_changes_of(head)
    for change in changes:
        parts = []
        for prefix, row in change.until.items():
            since = f"rows {begun[prefix]} to {row - 1}" if prefix in begun else f"rows below {row}"
            parts.append(f"{since} of {prefix}")
            begun[prefix] = row
        yield f"{', '.join(parts)}: made by the former function {change.label}"
    if changes:
        now = function_label(head.options.get("transform"))
        yield f"all later rows: made by the function {now}, see --accept-function-change"


def former_function(head: Head, prefix: str, row: int | None) -> FunctionChange | None:
    """Return the former function that made a row; None for the work of the present one.

    A row of None is the first row of the series.
    """
    for change in function_changes_of(head):
        if prefix in change.until and (row is None or row < change.until[prefix]):
            return change
    return None
