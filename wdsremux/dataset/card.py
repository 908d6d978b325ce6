"""The dataset card: a README.md whose YAML makes the Hub and `load_dataset` read the shards right.

Without it, `datasets` guesses: it may take `index.json` for the data, loses class names, and infers
the schema from the first five samples.
Format: https://huggingface.co/docs/hub/datasets-cards, `datasets` 5 `Features._to_yaml_list`.
"""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any

from wdsremux.core.columns import Dtype
from wdsremux.core.front_matter import front_matter_bytes
from wdsremux.core.manifest import Manifest

CARD_NAME = "README.md"
CARD_MARK = "<!-- card written by wdsremux; remove this line to edit the card yourself -->"
KEY_FEATURE = {"name": "__key__", "dtype": "string"}
"""The column in which `datasets` returns the keys of the samples, if the card lists it."""
_MARK_START = b"<!-- card written by wdsremux"


def is_ours(card: bytes) -> bool:
    """Return whether wdsremux wrote a README.md and may replace it."""
    return _MARK_START in card


def card_bytes(manifest: Manifest) -> bytes:
    """Return the card of a dataset."""
    text = f"{CARD_MARK}\n\n{_text(manifest)}"
    return front_matter_bytes(_metadata(manifest)) + text.encode("utf-8", "replace")


def plain_card_bytes(manifest: Manifest, names: Sequence[str]) -> bytes:
    """Return a card that lists the data files and leaves the rest to `load_dataset`.

    `names` are those of all tars in the folder.
    """
    files = [
        {
            "split": split,
            "path": _paths([s.name for s in manifest.shards if s.split == split], names),
        }
        for split in manifest.splits
    ]
    header = front_matter_bytes(
        {
            "pretty_name": manifest.head.name,
            "tags": ["webdataset"],
            "configs": [{"config_name": "default", "data_files": files}],
        }
    )
    title, totals = f"# {manifest.head.name}", manifest.totals
    text = f"{totals.samples} samples in {totals.shards} WebDataset shards."
    return header + f"{CARD_MARK}\n\n{title}\n\n{text}\n".encode("utf-8", "replace")


def _paths(own: Sequence[str], names: Sequence[str]) -> str | list[str]:
    """Return a glob that matches exactly a split's shards, or their names."""
    prefix = re.sub(r"\d*\.tar$", "", own[0])
    glob = f"{prefix}*.tar"
    is_plain = not set(prefix) & set("*?[]{}")
    if is_plain and [name for name in names if fnmatch.fnmatchcase(name, glob)] == list(own):
        return glob
    return list(own)


def _metadata(manifest: Manifest) -> dict[str, Any]:
    features = [_feature(name, dtype) for name, dtype in manifest.head.features.items()]
    features.append(KEY_FEATURE)
    configs, infos = [], []
    for config, copy in _configs(manifest):
        own = [s for s in manifest.shards if copy is None or s.copy == copy]
        splits = list(dict.fromkeys(shard.split for shard in own))
        data_files = [
            {
                "split": split,
                # Digits: "train-*" would take the shards of a split "train-x" too.
                "path": f"{split}-{_copies_glob(manifest, copy)}[0-9]*.tar",
            }
            for split in splits
        ]
        configs.append({"config_name": config, "data_files": data_files})
        infos.append(
            {
                "config_name": config,
                "features": features,
                "splits": [_split(split, own) for split in splits],
            }
        )
    return {
        "pretty_name": manifest.head.name,
        "size_categories": [_size_category(manifest.totals.samples)],
        "tags": ["webdataset", "wdsremux"],
        "configs": configs,
        "dataset_info": infos if len(infos) > 1 else infos[0],
    }


def _configs(manifest: Manifest) -> list[tuple[str, int | None]]:
    """One configuration with everything and, for several copies, one for each of them."""
    copies = range(manifest.head.copies) if manifest.head.copies > 1 else ()
    return [("default", None), *((f"copy{copy}", copy) for copy in copies)]


def _copies_glob(manifest: Manifest, copy: int | None) -> str:
    if copy is not None:
        return f"c{copy}-"
    return "c[0-9]*-" if manifest.head.copies > 1 else ""


def _split(name: str, shards: Sequence[Any]) -> dict[str, Any]:
    own = [shard for shard in shards if shard.split == name]
    return {
        "name": name,
        "num_bytes": sum(shard.size_bytes for shard in own),
        "num_examples": sum(shard.samples for shard in own),
    }


def _feature(name: str, dtype: Dtype) -> dict[str, Any]:
    return {"name": name, **_typed(dtype)}


def _typed(dtype: Dtype) -> dict[str, Any]:
    """Return a dtype as the card writes it behind a name."""
    if isinstance(dtype, str):
        return {"dtype": dtype}
    if "class_label" in dtype:
        names = {str(i): name for i, name in enumerate(dtype["class_label"])}
        return {"dtype": {"class_label": {"names": names}}}
    if "struct" in dtype:
        return {"struct": [_feature(name, inner) for name, inner in dtype["struct"].items()]}
    inner = dtype["list"]
    if isinstance(inner, str):
        return {"list": inner}
    typed = _typed(inner)
    return {"list": typed.get("struct", typed)}


def _size_category(samples: int) -> str:
    low, low_name = 0, ""
    for high, name in (
        (10**3, "1K"), (10**4, "10K"), (10**5, "100K"), (10**6, "1M"),
        (10**7, "10M"), (10**8, "100M"), (10**9, "1B"), (10**10, "10B"), (10**11, "100B"),
        (10**12, "1T"),
    ):  # fmt: skip
        if low <= samples < high:
            return f"{low_name}<n<{name}" if low_name else f"n<{name}"
        low, low_name = high, name
    return "n>1T"


def _text(manifest: Manifest) -> str:
    totals = manifest.totals
    # Outputs that are older than the column have a card without it.
    has_filtered = bool(totals.filtered)
    columns = ["split", "samples", "rejected", *["filtered"] * has_filtered, "shards", "bytes"]
    rows = "\n".join(
        _row([name, t.samples, t.rejected, *[t.filtered] * has_filtered, t.shards, t.size_bytes])
        for name, t in manifest.splits.items()
    )
    split, patterns = next(iter(manifest.patterns().items()))
    notes = "".join(f"\n* {note}" for note in manifest.head.notes)
    return f"""# {manifest.head.name}

{totals.samples} preprocessed images in {totals.shards} WebDataset shards, with JSON labels.
`index.json` lists the shards with their SHA-256, and the recipe they were made by.

{_row(columns)}
{_row(["---"] * len(columns))}
{rows}
{notes}
```python
import webdataset as wds

dataset = wds.WebDataset("{patterns[0]}", shardshuffle=False)
for image, entry in dataset.decode("pil").to_tuple("{_image(manifest.head.features)}", "json"):
    ...
```

```python
from datasets import load_dataset

# streaming=True reads the shards as they are; without it, the cache gets a second copy of the data.
dataset = load_dataset("path/to/this/folder", split="{split}", streaming=True)
```
"""


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _image(features: Mapping[str, Any]) -> str:
    return next(name for name, dtype in features.items() if dtype == "image")
