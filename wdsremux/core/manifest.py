"""The dataset's table of contents: `index.json`, readable by wids as it is.

Format: wids index version 1 (wids 0.1.11, `wids_specs.py`): `wids_version` and `shardlist` with
`url`, `nsamples`, `filesize` are wids' own; wids ignores all other fields.
"""

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from wdsremux.core.errors import CorruptDataError
from wdsremux.core.head import MANIFEST_FORMAT, Head
from wdsremux.core.option_values import counted, size

MANIFEST_NAME = "index.json"
STATE_FOLDER = ".wdsremux"
MOVED_NAME = f"{STATE_FOLDER}/moved.jsonl"
"""Journal of `sync --move`: which shards it moved where."""
ENERGON_FOLDER = ".nv-meta"
"""Folder that Megatron-Energon reads beside the shards."""
ENERGON_PARTS = {
    "train": "train",
    "validation": "val",
    "val": "val",
    "valid": "val",
    "test": "test",
}
"""Splits as Energon names them; others keep their name."""
MAX_MANIFEST_BYTES = 1 << 27
"""Bound on index.json and the other small files beside the shards, except entries."""
MAX_ENTRY_BYTES = 1 << 28
INDEX_WRITER = "index"
"""The `writer` in the recipe of a manifest that `wdsremux index` made for foreign shards."""
INDEX_VERSION = 4
"""Of index.json with `filtered`; with `expanded` only it is 3, without both 2. Version 1, without
this number and the SHA-256 of each entry, is read as well. Before version 4, `rejected` includes
the filtered rows.
"""
_NUMBERED = re.compile(r"(.*?)(\d+)\.tar")


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """What the manifest records of a shard."""

    name: str
    split: str
    copy: int
    number: int
    samples: int
    rejected: int
    size_bytes: int
    sha256: str
    first_position: int
    """Position of the first sample."""
    last_position: int
    """Position of the last sample."""
    start: int
    """Position of the first row the shard covers, as a sample or as rejected."""
    stop: int
    """Position after the last such row: the next shard starts here."""
    is_last: bool
    """Whether the series ends with this shard."""
    entry_sha256: str = field(default="", compare=False)
    """Of the shard's entry file; empty where index.json is of version 1, which has none."""
    expanded: int = 0
    """Samples beyond one for each row: samples + rejected + filtered = rows + expanded."""
    filtered: int = 0
    """Rows that a condition or the user's function left out; they are not in `rejected`."""

    @property
    def left_out(self) -> int:
        """Records without a sample: rejected.jsonl lists them."""
        return self.rejected + self.filtered


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over shards."""

    rows: int
    samples: int
    rejected: int
    size_bytes: int
    shards: int
    expanded: int = 0
    """Samples beyond one for each row and copy: a batch function may return more."""
    filtered: int = 0
    """Rows of all copies that a condition or the user's function left out."""

    @property
    def left_out(self) -> int:
        """Records without a sample: rejected.jsonl lists them."""
        return self.rejected + self.filtered

    def to_json(self) -> dict[str, int]:
        """Return the totals as stored in the manifest."""
        expanded = {"expanded": self.expanded} if self.expanded else {}
        filtered = {"filtered": self.filtered} if self.filtered else {}
        return {
            "rows": self.rows,
            "samples": self.samples,
            "rejected": self.rejected,
            "bytes": self.size_bytes,
            "shards": self.shards,
            **expanded,
            **filtered,
        }


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The head of a finished dataset, its shards, and where it is published."""

    head: Head
    shards: tuple[ShardSummary, ...]
    published: Mapping[str, Any] = field(default_factory=dict)
    """Where this copy was uploaded: `at`, its URL; `loaders`, the forms of URL that loaders take;
    `receipts`, by which the store can prove each shard. It decides no byte.
    """

    @cached_property
    def splits(self) -> Mapping[str, Totals]:
        """Sums by split, in order: samples + rejected + filtered = rows × copies + expanded."""
        return totals_by_split(self.shards)

    @property
    def totals(self) -> Totals:
        """Sums over all splits."""
        parts = self.splits.values()
        return Totals(
            rows=sum(t.rows for t in parts),
            samples=sum(t.samples for t in parts),
            rejected=sum(t.rejected for t in parts),
            size_bytes=sum(t.size_bytes for t in parts),
            shards=sum(t.shards for t in parts),
            expanded=sum(t.expanded for t in parts),
            filtered=sum(t.filtered for t in parts),
        )

    def __repr__(self) -> str:
        """Return one line: a notebook shows what is evaluated last."""
        splits = ", ".join(f"{name} {t.samples:,}" for name, t in self.splits.items())
        totals = self.totals
        filtered = f", filtered: {totals.filtered:,}" if totals.filtered else ""
        return (
            f"<Manifest {self.head.name!r}: {counted(totals.shards, 'shard')}, "
            f"{size(totals.size_bytes)}, samples: {splits}, rejected: {totals.rejected:,}"
            f"{filtered}>"
        )

    def _repr_html_(self) -> str:
        """Return a small table for notebooks: a row for each split."""
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{t.samples:,}</td><td>{t.rejected:,}</td>"
            f"<td>{t.filtered:,}</td><td>{t.shards:,}</td><td>{size(t.size_bytes)}</td></tr>"
            for name, t in self.splits.items()
        )
        titles = ("split", "samples", "rejected", "filtered", "shards", "size")
        heads = "".join(f"<th>{title}</th>" for title in titles)
        return (
            f"<table><caption>{html.escape(self.head.name)}</caption>"
            f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        )

    def patterns(self) -> dict[str, list[str]]:
        """Return brace patterns of the shards by split: what `webdataset.WebDataset` takes."""
        series: dict[tuple[str, int], list[str]] = {}
        for shard in self.shards:
            series.setdefault((shard.split, shard.copy), []).append(shard.name)
        found: dict[str, list[str]] = {}
        for (split, _), names in series.items():
            found.setdefault(split, []).extend(brace_patterns(names))
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the object that `index.json` holds."""
        index = {
            "__kind__": "wids-shard-index-v1",
            "wids_version": 1,
            "info": "made by wdsremux",
            "shardlist": [_shard_to_json(shard) for shard in self.shards],
            "splits": {name: totals.to_json() for name, totals in self.splits.items()},
            "totals": self.totals.to_json(),
            "patterns": self.patterns(),
            **self.head.to_json(),
        }
        if any(shard.entry_sha256 for shard in self.shards):
            index["index_version"] = _version_of(self.shards)
        return index | {"published": self.published} if self.published else index

    def to_bytes(self) -> bytes:
        """Return the file, the same bytes for the same content."""
        return indented_json(self.to_json())

    @classmethod
    def from_bytes(cls, data: bytes, name: str = MANIFEST_NAME) -> Self:
        """Read `index.json` of a dataset of wdsremux. Raises CorruptDataError for any other."""
        try:
            raw = json.loads(data)
            if raw["format"] != MANIFEST_FORMAT:
                raise ValueError(
                    f"format {raw['format']}: use the version of wdsremux that wrote it"
                )
            if raw.get("index_version", INDEX_VERSION) > INDEX_VERSION:
                raise ValueError(f"index_version {raw['index_version']} needs a newer wdsremux")
            published = raw.get("published", {})
            if not isinstance(published, dict):
                raise TypeError("'published' is not an object")
            return cls(
                head=Head.from_json(raw),
                shards=tuple(_shard_from_json(shard) for shard in raw["shardlist"]),
                published=published,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            reason = f"it has no field {exc}" if isinstance(exc, KeyError) else exc
            raise CorruptDataError(
                f"cannot read manifest {name!r}: it is damaged, or was not written by wdsremux "
                f"({reason})"
            ) from exc


def _version_of(shards: Sequence[ShardSummary]) -> int:
    """Return the lowest version that has all fields of the shards."""
    if any(shard.filtered for shard in shards):
        return INDEX_VERSION
    return INDEX_VERSION - 1 if any(shard.expanded for shard in shards) else INDEX_VERSION - 2


def indented_json(value: Mapping[str, Any]) -> bytes:
    """Return JSON for people, as UTF-8; `json.loads` returns what was written."""
    text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    # A class may be named after a folder whose name is not valid Unicode. UTF-8 cannot hold its
    # lone surrogates; as \udcff they are JSON.
    return text.encode("utf-8", "backslashreplace")


def totals_by_split(shards: Iterable[ShardSummary]) -> dict[str, Totals]:
    """Sum up shards by split; every copy of a split covers the same rows."""
    by_split: dict[str, list[ShardSummary]] = {}
    for shard in shards:
        by_split.setdefault(shard.split, []).append(shard)
    return {
        split: Totals(
            rows=max(shard.stop for shard in own) - min(shard.start for shard in own),
            samples=sum(shard.samples for shard in own),
            rejected=sum(shard.rejected for shard in own),
            size_bytes=sum(shard.size_bytes for shard in own),
            shards=len(own),
            expanded=sum(shard.expanded for shard in own),
            filtered=sum(shard.filtered for shard in own),
        )
        for split, own in by_split.items()
    }


def brace_patterns(names: Sequence[str]) -> Iterator[str]:
    """Yield brace patterns of names in order: one for each run of numbers without a gap."""
    run: list[str] = []
    for name in names:
        if run and not _follows(run[-1], name):
            yield _pattern(run)
            run = []
        run.append(name)
    if run:
        yield _pattern(run)


def _follows(name: str, other: str) -> bool:
    one, two = _NUMBERED.fullmatch(name), _NUMBERED.fullmatch(other)
    if one is None or two is None:
        return False
    return (two[1], len(two[2]), int(two[2])) == (one[1], len(one[2]), int(one[2]) + 1)


def _pattern(run: Sequence[str]) -> str:
    first, last = _NUMBERED.fullmatch(run[0]), _NUMBERED.fullmatch(run[-1])
    if len(run) == 1 or first is None or last is None:
        return run[0]
    return f"{first[1]}{{{first[2]}..{last[2]}}}.tar"


def _shard_to_json(shard: ShardSummary) -> dict[str, Any]:
    entry: dict[str, Any] = {"entry_sha256": shard.entry_sha256} if shard.entry_sha256 else {}
    if shard.expanded:
        entry["expanded"] = shard.expanded
    if shard.filtered:
        entry["filtered"] = shard.filtered
    return {
        "url": shard.name,
        "nsamples": shard.samples,
        "filesize": shard.size_bytes,
        "sha256": shard.sha256,
        "split": shard.split,
        "copy": shard.copy,
        "number": shard.number,
        "rejected": shard.rejected,
        "first_position": shard.first_position,
        "last_position": shard.last_position,
        "start": shard.start,
        "stop": shard.stop,
        "last": shard.is_last,
        **entry,
    }


def _shard_from_json(raw: Mapping[str, Any]) -> ShardSummary:
    return ShardSummary(
        name=raw["url"],
        split=raw["split"],
        copy=raw["copy"],
        number=raw["number"],
        samples=raw["nsamples"],
        rejected=raw["rejected"],
        size_bytes=raw["filesize"],
        sha256=raw["sha256"],
        first_position=raw["first_position"],
        last_position=raw["last_position"],
        start=raw["start"],
        stop=raw["stop"],
        is_last=raw["last"],
        entry_sha256=raw.get("entry_sha256", ""),
        expanded=raw.get("expanded", 0),
        filtered=raw.get("filtered", 0),
    )
