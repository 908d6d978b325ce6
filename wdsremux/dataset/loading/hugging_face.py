"""`load_hf`: one split of an output as a dataset of Hugging Face `datasets`, with flat columns.

`load_dataset(OUT)` needs no wdsremux, but returns the columns of the shards: `jpg`, and `json` with
all fields. Training code of `datasets` expects `image` and `label`, as they are here.
"""

# ruff: noqa: PLC0415 (local imports: `datasets` takes seconds to import)

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wdsremux.core.columns import Dtype
from wdsremux.core.errors import UsageError
from wdsremux.core.manifest import ShardSummary
from wdsremux.dataset.loading.decoding import ParsedSample, SampleDecoder
from wdsremux.dataset.loading.reader import SampleReader
from wdsremux.dataset.loading.split import chosen_copy, split_shards
from wdsremux.dataset.reader import open_output

if TYPE_CHECKING:
    import datasets

SAMPLES_AT_ONCE = 64


def load_hf(
    out: str | os.PathLike[str],
    split: str | None = None,
    *,
    copy: int | None = None,
    epoch: int | None = None,
    streaming: bool = True,
) -> "datasets.Dataset | datasets.IterableDataset":
    """Open one split of a finished output as a dataset of `datasets`.

    Its columns are `key`, `image` (or the names of several images), and the fields of the JSON,
    with the label as a ClassLabel. `split`, `copy` and `epoch` are those of `load`. Streamed, it is
    an IterableDataset whose shards are those of the output, and nothing is copied; with
    `streaming=False` it is a Dataset, for which `datasets` writes a second copy into its cache.

    Raises UsageError for a split or copy that does not exist, or for an output with arrays or other
    members that have no type in `datasets`, CorruptDataError, StoreError.
    """
    import datasets

    with open_output(out) as output:
        chosen = chosen_copy(output, copy, epoch)
        shards = [shard for shard in split_shards(output, split) if shard.copy == chosen]
        manifest, location = output.manifest, output.location
    columns = _columns(manifest.head.features)
    features = datasets.Features({name: _feature(dtype) for name, dtype in columns.items()})
    reader = SampleReader(location, manifest, shards)
    arguments: dict[str, Any] = {
        "generator": _rows,
        "features": features,
        "gen_kwargs": {"reader": reader, "columns": columns, "shards": list(shards)},
        "split": datasets.NamedSplit(shards[0].split),
    }
    made = datasets.IterableDataset if streaming else datasets.Dataset
    return made.from_generator(**arguments)


def _columns(features: Mapping[str, Dtype]) -> dict[str, Dtype]:
    """Return the dtypes of the flat columns, by name. Raises UsageError."""
    found: dict[str, Dtype] = {"key": "string"}
    images = [name for name, dtype in features.items() if dtype == "image"]
    found |= {name.rpartition(".")[0] or "image": "image" for name in images}
    for name, dtype in features.items():
        if name == "json" and isinstance(dtype, Mapping):
            fields = dict(dtype["struct"])
            if "key" in fields:
                fields.setdefault("key_text", fields.pop("key"))
            found |= fields
        elif name in ("txt", "cls"):
            found[name] = "string" if name == "txt" else "int64"
        elif name not in images:
            raise UsageError(
                f"load_hf cannot read the member {name!r} of the samples; use wdsremux.load, or "
                "load_dataset"
            )
    return found


def _feature(dtype: Dtype) -> Any:
    """Return the feature of `datasets` for a dtype of the manifest."""
    import datasets

    if dtype == "image":
        return datasets.Image()
    if isinstance(dtype, str):
        return datasets.Value(dtype)
    if "class_label" in dtype:
        return datasets.ClassLabel(names=list(dtype["class_label"]))
    if "struct" in dtype:
        return {name: _feature(inner) for name, inner in dtype["struct"].items()}
    return datasets.List(_feature(dtype["list"]))


def _rows(
    reader: SampleReader, columns: Mapping[str, Dtype], shards: Sequence[ShardSummary]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of some shards of the reader; `datasets` divides them among workers."""
    decoder, wanted = SampleDecoder("rgb"), {shard.name for shard in shards}
    first = 0
    for shard in reader.shards:
        stop = first + shard.samples
        if shard.name in wanted:
            for start in range(first, stop, SAMPLES_AT_ONCE):
                for data in reader.read(range(start, min(stop, start + SAMPLES_AT_ONCE))):
                    yield _row(decoder.parsed(data), columns)
        first = stop


def _row(sample: ParsedSample, columns: Mapping[str, Dtype]) -> dict[str, Any]:
    found, images = sample.everything(), dict(sample.further)
    if sample.image is not None:
        images[sample.image.rpartition(".")[0] or "image"] = sample.image
    for name, extension in images.items():
        data = bytes(sample.members[extension])
        found[name] = {"bytes": data, "path": f"{sample.key}.{extension}"}
    return {name: found.get(name) for name in columns}
