"""Reads all rows of a Hub dataset by `datasets` streaming, images as stored."""

import json
import os
import sys


def main() -> None:
    """Count the rows, and end without waiting for the threads of pyarrow."""
    from datasets import Image, load_dataset

    rows = load_dataset(sys.argv[1], split="train", streaming=True)
    count = sum(1 for _ in rows.cast_column("image", Image(decode=False)))
    print(json.dumps({"images": count}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
