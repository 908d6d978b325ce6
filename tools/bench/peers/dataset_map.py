"""Dataset.map with processes, then save_to_disk."""

from typing import Any

from work import arguments, augment, finish


def work(row: dict[str, Any], number: int) -> dict[str, Any]:
    """Augment one row."""
    return {"image": {"bytes": augment(row["image"]["bytes"], number), "path": None}}


def main() -> None:
    """Convert a dataset."""
    given = arguments()
    from datasets import Image, disable_progress_bars, load_dataset

    disable_progress_bars()
    rows = load_dataset(str(given.src), split="train", cache_dir=str(given.out / "cache"))
    rows = rows.cast_column("image", Image(decode=False))
    rows = rows.map(work, with_indices=True, num_proc=given.workers)
    rows.save_to_disk(given.out / "saved")
    finish(len(rows))


if __name__ == "__main__":
    main()
