"""The dataset's table of contents: `index.json`, readable by wids as it is.

Format: wids index version 1 (wids 0.1.11, `wids_specs.py`): `wids_version` and `shardlist` with
`url`, `nsamples`, `filesize` are wids' own; every other field is ours and passed over by wids.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from wdsremux.core.errors import CorruptDataError

MANIFEST_NAME = "index.json"
STATE_FOLDER = ".wdsremux"
MOVED_NAME = f"{STATE_FOLDER}/moved.jsonl"
MAX_MANIFEST_BYTES = 1 << 27
"""Of index.json, and of the other small files beside the shards but entries."""
MAX_ENTRY_BYTES = 1 << 28
"""Where `sync --move` notes which shards it took where."""
MANIFEST_FORMAT = 1
"""Raised when the manifest changes, or when the same recipe begins to give other bytes."""


INDEX_WRITER = "index"
"""The `writer` in the recipe of a manifest that `wdsremux index` made for shards of others."""
_NUMBERED = re.compile(r"(.*?)(\d+)\.tar")


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """What the manifest tells of a shard."""

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
    """Position of the first row the shard answers for: as a sample or as rejected."""
    stop: int
    """Position after the last such row: the next shard starts here."""
    is_last: bool
    """Whether the series ends with this shard."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over shards."""

    rows: int
    samples: int
    rejected: int
    size_bytes: int
    shards: int

    def to_json(self) -> dict[str, int]:
        """Return the totals as they stand in the manifest."""
        return {
            "rows": self.rows,
            "samples": self.samples,
            "rejected": self.rejected,
            "bytes": self.size_bytes,
            "shards": self.shards,
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that a finished dataset says of itself."""

    name: str
    shards: tuple[ShardSummary, ...]
    splits: Mapping[str, Totals]
    """By split, in order; samples = rows × copies - rejected."""
    copies: int
    class_names: tuple[str, ...] | None
    """Names of the labels, in label order."""
    features: Mapping[str, Any]
    """Dtype of each field of the JSON, and of the image."""
    recipe: Mapping[str, Any]
    source: Mapping[str, Any]
    versions: Mapping[str, str]
    fingerprint: str
    """SHA-256 over series, recipe, source and versions."""
    series: tuple[str, ...] = ()
    """What the shards of each series are called before their number."""
    place: Mapping[str, Any] = field(default_factory=dict)
    """The words that source and function were named by; they decide no byte."""
    notes: tuple[str, ...] = ()
    """What a reader of the images should know, for example that they were packed as stored."""
    published: Mapping[str, Any] = field(default_factory=dict)
    """Where this copy was carried or converted to: `at`, its URL; `loaders`, the forms of URL that
    loaders take; `receipts`, by which the target can be asked for each shard. It decides nothing.
    """

    @classmethod
    def from_head(cls, head: Mapping[str, Any], shards: Sequence[ShardSummary]) -> Self:
        """Make a manifest of what was known before the first shard (`head`), and of the shards.

        Raises ValueError, KeyError or TypeError for a head that is none of ours.
        """
        return cls._from_json(head, tuple(shards), totals_by_split(shards))

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

    def head(self) -> dict[str, Any]:
        """Return what is known before the first shard: what `recipe.json` holds."""
        return {
            "format": MANIFEST_FORMAT,
            "name": self.name,
            "copies": self.copies,
            "class_names": list(self.class_names) if self.class_names is not None else None,
            "features": self.features,
            "series": list(self.series),
            "recipe": self.recipe,
            "source": self.source,
            "versions": self.versions,
            "fingerprint": self.fingerprint,
            "place": self.place,
            "notes": list(self.notes),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the object that `index.json` holds."""
        told = {
            "__kind__": "wids-shard-index-v1",
            "wids_version": 1,
            "info": "made by wdsremux",
            "shardlist": [_shard_to_json(shard) for shard in self.shards],
            "splits": {name: totals.to_json() for name, totals in self.splits.items()},
            "totals": self.totals.to_json(),
            "patterns": self.patterns(),
            **self.head(),
        }
        return told | {"published": self.published} if self.published else told

    def to_bytes(self) -> bytes:
        """Return the file, the same bytes for the same content."""
        return indented_json(self.to_json())

    @classmethod
    def from_bytes(cls, data: bytes, name: str = MANIFEST_NAME) -> Self:
        """Read a manifest of ours. Raises CorruptDataError when it is none."""
        try:
            raw = json.loads(data)
            shards = tuple(_shard_from_json(shard) for shard in raw["shardlist"])
            splits = {
                name: Totals(t["rows"], t["samples"], t["rejected"], t["bytes"], t["shards"])
                for name, t in raw["splits"].items()
            }
            return cls._from_json(raw, shards, splits)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise CorruptDataError(
                f"cannot read manifest {name!r}: it is not one of wdsremux, or damaged ({exc!r})"
            ) from exc

    @classmethod
    def _from_json(
        cls,
        raw: Mapping[str, Any],
        shards: tuple[ShardSummary, ...],
        splits: Mapping[str, Totals],
    ) -> Self:
        if raw["format"] != MANIFEST_FORMAT:
            raise ValueError(f"format {raw['format']} needs another version of wdsremux")
        names = raw["class_names"]
        published = raw.get("published", {})
        if not isinstance(published, dict):
            raise TypeError("'published' is no object")
        return cls(
            name=raw["name"],
            shards=shards,
            splits=splits,
            copies=raw["copies"],
            class_names=tuple(names) if names is not None else None,
            features=raw["features"],
            recipe=raw["recipe"],
            source=raw["source"],
            versions=raw["versions"],
            fingerprint=raw["fingerprint"],
            series=tuple(raw["series"]),
            place=raw["place"],
            notes=tuple(raw["notes"]),
            published=published,
        )


def indented_json(value: Mapping[str, Any]) -> bytes:
    """Return JSON for people, as UTF-8; `json.loads` gives back what was written."""
    text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    # A class may be called after a folder whose name is no Unicode: its lone surrogates, which
    # UTF-8 cannot hold, become \udcff, and that is how JSON writes them.
    return text.encode("utf-8", "backslashreplace")


def totals_by_split(shards: Sequence[ShardSummary]) -> dict[str, Totals]:
    """Sum up shards by split; every copy of a split answers for the same rows."""
    splits: dict[str, Totals] = {}
    for split in dict.fromkeys(shard.split for shard in shards):
        own = [shard for shard in shards if shard.split == split]
        splits[split] = Totals(
            rows=max(shard.stop for shard in own) - min(shard.start for shard in own),
            samples=sum(shard.samples for shard in own),
            rejected=sum(shard.rejected for shard in own),
            size_bytes=sum(shard.size_bytes for shard in own),
            shards=len(own),
        )
    return splits


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
    )
