"""What a sync hands back."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
    levels: Mapping[str, int] = field(default_factory=dict)
    """Files that were sent by how sure it is that they are there (`ProofLevel`)."""
    removed: tuple[str, ...] = ()
    """Files of the place that the index names no more, where `delete` was asked."""
    stale: tuple[str, ...] = ()
    """Such files, where it was not, or not yet."""
    freed: tuple[str, ...] = ()
    """Shards that `move` has removed from the source."""
    kept: tuple[str, ...] = ()
    """Shards that it has not, since nothing proves that they are there."""
    left_alone: tuple[str, ...] = ()
    """Files of the place that are not ours."""
    loaders: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    """URLs that loaders take, by form and split; none for a folder."""
