"""Checks the members of one shard during one walk: grouping, names, contents."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from wdsremux.core.option_values import listed, shortened
from wdsremux.core.tar.blocks import BlockReader
from wdsremux.core.tar.headers import split_name
from wdsremux.core.tar.walk import Member, TarFault, TarWalk
from wdsremux.dataset.entry import SampleEntry
from wdsremux.dataset.shards.key_register import KeyRegister
from wdsremux.verifying.checks.loader_compatibility import check_case, check_names, has_dotted_key
from wdsremux.verifying.checks.member_contents import (
    MAX_IMAGE_BYTES,
    MAX_TEXT_BYTES,
    Content,
    DecodeError,
    ImageCheck,
    Schema,
    content_of,
    parsed_object,
    text_problem,
)
from wdsremux.verifying.checks.mixture import Mixture
from wdsremux.verifying.findings import Code
from wdsremux.verifying.reports import Collector, Depth

SAMPLES_AT_ONCE = 4096
MAX_FIELDS = 1000
"""Members of one sample that are remembered: a bound against tars made to exhaust memory."""

_FAULT_CODES = {"cut": Code.TAR_CUT, "damaged": Code.TAR_DAMAGED}


class SeenSample(NamedTuple):
    """A sample whose members have been read."""

    key: str
    offset: int
    """Of its first header."""
    fields: dict[str, tuple[int, int]]
    """(offset, size) of each member's content."""


OnSamples = Callable[[list[SeenSample]], None]
"""Takes the samples of a shard, in order, in chunks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the samples of a dataset are compared with."""

    depth: Depth
    schema: Schema
    images: ImageCheck
    is_ours: bool


@dataclass(slots=True)
class _Sample:
    """The sample whose members are being read."""

    key: str
    offset: int
    fields: dict[str, tuple[int, int]] = field(default_factory=dict)
    """(offset, size) of each member's content."""
    position: object = None
    json_size: tuple[object, object] | None = None
    """Width and height by the JSON."""
    image_size: tuple[int, int] | None = None
    image_offset: int = 0


