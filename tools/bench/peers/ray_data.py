"""Ray Data: read_parquet, map_batches, write_webdataset."""

from pathlib import Path
from typing import Any

from work import arguments, augment, finish, parquet_files


def work(batch: dict[str, Any]) -> dict[str, Any]:
    """Augment a batch; the number of a row is in the name of its image."""
    keys = [Path(image["path"]).stem for image in batch["image"]]
    images = [
        augment(image["bytes"], int(key)) for image, key in zip(batch["image"], keys, strict=True)
    ]
    return {"__key__": keys, "jpg": images, "cls": [str(int(n)).encode() for n in batch["label"]]}


def main() -> None:
    """Convert a dataset."""
    given = arguments()
    import ray

    here = {"PYTHONPATH": str(Path(__file__).parent)}
    ray.init(
        num_cpus=given.workers,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": here},
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = ray.data.read_parquet([str(path) for path in parquet_files(given.src)])
    rows = rows.map_batches(work, batch_size=64).materialize()
    rows.write_webdataset(str(given.out / "shards"), encoder=lambda sample: sample)
    images = rows.count()
    ray.shutdown()
    finish(images)


if __name__ == "__main__":
    main()
