"""The kinds of indexes that other loaders want beside the shards: one row for each."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wdsremux.core.errors import UsageError
from wdsremux.core.option_values import did_you_mean
from wdsremux.dataset.indexes.dali import DaliIndex
from wdsremux.dataset.indexes.energon import EnergonIndex
from wdsremux.dataset.indexes.shards import (
    IndexBuilder,
    IndexFile,
    IndexSource,
    indexed_shards,
)
from wdsremux.dataset.indexes.timm import OpenClipIndex, TimmIndex
from wdsremux.dataset.indexes.webshart import WebshartIndex
from wdsremux.dataset.indexes.wids import WidsIndex

ALL = "all"


@dataclass(frozen=True, slots=True)
class IndexKind:
    """One kind of index."""

    build: type[IndexBuilder]
    files: str
    """What it writes, for people."""


KINDS: dict[str, IndexKind] = {
    "wids": IndexKind(WidsIndex, "index-SERIES.json, where there are several splits or copies"),
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


def index_names(kinds: Iterable[str], shards: Iterable[str], series: Iterable[str]) -> set[str]:
    """Return the names of all files of these kinds beside shards of these names and series."""
    shards, series = [*shards], [*series]
    found: set[str] = set()
    for kind in kinds:
        builder = KINDS[kind].build
        found |= {name for shard in shards if (name := builder.shard_file(shard))}
        found |= {*builder.dataset_files(series)}
    return found


def index_files(source: IndexSource, kinds: Sequence[str]) -> Iterator[IndexFile]:
    """Yield the files of these kinds for a dataset. Raises UsageError, CorruptDataError.

    Shards of wdsremux are not read: their entries say where each sample is.
    """
    builders = [KINDS[kind].build(source.manifest) for kind in kinds]
    readers = [builder for builder in builders if builder.reads_samples]
    for shard in indexed_shards(source) if readers else ():
        for builder in readers:
            yield from builder.shard(shard)
    for builder in builders:
        yield from builder.dataset()
