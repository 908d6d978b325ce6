"""The indexes of timm (`_info.json`) and of open_clip (`sizes.json`).

Formats: timm 1.0 (`timm/data/readers/reader_wds.py`), which names splits with their shards and
lengths; open_clip 3.3 and the resharder of DataComp, which want the samples of each tar.
Short because each foreign format is a file of its own.
"""

from collections.abc import Iterable, Iterator

from wdsremux.core.manifest import ShardSummary, indented_json
from wdsremux.dataset.indexes.shards import IndexBuilder, IndexFile


class TimmIndex(IndexBuilder):
    """One file for the dataset. A split with copies is listed as a whole, and by copy."""

    @staticmethod
    def dataset_files(_series: Iterable[str]) -> tuple[str, ...]:
        """Return the name of the file."""
        return ("_info.json",)

    def dataset(self) -> Iterator[IndexFile]:
        """Yield `_info.json`."""
        splits: dict[str, list[ShardSummary]] = {}
        for shard in self.manifest.shards:
            splits.setdefault(shard.split, []).append(shard)
            if self.manifest.head.copies > 1:
                splits.setdefault(f"{shard.split}-c{shard.copy}", []).append(shard)
        info = {
            name: {
                "name": name,
                "num_samples": sum(shard.samples for shard in shards),
                "filenames": [shard.name for shard in shards],
                "shard_lengths": [shard.samples for shard in shards],
            }
            for name, shards in splits.items()
        }
        yield "_info.json", [indented_json({"splits": info})]


class OpenClipIndex(IndexBuilder):
    """One file for the dataset."""

    @staticmethod
    def dataset_files(_series: Iterable[str]) -> tuple[str, ...]:
        """Return the name of the file."""
        return ("sizes.json",)

    def dataset(self) -> Iterator[IndexFile]:
        """Yield `sizes.json`."""
        sizes = {shard.name: shard.samples for shard in self.manifest.shards}
        yield "sizes.json", [indented_json(sizes)]
