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
    has_class: bool
    """Whether samples have a member .cls."""
    has_copies: bool
    shards: int


def snippet(kind: str, manifest: "Manifest", out: str, split: str | None = None) -> str:
    """Return a snippet for one split, by default the first.

    Raises UsageError for a kind that cannot read an output at a URL, or as it is.
    """
    if is_url(out) and kind not in ("pytorch", "jax"):
        raise UsageError(
            f"--snippet {kind} reads folders; for {out!r} take --snippet pytorch or jax, which "
            "read URLs"
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
        has_class="cls" in features,
        has_copies=manifest.head.copies > 1,
        shards=sum(shard.split == split for shard in manifest.shards),
    )
    return SNIPPETS[kind](subject)


def _batches(subject: _SnippetInput, decode: str) -> str:
    """Return the call of `pipeline` that makes batches."""
    columns = '("image", "label")' if subject.has_label else '("image",)'
    return f"""\
batches = wdsremux.pipeline(
    {_quoted(subject.out)},
    {_quoted(subject.split)},
    shuffle=True,
    batch_size=64,
    decode="{decode}",
    columns={columns},
)"""


def _pytorch(subject: _SnippetInput) -> str:
    names = "images, labels" if subject.has_label else "(images,)"
    return f"""\
import wdsremux

{_batches(subject, "torch")}
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


def _jax(subject: _SnippetInput) -> str:
    names = "images, labels" if subject.has_label else "(images,)"
    return f"""\
import jax.numpy as jnp
import wdsremux

{_batches(subject, "rgb")}
for {names} in batches:  # the next loop over it is the next epoch
    pixels = jnp.asarray(images) / 255  # N×H×W×3, from uint8
"""


def _dali(subject: _SnippetInput) -> str:
    member = "cls" if subject.has_class else "json"
    label = "int(content)" if subject.has_class else 'json.loads(content)["label"]'
    wanted = f'["{subject.image}", "{member}"]' if subject.has_label else f'["{subject.image}"]'
    names = "encoded, fields" if subject.has_label else "(encoded,)"
    outputs = "images, fields" if subject.has_label else "images"
    received = outputs if subject.has_label else "(images,)"
    labels = ""
    if subject.has_label:
        labels = f"""
    contents = [bytes(fields.at(number)) for number in range(len(fields))]
    labels = [{label} for content in contents]"""
    return f"""\
import json
from nvidia.dali import fn, pipeline_def, types

folder = {_quoted(subject.out)}
shards = [
    f"{{folder}}/{{shard['url']}}"
    for shard in json.load(open(f"{{folder}}/index.json"))["shardlist"]
    if (shard["split"], shard["copy"]) == ({_quoted(subject.split)}, 0)
]


@pipeline_def(batch_size=64, num_threads=2, device_id=None)  # device_id=0 for the first GPU
def batches():
    {names} = fn.readers.webdataset(
        paths=shards,  # `wdsremux index --index dali` and index_paths=[...] spare a scan
        ext={wanted},
        random_shuffle=True,
        initial_fill=1000,
        missing_component_behavior="error",
        name="reader",
    )
    images = fn.decoders.image(encoded, device="cpu", output_type=types.RGB)  # "mixed": on the GPU
    return {outputs}


pipe = batches()
pipe.build()
samples = pipe.reader_meta("reader")["epoch_size"]
for _ in range(max(1, samples // 64)):  # what does not fill a batch begins the next epoch
    {received} = pipe.run()
    pixels = [images.at(number) for number in range(len(images))]{labels}
"""


def _energon(subject: _SnippetInput) -> str:
    # Imported here: `wdsremux --help` needs none of it.
    from wdsremux.core.manifest import ENERGON_FOLDER, ENERGON_PARTS

    if not (Path(subject.out) / ENERGON_FOLDER / "dataset.yaml").is_file():
        raise UsageError(
            "--snippet energon needs the files of Megatron-Energon beside the shards; run "
            f"wdsremux index {subject.out} --index energon first"
        )
    if not subject.has_label:
        raise UsageError(
            "--snippet energon reads images with labels; this output has no label, so Energon "
            "needs a cooker of yours for its samples (CrudeWebdataset)"
        )
    part = ENERGON_PARTS.get(subject.split, subject.split)
    return f"""\
from megatron.energon import WorkerConfig, get_loader, get_train_dataset

dataset = get_train_dataset(
    {_quoted(subject.out)},
    split_part={_quoted(part)},
    worker_config=WorkerConfig.default_worker_config(num_workers=2),
    batch_size=None,
    shuffle_buffer_size=1000,
    max_samples_per_sequence=100,
    repeat=False,  # ends after one epoch
)
for sample in get_loader(dataset):
    image = sample.image  # 3×H×W, 0 to 1
    label = sample.label
"""


SNIPPETS: dict[str, Callable[[_SnippetInput], str]] = {
    "pytorch": _pytorch,
    "wids": _wids,
    "datasets": _datasets,
    "dali": _dali,
    "jax": _jax,
    "energon": _energon,
}


def _quoted(value: str) -> str:
    """Return a string as a Python literal in ASCII: a name cannot end it, or hide anything."""
    return json.dumps(value) if value.isascii() else ascii(value)
