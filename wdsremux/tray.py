"""What comes together while a worker makes a batch: samples, and what gave none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wdsremux.lots import LotBuilder
from wdsremux.records import Rejected, Stage


class RejectedRecordError(Exception):
    """Ends the work on one record."""

    def __init__(self, stage: Stage, reason: str) -> None:
        """`stage` is the station that it got to."""
        super().__init__(reason)
        self.stage: Stage = stage
        self.reason = reason


@dataclass(slots=True)
class Tray:
    """What a batch has given so far."""

    lots: list[LotBuilder]
    copies: Sequence[int]
    """Those to be made."""
    poison: Mapping[int, str]
    rejected: list[Rejected] = field(default_factory=list)
    unpacked: set[str] = field(default_factory=set)
    """Columns that the user's function adds and that nobody wants."""

    def reject(self, position: int, copies: Iterable[int], error: RejectedRecordError) -> None:
        """Note for each of the copies that a record gave no sample."""
        self.rejected.extend(Rejected(position, copy, error.stage, error.reason) for copy in copies)
