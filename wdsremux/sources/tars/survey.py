"""What tars hold, by samples of several of them: the schema, and what is not read."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wdsremux.core.errors import SourceError
from wdsremux.sources.tars.schema import form_of

SAMPLES_SEEN = 100
"""Samples of the first tar that decide the schema."""
TARS_SEEN = 16
"""Tars that are looked into: a member may begin in a later one."""
SAMPLES_OF_OTHERS = 20

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
        """Yield what the samples hold that is not read."""
        unread = Counter(f for sample in self.samples for f in sample if form_of(f) is None)
        if unread:
            names = ", ".join(sorted(unread)[:5])
            yield (
                f"members left out: {names} (in {unread.most_common(1)[0][1]} of the "
                f"{len(self.samples)} samples examined); images, text, numbers and JSON are read"
            )
        forms = {form_of(field) == "image" for sample in self.samples for field in sample}
        if len(forms) == 2 and all(len(sample) == 1 for sample in self.samples):
            yield (
                "no sample examined has more than one member: labels belong to an image only if "
                "their names differ in the extension alone; pack again with a common key"
            )

    def refuse_nested(self, tar: str) -> None:
        """Refuse tars of tars, in which the images are one level deeper. Raises SourceError."""
        fields = [field for sample in self.samples for field in sample]
        if fields and all(field.rpartition(".")[2] in ("tar", "gz", "tgz") for field in fields):
            raise SourceError(
                f"{tar!r} holds tars, not images; unpack it (tar -xf) into a folder, each inner "
                "tar into a folder of its class, and pass that folder"
            )


def seen_tars(paths: Sequence[Path]) -> Iterator[tuple[Path, int]]:
    """Yield the tars to look into, evenly spread, each with the number of samples to read."""
    step = max(1, -(-len(paths) // TARS_SEEN))
    for number, path in enumerate(paths[::step]):
        yield path, SAMPLES_OF_OTHERS if number else SAMPLES_SEEN


def refuse_compressed(path: Path, head: bytes) -> None:
    """Refuse a file that is named .tar and is compressed. Raises SourceError."""
    for magic, (kind, tool) in _ARCHIVES.items():
        if head.startswith(magic):
            raise SourceError(
                f"{path.name!r} is compressed with {kind}, though it is named .tar; "
                f"decompress it ({tool}), or rename it to its real extension"
            )
