"""What a sync hands back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Why = Literal["missing", "differs", "unverified"]
"""Why a file is sent: the place lacks it, has another, or nothing proves that it has this one."""


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
    """What people call the place."""
    is_dry_run: bool
    files: int
    """Sent."""
    size_bytes: int
    """Of the files that were sent."""
    standing_files: int
    """There already."""
    standing_bytes: int
    seconds: float
    sent_files: tuple[SentFile, ...] = ()
    """The files that were sent, in this order."""
    levels: Mapping[str, int] = field(default_factory=dict)
    """Files that were sent by how sure it is that they are there (`ProofLevel`)."""
    removed: tuple[str, ...] = ()
    """Files of the place that the index names no more, where `delete` was asked."""
    stale: tuple[str, ...] = ()
    """Such files, where it was not."""
    freed: tuple[str, ...] = ()
    """Shards that `move` has removed from the source, or would, if their copies are proven."""
    kept: tuple[str, ...] = ()
    """Shards that it has not, since nothing proves that they are there."""
    left_alone: tuple[str, ...] = ()
    """Files of the place that are not ours."""
    loaders: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    """URLs that loaders take, by form and split; none for a folder."""
