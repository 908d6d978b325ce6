"""Lays samples out as the exact bytes they have in a tar."""

import zlib
from bisect import bisect_left
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wdsremux.core.records import PackedSamples
from wdsremux.core.tar import ustar as tarbytes


@dataclass(slots=True)
class SamplePacker:
    """Collects samples, one after another."""

    payload: bytearray = field(default_factory=bytearray)
    positions: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    crcs: list[int] = field(default_factory=list)
    members: list[tuple[int, ...]] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)

    def add(
        self, position: int, key: str, contents: Sequence[tuple[str, bytes]], label: Any = None
    ) -> None:
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
        self.labels.append(label)

    def packed(self) -> PackedSamples:
        """Return what was collected; the builder is used up."""
        return PackedSamples(
            self.payload,
            self.positions,
            self.keys,
            self.sizes,
            self.crcs,
            self.members,
            self.labels,
        )


def packed_without(packed: PackedSamples, numbers: Container[int]) -> PackedSamples:
    """Return packed samples without the samples that have these numbers in it."""
    payload = bytearray()
    at = 0
    keep = []
    for i, size in enumerate(packed.sizes):
        if i not in numbers:
            payload += memoryview(packed.payload)[at : at + size]
            keep.append(i)
        at += size
    return replace(
        packed,
        payload=payload,
        positions=[packed.positions[i] for i in keep],
        keys=[packed.keys[i] for i in keep],
        sizes=[packed.sizes[i] for i in keep],
        crcs=[packed.crcs[i] for i in keep],
        members=[packed.members[i] for i in keep],
        labels=[packed.labels[i] for i in keep] if packed.labels else [],
    )


def packed_until(packed: PackedSamples, stop: int) -> PackedSamples:
    """Return the part of packed samples before position `stop`."""
    end = bisect_left(packed.positions, stop)
    if end == len(packed.positions):
        return packed
    return PackedSamples(
        memoryview(packed.payload)[: sum(packed.sizes[:end])],
        packed.positions[:end],
        packed.keys[:end],
        packed.sizes[:end],
        packed.crcs[:end],
        packed.members[:end],
        packed.labels[:end],
    )


def packed_from(packed: PackedSamples, start: int) -> PackedSamples:
    """Return the part of packed samples from position `start` on."""
    first = bisect_left(packed.positions, start)
    if first == 0:
        return packed
    return PackedSamples(
        memoryview(packed.payload)[sum(packed.sizes[:first]) :],
        packed.positions[first:],
        packed.keys[first:],
        packed.sizes[first:],
        packed.crcs[first:],
        packed.members[first:],
        packed.labels[first:],
    )
