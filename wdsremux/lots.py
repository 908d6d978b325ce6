"""Lays samples out as the exact bytes they have in a tar."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from wdsremux import tarbytes
from wdsremux.records import Lot


@dataclass(slots=True)
class LotBuilder:
    """Collects samples, one after another."""

    payload: bytearray = field(default_factory=bytearray)
    positions: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    crcs: list[int] = field(default_factory=list)
    members: list[tuple[int, ...]] = field(default_factory=list)

    def add(self, position: int, key: str, contents: Sequence[tuple[str, bytes]]) -> None:
        """Append a sample; `contents` are its members as (extension, bytes), in order.

        Raises ValueError for a member that a ustar header cannot hold, and appends nothing then.
        """
        headers = [tarbytes.header(f"{key}.{name}", len(content)) for name, content in contents]
        start = len(self.payload)
        for header, (_, content) in zip(headers, contents, strict=True):
            self.payload += header
            self.payload += content
            self.payload += tarbytes.padding(len(content))
        self.positions.append(position)
        self.keys.append(key)
        self.sizes.append(len(self.payload) - start)
        with memoryview(self.payload) as view:
            self.crcs.append(zlib.crc32(view[start:]))
        self.members.append(tuple(len(content) for _, content in contents))

    def lot(self) -> Lot:
        """Return what was collected; the builder is used up."""
        return Lot(self.payload, self.positions, self.keys, self.sizes, self.crcs, self.members)
