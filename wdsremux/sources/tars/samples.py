"""WebDataset samples of a tar, found by its headers; contents are read on demand."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from wdsremux.core.errors import SourceError
from wdsremux.core.tar.headers import is_sound, split_name
from wdsremux.core.tar.ustar import BLOCK_BYTES as BLOCK
from wdsremux.core.tar.walk import Member, SeekReader, TarFault, TarWalk
from wdsremux.sources.tars.schema import MAX_MEMBERS

_TAIL_BYTES = 1 << 20
_NAMED = 5
"""How many missing members a message names."""


@dataclass(slots=True)
class Sample:
    """Consecutive members with one key."""

    key: str
    offset: int
    members: dict[str, Member] = field(default_factory=dict)
    """By field: what follows the first dot of the base name, in lower case."""
    problem: str | None = None
    end: int = 0


def members_of_tar(file: BinaryIO, tar: str, start: int = 0) -> Iterator[Member]:
    """Yield the regular members from the header at `start` on, up to the end-of-archive blocks.

    An archive that just ends between two members, without those blocks, is taken as whole, as every
    reader does. Bytes after the blocks are passed over.

    Raises:
        SourceError: it is damaged; the message names the tar and the offset.

    """
    yield from _regular_members(TarWalk(SeekReader(file, start)), tar)


def all_samples(file: BinaryIO, tar: str) -> Iterator[Sample]:
    """Yield the samples of a whole tar.

    Raises SourceError for a damaged tar, for one behind whose end another archive follows, and for
    one that is cut between two members: without end blocks, and with a last sample that lacks
    members that all others have.
    """
    walk = TarWalk(SeekReader(file))
    last: Sample | None = None
    common: set[str] | None = None
    for sample in group_samples(_regular_members(walk, tar)):
        if last is not None:
            common = common & last.members.keys() if common is not None else {*last.members}
            yield last
        last = sample
    if last is not None:
        lost = (common or set()) - last.members.keys()
        if lost and not walk.has_end_blocks:
            raise _damaged(
                tar,
                walk.end,
                f"it ends here without end blocks, and its last sample {last.key!r} lacks "
                f"{', '.join(f'.{name}' for name in sorted(lost)[:_NAMED])}",
            )
        yield last
    _refuse_another(file, tar, walk.end)


def _regular_members(walk: TarWalk, tar: str) -> Iterator[Member]:
    try:
        for member in walk.members():
            if member.is_regular:
                yield member
    except TarFault as exc:
        raise _damaged(tar, exc.offset, exc.detail or "this is not a tar header") from exc


def group_samples(members: Iterable[Member]) -> Iterator[Sample]:
    """Yield samples: neighbours whose names are equal up to the first dot of the base name.

    Members that belong to no sample are left out.
    """
    sample: Sample | None = None
    for member in members:
        key, name = split_name(member.name)
        if not key:
            continue
        if sample is None or sample.key != key:
            if sample is not None:
                yield sample
            sample = Sample(key, member.header)
        _add(sample, name, member)
    if sample is not None:
        yield sample


def _add(sample: Sample, name: str, member: Member) -> None:
    sample.end = member.end
    if len(sample.members) == MAX_MEMBERS:
        sample.problem = (
            f"the sample {sample.key!r} has more than {MAX_MEMBERS} members: what is before the "
            "first dot of a name is the key; pack again with keys without dots"
        )
        return
    if name in sample.members:
        sample.problem = f"two members of the sample {sample.key!r} have the name {name!r}"
    elif member.is_sparse:
        sample.problem = f"the member {member.name!r} is stored as a sparse file; pack it again"
    sample.members[name] = member


def read_content(file: BinaryIO, tar: str, member: Member) -> bytes:
    """Return a member's content. Raises SourceError when the file has become shorter."""
    content = SeekReader(file, member.data).take(member.size)
    if len(content) < member.size:
        raise _damaged(tar, member.header, f"the member {member.name!r} is cut off")
    return content


def _refuse_another(file: BinaryIO, tar: str, end: int) -> None:
    """Refuse a tar in which another archive follows the zeros at its end.

    `cat` concatenates archives in this way; readers see only the members of the first.
    """
    reader = SeekReader(file, end)
    offset = end
    while chunk := reader.take(_TAIL_BYTES):
        rest = chunk.lstrip(b"\0")
        offset = reader.offset - len(rest)
        if rest:
            break
    offset -= (offset - end) % BLOCK
    if is_sound(SeekReader(file, offset).take(BLOCK)):
        raise SourceError(
            f"the tar {tar!r} contains another archive at offset {offset}, behind its end, which "
            "readers do not see; unpack it with tar --ignore-zeros and pack it again"
        )


def _damaged(tar: str, offset: int, what: str) -> SourceError:
    return SourceError(
        f"the tar {tar!r} is damaged at offset {offset}: {what}; "
        "download or pack it again, or leave it out of the pattern"
    )
