"""The entry of a shard: where each sample is in the tar, and where the next shard starts.

Entries are msgpack files in `.wdsremux/` beside the shards. A run resumes from them, the manifest
is made from them, and they let `verify` name a damaged sample without walking a damaged tar.
"""

import hashlib
import sys
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import msgpack

from wdsremux.core.errors import CorruptDataError
from wdsremux.core.manifest import STATE_FOLDER, ShardSummary
from wdsremux.core.records import Rejected, Stage
from wdsremux.core.tar import ustar

ENTRY_FORMAT = 3
"""Of an entry with `filtered`; with `expanded` only it is 2, without both 1. Before format 3, all
records that are listed count as rejected.
"""


def entry_name(shard: str) -> str:
    """Return the name of a shard's entry, relative to the dataset."""
    return f"{STATE_FOLDER}/{shard.removesuffix('.tar')}.msgpack"


@dataclass(frozen=True, slots=True)
class SampleEntry:
    """Where one sample is in its shard."""

    key: str
    position: int
    offset: int
    """Byte at which its first header begins."""
    size_bytes: int
    crc32: int
    """Of all its bytes in the tar: headers, contents, padding."""
    members: tuple[tuple[str, int, int], ...]
    """(extension, offset of the content in the tar, size) of each member."""


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """A whole entry; the lists have one item for each sample."""

    summary: ShardSummary
    fingerprint: str
    """Of the recipe the shard was made by."""
    extensions: tuple[str, ...]
    keys: list[str]
    positions: "array[int]"
    sizes: "array[int]"
    crcs: "array[int]"
    members: "array[int]"
    """Content sizes, len(extensions) for each sample."""
    rejected: tuple[Rejected, ...] = ()
    """All records without a sample, also the filtered ones."""

    def samples(self) -> Iterator[SampleEntry]:
        """Yield where each sample is, in shard order."""
        at = 0
        width = len(self.extensions)
        for i, key in enumerate(self.keys):
            sizes = tuple(self.members[i * width : (i + 1) * width])
            offsets = ustar.member_offsets(sizes)
            yield SampleEntry(
                key,
                self.positions[i],
                at,
                self.sizes[i],
                self.crcs[i],
                tuple(
                    (extension, at + offset, size)
                    for extension, offset, size in zip(self.extensions, offsets, sizes, strict=True)
                ),
            )
            at += self.sizes[i]

    def to_bytes(self) -> bytes:
        """Return the entry file."""
        s = self.summary
        packed: bytes = msgpack.packb(
            {
                "format": 3 if s.filtered else 2 if s.expanded else 1,
                **({"expanded": s.expanded} if s.expanded else {}),
                **({"filtered": s.filtered} if s.filtered else {}),
                "fingerprint": self.fingerprint,
                "shard": s.name,
                "split": s.split,
                "copy": s.copy,
                "number": s.number,
                "bytes": s.size_bytes,
                "sha256": s.sha256,
                "start": s.start,
                "stop": s.stop,
                "last": s.is_last,
                "extensions": list(self.extensions),
                "keys": self.keys,
                "positions": _packed(self.positions),
                "sizes": _packed(self.sizes),
                "crcs": _packed(self.crcs),
                "members": _packed(self.members),
                "rejected": [[r.position, r.copy, r.stage, r.reason, r.key] for r in self.rejected],
            },
            # A reason may quote a file name that is not Unicode: Python has lone surrogates for it.
            unicode_errors="surrogatepass",
        )
        return packed

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Self:
        """Read an entry file. Raises CorruptDataError when it is damaged or of a later format."""
        try:
            raw = msgpack.unpackb(data, unicode_errors="surrogatepass")
            if raw["format"] not in range(1, ENTRY_FORMAT + 1):
                raise CorruptDataError(
                    f"cannot read entry {name!r}: format {raw['format']} needs a newer wdsremux"
                )
            return cls._from_raw(raw, hashlib.sha256(data).hexdigest())
        except CorruptDataError:
            raise
        except Exception as exc:
            # Whatever msgpack or a missing field raises, the file differs from what was written.
            raise CorruptDataError(
                f"cannot read entry {name!r}: it is damaged ({exc!r}); "
                "remove that file, and wdsremux rebuilds its shard"
            ) from exc

    @classmethod
    def _from_raw(cls, raw: Mapping[str, Any], sha256: str) -> Self:
        positions, sizes = _unpacked(raw["positions"]), _unpacked(raw["sizes"])
        crcs, members = _unpacked(raw["crcs"]), _unpacked(raw["members"])
        samples, filtered = len(raw["keys"]), raw.get("filtered", 0)
        if not samples == len(positions) == len(sizes) == len(crcs) or (
            len(members) != samples * len(raw["extensions"])
        ):
            raise ValueError("its lists differ in length")
        summary = ShardSummary(
            name=raw["shard"],
            split=raw["split"],
            copy=raw["copy"],
            number=raw["number"],
            samples=samples,
            rejected=len(raw["rejected"]) - filtered,
            size_bytes=raw["bytes"],
            sha256=raw["sha256"],
            first_position=positions[0],
            last_position=positions[-1],
            start=raw["start"],
            stop=raw["stop"],
            is_last=raw["last"],
            entry_sha256=sha256,
            expanded=raw.get("expanded", 0),
            filtered=filtered,
        )
        return cls(
            summary=summary,
            fingerprint=raw["fingerprint"],
            extensions=tuple(raw["extensions"]),
            keys=raw["keys"],
            positions=positions,
            sizes=sizes,
            crcs=crcs,
            members=members,
            rejected=tuple(Rejected(p, c, _stage(s), r, k) for p, c, s, r, k in raw["rejected"]),
        )


def _stage(text: str) -> Stage:
    return text  # type: ignore[return-value]  # written from a Stage


def _packed(numbers: "array[int]") -> bytes:
    """Return 64-bit little-endian numbers."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def _unpacked(data: bytes) -> "array[int]":
    numbers = array("Q", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
