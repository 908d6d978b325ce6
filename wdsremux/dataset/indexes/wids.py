"""The indexes of wids by split and copy: `index-train.json`, `index-train-c0.json`.

`index.json` lists all shards, and wids makes one dataset of them. Where there are several splits or
copies, these files keep them apart.
Format: wids 0.1.11 (`wids_specs.py`).
Short because each foreign format is a file of its own.
"""

from collections.abc import Iterator

from wdsremux.core.manifest import ShardSummary, indented_json
from wdsremux.dataset.indexes.shards import IndexBuilder, IndexFile


class WidsIndex(IndexBuilder):
    """One file for each split and copy."""

    def dataset(self) -> Iterator[IndexFile]:
        """Yield the files."""
        series: dict[str, list[ShardSummary]] = {}
        for shard in self.manifest.shards:
            copy = f"-c{shard.copy}" if self.manifest.head.copies > 1 else ""
            series.setdefault(f"{shard.split}{copy}", []).append(shard)
        for name, shards in series.items():
            index = {
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
            yield f"index-{name}.json", [indented_json(index)]
