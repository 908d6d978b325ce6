"""Datasets to damage and repair: how they are made, and what can happen to them."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from support.corpora import jpeg, write_parquet_dataset, write_table
from support.verified import flip

import wdsremux

ROWS = 90
BROKEN = (0, 1, 30, 31, 57, 89)
"""At both ends, where no sample shows which rows a series has."""

MIXING = """
import random
import numpy as np

def mix(batch):
    # Depends on which rows came together, and on the global generators.
    pixels = [np.asarray(image.resize((16, 16))).astype(int) for image in batch["image"]]
    mean, share = np.mean(pixels, axis=0), random.random() + np.random.rand()
    return {**batch, "image": [((p * share + mean) / (1 + share)).astype(np.uint8) for p in pixels]}
"""


@dataclass
class Made:
    """A dataset as `convert` left it, and what it was made from."""

    folder: Path
    options: dict = field(default_factory=dict)

    @property
    def source(self):
        return self.folder / "in"

    @property
    def out(self):
        return self.folder / "out"

    def convert(self, out=None, **more):
        """Convert, into `out` if it is given."""
        defaults = {"workers": 0, "max_errors": "50%", "max_shard_size": "20KB"}
        wdsremux.convert(self.source, out or self.out, **(defaults | self.options | more))
        return self

    def copy(self, folder):
        """Return a copy of the output that may be damaged."""
        shutil.copytree(self.out, folder)
        return folder


def images(rows=ROWS, broken=BROKEN, seed=5):
    return [
        b"broken" if i in broken else jpeg((seed, i), 30, 20, noisy=i % 3 == 0) for i in range(rows)
    ]


def _steps(made):
    write_parquet_dataset(made.source, images=images())
    made.options = {"steps": ["random-crop=16", "hflip"]}


def _batch(made):
    _copies(made)
    made.options |= {"copies": 1, "limit": ROWS - 7}


def _copies(made):
    write_parquet_dataset(made.source, images=images())
    made.folder.joinpath("mixing.py").write_text(MIXING)
    arguments = {"transform": f"{made.folder}/mixing.py:mix", "batch_size": 16}
    made.options = {"steps": ["hflip"], "copies": 2, **arguments}


def _keys(made):
    # Each fifth row has the key of an earlier one, most of them in an earlier shard.
    names = [f"key {i if i % 5 else i // 3}" for i in range(ROWS)]
    write_table(made.source / "train.parquet", {"image": images(), "name": names}, row_group_size=7)
    made.options = {"image_column": "image", "key_column": "name"}


def _splits(made):
    write_parquet_dataset(made.source, images=images())
    broken = (0, 9, 39)
    write_parquet_dataset(made.source, images=images(40, broken), split="validation")
    made.options = {"split": "all", "steps": ["resize=16"]}


KINDS = {"steps": _steps, "batch": _batch, "copies": _copies, "keys": _keys, "splits": _splits}


def make(kind, folder):
    """Convert one of the kinds into many small shards."""
    made = Made(Path(folder))
    made.folder.mkdir(parents=True, exist_ok=True)
    KINDS[kind](made)
    return made.convert()


def shard(out, number=1):
    """Return the path of a shard, by its place among all."""
    return sorted(out.glob("*.tar"))[number]


def state(out, name):
    return out / ".wdsremux" / name


def entry(out, number=1):
    return state(out, shard(out, number).stem + ".msgpack")


def cut(path, size_bytes):
    path.write_bytes(path.read_bytes()[:size_bytes])


def swap(one, other):
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def remove(*paths):
    for path in paths:
        path.unlink()


def remove_all(out, pattern):
    remove(*out.glob(pattern))


DAMAGES = {
    "a bit of a header": lambda out: flip(shard(out), 10),
    "a bit of an image": lambda out: flip(shard(out), 700),
    "a bit of the end": lambda out: flip(shard(out), shard(out).stat().st_size - 1),
    "a shard cut": lambda out: cut(shard(out), 5000),
    "a shard cut to nothing": lambda out: cut(shard(out, 0), 0),
    "a shard grown": lambda out: shard(out).write_bytes(shard(out).read_bytes() + bytes(512)),
    "a shard gone": lambda out: remove(shard(out)),
    "the last shard gone": lambda out: remove(shard(out, -1)),
    "all shards gone": lambda out: remove_all(out, "*.tar"),
    "two shards swapped": lambda out: swap(shard(out, 0), shard(out, 1)),
    "an entry gone": lambda out: remove(entry(out)),
    "an entry cut": lambda out: cut(entry(out), 100),
    "two entries swapped": lambda out: swap(entry(out, 0), entry(out, 1)),
    "all entries gone": lambda out: remove_all(out, ".wdsremux/*.msgpack"),
    "a shard and its entry gone": lambda out: remove(entry(out), shard(out)),
    "manifest gone": lambda out: remove(out / "index.json"),
    "manifest cut": lambda out: cut(out / "index.json", 300),
    "recipe gone": lambda out: remove(state(out, "recipe.json")),
    "card gone": lambda out: remove(out / "README.md"),
    "card cut": lambda out: cut(out / "README.md", 200),
    "rejected.jsonl gone": lambda out: remove(state(out, "rejected.jsonl")),
    "rejected.jsonl cut": lambda out: cut(state(out, "rejected.jsonl"), 150),
    "the whole state gone": lambda out: shutil.rmtree(out / ".wdsremux"),
    "manifest, an entry and its shard gone": lambda out: remove(
        out / "index.json", entry(out), shard(out)
    ),
    "manifest, the first two entries and a shard gone": lambda out: remove(
        out / "index.json", entry(out, 0), entry(out, 1), shard(out, 2)
    ),
    "an entry, its shard and rejected.jsonl gone": lambda out: remove(
        entry(out), shard(out), state(out, "rejected.jsonl")
    ),
    "the first shards, entries, recipe and card gone": lambda out: remove(
        shard(out, 1), shard(out, 0), state(out, "recipe.json"), out / "README.md"
    ),
}
"""What can happen to a dataset: name to a function of its folder."""
