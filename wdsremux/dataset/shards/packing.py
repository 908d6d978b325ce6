"""Lays samples out as the exact bytes they have in a tar."""

import zlib
from bisect import bisect_left
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace

from wdsremux.core.records import Lot
from wdsremux.core.tar import ustar as tarbytes


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


def lot_without(lot: Lot, numbers: Container[int]) -> Lot:
    """Return a lot without the samples that have these numbers in it."""
    payload = bytearray()
    at = 0
    keep = []
    for i, size in enumerate(lot.sizes):
        if i not in numbers:
            payload += memoryview(lot.payload)[at : at + size]
            keep.append(i)
        at += size
    return replace(
        lot,
        payload=payload,
        positions=[lot.positions[i] for i in keep],
        keys=[lot.keys[i] for i in keep],
        sizes=[lot.sizes[i] for i in keep],
        crcs=[lot.crcs[i] for i in keep],
        members=[lot.members[i] for i in keep],
    )


def lot_from(lot: Lot, start: int) -> Lot:
    """Return the part of a lot from position `start` on."""
    first = bisect_left(lot.positions, start)
    if first == 0:
        return lot
    return Lot(
        memoryview(lot.payload)[sum(lot.sizes[:first]) :],
        lot.positions[first:],
        lot.keys[first:],
        lot.sizes[first:],
        lot.crcs[first:],
        lot.members[first:],
    )
