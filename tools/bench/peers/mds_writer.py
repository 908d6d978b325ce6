"""MosaicML streaming's MDSWriter, fed by Pool.imap from a stream."""

import multiprocessing
from typing import Any

from work import arguments, augment, finish


def work(numbered: tuple[int, dict[str, Any]]) -> tuple[bytes, int]:
    """Augment one row."""
    number, row = numbered
    return augment(row["image"]["bytes"], number), row["label"]


def main() -> None:
    """Convert a dataset."""
    given = arguments()
    from datasets import Image, load_dataset
    from streaming import MDSWriter

    rows = load_dataset(str(given.src), split="train", streaming=True)
    rows = rows.cast_column("image", Image(decode=False))
    done = 0
    with (
        multiprocessing.Pool(given.workers) as pool,
        MDSWriter(
            out=str(given.out / "mds"),
            columns={"image": "bytes", "label": "int"},
            size_limit=1 << 26,
        ) as shards,
    ):
        for data, label in pool.imap(work, enumerate(rows), chunksize=16):
            shards.write({"image": data, "label": label})
            done += 1
    finish(done)


if __name__ == "__main__":
    main()
