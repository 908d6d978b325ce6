"""What a run reports while it works; `converting.progress` renders bars, lines and JSON."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from wdsremux.core.escaping import escaped
from wdsremux.core.heartbeat import Phase, Waiting, Worked
from wdsremux.core.manifest import Manifest, ShardSummary
from wdsremux.core.records import Rejected, Remark


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know, reported once."""

    text: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The source is open: what will be converted, in one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Begun:
    """The work begins, or resumes."""

    rows: int | None
    """Total number of rows, where known."""
    done_rows: int
    """Rows that are in finished shards already."""
    workers: int
    engine: str
    done_shards: int = 0
    """Shards that are finished already."""
    max_shard_bytes: int = 0
    """Largest size of a shard; 0 if it is not known."""
    least_shards: int = 0
    """Number of shards that the number of rows makes, if they are not too small; 0 if unknown."""
    copies: int = 1
    function: str = ""
    """Name of the user's function."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """A batch was written."""

    rows: int
    samples: int
    rejected: tuple[Rejected, ...]
    input_bytes: int
    output_bytes: int
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class ShardDone:
    """A shard and its entry are published."""

    shard: ShardSummary


@dataclass(frozen=True, slots=True)
class Done:
    """The manifest is written."""

    manifest: Manifest
    rows: int
    """Rows done by this run: 0 if the output was finished already."""
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By split, the samples of each class in these rows, where labels are those of classes."""


@dataclass(frozen=True, slots=True)
class CheckBegun:
    """A verification begins to read."""

    shards: int
    size_bytes: int
    workers: int


@dataclass(frozen=True, slots=True)
class CheckAdvanced:
    """A verification has read more."""

    size_bytes: int
    shards: int = 0


@dataclass(frozen=True, slots=True)
class SyncBegun:
    """A sync begins to send."""

    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SyncAdvanced:
    """A sync has sent more."""

    size_bytes: int
    files: int = 0


Event = Note | Phase | Waiting | Opened | Begun | Worked | Advanced | ShardDone | Done
CheckEvent = Phase | CheckBegun | CheckAdvanced
SyncEvent = Note | Phase | Waiting | SyncBegun | SyncAdvanced
Observer = Callable[[Event], None]
CheckObserver = Callable[[CheckEvent], None]
SyncObserver = Callable[[SyncEvent], None]


def ignore_event(_event: Event | CheckEvent | SyncEvent) -> None:
    """Ignore the event."""


def log_notes(event: Event | CheckEvent | SyncEvent) -> None:
    """Log notes and outages as warnings of "wdsremux", where no observer was passed."""
    if isinstance(event, Note | Waiting):
        message = event.text if isinstance(event, Note) else event.reason
        logging.getLogger("wdsremux").warning("%s", escaped(message))
