"""A contact sheet of a finished output: samples from all over it, with their labels."""

import json
from collections.abc import Iterator, Mapping, Sequence

from wdsremux.core.errors import CorruptDataError
from wdsremux.core.image_formats import image_extension
from wdsremux.core.manifest import ShardSummary
from wdsremux.core.option_values import counted, size
from wdsremux.dataset.entry import SampleEntry
from wdsremux.dataset.reader import Output, open_output
from wdsremux.dataset.sheets.sheet import Sheet, SheetImage, SheetRow, further_images, packed_image
from wdsremux.transforms.base import DecodeError
from wdsremux.transforms.codecs.codec import Codec


def preview_output(out: str, samples: int, split: str | None = None) -> Sheet:
    """Return a sheet of about `samples` rows, spread evenly; the copies of a row side by side.

    Raises UsageError for an unknown split, CorruptDataError, StoreError.
    """
    with open_output(out) as output:
        shards = output.shards(split)
        totals = output.manifest.totals
        shown = f"{counted(totals.samples, 'sample')} in {counted(totals.shards, 'shard')}"
        rows = tuple(_rows(output, shards, samples))
        facts = (f"{shown}, {size(totals.size_bytes)}",)
        return Sheet(output.manifest.head.name, facts, rows)


def spread(total: int, wanted: int) -> list[int]:
    """Return up to `wanted` different numbers from 0 to total - 1, evenly spread."""
    count = min(total, wanted)
    return [at * total // count for at in range(count)]


def label_of(fields: Mapping[str, object]) -> str:
    """Return the label of a sample's JSON as a string; empty without one."""
    label = fields.get("label_name")
    label = fields.get("label") if label is None else label
    return "" if label is None else str(label)


def fields_of(members: Mapping[str, bytes]) -> dict[str, object]:
    """Return the JSON of a sample; empty where it has none that can be read."""
    try:
        fields = json.loads(members.get("json", b"{}"))
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _rows(output: Output, shards: Sequence[ShardSummary], wanted: int) -> Iterator[SheetRow]:
    firsts = [shard for shard in shards if shard.copy == 0]
    starts = [0]
    for shard in firsts:
        starts.append(starts[-1] + shard.samples)
    numbers = spread(starts[-1], wanted)
    for shard, start in zip(firsts, starts, strict=False):
        own = [number - start for number in numbers if start <= number < start + shard.samples]
        if not own:
            continue
        entry = output.entry(shard)
        made = _made_of(output, shards, shard.split, {entry.positions[number] for number in own})
        for number in own:
            yield _row(output, entry.keys[number], made[entry.positions[number]])


def _made_of(
    output: Output, shards: Sequence[ShardSummary], split: str, positions: set[int]
) -> dict[int, list[tuple[ShardSummary, SampleEntry]]]:
    """Return the samples of each row, of all copies; each entry is read once."""
    found: dict[int, list[tuple[ShardSummary, SampleEntry]]] = {each: [] for each in positions}
    holding = (
        s
        for s in shards
        if s.split == split and any(s.start <= each < s.stop for each in positions)
    )
    for shard, entry in output.entries(holding):
        for sample in entry.samples():
            if sample.position in positions:
                found[sample.position].append((shard, sample))
    return found


def _row(output: Output, key: str, made: Sequence[tuple[ShardSummary, SampleEntry]]) -> SheetRow:
    images: list[SheetImage] = []
    problem, label = "", ""
    for shard, sample in made:
        try:
            members = output.members(shard, sample)
            label = label or label_of(fields_of(members))
            name = image_extension(members)
            if name is not None:
                images.append(packed_image(members[name], Codec()))
                images.extend(further_images(members, Codec()))
        except (CorruptDataError, DecodeError) as exc:
            problem = str(exc)
    return SheetRow(key, label, None, tuple(images), problem)
