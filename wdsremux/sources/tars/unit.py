"""A run of samples of one tar, or of a tar within a tar, as the workers read it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from wdsremux.core.errors import SourceError
from wdsremux.core.records import Record
from wdsremux.sources.tars.files import TarFile
from wdsremux.sources.tars.samples import Sample, group_samples, members_of_tar, read_content
from wdsremux.sources.tars.schema import LABEL_COLUMN, MemberValueError, TarSchema

_MAX_MEMBER_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class TarUnit:
    """A run of consecutive samples of one tar."""

    file: TarFile
    offset: int
    """Where the header of the first sample's first member begins."""
    first: int
    rows: int
    size_bytes: int
    schema: TarSchema
    images: tuple[str, ...]
    """The columns of the images; a sample may have several."""
    columns: tuple[str, ...]
    label: int | None = None
    """Number of the class that an inner tar is named after."""

    @property
    def name(self) -> str:
        """What an error message calls it."""
        return f"{self.file.name} from offset {self.offset} on"

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """Yield the records of samples start..stop-1; a damaged tar is a SourceError."""
        with self.file.open() as file:
            samples = group_samples(members_of_tar(file, self.file.name, self.offset))
            position = self.first + start
            for sample in islice(samples, start, stop):
                yield self._record(file, sample, position)
                position += 1
        if position != self.first + stop:
            raise SourceError(
                f"{self.name} holds fewer samples than before; "
                "do not change the tar during a run, and convert again"
            )

    def _record(self, file: BinaryIO, sample: Sample, position: int) -> Record:
        location = f"{self.file.name!r}, sample {sample.key!r}"
        if sample.problem:
            return Record(position, None, problem=sample.problem, location=location)

        def fetch(field: str) -> bytes:
            return content_of(file, self.file.name, sample, field)

        try:
            fields, left_out = self.schema.read(self.columns, sample.key, sample.members, fetch)
            where = [self.schema.field_of(name, sample.members) for name in self.images]
            image, *more = (fetch(field) if field else None for field in where)
        except MemberValueError as exc:
            problem = f"sample {sample.key!r}: {exc}"
            return Record(position, None, problem=problem, location=location)
        if self.label is not None and LABEL_COLUMN in fields:
            fields[LABEL_COLUMN] = self.label
        remarks = tuple((text, 1) for text in left_out)
        others = tuple((each, None) for each in more)
        return Record(position, image, fields, location=location, others=others, remarks=remarks)


def content_of(file: BinaryIO, tar: str, sample: Sample, field: str) -> bytes:
    """Return the member of a field. Raises MemberValueError for one that is too large."""
    member = sample.members[field]
    if member.size > _MAX_MEMBER_BYTES:
        raise MemberValueError(f"the member {field!r} has {member.size} bytes, more than 1 GiB")
    return read_content(file, tar, member)
