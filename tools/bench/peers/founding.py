"""The founding script: streaming, Pool.starmap on batches, Pillow, Parquet of zstd.

With --decode the rows come decoded, as in the script as published: the parent does that work.
Without it the images come as stored, which is the faster way to write the same.
"""

import argparse
import multiprocessing
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from work import arguments, augment, augmented, finish

BATCH = 256


def work(row: dict[str, Any], number: int) -> dict[str, Any]:
    """Augment one row."""
    image = row["image"]
    if isinstance(image, dict):
        data = augment(image["bytes"], number, optimize=True)
    else:
        data = augmented(image, number, optimize=True)
    return {"image": {"bytes": data, "path": None}, "label": row["label"]}


def main() -> None:
    """Convert a dataset."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--decode", action="store_true")
    given = arguments(parser)
    from datasets import Image, load_dataset

    rows = load_dataset(str(given.src), split="train", streaming=True)
    if not given.decode:
        rows = rows.cast_column("image", Image(decode=False))
    writer, done, stream = None, 0, iter(rows)
    with multiprocessing.Pool(given.workers) as pool:
        while batch := list(islice(stream, BATCH)):
            numbered = [(row, done + i) for i, row in enumerate(batch)]
            table = pa.Table.from_pylist(pool.starmap(work, numbered))
            if writer is None:
                writer = pq.ParquetWriter(
                    given.out / "out.parquet", table.schema, compression="zstd"
                )
            writer.write_table(table)
            done += len(batch)
    if writer is not None:
        writer.close()
    finish(done)


if __name__ == "__main__":
    main()
