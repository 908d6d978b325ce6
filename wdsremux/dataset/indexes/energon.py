"""The indexes of Megatron-Energon: `train-000000.tar.idx` beside each tar, and `.nv-meta/`.

Formats: Megatron-Energon 7.4 (`energon prepare`). The `.idx` files hold the offset of each sample's
first header as little-endian uint64, and the offset of the end blocks. `.info.json`, `split.yaml`
and `dataset.yaml` are read strictly; `index.sqlite` serves random access.
"""

import shutil
import sqlite3
import struct
import tempfile
import uuid
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wdsremux.core.errors import UsageError
from wdsremux.core.image_formats import image_extension
from wdsremux.core.manifest import ENERGON_FOLDER as FOLDER
from wdsremux.core.manifest import ENERGON_PARTS, Manifest, indented_json
from wdsremux.dataset.indexes.shards import IndexBuilder, IndexedShard, IndexFile

FILES = (".info.json", "split.yaml", "dataset.yaml", "index.sqlite", "index.uuid")
"""Of that folder."""
READ_BYTES = 1 << 20
_SCHEMA = """
CREATE TABLE samples (tar_file_id INTEGER NOT NULL, sample_key TEXT NOT NULL UNIQUE,
  sample_index INTEGER NOT NULL, byte_offset INTEGER, byte_size INTEGER);
CREATE TABLE sample_parts (tar_file_id INTEGER, sample_index INTEGER, part_name TEXT,
  content_byte_offset INTEGER, content_byte_size INTEGER);
"""
_INDEXES = """
CREATE INDEX idx_samples_by_tar_and_idx ON samples(tar_file_id, sample_index);
CREATE INDEX idx_sample_parts_seq ON
  sample_parts(tar_file_id, sample_index, content_byte_offset);
CREATE INDEX idx_sample_parts_full ON
  sample_parts(tar_file_id, sample_index, part_name, content_byte_offset, content_byte_size);
"""


class EnergonIndex(IndexBuilder):
    """One file for each shard, and five for the dataset."""

    reads_samples = True

    @staticmethod
    def shard_file(shard: str) -> str:
        """Return the name of the index of a shard."""
        return f"{shard}.idx"

    @staticmethod
    def dataset_files(_series: Iterable[str]) -> tuple[str, ...]:
        """Return the names of the files of `.nv-meta`."""
        return tuple(f"{FOLDER}/{name}" for name in FILES)

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(manifest)
        folder = tempfile.mkdtemp(prefix="wdsremux-energon-")
        self._path = Path(folder) / "index.sqlite"
        self._database = sqlite3.connect(self._path)
        weakref.finalize(self, _discard, self._database, folder)
        self._database.executescript(_SCHEMA)
        self._tar = 0

    def shard(self, shard: IndexedShard) -> Iterator[IndexFile]:
        """Yield the offsets of a shard. Raises UsageError for a key that comes twice."""
        starts = [*(sample.offset for sample in shard.samples), shard.end]
        try:
            self._database.executemany(
                "INSERT INTO samples VALUES (?, ?, ?, ?, ?)",
                (
                    (self._tar, sample.key, number, start, starts[number + 1] - start)
                    for number, (sample, start) in enumerate(
                        zip(shard.samples, starts, strict=False)
                    )
                ),
            )
        except sqlite3.IntegrityError as exc:
            raise UsageError(
                f"an index of Energon needs keys that are unique in the dataset; one of "
                f"{shard.summary.name!r} comes twice"
            ) from exc
        self._database.executemany(
            "INSERT INTO sample_parts VALUES (?, ?, ?, ?, ?)",
            (
                (self._tar, number, member.field, member.offset, member.size_bytes)
                for number, sample in enumerate(shard.samples)
                for member in sample.members
            ),
        )
        self._tar += 1
        yield self.shard_file(shard.summary.name), [struct.pack(f"<{len(starts)}Q", *starts)]

    def dataset(self) -> Iterator[IndexFile]:
        """Yield the files of `.nv-meta`."""
        self._database.executescript(_INDEXES)
        self._database.commit()
        self._database.close()
        yield f"{FOLDER}/index.sqlite", self._content()
        # It changes when the samples do, and only then.
        shards = "".join(shard.sha256 for shard in self.manifest.shards)
        yield f"{FOLDER}/index.uuid", [str(uuid.uuid5(uuid.NAMESPACE_OID, shards)).encode()]
        counts = {shard.name: shard.samples for shard in self.manifest.shards}
        yield f"{FOLDER}/.info.json", [indented_json({"shard_counts": counts})]
        yield f"{FOLDER}/split.yaml", [_yaml({"split_parts": self._parts(), "exclude": []})]
        yield f"{FOLDER}/dataset.yaml", [_yaml(_sample_type(self.manifest))]

    def _content(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while block := file.read(READ_BYTES):
                yield block

    def _parts(self) -> Mapping[str, list[str]]:
        parts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
        for split, patterns in self.manifest.patterns().items():
            parts.setdefault(ENERGON_PARTS.get(split, split), []).extend(patterns)
        return parts


def _discard(database: sqlite3.Connection, folder: str) -> None:
    database.close()
    shutil.rmtree(folder, ignore_errors=True)


def _sample_type(manifest: Manifest) -> Mapping[str, Any]:
    """Return how Energon makes samples: images with labels, or with captions, else dicts."""
    features = manifest.head.features
    json_type = features.get("json")
    fields = json_type.get("struct", {}) if isinstance(json_type, dict) else {}
    image = image_extension(features)
    if image is not None and "label" not in fields and "txt" in features:
        return {
            "sample_type": {"__module__": "megatron.energon", "__class__": "CaptioningSample"},
            "field_map": {"image": image, "caption": "txt"},
        }
    if image is None or "label" not in fields:
        return {"__module__": "megatron.energon", "__class__": "CrudeWebdataset"}
    names = {name: f"json[{name}]" for name in ("label", "label_name") if name in fields}
    return {
        "sample_type": {
            "__module__": "megatron.energon",
            "__class__": "ImageClassificationSample",
        },
        "field_map": {"image": image, **names},
    }


def _yaml(value: Mapping[str, Any]) -> bytes:
    import yaml  # noqa: PLC0415 (only this index needs it)

    dumped: str = yaml.safe_dump(value, sort_keys=False)
    return dumped.encode()
