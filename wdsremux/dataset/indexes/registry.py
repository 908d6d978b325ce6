"""The kinds of indexes that other loaders want beside the shards: one row for each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from wdsremux.core.errors import UsageError
from wdsremux.core.manifest import Manifest
from wdsremux.core.option_values import did_you_mean
from wdsremux.dataset.indexes.dali import DaliIndex
from wdsremux.dataset.indexes.energon import EnergonIndex
from wdsremux.dataset.indexes.shards import IndexBuilder, IndexFile, indexed_shards
from wdsremux.dataset.indexes.timm import OpenClipIndex, TimmIndex
from wdsremux.dataset.indexes.webshart import WebshartIndex
from wdsremux.dataset.indexes.wids import WidsIndex
from wdsremux.dataset.reader import Output

ALL = "all"


@dataclass(frozen=True, slots=True)
class IndexKind:
    """One kind of index."""

    build: Callable[[Manifest], IndexBuilder]
    files: str
    """What it writes, for people."""


KINDS: dict[str, IndexKind] = {
    "wids": IndexKind(WidsIndex, "index-SPLIT.json"),
    "dali": IndexKind(DaliIndex, "SHARD.idx"),
    "energon": IndexKind(EnergonIndex, "SHARD.tar.idx, .nv-meta/"),
    "webshart": IndexKind(WebshartIndex, "SHARD.json"),
    "timm": IndexKind(TimmIndex, "_info.json"),
    "open_clip": IndexKind(OpenClipIndex, "sizes.json"),
}


def kinds_from_text(value: str | Sequence[str]) -> tuple[str, ...]:
    """Return the kinds that "dali,energon" or "all" names. Raises UsageError for another."""
    names = [word.strip() for word in value.split(",")] if isinstance(value, str) else [*value]
    if names == [ALL]:
        return tuple(KINDS)
    for word in names:
        if word not in KINDS:
            known = ", ".join([*KINDS, ALL])
            raise UsageError(
                f"--index {word!r} is unknown{did_you_mean(word, KINDS)}; the kinds are {known}"
            )
    return tuple(kind for kind in KINDS if kind in names)


def index_files(output: Output, kinds: Sequence[str]) -> Iterator[IndexFile]:
    """Yield the files of these kinds for a finished output. Raises UsageError, CorruptDataError.

    Shards of wdsremux are not read: their entries say where each sample is.
    """
    builders = [KINDS[kind].build(output.manifest) for kind in kinds]
    for shard in indexed_shards(output):
        for builder in builders:
            yield from builder.shard(shard)
    for builder in builders:
        yield from builder.dataset()
