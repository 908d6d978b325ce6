"""What moves through the pipeline: units read records, workers turn records into packed samples.

Everything here is frozen and picklable: it crosses threads and processes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import index
from pickle import PickleBuffer
from typing import Any, Literal, Protocol, SupportsIndex

Stage = Literal["read", "decode", "transform", "encode", "pack", "filter"]
"""Where a record was rejected. "filter" is the user's choice and does not count as an error."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row as read from a source."""

    position: int
    """Row number in the source, from 0, in source order."""
    image: bytes | None
    """The stored image, not decoded; None when the row has none."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The other packed columns, by name, as Python values."""
    problem: str | None = None
    """Why the row could not be read; the record is then rejected with this reason."""
    location: str | None = None
    """Where the row is stored, for messages: a file, or a file and a part of it."""
    others: tuple[tuple[bytes | None, str | None], ...] = ()
    """Further images, each with its problem: of a list, where all were asked for, or those of the
    columns `Columns.more_images`.
    """
    remarks: tuple[tuple[str, int], ...] = ()
    """What of the row is left out: messages of `Remark`, and how many times."""


class Unit(Protocol):
    """A small, ordered part of a source that workers can read.

    Implementations are frozen dataclasses with a field `first`. They pickle to a few kB, or hold
    their records if the source can only be streamed. `read` may be called any number of times, in
    any process.
    """

    @property
    def first(self) -> int:
        """Position of the first row."""

    @property
    def rows(self) -> int:
        """Number of rows, at least 1."""

    @property
    def size_bytes(self) -> int:
        """About how many bytes `read` yields; bounds the windows of the run."""

    @property
    def name(self) -> str:
        """Its name in messages, for example "data/train-0.parquet row group 3"."""

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """Yield rows start..stop-1, counted within the unit, in order; positions from first+start.

        A row that cannot be read is a Record with its `problem` set. Raises SourceError when the
        unit as a whole cannot be read.
        """


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows start..stop-1 of a unit."""

    unit: Unit
    start: int
    stop: int

    @property
    def first(self) -> int:
        """Position of the first row of the piece."""
        return self.unit.first + self.start

    @property
    def rows(self) -> int:
        """Number of rows of the piece."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Task:
    """A contiguous run of rows that one worker turns into batches, in order."""

    pieces: tuple[Piece, ...]
    """Consecutive pieces of one series."""
    series: int = 0
    """Number of the series the rows belong to."""
    poison: tuple[tuple[int, str], ...] = ()
    """Positions to reject without processing, each with its reason: they killed a worker."""
    copy: int | None = None
    """The only copy to make; None for all."""
    counts_from: int | None = None
    """Position that batches of rows are counted from; None for the first row."""
    is_held_out: bool = False
    """Whether the rows get the chain of held-out splits, where there is one."""
    is_probe: bool = False
    """Rows run one by one and each yields an empty batch: this finds the row that kills workers."""

    @property
    def first(self) -> int:
        """Position of the first row."""
        return self.pieces[0].first

    @property
    def counted_from(self) -> int:
        """Position that batches of rows are counted from."""
        return self.first if self.counts_from is None else self.counts_from

    @property
    def stop(self) -> int:
        """Position after the last row."""
        return self.pieces[-1].first + self.pieces[-1].rows


@dataclass(frozen=True, slots=True)
class Remark:
    """What was seen in rows that are packed: how they were changed, or what of them is left out."""

    text: str
    """Without numbers of single rows: equal remarks are shown once."""
    first: int
    """Position of the first row."""
    count: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that is left out of the shards."""

    position: int
    copy: int
    stage: Stage
    reason: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class PackedSamples:
    """The samples of one copy in a batch, as bytes of a tar; the lists are parallel."""

    payload: bytes | bytearray | memoryview
    """Headers, contents and padding of all samples, one after another."""
    positions: list[int]
    keys: list[str]
    sizes: list[int]
    """Bytes of each sample in the payload: a multiple of 512."""
    crcs: list[int]
    """CRC-32 of those bytes."""
    members: list[tuple[int, ...]]
    """Size of each member's content, in the dataset's member order."""
    labels: list[Any] = field(default_factory=list)
    """Label of each sample, None without one; empty where labels are not known."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        """Pickle the payload as an out-of-band buffer: it crosses processes without a copy."""
        payload = PickleBuffer(self.payload) if index(protocol) >= 5 else bytes(self.payload)
        rest = (self.positions, self.keys, self.sizes, self.crcs, self.members, self.labels)
        return PackedSamples, (payload, *rest)


@dataclass(frozen=True, slots=True)
class Batch:
    """The result of consecutive rows."""

    first: int
    """Position of the first row."""
    rows: int
    """Rows read: samples + rejected = rows × copies + expanded; filtered rows are in `rejected`."""
    packed: tuple[PackedSamples, ...]
    """One per copy; empty for a copy that the task does not make."""
    rejected: tuple[Rejected, ...] = ()
    series: int = 0
    """Number of the series the rows belong to."""
    input_bytes: int = 0
    """Stored image bytes read."""
    remarks: tuple[Remark, ...] = ()
    """Each message once."""
    expanded: tuple[tuple[int, int, int], ...] = ()
    """Where a batch function returned more samples than rows: copy, row, samples beyond the first
    that count for the row, whether they are packed or rejected.
    """
    returned: tuple[tuple[str, Any], ...] = ()
    """Columns that the function added, and their dtypes; only where a survey asks for them."""

    @property
    def size_bytes(self) -> int:
        """Bytes held by the batch; bounds the window of finished work."""
        return sum(len(packed.payload) for packed in self.packed)
