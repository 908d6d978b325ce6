"""What a worker has made of a batch so far."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

from wdsremux.core.errors import TransformError
from wdsremux.core.json_values import Convert, ValueFormError
from wdsremux.core.records import Record, Rejected, Stage
from wdsremux.dataset.shards.packing import SamplePacker


class RejectedRecordError(Exception):
    """Ends the work on one record."""

    def __init__(self, stage: Stage, reason: str) -> None:
        """`stage` is the station that it got to."""
        super().__init__(reason)
        self.stage: Stage = stage
        self.reason = reason


class RejectedFieldError(RejectedRecordError):
    """Ends the work on a record of which a value does not have its column's form."""

    def __init__(self, column: str, convert: Convert, problem: ValueFormError) -> None:
        """`convert` is what found the problem."""
        super().__init__("read", f"column {column!r}: {problem}")
        self._column, self._convert = column, convert

    def blame(self, read: Mapping[str, Any]) -> None:
        """Put it down to the user's function, unless the value was no better as it was read."""
        try:
            self._convert(read[self._column])
        except ValueFormError:
            return
        except KeyError:  # the function has added the column
            pass
        self.stage = "transform"


@dataclass(slots=True)
class BatchBuilder:
    """What a batch has given so far."""

    packers: list[SamplePacker]
    copies: Sequence[int]
    """Those to be made."""
    poison: Mapping[int, str]
    rejected: list[Rejected] = field(default_factory=list)
    unpacked: set[str] = field(default_factory=set)
    """Columns that the user's function adds and that nobody wants."""

    def reject(self, position: int, copies: Iterable[int], error: RejectedRecordError) -> None:
        """Note for each of the copies that a record gave no sample."""
        self.rejected.extend(Rejected(position, copy, error.stage, error.reason) for copy in copies)

    def rejected_in(self, records: Iterable[Record]) -> tuple[Rejected, ...]:
        """Return what gave no sample, in order; the reasons tell where the rows lie.

        What the user leaves out, and what killed a worker, keeps its reason as it is.
        """
        if not self.rejected:
            return ()
        locations = {r.position: r.location for r in records if r.position not in self.poison}
        found = sorted(self.rejected, key=lambda item: (item.position, item.copy))
        return tuple(_located(item, locations.get(item.position)) for item in found)


def _located(item: Rejected, location: str | None) -> Rejected:
    if location is None or item.stage == "filter" or location in item.reason:
        return item
    return replace(item, reason=f"{item.reason} (in {location})")


class AddedColumns:
    """Looks at what a function returned beside the image."""

    def __init__(self, label: str, read: Collection[str], wanted: Collection[str]) -> None:
        """`label` names the function, `read` the columns it gets, `wanted` those it is to add."""
        self._label = label
        self._read = frozenset(read)
        self._wanted = frozenset(wanted)
        self._known = self._read | self._wanted

    def unpacked(self, fields: Mapping[str, Any], position: int) -> AbstractSet[str]:
        """Return the columns that the function added and that are not packed.

        Raises TransformError where one is missing that it is to add: a name that is misspelt would
        be null in every sample.
        """
        missing = sorted(self._wanted - fields.keys())
        if missing:
            came = ", ".join(repr(name) for name in fields if name not in self._read) or "none"
            raise TransformError(
                f"--extra-columns names {missing[0]!r}, which {self._label} does not return for "
                f"row {position} (columns that it adds: {came}); correct the name, or return it "
                "for every row, with None where there is no value"
            )
        return fields.keys() - self._known
