"""Looks into a finished output: which shards and samples it has, and what one sample holds."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nlargest
from itertools import islice

from wdsremux.core.errors import UsageError
from wdsremux.core.image_formats import image_extension
from wdsremux.core.manifest import ShardSummary
from wdsremux.core.option_values import listed
from wdsremux.core.records import Rejected
from wdsremux.dataset.entry import SampleEntry, ShardEntry
from wdsremux.dataset.reader import Output

MAX_LABELS = 8
NEAR_KEYS = 3
"""How many similar keys the error for an unknown key names."""
_ROW_KEY = re.compile(r"(\d{9,18})(-\d{1,9})?(?:-c\d{1,9})?")
"""A row; where a batch has another number of samples, its first row and the sample's number."""
_POSITION = re.compile(r"\d{1,18}")


@dataclass(frozen=True, slots=True)
class FoundSample:
    """A sample and the shard it is in."""

    shard: ShardSummary
    sample: SampleEntry

    def label(self) -> str:
        """Name the sample in a message."""
        return f"{self.sample.key!r} (split {self.shard.split!r}, copy {self.shard.copy})"


def samples_of(shards: Iterable[ShardSummary], output: Output) -> Iterator[FoundSample]:
    """Yield every sample of some shards, in order, by their entries."""
    for shard, entry in output.entries(shards):
        for sample in entry.samples():
            yield FoundSample(shard, sample)


def find(output: Output, name: str, split: str | None = None) -> tuple[FoundSample, str | None]:
    """Return (sample, extension) for KEY, KEY.ext or a position.

    A key is tried before a position of the same digits. Where keys are row numbers, only the
    entries of the shards that contain the row are read. Raises UsageError, naming similar keys,
    when no sample fits, or more than one.
    """
    key, extension = _split(name)
    found, near = _by_key(output, key, split)
    if found is None and _POSITION.fullmatch(key):
        found = _by_position(output, int(key), split)
    if found is None:
        raise UsageError(
            f"{output.location!r} has no sample {key!r}{_instead(output, near, split)}"
        )
    return found, extension


def member(output: Output, name: str, split: str | None = None) -> bytes:
    """Return one member: that of KEY.ext, or the image of KEY. Raises UsageError."""
    found, extension = find(output, name, split)
    members = output.members(found.shard, found.sample)
    wanted = image_extension(members) if extension is None else extension
    if wanted not in members:
        there = ", ".join(f".{one}" for one in members)
        missing = "no image" if wanted is None else f"no .{wanted}"
        raise UsageError(f"sample {found.sample.key!r} has {missing}; it has {there}")
    return members[wanted]


def _split(name: str) -> tuple[str, str | None]:
    """Return (key, extension), split at the first dot of the base name as WebDataset does."""
    folder, slash, base = name.rpartition("/")
    stem, dot, extension = base.partition(".")
    return f"{folder}{slash}{stem}", extension.lower() if dot else None


def _by_key(output: Output, key: str, split: str | None) -> tuple[FoundSample | None, list[str]]:
    """Return (sample of a key, none) or (None, the keys that are most like it)."""
    shards = output.shards(split)
    if output.has_row_keys:
        match = _ROW_KEY.fullmatch(key)
        batch = output.manifest.head.options.get("batch_size")
        rows = batch if match is not None and match[2] and isinstance(batch, int) else 1
        shards = _holding(shards, int(match[1]), rows) if match is not None else []
    near: list[str] = []
    for shard, entry in output.entries(shards):
        if key in entry.keys:
            return FoundSample(shard, _nth(entry, entry.keys.index(key))), []
        near = nlargest(NEAR_KEYS, [*near, *entry.keys], lambda one: _common_prefix(one, key))
    return None, [one for one in near if _common_prefix(one, key)]


def _by_position(output: Output, position: int, split: str | None) -> FoundSample | None:
    """Return the sample of a row; raises UsageError for several samples, or a rejected row."""
    found = []
    rejected: list[Rejected] = []
    for shard, entry in output.entries(_holding(output.shards(split), position)):
        first = bisect_left(entry.positions, position)
        numbers = range(first, bisect_right(entry.positions, position))
        found += [FoundSample(shard, _nth(entry, number)) for number in numbers]
        rejected += (one for one in entry.rejected if one.position == position)
    if len(found) > 1:
        labels = listed([one.label() for one in found], MAX_LABELS)
        instead = "a key or --split" if len({one.shard.split for one in found}) > 1 else "a key"
        raise UsageError(f"row {position} has {len(found)} samples: {labels}; pass {instead}")
    if rejected and not found:
        why = f"({rejected[0].stage}): {rejected[0].reason[:200]}"
        raise UsageError(f"row {position} was rejected {why}")
    return found[0] if found else None


def _holding(shards: Iterable[ShardSummary], position: int, rows: int = 1) -> list[ShardSummary]:
    """Return the shards that have one of the rows from a position on."""
    return [s for s in shards if s.start < position + rows and position < s.stop]


def _nth(entry: ShardEntry, number: int) -> SampleEntry:
    return next(islice(entry.samples(), number, None))


def _common_prefix(one: str, other: str) -> int:
    """Return how many characters two keys begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _instead(output: Output, near: list[str], split: str | None) -> str:
    """Return what the user may have meant: similar keys, or the range of rows."""
    if near:
        return f"; similar keys are {', '.join(map(repr, near))}"
    shards = output.shards(split)
    if not shards:
        return ""
    first = min(shard.first_position for shard in shards)
    last = max(shard.last_position for shard in shards)
    return f"; its rows are {first} to {last}, and `wdsremux ls OUT --samples` lists the keys"
