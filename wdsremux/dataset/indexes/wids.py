"""The indexes of wids by split and copy: `index-train.json`, `index-train-c0.json`.

`index.json` lists all shards, and wids makes one dataset of them. Where there are several splits or
copies, these files keep them apart.
Format: wids 0.1.11 (`wids_specs.py`).
Short because each foreign format is a file of its own.
"""

from collections.abc import Iterable, Iterator

from wdsremux.core.manifest import ShardSummary, indented_json
from wdsremux.dataset.indexes.shards import IndexBuilder, IndexFile, series_of


class WidsIndex(IndexBuilder):
    """One file for each split and copy, where there are several."""

    @staticmethod
    def dataset_files(series: Iterable[str]) -> tuple[str, ...]:
        """Return the names of the files; none for one series, which `index.json` lists alone."""
        names = tuple(f"index-{one}.json" for one in series)
        return names if len(names) > 1 else ()

    def dataset(self) -> Iterator[IndexFile]:
        """Yield the files."""
        series = series_of(self.manifest)
        names = self.dataset_files(series)
        for file, (name, shards) in zip(names, series.items(), strict=False):
            yield file, [indented_json(self._index(name, shards))]

    def _index(self, name: str, shards: Iterable[ShardSummary]) -> dict[str, object]:
        return {
            "__kind__": "wids-shard-index-v1",
            "wids_version": 1,
            "name": f"{self.manifest.head.name}-{name}",
            "shardlist": [
                {
                    "url": shard.name,
                    "nsamples": shard.samples,
                    "filesize": shard.size_bytes,
                    "sha256": shard.sha256,
                }
                for shard in shards
            ],
        }
