"""Streaming, Pool.imap, webdataset.ShardWriter: what its users write first."""

import multiprocessing
from typing import Any

from work import arguments, augment, finish


def work(numbered: tuple[int, dict[str, Any]]) -> tuple[int, bytes, int]:
    """Augment one row."""
    number, row = numbered
    return number, augment(row["image"]["bytes"], number), row["label"]


def main() -> None:
    """Convert a dataset."""
    given = arguments()
    import webdataset
    from datasets import Image, load_dataset

    rows = load_dataset(str(given.src), split="train", streaming=True)
    rows = rows.cast_column("image", Image(decode=False))
    done = 0
    pattern = str(given.out / "train-%06d.tar")
    with (
        multiprocessing.Pool(given.workers) as pool,
        webdataset.ShardWriter(pattern, maxcount=1000, verbose=0) as shards,
    ):
        for number, data, label in pool.imap(work, enumerate(rows), chunksize=16):
            shards.write({"__key__": f"{number:09d}", "jpg": data, "json": {"label": label}})
            done += 1
    finish(done)


if __name__ == "__main__":
    main()
