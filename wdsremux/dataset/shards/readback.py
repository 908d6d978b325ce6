"""Reads a shard back: what its entry records of the samples can be read from the tar itself."""

import hashlib
import json
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import FileIO

from wdsremux.core.manifest import ShardSummary
from wdsremux.core.records import Rejected
from wdsremux.core.tar import ustar
from wdsremux.core.tar.blocks import BlockReader, Tap
from wdsremux.core.tar.headers import padded, stated_name, stated_size
from wdsremux.dataset.entry import ShardEntry


@dataclass(slots=True)
class ShardContent:
    """The content of a shard; the lists have one item for each sample, as in its entry."""

    size_bytes: int = 0
    sha256: str = ""
    problem: str | None = None
    """Why wdsremux cannot have written this shard; the lists end there."""
    keys: list[str] = field(default_factory=list)
    positions: "array[int]" = field(default_factory=lambda: array("Q"))
    sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    crcs: "array[int]" = field(default_factory=lambda: array("Q"))
    members: "array[int]" = field(default_factory=lambda: array("Q"))

    def fits(self, summary: ShardSummary) -> bool:
        """Return whether the shard is the one that a summary describes."""
        return (
            self.problem is None
            and bool(self.keys)
            and (self.size_bytes, self.sha256) == (summary.size_bytes, summary.sha256)
            and len(self.keys) == summary.samples
            and self.positions[0] == summary.first_position
            and self.positions[-1] == summary.last_position
        )

    def entry(
        self,
        summary: ShardSummary,
        fingerprint: str,
        extensions: Sequence[str],
        rejected: tuple[Rejected, ...],
    ) -> ShardEntry:
        """Return the entry; the arguments are what the tar itself does not contain."""
        return ShardEntry(
            summary, fingerprint, tuple(extensions), self.keys, self.positions, self.sizes,
            self.crcs, self.members, rejected,
        )  # fmt: skip


def read_back(file: FileIO, extensions: Sequence[str], taps: Sequence[Tap] = ()) -> ShardContent:
    """Read a shard from end to end, whatever it contains; holds one member at a time.

    `extensions` are those of the members of every sample, in order.
    """
    digest = hashlib.sha256()
    reader = BlockReader(file, [digest.update, *taps])
    content = ShardContent()
    try:
        while _take_sample(reader, extensions, content):
            pass
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as exc:
        # The bytes may be anything: whatever error they cause, wdsremux did not write them.
        content.problem = str(exc) or type(exc).__name__
    reader.finish()
    content.size_bytes, content.sha256 = reader.offset, digest.hexdigest()
    return content


def _take_sample(reader: BlockReader, extensions: Sequence[str], content: ShardContent) -> bool:
    """Append the next sample; False at the end of the archive."""
    start, crc, key = reader.offset, 0, ""
    data, sizes = b"", []
    for number, extension in enumerate(extensions):
        header = reader.take(ustar.BLOCK_BYTES)
        if number == 0 and header == bytes(ustar.BLOCK_BYTES):
            return False
        key, size = _checked_member(header, extension, key)
        if size > reader.size_bytes - reader.offset:
            raise ValueError("it is cut off")
        block = reader.take(padded(size))
        crc = zlib.crc32(block, zlib.crc32(header, crc))
        if extension == "json":
            data = block[:size]
        sizes.append(size)
    content.positions.append(json.loads(data)["position"])
    content.keys.append(key)
    content.sizes.append(reader.offset - start)
    content.crcs.append(crc)
    content.members.extend(sizes)
    return True


def _checked_member(header: bytes, extension: str, key: str) -> tuple[str, int]:
    """Return (key, size) of a member. Raises ValueError for a header that `ustar` does not make."""
    if len(header) < ustar.BLOCK_BYTES:
        raise ValueError("it is cut off")
    size = stated_size(header)
    own_key, _, own_extension = stated_name(header).partition(".")
    known = own_key == key or not key
    if (
        not known
        or own_extension != extension
        or header != ustar.header(f"{own_key}.{extension}", size)
    ):
        raise ValueError("its layout is not the one that wdsremux writes")
    return own_key, size
