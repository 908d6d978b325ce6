"""Parquet datasets on the Hugging Face Hub, read by row groups.

A dataset is pinned to one commit first. `datasets` decides which files form which split; the rows
are read by our own requests, because its streams are slow to resume and can hang at exit.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import HfApi, hf_hub_url

from wdsremux.core.columns import Column
from wdsremux.core.errors import SourceError
from wdsremux.core.records import Record, Unit
from wdsremux.sources.base import Source
from wdsremux.sources.dtypes import dtypes_from_features, with_listed_images
from wdsremux.sources.hub.errors import with_retries
from wdsremux.sources.hub.layout import HubLayout
from wdsremux.sources.parquet.image_paths import ImageFolder
from wdsremux.sources.parquet.index import (
    FileIndex,
    RowGroupSource,
    index_from_metadata,
    wide_columns,
)
from wdsremux.sources.parquet.local import parquet_errors
from wdsremux.sources.parquet.merging import MergedSchema
from wdsremux.sources.parquet.rows import RowGroup, first_values, read_records
from wdsremux.sources.parquet.schema import columns_from_schema, guessable, with_guessed_images
from wdsremux.stores.hub.ranges import HubAccess, HubFile
from wdsremux.stores.hub.reader import RemoteReader, Span, read_range

TAIL_BYTES = 1 << 16
"""The end of a file that is fetched for its footer; bigger footers cost a second request."""

FOOTER_THREADS = 16
PATHS_A_CALL = 500
BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class HubUnit:
    """One row group of a file on the Hub."""

    first: int
    file: HubFile
    footer_bytes: int
    part: RowGroup

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.part.rows

    @property
    def size_bytes(self) -> int:
        """Bytes of the wanted columns, uncompressed."""
        return self.part.size_bytes

    @property
    def held_bytes(self) -> int:
        """Memory that reading takes."""
        return self.part.held_bytes

    @property
    def name(self) -> str:
        """Repo, file and row group."""
        return f"{self.file.name} row group {self.part.number}"

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """Yield rows start..stop-1, prefetched over several connections."""
        with parquet_errors(self.name):
            metadata = _metadata(self.file, self.footer_bytes)
            spans = spans_of(metadata, self.part.number, self.part.columns)
            with (
                closing(RemoteReader(self.file, spans)) as reader,
                _open(reader, metadata) as file,
            ):
                yield from read_records(file, self.part, self.first, start, stop)


def open_hub(layout: HubLayout, access: HubAccess) -> Source:
    """Open a Parquet dataset of the Hub; reads all footers, in parallel.

    Raises SourceError when they cannot be read.
    """
    names = list(dict.fromkeys(name for each in layout.splits.values() for name in each))
    files, oids = _remote_files(layout, names, access)
    declared = dtypes_from_features(layout.features or {})

    def read(name: str) -> tuple[FileIndex, tuple[Column, ...], tuple[str, ...]]:
        with parquet_errors(files[name].name):
            metadata = _footer(files[name])
            columns = columns_from_schema(metadata.schema.to_arrow_schema(), declared)
        index = index_from_metadata(name, files[name].size_bytes, metadata)
        # Only the merged schema is kept: thousands of footers would fill the memory.
        return replace(index, oid=oids[name]), columns, tuple(wide_columns(metadata))

    found, schema = {}, MergedSchema()
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        for name, (file_index, each, wide) in zip(names, pool.map(read, names), strict=True):
            found[name] = file_index
            schema.add(name, each, wide)
    images = ImageFolder(None)

    def make_units(file: FileIndex, part: RowGroup, position: int) -> list[Unit]:
        return [HubUnit(position, files[file.name], file.footer_bytes, part)]

    first = next((name for name in names if found[name].rows), names[0])
    columns = _guessed(schema.columns, files[first], found[first], images)
    index = {split: [found[name] for name in each] for split, each in layout.splits.items()}
    head = {"kind": "hub", "repo": layout.repo, "commit": layout.commit}
    return RowGroupSource(head, index, columns, images, make_units, schema.targets)


def _remote_files(
    layout: HubLayout, names: Sequence[str], access: HubAccess
) -> tuple[dict[str, HubFile], dict[str, str]]:
    """Return the files and their Git object IDs, by name."""
    api = HfApi(token=access.token, library_name="wdsremux")
    sizes: dict[str, int] = {}
    oids: dict[str, str] = {}
    for at in range(0, len(names), PATHS_A_CALL):
        some = list(names[at : at + PATHS_A_CALL])

        def ask(paths: list[str] = some) -> list[Any]:
            return api.get_paths_info(
                layout.repo, paths, repo_type="dataset", revision=layout.commit
            )

        for entry in with_retries(ask, layout.repo, access):
            sizes[entry.path], oids[entry.path] = entry.size, entry.blob_id
    missing = [name for name in names if name not in sizes]
    if missing:
        raise SourceError(
            f"dataset {layout.repo!r} no longer has the file {missing[0]!r}; "
            "run the same command again, or choose a commit that has it with --revision"
        )
    files = {
        name: HubFile(
            f"{layout.repo} {name}",
            hf_hub_url(layout.repo, name, repo_type="dataset", revision=layout.commit),
            sizes[name],
            access,
        )
        for name in names
    }
    return files, oids


def _footer(file: HubFile) -> pq.FileMetaData:
    """Fetch and parse a footer: its length precedes the last four bytes of the file."""
    size = file.size_bytes
    tail = read_range(file, max(0, size - TAIL_BYTES), size)
    need = int.from_bytes(tail[-8:-4], "little") + 8
    if need > size:
        raise SourceError("not a Parquet file; download it again")
    if need > len(tail):
        tail = read_range(file, size - need, size)
    return pq.read_metadata(pa.BufferReader(tail[-need:]))


@lru_cache(maxsize=16)
def _metadata(file: HubFile, footer_bytes: int) -> pq.FileMetaData:
    """Return a file's footer, fetched once for the many units of a file that a worker reads."""
    tail = read_range(file, file.size_bytes - footer_bytes, file.size_bytes)
    return pq.read_metadata(pa.BufferReader(tail))


def _open(reader: RemoteReader, metadata: pq.FileMetaData) -> pq.ParquetFile:
    return pq.ParquetFile(reader, metadata=metadata, pre_buffer=False, buffer_size=BUFFER_BYTES)


def spans_of(metadata: pq.FileMetaData, number: int, columns: Sequence[str]) -> list[Span]:
    """Return the byte ranges of some columns of a row group."""
    group = metadata.row_group(number)
    spans = []
    for chunk in (group.column(i) for i in range(group.num_columns)):
        path = chunk.path_in_schema
        if path in columns or path.split(".", 1)[0] in columns:
            start = chunk.data_page_offset
            if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                start = min(start, chunk.dictionary_page_offset)
            spans.append((start, start + chunk.total_compressed_size))
    return spans


def _guessed(
    columns: tuple[Column, ...], file: HubFile, index: FileIndex, images: ImageFolder
) -> tuple[Column, ...]:
    """Return the columns; those whose first value is an image become images."""
    names = guessable(columns)
    if not names or not index.rows:
        return with_listed_images(columns)
    metadata = _metadata(file, index.footer_bytes)
    group = next(i for i, rows in enumerate(index.group_rows) if rows)
    spans = spans_of(metadata, group, names)
    with (
        parquet_errors(file.name),
        closing(RemoteReader(file, spans)) as reader,
        _open(reader, metadata) as opened,
    ):
        values = first_values(opened, names)
    return with_guessed_images(columns, values, images.has)
