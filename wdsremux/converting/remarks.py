"""What was seen in rows that are packed: reported at its first row, counted, kept in the manifest.

The first row of a remark does not depend on workers, because batches arrive in order, nor on an
interruption, because the remark is added to the stored head before the shard with the row is
published. Counts are those of one run: the manifest does not have them.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from wdsremux.core.events import Note, Observer
from wdsremux.core.head import Head
from wdsremux.core.records import Remark
from wdsremux.dataset.ledger import Ledger

_FIRST = " (first in row "
_MAX_REMARKS = 64
"""Bounded, since remarks may contain names from the source."""


class RemarkLog:
    """Reports remarks once, and adds them to the notes of an output."""

    def __init__(self, ledger: Ledger, observer: Observer) -> None:
        self._ledger = ledger
        self._observer = observer
        self._known: set[str] | None = None

    def take(self, remarks: Iterable[Remark], is_new: Callable[[int], bool]) -> None:
        """Report the remarks of a batch; `is_new` says whether a position is written by this run.

        Raises StoreError.
        """
        known = self._texts()
        new = [each for each in remarks if each.text not in known and is_new(each.first)]
        new = new[: max(0, _MAX_REMARKS - len(known))]
        if not new:
            return
        notes = [f"{each.text}{_FIRST}{each.first})" for each in new]
        known |= {each.text for each in new}
        head = self._ledger.head()
        if head is not None:
            self._ledger.replace_head(replace(head, notes=(*head.notes, *notes)))
        for note in notes:
            self._observer(Note(note))

    def _texts(self) -> set[str]:
        if self._known is None:
            head = self._ledger.head()
            self._known = {text_of(note) for note in (head.notes if head else ())}
        return self._known


def text_of(note: str) -> str:
    """Return the message of a remark's note; any other note as it is."""
    return note.rpartition(_FIRST)[0] or note


def with_remarks_of(head: Head, recorded: Head) -> Head:
    """Return a head with the remarks that another has."""
    found = tuple(note for note in recorded.notes if _FIRST in note and note not in head.notes)
    return replace(head, notes=(*head.notes, *found))
