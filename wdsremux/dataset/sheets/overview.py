"""Collects what `wdsremux report` shows of a finished output, in bounded time and memory.

Totals come from the manifest. Sizes, labels and dimensions are those of samples spread evenly over
each split; rejected rows are read from `rejected.jsonl`, up to a bound.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wdsremux.core.manifest import Manifest, ShardSummary
from wdsremux.core.option_values import is_url
from wdsremux.core.records import Rejected
from wdsremux.dataset.entry import SampleEntry
from wdsremux.dataset.reader import Output, open_output
from wdsremux.dataset.rejected import reason_kind
from wdsremux.dataset.sheets.preview import fields_of, label_of, spread

MEASURED_SHARDS = 64
"""Shards of a split whose entries are read."""
MEASURED_SAMPLES = 4_096
"""Samples of a split whose JSON is read."""
MEASURED_REMOTE_SAMPLES = 256
"""The same for an output at a URL, where each costs a request."""
MAX_REJECTED_BYTES = 1 << 26
EXAMPLES = 4
"""Rejected rows that are kept of each kind."""


@dataclass(frozen=True, slots=True)
class SplitOverview:
    """What is measured of one split."""

    sample_bytes: tuple[int, ...]
    """Bytes in the tar of some samples."""
    image_sizes: tuple[tuple[int, int], ...]
    """Width and height of some images."""
    labels: Counter[str]
    """How many of the samples that were read have a label."""
    read_samples: int
    """How many samples were read, of those that the split has."""


@dataclass(slots=True)
class RejectedKind:
    """Rejected rows with the same stage and reason, numbers aside."""

    stage: str
    count: int = 0
    examples: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Overview:
    """What a report shows."""

    name: str
    manifest: Manifest
    splits: dict[str, SplitOverview]
    rejected: tuple[RejectedKind, ...]
    """The most frequent kind first."""
    is_rejected_cut: bool
    """Whether there are more rejected rows than were read."""
    finished: tuple[tuple[float, int], ...]
    """(time of the shard's file in s since the first, samples so far); empty where unknown."""


def overview_of(out: str) -> Overview:
    """Return the overview of a finished output. Raises CorruptDataError, StoreError."""
    with open_output(out) as output:
        manifest = output.manifest
        kinds, is_cut = _rejected(output)
        return Overview(
            out,
            manifest,
            {name: _measured(output, name) for name in manifest.splits},
            kinds,
            is_cut,
            () if is_url(out) else _finished(Path(out).expanduser(), manifest.shards),
        )


def _measured(output: Output, split: str) -> SplitOverview:
    shards = output.shards(split)
    shards = [shards[at] for at in spread(len(shards), MEASURED_SHARDS)]
    wanted = MEASURED_REMOTE_SAMPLES if output.is_remote else MEASURED_SAMPLES
    sizes: list[int] = []
    images: list[tuple[int, int]] = []
    labels: Counter[str] = Counter()
    read = 0
    for shard, entry in output.entries(shards):
        sizes += entry.sizes
        samples = list(entry.samples())
        chosen = [samples[at] for at in spread(len(samples), -(-wanted // len(shards)))]
        for fields in _fields(output, shard, chosen):
            read += 1
            labels[label_of(fields)] += 1
            width, height = fields.get("width"), fields.get("height")
            if isinstance(width, int) and isinstance(height, int):
                images.append((width, height))
    return SplitOverview(tuple(sizes), tuple(images), labels, read)


def _fields(
    output: Output, shard: ShardSummary, samples: Sequence[SampleEntry]
) -> Iterator[dict[str, object]]:
    """Yield the JSON of samples, without the images."""
    with output.open(shard) as file:
        for sample in samples:
            for extension, offset, size_bytes in sample.members:
                if extension == "json":
                    data = output.bytes_at(file, shard, offset, size_bytes)
                    yield fields_of({"json": data})


def _rejected(output: Output) -> tuple[tuple[RejectedKind, ...], bool]:
    kinds: dict[tuple[str, str], RejectedKind] = {}
    read = 0
    for item, line in output.rejected():
        kind = kinds.setdefault(reason_kind(item), RejectedKind(item.stage))
        kind.count += 1
        if len(kind.examples) < EXAMPLES and item.position not in {
            one.position for one in kind.examples
        }:
            kind.examples.append(item)
        read += len(line)
        if read > MAX_REJECTED_BYTES:
            return _by_count(kinds), True
    return _by_count(kinds), False


def _by_count(kinds: dict[tuple[str, str], RejectedKind]) -> tuple[RejectedKind, ...]:
    return tuple(sorted(kinds.values(), key=lambda kind: -kind.count))


def _finished(folder: Path, shards: Sequence[ShardSummary]) -> tuple[tuple[float, int], ...]:
    """Return when shards were written, by the times of their files; empty where one is missing."""
    times = []
    for shard in shards:
        try:
            times.append(((folder / shard.name).lstat().st_mtime, shard.samples))
        except OSError:
            return ()
    times.sort()
    samples = 0
    found = []
    for at, own in times:
        samples += own
        found.append((at - times[0][0], samples))
    return tuple(found)
