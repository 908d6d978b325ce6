"""One way to load 256×256 images into batches of a torch DataLoader; prints what it cost as JSON.

python loading.py WAY --src FOLDER [--workers 2] [--epochs 2]

Every reader returns uint8 batches of 64 with labels to the main process; the workers stay from
epoch to epoch, and the first epoch is not counted. FOLDER holds what `tools/bench/loading.py` made.
"""

import argparse
import functools
import io
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import simplejpeg
import torch
from torch.utils.data import DataLoader

BATCH = 64
Epoch = Callable[[int], Iterator[Any]]
"""Returns the batches of an epoch."""


def rgb(data: bytes) -> torch.Tensor:
    """Decode as the fastest ways do."""
    return torch.from_numpy(simplejpeg.decode_jpeg(data, "RGB"))


def pil(data: bytes) -> torch.Tensor:
    """Decode as Pillow does."""
    from PIL import Image

    return torch.from_numpy(np.array(Image.open(io.BytesIO(data)).convert("RGB")))


class InMemory(torch.utils.data.Dataset[Any]):
    """The encoded images in memory: what no way of reading can be faster than."""

    def __init__(self, samples: list[tuple[bytes, int]]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        data, label = self.samples[index]
        return rgb(data), label


def loaded(dataset: Any, workers: int, **arguments: Any) -> DataLoader[Any]:
    """Return the DataLoader that all ways have."""
    arguments = {"batch_size": BATCH, **arguments}
    return DataLoader(dataset, num_workers=workers, persistent_workers=workers > 0, **arguments)


def floor(src: Path, workers: int) -> Epoch:
    """Bytes in memory, simplejpeg."""
    import webdataset

    raw = webdataset.WebDataset(shards(src), shardshuffle=False)
    loader = loaded(
        InMemory([(one["jpg"], json.loads(one["json"])["label"]) for one in raw]),
        workers,
        shuffle=True,
    )
    return lambda _epoch: iter(loader)


def wdsremux_pipeline(src: Path, workers: int) -> Epoch:
    """wdsremux.pipeline."""
    import wdsremux

    made = wdsremux.pipeline(
        src / "wds", shuffle=True, decode="torch", columns=("image", "label"), batch_size=BATCH
    )
    loader = made.loader(workers)
    return lambda _epoch: iter(loader)


def wdsremux_load(src: Path, workers: int) -> Epoch:
    """wdsremux.load with wdsremux.collate."""
    import wdsremux

    split = wdsremux.load(src / "wds", decode="torch", columns=("image", "label"))
    loader = loaded(split, workers, shuffle=True, collate_fn=wdsremux.collate)
    return lambda _epoch: iter(loader)


def webdataset_loop(src: Path, workers: int, decode: Callable[[bytes], torch.Tensor]) -> Epoch:
    """Webdataset with a shuffle buffer of 1,000."""
    import webdataset

    def sample(one: dict[str, Any]) -> tuple[torch.Tensor, int]:
        return decode(one["jpg"]), json.loads(one["json"])["label"]

    dataset = webdataset.WebDataset(shards(src), shardshuffle=100).shuffle(1000).map(sample)
    loader = loaded(dataset, workers)
    return lambda _epoch: iter(loader)


class Wids(torch.utils.data.Dataset[Any]):
    """wids with a decoder of our choice."""

    def __init__(self, index: Path) -> None:
        import wids

        self.dataset = wids.ShardListDataset(str(index), transformations=[], lru_size=40)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        one = self.dataset[index]
        return rgb(one[".jpg"].read()), json.loads(one[".json"].read())["label"]


def wids_simplejpeg(src: Path, workers: int) -> Epoch:
    """Wids with an LRU that holds all shards."""
    loader = loaded(Wids(src / "wds" / "index.json"), workers, shuffle=True)
    return lambda _epoch: iter(loader)


def litdata_simplejpeg(src: Path, workers: int) -> Epoch:
    """litdata, samples stored as bytes."""
    import litdata

    def sample(one: dict[str, Any]) -> tuple[torch.Tensor, int]:
        return rgb(one["image"]), one["label"]

    class Decoded(litdata.StreamingDataset):  # type: ignore[misc]  # litdata has no types
        def __getitem__(self, index: Any) -> Any:
            return sample(super().__getitem__(index))

    dataset = Decoded(str(src / "litdata"), shuffle=True)
    loader = litdata.StreamingDataLoader(
        dataset, batch_size=BATCH, num_workers=workers, persistent_workers=workers > 0
    )
    return lambda _epoch: iter(loader)


def mds_simplejpeg(src: Path, workers: int) -> Epoch:
    """MosaicML streaming, samples stored as bytes."""
    import streaming

    class Decoded(streaming.StreamingDataset):  # type: ignore[misc]  # streaming has no types
        def __getitem__(self, index: Any) -> Any:
            one = super().__getitem__(index)
            return rgb(one["image"]), one["label"]

    streaming.base.util.clean_stale_shared_memory()
    dataset = Decoded(local=str(src / "mds"), shuffle=True, batch_size=BATCH)
    loader = loaded(dataset, workers)
    return lambda _epoch: iter(loader)


WAYS: dict[str, Callable[[Path, int], Epoch]] = {
    "floor": floor,
    "wdsremux_pipeline": wdsremux_pipeline,
    "wdsremux_load": wdsremux_load,
    "webdataset_simplejpeg": functools.partial(webdataset_loop, decode=rgb),
    "webdataset_pil": functools.partial(webdataset_loop, decode=pil),
    "wids_simplejpeg": wids_simplejpeg,
    "litdata_simplejpeg": litdata_simplejpeg,
    "mds_simplejpeg": mds_simplejpeg,
}


def shards(src: Path) -> list[str]:
    """Return the tars."""
    return sorted(str(path) for path in (src / "wds").glob("*.tar"))


def cpu_s() -> float:
    """Return the CPU seconds of this process and of all its children, ended or not."""
    own = psutil.Process()
    times = own.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in own.children(recursive=True):
        times = child.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return float(total)


def main() -> None:
    """Run one way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--src", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    torch.manual_seed(0)
    epoch = WAYS[given.way](given.src, given.workers)
    seen = sum(len(labels) for _, labels in epoch(0))
    cpu, begun = cpu_s(), time.monotonic()
    for number in range(1, given.epochs + 1):
        for images, _ in epoch(number):
            assert images.dtype == torch.uint8  # noqa: S101 (what all ways promise)
    wall = time.monotonic() - begun
    images = seen * given.epochs
    cost = {"images": seen, "cpu_s_per_1000": (cpu_s() - cpu) / images * 1000}
    print(json.dumps(cost | {"images_per_s": images / wall}))


if __name__ == "__main__":
    main()
