"""Folders of images and tars of samples, and the rows that sources read from them."""

import io
import json
import os
import random
import tarfile

import numpy as np
from PIL import Image

from wdsremux.core.columns import Columns
from wdsremux.sources.folder.source import open_folder


def write_images(root, names, seed=0):
    """Write images of distinct content, in random order, unlike that of their names."""
    names = list(names)
    for name in random.Random(seed).sample(names, len(names)):  # noqa: S311 (no secret)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = np.frombuffer(os.fsencode(name)[-3:].rjust(3), np.uint8)
        Image.fromarray(np.broadcast_to(colour, (2, 2, 3)).copy()).save(path, "PNG")
    return root


def write_tar(path, samples):
    """Write samples: (key, {field: content})."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, members in samples:
            for field, content in members.items():
                info = tarfile.TarInfo(f"{key}.{field}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def numbered(first, rows, **extra):
    """Return samples for `write_tar` whose key, image and label follow from their number."""
    return [
        (
            f"{i:06}",
            {"jpg": b"image %d" % i, "json": json.dumps({"label": i % 3, **extra}).encode()},
        )
        for i in range(first, first + rows)
    ]


def all_columns(source, image="image"):
    """Return the choice of one image column and of all columns that are not images."""
    extras = tuple(c for c in source.features() if c.dtype != "image")
    return Columns(image, None, extras, None)


def records(source, split="train", start=0, image="image"):
    """Return the records of a split from a position on, read unit by unit."""
    found = []
    for unit in source.units(split, all_columns(source, image), start):
        found += unit.read(0, unit.rows)
    return [record for record in found if record.position >= start]


def hugging_face_rows(root, split):
    """Return (path from the root, other columns) as `datasets` streams them, undecoded."""
    import datasets  # takes seconds, which tests of tars need not wait

    stream = datasets.load_dataset("imagefolder", data_dir=str(root), split=split, streaming=True)
    rows = [dict(row) for row in stream.decode(enable=False)]
    return [(os.path.relpath(row.pop("image")["path"], root), row) for row in rows], stream.features


def our_rows(root, split):
    """Return (file name, other columns) as our source reads them."""
    return [
        (record.fields["file_name"], {k: v for k, v in record.fields.items() if k != "file_name"})
        for record in records(open_folder(root), split)
    ]
