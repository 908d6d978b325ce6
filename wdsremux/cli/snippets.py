"""Code that reads an output, as `convert` and `show --snippet` print it; it runs as printed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wdsremux.core.errors import UsageError
from wdsremux.core.image_formats import image_extension
from wdsremux.core.option_values import is_url

if TYPE_CHECKING:
    from wdsremux.core.manifest import Manifest


@dataclass(frozen=True, slots=True)
class _SnippetInput:
    """What a snippet reads."""

    out: str
    split: str
    image: str
    """Extension of the images."""
    has_label: bool
    has_copies: bool
    shards: int


def snippet(kind: str, manifest: "Manifest", out: str, split: str | None = None) -> str:
    """Return a snippet for one split, by default the first.

    Raises UsageError for a kind that cannot read an output at a URL.
    """
    if is_url(out) and kind != "pytorch":
        raise UsageError(
            f"--snippet {kind} reads folders; for {out!r} take --snippet pytorch, which reads URLs"
        )
    split = next(iter(manifest.splits)) if split is None else split
    features = manifest.head.features
    json_type = features.get("json")
    fields: Any = json_type.get("struct", {}) if isinstance(json_type, dict) else {}
    subject = _SnippetInput(
        out=out if is_url(out) else str(Path(out).expanduser().absolute()),
        split=split,
        image=image_extension(features) or "jpg",
        has_label="label" in fields,
        has_copies=manifest.head.copies > 1,
        shards=sum(shard.split == split for shard in manifest.shards),
    )
    return SNIPPETS[kind](subject)


def _pytorch(subject: _SnippetInput) -> str:
    names = "images, labels" if subject.has_label else "(images,)"
    columns = '("image", "label")' if subject.has_label else '("image",)'
    return f"""\
import wdsremux

batches = wdsremux.pipeline(
    {_quoted(subject.out)},
    {_quoted(subject.split)},
    shuffle=True,
    batch_size=64,
    decode="torch",
    columns={columns},
)
loader = batches.loader(num_workers=2)
for {names} in loader:  # the next loop over it is the next epoch
    pixels = images / 255  # N×3×H×W, from uint8
"""


def _wids(subject: _SnippetInput) -> str:
    label = '\n    label = sample[".json"]["label"]' if subject.has_label else ""
    return f"""\
import json
import wids

folder = {_quoted(subject.out)}
shards = [
    shard | {{"url": f"{{folder}}/{{shard['url']}}"}}
    for shard in json.load(open(f"{{folder}}/index.json"))["shardlist"]
    if (shard["split"], shard["copy"]) == ({_quoted(subject.split)}, 0)
]
dataset = wids.ShardListDataset(shards, lru_size=len(shards))
for index in range(len(dataset)):
    sample = dataset[index]
    image = sample[".{subject.image}"]{label}
"""


def _datasets(subject: _SnippetInput) -> str:
    config = ', "copy0"' if subject.has_copies else ""
    label = '\n    label = sample["json"]["label"]' if subject.has_label else ""
    split = _quoted(subject.split)
    return f"""\
from datasets import load_dataset

# streaming=True avoids a second copy of the data in the cache.
dataset = load_dataset({_quoted(subject.out)}{config}, split={split}, streaming=True)
for sample in dataset.shuffle(seed=0, buffer_size=1000):
    image = sample["{subject.image}"]{label}
"""


SNIPPETS: dict[str, Callable[[_SnippetInput], str]] = {
    "pytorch": _pytorch,
    "wids": _wids,
    "datasets": _datasets,
}


def _quoted(value: str) -> str:
    """Return a string as a Python literal in ASCII: a name cannot end it, or hide anything."""
    return json.dumps(value) if value.isascii() else ascii(value)
