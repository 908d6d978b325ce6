"""The results of `verify` and `repair`; findings are collected in bounded memory."""

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from wdsremux.core.option_values import shortened
from wdsremux.verifying.findings import Code, Finding

Depth = Literal["entries", "bytes", "samples", "pixels"]
DEPTHS: tuple[Depth, ...] = ("entries", "bytes", "samples", "pixels")
"""Each includes the ones before."""

MAX_ERRORS = 1000
"""Findings of one kind that are reported one by one for each shard; more are only counted."""
MAX_DETAIL_CHARS = 1000
"""Details may repeat what a damaged or hostile file says."""


class Collector:
    """Gathers the findings of one shard or folder in bounded memory.

    Errors of one kind are reported one by one up to MAX_ERRORS, warnings of a shard once with
    their number.
    """

    def __init__(self, shard: str | None = None) -> None:
        self._shard = shard
        self.kept: list[Finding] = []
        """Findings that are reported one by one."""
        self.counts: Counter[Code] = Counter()
        """Of all findings."""
        self.codes: dict[str, set[Code]] = {}
        """Kinds of findings of each file."""

    def add(
        self, code: Code, detail: str = "", *, key: str | None = None, offset: int | None = None
    ) -> None:
        """Add a finding of this collector's shard."""
        self.take(Finding(code, self._shard, key, offset, detail))

    def take(self, finding: Finding) -> None:
        """Add a finding."""
        code = finding.code
        self.counts[code] += 1
        if finding.shard is not None:
            self.codes.setdefault(finding.shard, set()).add(code)
        if self.counts[code] <= (1 if _is_reported_once(code, self._shard) else MAX_ERRORS):
            if len(finding.detail) > MAX_DETAIL_CHARS:
                finding = replace(finding, detail=shortened(finding.detail, MAX_DETAIL_CHARS))
            self.kept.append(finding)

    def has(self, *codes: Code) -> bool:
        """Return whether there is a finding of one of these kinds."""
        return any(code in self.counts for code in codes)

    def merge(self, other: "Collector") -> None:
        """Add the findings of another collector of the same shard."""
        for finding in other.kept:
            self.take(finding)
        for name, codes in other.codes.items():
            self.codes.setdefault(name, set()).update(codes)
        for code, count in other.counts.items():
            self.counts[code] += count - sum(f.code is code for f in other.kept)

    def findings(self) -> list[Finding]:
        """Return the findings in the order in which they were made."""
        kept = Counter(finding.code for finding in self.kept)
        more = {code: n - kept[code] for code, n in self.counts.items() if n > kept[code]}
        found = [_with_more(finding, more, self._shard) for finding in self.kept]
        return found + [
            Finding(code, self._shard, detail=f"and {n} more like it")
            for code, n in more.items()
            if not _is_reported_once(code, self._shard)
        ]


def _is_reported_once(code: Code, shard: str | None) -> bool:
    return code.severity == "warning" and shard is not None


def _with_more(finding: Finding, more: Mapping[Code, int], shard: str | None) -> Finding:
    """Return a warning with the number of those that were left out."""
    if finding.code not in more or not _is_reported_once(finding.code, shard):
        return finding
    count = f"and {more[finding.code]} more in this shard"
    return replace(finding, detail=", ".join(filter(None, (finding.detail, count))))


class ShardFindings:
    """Keeps the first findings of a dataset in the order of its shards, and counts all.

    Shards may come in any order; what is kept does not depend on it.
    """

    def __init__(self, max_findings: int) -> None:
        self.counts: Counter[Code] = Counter()
        """Of all findings, also those that were not kept."""
        self._max_findings = max_findings
        self._kept: dict[int, list[Finding]] = {}
        self._last: list[int] = []
        """Heap of the shards that have findings, negative: the last comes first."""
        self._size = 0

    def take(self, index: int, findings: Sequence[Finding], counts: Mapping[Code, int]) -> None:
        """Take what was found in the shard at an index; each index is taken once."""
        self.counts.update(counts)
        if not findings:
            return
        self._kept[index] = list(findings)
        self._size += len(findings)
        heapq.heappush(self._last, -index)
        while self._size > self._max_findings:
            self._drop(self._size - self._max_findings)

    def findings(self) -> list[Finding]:
        """Return the findings that were kept, by index."""
        return [finding for index in sorted(self._kept) for finding in self._kept[index]]

    def _drop(self, excess: int) -> None:
        """Drop up to `excess` findings of the last shard."""
        kept = self._kept[-self._last[0]]
        excess = min(excess, len(kept))
        del kept[len(kept) - excess :]
        self._size -= excess
        if not kept:
            del self._kept[-heapq.heappop(self._last)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of a verification."""

    out: str
    depth: Depth
    findings: tuple[Finding, ...]
    """At most a hundred thousand, and a thousand of one kind in one file; `counts` has all."""
    counts: Mapping[Code, int]
    """Findings of each kind, also those that are only counted."""
    shards: int
    """In the dataset."""
    checked_shards: int
    """Of them, how many were read (at depth entries: listed)."""
    samples: int
    """In the shards that were checked, as far as they can be counted."""
    size_bytes: int
    """Bytes read from shards."""
    seconds: float
    quarantined: tuple[str, ...] = field(default=())
    """Shards that were moved to the quarantine folder."""
    proofs: Mapping[str, int] = field(default_factory=dict)
    """Number of shards by how the store proved them; empty where shards were read."""

    @property
    def exit_code(self) -> int:
        """0 for a clean dataset, 1 for one with findings."""
        return 1 if self.counts else 0

    @property
    def errors(self) -> int:
        """Findings that are errors."""
        return sum(n for code, n in self.counts.items() if code.severity == "error")

    @property
    def warnings(self) -> int:
        """Findings that are warnings."""
        return sum(self.counts.values()) - self.errors

    def to_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "out": self.out,
            "depth": self.depth,
            "clean": not self.counts,
            "errors": self.errors,
            "warnings": self.warnings,
            "shards": self.shards,
            "checked_shards": self.checked_shards,
            "samples": self.samples,
            "bytes": self.size_bytes,
            "seconds": round(self.seconds, 3),
            "counts": {code.code: n for code, n in self.counts.items()},
            "findings": [finding.to_json() for finding in self.findings],
            "quarantined": list(self.quarantined),
            "proofs": dict(self.proofs),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """The outcome of a repair."""

    out: str
    shards: int
    """In the dataset."""
    checked_shards: int
    """Of them, how many were read."""
    remade: tuple[str, ...]
    """Shards that were made again, each with its entry."""
    rebuilt: tuple[str, ...]
    """Other files that were rewritten."""
    left: tuple[str, ...]
    """What could not be repaired, or does not belong to the dataset: name, cause and remedy."""
    moved: tuple[str, ...] = ()
    """Entries of no shard, by their new names in the quarantine folder."""

    @property
    def exit_code(self) -> int:
        """0 when the dataset is intact now, 1 when something is left."""
        return 1 if self.left else 0
