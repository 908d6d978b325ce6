"""What tars hold, by samples of several of them: the schema, and what is not read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wdsremux.core.errors import SourceError
from wdsremux.sources.tars.schema import form_of

SAMPLES_SEEN = 100
"""Samples of the first tar that decide the schema."""
TARS_SEEN = 16
"""Tars that are looked into: a member may begin in a later one."""
SAMPLES_OF_OTHERS = 20

T = TypeVar("T")

Fields = Mapping[str, bytes | None]
"""By field, the contents of JSON members; None for others."""

_ARCHIVES = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZ": ("bzip2", "bunzip2"),
    b"\xfd7": ("xz", "unxz"),
    b"\x28\xb5": ("zstd", "unzstd"),
    b"PK": ("zip", "unzip"),
}


@dataclass(frozen=True, slots=True)
class TarSurvey:
    """The samples seen."""

    samples: Sequence[Fields]

    def notes(self) -> Iterator[str]:
        """Yield why labels may not belong to their images."""
        forms = {form_of(field) == "image" for sample in self.samples for field in sample}
        if len(forms) == 2 and all(len(sample) == 1 for sample in self.samples):
            yield (
                "no sample examined has more than one member: labels belong to an image only if "
                "their names differ in the extension alone; pack again with a common key"
            )


def seen_tars(tars: Sequence[T]) -> Iterator[tuple[T, int]]:
    """Yield the tars to look into, evenly spread, each with the number of samples to read."""
    step = max(1, -(-len(tars) // TARS_SEEN))
    for number, tar in enumerate(tars[::step]):
        yield tar, SAMPLES_OF_OTHERS if number else SAMPLES_SEEN


def refuse_compressed(path: Path, head: bytes) -> None:
    """Refuse a file that is named .tar and is compressed. Raises SourceError."""
    for magic, (kind, tool) in _ARCHIVES.items():
        if head.startswith(magic):
            raise SourceError(
                f"{path.name!r} is compressed with {kind}, though it is named .tar; "
                f"decompress it ({tool}), or rename it to its real extension"
            )
