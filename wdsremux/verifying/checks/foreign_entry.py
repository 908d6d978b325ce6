"""An entry for a shard of another tool: where its samples are, as a walk has seen them."""

from array import array
from dataclasses import dataclass, field
from itertools import pairwise

from wdsremux.core.manifest import ShardSummary
from wdsremux.core.tar import ustar
from wdsremux.dataset.entry import ShardEntry
from wdsremux.verifying.checks.structure import SeenSample
from wdsremux.verifying.findings import Finding


@dataclass(slots=True)
class ScannedShard:
    """What was read of a shard."""

    name: str
    size_bytes: int = 0
    sha256: str = ""
    end: int = 0
    """Offset after the last member."""
    findings: list[Finding] = field(default_factory=list)
    samples: list[SeenSample] = field(default_factory=list)
    crcs: "array[int]" = field(default_factory=lambda: array("Q"))

    def sizes(self) -> "array[int]":
        """Return the sizes of the samples: each reaches to the next one, the first from byte 0.

        Folder members and the like between samples thus belong to one of them: every byte up to the
        end blocks is in some sample's CRC.
        """
        starts = [0, *(sample.offset for sample in self.samples[1:]), self.end]
        return array("Q", (stop - start for start, stop in pairwise(starts)))

    def entry(self, split: str, number: int, position: int, *, is_last: bool) -> ShardEntry:
        """Return the entry of the shard that has this number and begins at this position."""
        samples = len(self.samples)
        extensions, members = self._members()
        summary = ShardSummary(
            name=self.name,
            split=split,
            copy=0,
            number=number,
            samples=samples,
            rejected=0,
            size_bytes=self.size_bytes,
            sha256=self.sha256,
            first_position=position,
            last_position=position + samples - 1,
            start=position,
            stop=position + samples,
            is_last=is_last,
        )
        return ShardEntry(
            summary=summary,
            fingerprint="",
            extensions=extensions,
            keys=[sample.key for sample in self.samples],
            positions=array("Q", range(position, position + samples)),
            sizes=self.sizes(),
            crcs=self.crcs,
            members=members,
        )

    def _members(self) -> tuple[tuple[str, ...], "array[int]"]:
        """Return extensions and content sizes where an entry can express them, else nothing.

        It can when every sample has the same plain members, one behind another.
        """
        extensions = tuple(self.samples[0].fields)
        longest = max(map(len, extensions))
        members = array("Q")
        start = 0
        for sample, size in zip(self.samples, self.sizes(), strict=True):
            fits = f"{sample.key}{longest * 'x'}.".isascii() and (
                len(sample.key) + 1 + longest <= ustar.MAX_NAME_BYTES
            )
            if not fits or tuple(sample.fields) != extensions or not _is_plain(sample, start, size):
                return (), array("Q")
            members.extend(content for _, content in sample.fields.values())
            start += size
        return extensions, members


def _is_plain(sample: SeenSample, start: int, size: int) -> bool:
    """Return whether a sample's members have the layout of `ustar` from `start` on."""
    contents = tuple(content for _, content in sample.fields.values())
    offsets = [offset - start for offset, _ in sample.fields.values()]
    is_tight = sum(map(ustar.member_bytes, contents)) == size
    return is_tight and offsets == list(ustar.member_offsets(contents))
