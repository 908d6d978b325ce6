"""Builders of small datasets as users have them on disk."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASS_NAMES = ("cat", "dog", "bird")


def jpeg(seed, width=40, height=30, *, quality=85, noisy=False):
    """Return a small JPEG: a gradient whose colour and slope come from the seed, or noise (which is bigger)."""
    rng = np.random.default_rng(seed)
    if noisy:
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    else:
        x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
        slope, base = rng.uniform(-120, 120, (2, 3)), rng.uniform(60, 200, 3)
        plane = base + x[..., None] * slope[0] + y[..., None] * slope[1]
        pixels = plane.clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


def jpegs(rows, seed=0):
    """Return JPEGs of varying size; those of the same seed begin alike whatever `rows` is."""
    sizes = np.random.default_rng(seed).integers(16, 64, (rows, 2))
    return [jpeg((seed, i), int(w), int(h), noisy=i % 3 == 0) for i, (w, h) in enumerate(sizes)]


@dataclass
class Corpus:
    """What was written, in row order."""

    folder: Path
    files: list[str] = field(default_factory=list)
    """Names relative to the folder."""
    images: list[bytes] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)

    @property
    def rows(self):
        return len(self.labels)


def hf_schema(class_names=CLASS_NAMES):
    """Return the schema that `Dataset.to_parquet` writes: an Image struct and a ClassLabel in its metadata."""
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(class_names), "_type": "ClassLabel"},
        "caption": {"dtype": "string", "_type": "Value"},
    }
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = [("image", image), ("label", pa.int64()), ("caption", pa.string())]
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema(fields, metadata=metadata)


def hf_columns(corpus, start, stop):
    """Return the columns of some rows of a corpus."""
    names = [f"{i:05d}.jpg" for i in range(start, stop)]
    pairs = zip(corpus.images[start:stop], names, strict=True)
    return {
        "image": [{"bytes": b, "path": n} for b, n in pairs],
        "label": corpus.labels[start:stop],
        "caption": corpus.captions[start:stop],
    }


def write_parquet_dataset(
    folder,
    rows=30,
    row_group_size=7,
    files=2,
    split="train",
    *,
    seed=0,
    images=None,
    class_names=CLASS_NAMES,
    **writer_options,
):
    """Write `data/{split}-NNNNN-of-NNNNN.parquet` as `push_to_hub` does and return what was written.

    `images` replaces the generated JPEGs (any bytes or None, one for each row); further options go to pyarrow.
    """
    folder = Path(folder)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    corpus = Corpus(folder)
    corpus.images = list(images) if images is not None else jpegs(rows, seed)
    rows = len(corpus.images)
    corpus.labels = [
        int(n) for n in np.random.default_rng(seed).integers(0, len(class_names), rows)
    ]
    corpus.captions = [f"picture {i} of {split}" for i in range(rows)]
    borders = [rows * i // files for i in range(files + 1)]
    for i in range(files):
        name = f"data/{split}-{i:05d}-of-{files:05d}.parquet"
        columns = hf_columns(corpus, borders[i], borders[i + 1])
        table = pa.table(columns, schema=hf_schema(class_names))
        pq.write_table(table, folder / name, row_group_size=row_group_size, **writer_options)
        corpus.files.append(name)
    return corpus


def write_table(path, columns, schema=None, **writer_options):
    """Write one Parquet file of any columns, without Hugging Face metadata unless the schema has it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns, schema=schema), path, **writer_options)
    return path
