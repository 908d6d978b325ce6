"""The index of NVIDIA DALI: `train-000000.idx` beside each tar, so that it need not scan them.

Format: v1.2 as `wds2idx` of DALI 2.4 writes it, and `fn.readers.webdataset(index_paths=...)` reads:
a line `v1.2 SAMPLES`, then for each sample `FIELD OFFSET SIZE NAME` for each of its members.
Short because each foreign format is a file of its own.
"""

from collections.abc import Iterator

from wdsremux.core.errors import UsageError
from wdsremux.dataset.indexes.shards import IndexBuilder, IndexedMember, IndexedShard, IndexFile


class DaliIndex(IndexBuilder):
    """One file for each shard."""

    reads_samples = True

    @staticmethod
    def shard_file(shard: str) -> str:
        """Return the name of the index of a shard."""
        return f"{shard.removesuffix('.tar')}.idx"

    def shard(self, shard: IndexedShard) -> Iterator[IndexFile]:
        """Yield the index of a shard. Raises UsageError for names that the format cannot hold."""
        lines = [f"v1.2 {len(shard.samples)}"]
        lines += [
            " ".join(_fields(shard, one) for one in sample.members) for sample in shard.samples
        ]
        content = "".join(f"{line}\n" for line in lines).encode("ascii")
        yield self.shard_file(shard.summary.name), [content]


def _fields(shard: IndexedShard, member: IndexedMember) -> str:
    if not member.name.isascii() or any(char.isspace() for char in member.name):
        raise UsageError(
            f"an index of DALI cannot hold the name {member.name!r} of {shard.summary.name!r}: "
            "only ASCII without spaces; convert the dataset, or leave dali out"
        )
    return f"{member.field} {member.offset} {member.size_bytes} {member.name}"