class ShardWalk:
    """The walk of one shard; findings go to a collector, samples to a callback."""

    def __init__(
        self,
        expected: Expected,
        found: Collector,
        on_samples: OnSamples,
        entries: Iterator[SampleEntry] | None = None,
    ) -> None:
        self.mixture = Mixture()
        self.samples = 0
        self._expected = expected
        self._found = found
        self._on_samples = on_samples
        self._entries = entries
        self._passed: list[SeenSample] = []
        self.end = 0
        """Offset after the last member."""
        self._sample: _Sample | None = None

    def run(self, reader: BlockReader) -> None:
        """Walk the tar to its end, or to where it is damaged."""
        walk = TarWalk(reader)
        try:
            for member in walk.members():
                self._member(member, reader)
            self._close_sample()
            self._check_end(walk)
        except TarFault as exc:
            self._close_sample()
            key = self._passed[-1].key if self._passed else None
            after = f"after the sample {key!r}" if key is not None else ""
            detail = ", ".join(filter(None, (exc.detail, after)))
            self._found.add(_FAULT_CODES[exc.kind], detail, offset=exc.offset)
        finally:
            self.end = walk.end
            self._flush()

    def _check_end(self, walk: TarWalk) -> None:
        if not self.samples:
            self._found.add(Code.EMPTY_SHARD)
        if self._entries is not None and next(self._entries, None) is not None:
            self._found.add(Code.ENTRY_DIFFERS, "the entry lists more samples")
        if not walk.has_end_blocks:
            self._found.add(Code.NO_END_BLOCKS, offset=walk.end)
        data = walk.tail()
        if data is not None:
            self._found.add(Code.DATA_AFTER_END, offset=data)

    def _member(self, member: Member, reader: BlockReader) -> None:
        if not self._expected.is_ours:
            check_names(member, self._found)
        if not member.is_regular:
            return
        key, name = split_name(member.name)
        if not key:
            self._found.add(
                Code.NAMELESS_MEMBER, repr(shortened(member.name)), offset=member.header
            )
            return
        sample = self._note_member(member, key, name)
        kind = content_of(name, self._expected.depth)
        if kind is not None and not member.is_sparse:
            self._check_content(sample, name, kind, member, reader)

    def _note_member(self, member: Member, key: str, name: str) -> _Sample:
        """Return the sample a member belongs to: the one before, or a new one."""
        sample = self._sample
        if sample is None or sample.key != key:
            self._close_sample()
            sample = self._sample = _Sample(key, member.header)
        if not self._expected.is_ours:
            check_case(member, name, self._found)
        if name in sample.fields:
            self._found.add(Code.FIELD_TWICE, f".{shortened(name)}", key=key, offset=member.header)
        if len(sample.fields) < MAX_FIELDS:
            sample.fields[name] = (member.data, member.size)
        return sample

    def _check_content(
        self, sample: _Sample, name: str, kind: Content, member: Member, reader: BlockReader
    ) -> None:
        most = MAX_IMAGE_BYTES if kind == "image" else MAX_TEXT_BYTES
        if member.size > most:
            detail = f".{name}: {member.size} bytes, which is too large to check"
            self._found.add(Code.FIELD_UNREADABLE, detail, key=sample.key, offset=member.data)
            return
        data = reader.take(member.size)
        if len(data) < member.size:
            return  # the walk reports that the tar is cut
        if kind == "image":
            self._check_image(sample, name, data, member.data)
        elif kind == "json":
            self._check_json(sample, name, data, member.data)
        elif (problem := text_problem(data, kind)) is not None:
            detail = f".{name}: {problem}"
            self._found.add(Code.FIELD_UNREADABLE, detail, key=sample.key, offset=member.data)

    def _check_image(self, sample: _Sample, name: str, data: bytes, offset: int) -> None:
        try:
            size = self._expected.images.size_of(data)
            if sample.image_size is None:  # the JSON has the size of the first
                sample.image_size, sample.image_offset = size, offset
        except DecodeError as exc:
            detail = f".{name}: {shortened(str(exc), 200)}"
            self._found.add(Code.IMAGE_BROKEN, detail, key=sample.key, offset=offset)

    def _check_json(self, sample: _Sample, name: str, data: bytes, offset: int) -> None:
        value = parsed_object(data)
        if value is None:
            self._found.add(Code.JSON_BROKEN, f".{shortened(name)}", key=sample.key, offset=offset)
            return
        schema = self._expected.schema
        if schema.fields is None:
            problem = self.mixture.note_json(value)
            if problem is not None:
                self._found.add(Code.MIXED_JSON, problem, key=sample.key, offset=offset)
            return
        schema.check(value, sample.key, offset, self._found)
        sample.position = value.get("position")
        if "width" in schema.fields and "height" in schema.fields:
            sample.json_size = value.get("width"), value.get("height")

    def _close_sample(self) -> None:
        sample = self._sample
        if sample is None:
            return
        self._sample = None
        self.samples += 1
        self._passed.append(SeenSample(sample.key, sample.offset, sample.fields))
        if len(self._passed) >= SAMPLES_AT_ONCE:
            self._flush()
        if self._entries is not None:
            self._compare(sample, self._entries)
        self._check_members(sample)
        stated, real = sample.json_size, sample.image_size
        if stated is not None and real is not None and stated != real:
            detail = f"{real[0]} x {real[1]}, but {stated[0]} x {stated[1]} in the JSON"
            self._found.add(Code.IMAGE_SIZE, detail, key=sample.key, offset=sample.image_offset)

    def _check_members(self, sample: _Sample) -> None:
        known = self._expected.schema.members
        if known:
            if sample.fields.keys() != known:
                detail = (
                    f"it has {listed(sorted(sample.fields), 20)}, not {listed(sorted(known), 20)}"
                )
                self._found.add(Code.MEMBERS_DIFFER, detail, key=sample.key, offset=sample.offset)
            return
        problem = self.mixture.note_members(sample.fields)
        if problem is not None:
            self._found.add(Code.MIXED_MEMBERS, problem, key=sample.key, offset=sample.offset)
        if has_dotted_key(sample.fields):
            first = f"{shortened(sample.key)}.{shortened(next(iter(sample.fields)))}"
            detail = f"{first!r} is read as the sample {shortened(sample.key)!r}"
            self._found.add(Code.DOTTED_KEY, detail, key=sample.key, offset=sample.offset)

    def _compare(self, sample: _Sample, entries: Iterator[SampleEntry]) -> None:
        """Compare a sample with its entry."""
        entry = next(entries, None)
        if entry is None:
            problem = "the entry lists fewer samples"
        elif entry.key != sample.key:
            problem = f"the entry lists {entry.key!r}"
        elif entry.members and sample.fields != {e: (at, size) for e, at, size in entry.members}:
            problem = "its members differ in name or offset"
        else:
            if sample.position is not None and sample.position != entry.position:
                detail = f"{shortened(str(sample.position))}, but {entry.position} in the entry"
                self._found.add(Code.JSON_DISAGREES, detail, key=sample.key, offset=sample.offset)
            return
        self._entries = None  # one difference shifts all that follow
        self._found.add(Code.ENTRY_DIFFERS, problem, key=sample.key, offset=sample.offset)

    def _flush(self) -> None:
        if self._passed:
            self._on_samples(self._passed)
            self._passed = []


def note_keys(
    holders: KeyRegister, shard: str, samples: Sequence[SeenSample], found: Collector
) -> None:
    """Report samples whose key was seen before, in this shard or another."""
    for number, holder in holders.duplicates(shard, (sample.key for sample in samples)):
        key, offset = samples[number].key, samples[number].offset
        if holder == shard:
            found.add(Code.KEY_RETURNS, key=key, offset=offset)
        else:
            found.add(Code.KEY_DUPLICATE, f"also in {holder}", key=key, offset=offset)
