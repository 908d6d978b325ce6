"""What is recorded of the indexes for other loaders: `.wdsremux/indexes.json`.

It names the kinds that were asked for, so that a resumed, extended or repaired dataset gets them
again, and each file with its SHA-256, so that `sync` copies and `verify` checks it.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from wdsremux.core.errors import CorruptDataError
from wdsremux.core.json_values import json_bytes
from wdsremux.core.manifest import STATE_FOLDER, Manifest
from wdsremux.dataset.indexes.registry import KINDS, index_names
from wdsremux.dataset.indexes.shards import series_of

INDEXES_NAME = f"{STATE_FOLDER}/indexes.json"
RECORD_FORMAT = 1
DEFAULT_KINDS = ("wids",)
"""What every dataset has."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """The bytes of one file."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """The kinds and files of a dataset's indexes."""

    kinds: tuple[str, ...]
    described: str = ""
    """`described_sha256` of the manifest that the files describe; empty before they are written."""
    files: Mapping[str, FileRecord] = field(default_factory=dict)

    def describes(self, manifest: Manifest) -> bool:
        """Return whether the files were made for the shards of a manifest."""
        return self.described == described_sha256(manifest)

    def names(self, manifest: Manifest) -> list[str]:
        """Return the recorded files that an index of this dataset may have.

        A record is untrusted: it must not name any other file.
        """
        allowed = names_beside(manifest, self.kinds)
        return [name for name in self.files if name in allowed]

    def to_bytes(self) -> bytes:
        """Return the file."""
        files = {name: [one.size_bytes, one.sha256] for name, one in self.files.items()}
        value = {
            "format": RECORD_FORMAT,
            "kinds": [*self.kinds],
            "described": self.described,
            "files": files,
        }
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the file. Raises CorruptDataError when it is damaged or of a later format."""
        try:
            raw = json.loads(data)
            if raw["format"] != RECORD_FORMAT:
                raise ValueError(
                    f"format {raw['format']}: use the version of wdsremux that wrote it"
                )
            kinds = tuple(kind for kind in KINDS if kind in raw["kinds"])
            if len(kinds) != len(raw["kinds"]) or not isinstance(raw["described"], str):
                raise ValueError("it has an unknown kind")
            return cls(kinds, raw["described"], dict(map(_file, raw["files"].items())))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise CorruptDataError(
                f"cannot read {INDEXES_NAME!r}: it is damaged ({exc}); write it again with "
                "`wdsremux index OUT`"
            ) from exc


def described_sha256(manifest: Manifest) -> str:
    """Return a hash of all that the indexes of a dataset are made of."""
    head = manifest.head
    shards = [[s.name, s.split, s.copy, s.samples, s.size_bytes, s.sha256] for s in manifest.shards]
    value = {"copies": head.copies, "features": head.features, "name": head.name, "shards": shards}
    return hashlib.sha256(json_bytes(value)).hexdigest()


def names_beside(manifest: Manifest, kinds: Iterable[str]) -> set[str]:
    """Return the names of all files that indexes of these kinds have."""
    return index_names(kinds, (shard.name for shard in manifest.shards), series_of(manifest))


def kinds_beside(names: Collection[str], manifest: Manifest) -> tuple[str, ...]:
    """Return the kinds of which a folder has a file, for want of a record."""
    return tuple(kind for kind in KINDS if not names_beside(manifest, [kind]).isdisjoint(names))


def _file(item: tuple[str, Any]) -> tuple[str, FileRecord]:
    name, (size_bytes, sha256) = item
    if not isinstance(size_bytes, int) or not isinstance(sha256, str):
        raise TypeError("a file has no size or no SHA-256")
    return name, FileRecord(size_bytes, sha256)
