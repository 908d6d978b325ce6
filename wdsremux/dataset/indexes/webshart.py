"""The index of webshart and hfutils (cheesechaser): `train-000000.json` beside each tar.

Format: webshart 0.4 to 0.6, hfutils 0.13 (`tar_create_index`): `filesize`, `hash_lfs` (SHA-256 of
the tar), and `files` by name with `offset` and `size` of the content. The SHA-256 of single members
is optional and left out.
Short because each foreign format is a file of its own.
"""

import json
from collections.abc import Iterator

from wdsremux.dataset.indexes.shards import IndexBuilder, IndexedShard, IndexFile


class WebshartIndex(IndexBuilder):
    """One file for each shard."""

    reads_samples = True

    @staticmethod
    def shard_file(shard: str) -> str:
        """Return the name of the index of a shard."""
        return f"{shard.removesuffix('.tar')}.json"

    def shard(self, shard: IndexedShard) -> Iterator[IndexFile]:
        """Yield the index of a shard."""
        index = {
            "filesize": shard.summary.size_bytes,
            "hash_lfs": shard.summary.sha256,
            "files": {
                member.name: {"offset": member.offset, "size": member.size_bytes}
                for sample in shard.samples
                for member in sample.members
            },
        }
        yield self.shard_file(shard.summary.name), [json.dumps(index).encode()]
