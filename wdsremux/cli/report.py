"""The end of a conversion as it is printed: what there is, what was rejected, what comes next."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wdsremux.cli.snippets import snippet
from wdsremux.converting.class_counts import class_text
from wdsremux.converting.meter import Meter, images_per_s
from wdsremux.core.escaping import escaped
from wdsremux.core.events import Advanced, Done, Event, Note
from wdsremux.core.manifest import Manifest, ShardSummary, Totals, brace_patterns
from wdsremux.core.option_values import counted, duration, size
from wdsremux.core.records import Rejected
from wdsremux.dataset.rejected import reason_kind

MAX_REASONS = 5
"""How many kinds of reasons are printed."""
MAX_KINDS = 1000
"""How many are counted: reasons may all differ."""
LOADER_WORKERS = 4
_MORE_SHARDS = ("a smaller --max-shard-size", "a larger --shards")
WORTH_SHOWING_S = 1.0
"""A shorter start is not reported."""


@dataclass(slots=True)
class RunRecord:
    """Counts the rejected rows of a run by reason, with the first of each; keeps shown notes."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    examples: dict[tuple[str, str], Rejected] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)
    """How often each remark applied."""
    notes: set[str] = field(default_factory=set)
    """Notes that were shown during the run: the report does not repeat them."""

    def note(self, event: Event) -> None:
        """Count what an event rejects, and remember a note."""
        if isinstance(event, Note):
            self.notes.add(event.text)
        for remark in event.remarks if isinstance(event, Advanced) else ():
            if remark.text in self.remarks or len(self.remarks) < MAX_KINDS:
                self.remarks[remark.text] = self.remarks.get(remark.text, 0) + remark.count
        for item in event.rejected if isinstance(event, Advanced) else ():
            key = reason_kind(item)
            if key in self.counts or len(self.counts) < MAX_KINDS:
                self.counts[key] = self.counts.get(key, 0) + 1
                self.examples.setdefault(key, item)

    def lines(self) -> list[str]:
        """Return a line for each of the most frequent reasons, with an example."""
        most = sorted(self.counts, key=lambda key: -self.counts[key])
        lines = [
            f"  {self.counts[key]:,} × {self.examples[key].stage}: {self.examples[key].reason} "
            f"(row {self.examples[key].position})"
            for key in most[:MAX_REASONS]
        ]
        return [*lines, "  ..."] if len(most) > MAX_REASONS else lines


def report(
    event: Done,
    out: str,
    seconds: float,
    record: RunRecord | None = None,
    meter: Meter | None = None,
) -> str:
    """Return the closing report; the rate is that of the meter, as in the bar."""
    manifest, totals = event.manifest, event.manifest.totals
    lines = []
    if event.rows:
        rate = images_per_s(event.rows / seconds if meter is None else meter.rows_per_s)
        start_s = 0.0 if meter is None else meter.start_s
        after = f" after {duration(start_s)} to start" if start_s >= WORTH_SHOWING_S else ""
        lines.append(f"{event.rows:,} {_plural(event.rows)} in {duration(seconds)}, {rate}{after}")
    else:
        lines.append(f"nothing to do: {out} is finished with this recipe")
    lines.append(_totals_line(totals))
    if totals.left_out:
        lines += [] if record is None else record.lines()
        kinds = [("rejected", totals.rejected), ("filtered", totals.filtered)]
        which = " and ".join(kind for kind, count in kinds if count)
        lines.append(f"  all {which} rows: {out}/.wdsremux/rejected.jsonl")
    shown = set() if record is None else record.notes
    lines += [f"note: {note}" for note in manifest.head.notes if note not in shown]
    if record is not None:
        lines += [f"note: {count:,} × {text}" for text, count in record.remarks.items()]
    for name, shards in _series(manifest).items():
        lines += _series_lines(name, shards, out, manifest.head.options)
    part = "" if event.rows == totals.rows else f" in the {event.rows:,} rows of this run"
    lines += [
        f"  {split}, samples per class{part}: {class_text(counts)}"
        for split, counts in event.classes.items()
    ]
    lines += [f"  {name}: {url}" for name, url in _loaders(manifest)]
    if event.rows:
        lines += _next(manifest, out)
    return "\n".join(map(escaped, lines))


def _totals_line(totals: Totals) -> str:
    return (
        f"{totals.samples:,} samples of {totals.rows:,} {_plural(totals.rows)} in "
        f"{counted(totals.shards, 'shard')}, {size(totals.size_bytes)}, "
        f"{totals.rejected:,} rejected"
        + (f", {totals.filtered:,} filtered" if totals.filtered else "")
        + (f", {totals.expanded:,} added by your function" if totals.expanded else "")
    )


def _plural(rows: int) -> str:
    return "row" if rows == 1 else "rows"


def _series(manifest: Manifest) -> dict[str, list[ShardSummary]]:
    """Return the shards that an epoch reads together, by the name of their series."""
    found: dict[str, list[ShardSummary]] = {}
    for shard in manifest.shards:
        name = f"{shard.split}, copy {shard.copy}" if manifest.head.copies > 1 else shard.split
        found.setdefault(name, []).append(shard)
    return found


def _series_lines(
    name: str, shards: list[ShardSummary], out: str, options: Mapping[str, Any]
) -> list[str]:
    is_fixed = any(options.get(option) for option in ("shards", "shards_multiple_of"))
    samples = sum(shard.samples for shard in shards)
    lines = [f"  {name}: {out}/{part}" for part in brace_patterns([s.name for s in shards])]
    lines.append(f"  {name}: {samples:,} samples")
    if len(shards) < LOADER_WORKERS:
        usable = f"{len(shards)} worker{'s' if len(shards) != 1 else ''}"
        lines.append(
            f"  {name}: {counted(len(shards), 'shard')}: most WebDataset loaders can use {usable} "
            f"(wdsremux.pipeline any number); {_MORE_SHARDS[is_fixed]} makes more shards"
        )
    counts = [shard.samples for shard in shards]
    if is_fixed and max(counts) - min(counts) > 1:
        lines.append(
            f"  {name}: shards have {min(counts):,} to {max(counts):,} samples: they cover equal "
            "numbers of rows, and not every row gave one sample"
        )
    return lines


def _loaders(manifest: Manifest) -> list[tuple[str, str]]:
    from wdsremux.dataset.indexes.loader_urls import own_loaders

    loaders = own_loaders(manifest.published, manifest.patterns())
    return [
        (f"{split}, {form}", url)
        for form, by_split in loaders.items()
        for split, urls in by_split.items()
        for url in urls
    ]


def _next(manifest: Manifest, out: str) -> list[str]:
    """Return a training loop, with paths and counts filled in, and the next command."""
    code = snippet("pytorch", manifest, out)
    others = "wids (or datasets, dali, jax, energon)"
    return [
        "train with:",
        *(f"  {line}" for line in code.splitlines()),
        f"for other loaders: wdsremux show {shlex.quote(out)} --snippet {others}",
        f"check it with: wdsremux verify {shlex.quote(out)}",
    ]
