"""litdata.optimize over row groups."""

from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
from work import arguments, augment, finish, row_groups


def work(group: tuple[str, int, int]) -> Iterator[dict[str, Any]]:
    """Augment the rows of one group."""
    path, number, first = group
    table = pq.ParquetFile(path).read_row_group(number)
    for i, row in enumerate(table.to_pylist()):
        yield {"image": augment(row["image"]["bytes"], first + i), "label": row["label"]}


def main() -> None:
    """Convert a dataset."""
    given = arguments()
    from litdata import optimize

    groups = list(row_groups(given.src))
    optimize(
        fn=work,
        inputs=[(str(path), number, first) for path, number, first, _ in groups],
        output_dir=str(given.out / "litdata"),
        num_workers=given.workers,
        chunk_bytes="64MB",
    )
    finish(sum(rows for *_, rows in groups))


if __name__ == "__main__":
    main()
