"""The result of a sync.

Short because `import wdsremux` needs its types without the code that syncs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Why = Literal["missing", "differs", "unverified"]
"""Why a file is sent: the destination lacks it, has another one, or cannot verify this one."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that is sent."""

    name: str
    size_bytes: int
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a sync did, or, with `is_dry_run`, would do."""

    dest: str
    """URL or path of the destination."""
    is_dry_run: bool
    files: int
    """Number of files that were sent."""
    size_bytes: int
    """Size of the files that were sent."""
    present_files: int
    """Number of files that were there already."""
    present_bytes: int
    seconds: float
    sent_files: tuple[SentFile, ...] = ()
    """The files that were sent, in this order."""
    levels: Mapping[str, int] = field(default_factory=dict)
    """Number of files that were sent, by level of proof (`ProofLevel`)."""
    removed: tuple[str, ...] = ()
    """Files at the destination that the index does not name any more, with `delete`."""
    stale: tuple[str, ...] = ()
    """Such files, without it."""
    freed: tuple[str, ...] = ()
    """Shards that `move` has removed from the source, or would, if their copies are verified."""
    kept: tuple[str, ...] = ()
    """Shards that it has not removed, since their copies are not verified."""
    left_alone: tuple[str, ...] = ()
    """Files at the destination that are not ours."""
    loaders: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    """URLs that loaders take, by form and split; none for a folder."""
