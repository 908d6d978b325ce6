"""A finished output, opened for reading: its manifest, its entries, the bytes of a sample.

It may be in a folder or behind a URL. Its files are untrusted: manifest and entries are validated
before they are used, and every sample is compared with its CRC-32.
"""

import contextlib
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from io import RawIOBase
from typing import Self

from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.core.manifest import (
    INDEX_WRITER,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    Manifest,
    ShardSummary,
)
from wdsremux.core.option_values import did_you_mean
from wdsremux.core.records import Rejected
from wdsremux.core.tar.blocks import BlockReader, read_at
from wdsremux.core.tar.headers import split_name
from wdsremux.core.tar.walk import TarFault, TarWalk
from wdsremux.dataset.entry import SampleEntry, ShardEntry, entry_name
from wdsremux.dataset.ownership import owner_of
from wdsremux.dataset.reading import EntryFuture, entries_ahead
from wdsremux.dataset.rejected import rejected_lines
from wdsremux.dataset.validation import validated_manifest
from wdsremux.stores.reading.untrusted import Folder, is_safe_name
from wdsremux.stores.registry import open_folder

MAX_SAMPLE_BYTES = 1 << 30
"""An entry with larger ones may have been made to exhaust the memory."""


class Output:
    """A finished output; a context manager. Several threads may use it."""

    def __init__(self, folder: Folder, location: str, manifest: Manifest | None = None) -> None:
        """Read the manifest unless it is passed. Raises CorruptDataError without a valid one."""
        self._folder = folder
        self.location = location
        self.manifest = _manifest_of(folder, location) if manifest is None else manifest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._folder.__exit__(*exc)

    @property
    def is_remote(self) -> bool:
        """Whether reading waits for a network, so that several reads at once are faster."""
        return self._folder.reads_at_once > 1

    @property
    def has_row_keys(self) -> bool:
        """Whether a sample's key is its row number, with a suffix where there are copies."""
        recipe = self.manifest.head.options
        return "writer" not in recipe and recipe.get("key_column") is None

    def shards(self, split: str | None = None) -> list[ShardSummary]:
        """Return the shards of a split, or all. Raises UsageError for an unknown split."""
        if split is not None and split not in self.manifest.splits:
            names = ", ".join(map(repr, self.manifest.splits))
            near = did_you_mean(split, self.manifest.splits)
            raise UsageError(f"{self.location!r} has no split {split!r}{near}; it has {names}")
        return [one for one in self.manifest.shards if split in (None, one.split)]

    def entries(self, shards: Iterable[ShardSummary]) -> Iterator[tuple[ShardSummary, ShardEntry]]:
        """Yield shards with their entries, in order. Raises CorruptDataError for a damaged one."""
        shards = list(shards)
        is_ours = self.manifest.head.options.get("writer") != INDEX_WRITER
        names = [entry_name(shard.name) for shard in shards]
        found = entries_ahead(self._folder, names, is_ours=is_ours)
        for shard, (name, give) in zip(shards, found, strict=True):
            yield shard, self._validated(shard, name, give)

    def entry(self, shard: ShardSummary) -> ShardEntry:
        """Return the entry of a shard. Raises CorruptDataError when it is damaged."""
        return next(self.entries([shard]))[1]

    def open(self, shard: ShardSummary) -> RawIOBase:
        """Open a shard; the caller closes it. Raises CorruptDataError when it cannot be read."""
        try:
            if "/" in shard.name or not is_safe_name(shard.name):
                raise OSError("its name leads out of the folder")
            return self._folder.open(shard.name)
        except OSError as exc:
            raise self.damaged(shard.name, exc.strerror or str(exc)) from exc

    def sample_bytes(
        self, file: RawIOBase, shard: ShardSummary, location: tuple[int, int, int]
    ) -> bytes:
        """Return the bytes of the sample at (offset, size, CRC-32), by one read.

        Raises CorruptDataError when they have another CRC-32, or cannot be read.
        """
        offset, size_bytes, _ = location
        data = self.bytes_at(file, shard, offset, size_bytes)
        self.check(data, shard, location)
        return data

    def check(self, data: bytes, shard: ShardSummary, location: tuple[int, int, int]) -> None:
        """Raise CorruptDataError unless these are the bytes of the sample at a location."""
        offset, size_bytes, crc32 = location
        if len(data) != size_bytes or zlib.crc32(data) != crc32:
            raise self.damaged(
                shard.name, f"the sample at byte {offset} differs from its recorded CRC-32"
            )

    def bytes_at(self, file: RawIOBase, shard: ShardSummary, offset: int, size_bytes: int) -> bytes:
        """Return bytes of a shard that `open` opened, fewer only at its end.

        Raises CorruptDataError when they cannot be read, StoreError.
        """
        if size_bytes > MAX_SAMPLE_BYTES:
            raise self.damaged(
                shard.name,
                f"its entry lists a sample of {size_bytes} bytes, more than memory holds",
            )
        try:
            return read_at(file, size_bytes, offset)
        except OSError as exc:
            raise self.damaged(shard.name, exc.strerror or str(exc)) from exc

    def members(self, shard: ShardSummary, sample: SampleEntry) -> dict[str, bytes]:
        """Return the members of one sample by extension; raises CorruptDataError."""
        with self.open(shard) as file:
            location = (sample.offset, sample.size_bytes, sample.crc32)
            return members_of(self.sample_bytes(file, shard, location))[1]

    def rejected(self) -> Iterator[tuple[Rejected, bytes]]:
        """Yield the rejected rows with their lines of rejected.jsonl."""
        return rejected_lines(self._folder)

    def _validated(self, shard: ShardSummary, name: str, give: EntryFuture) -> ShardEntry:
        try:
            entry, problem = give()
        except OSError as exc:
            raise self.damaged(name, exc.strerror or str(exc)) from exc
        if entry is None:
            raise self.damaged(name, problem or "")
        if shard.entry_sha256 not in ("", entry.summary.entry_sha256):
            raise self.damaged(name, "its SHA-256 differs from the one in index.json")
        if entry.summary != shard:
            raise self.damaged(name, "it disagrees with index.json about its shard")
        return entry

    def damaged(self, name: str, problem: str) -> CorruptDataError:
        """Return the error for a file of this output; the caller raises it."""
        return CorruptDataError(
            f"cannot read {name!r} of {self.location!r}: {problem}; "
            "run `wdsremux verify` for details"
        )


def open_output(out: str | os.PathLike[str], manifest: Manifest | None = None) -> Output:
    """Open an output by its folder or URL; a `manifest` that is passed is not read again.

    Raises CorruptDataError without a finished dataset, StoreError when the store cannot be reached.
    """
    location = os.fspath(out)
    try:
        folder = open_folder(location)
    except OSError as exc:
        raise CorruptDataError(
            f"cannot read {location!r}: {exc.strerror or exc}; pass the folder of a dataset"
        ) from exc
    try:
        with listing(location):
            return Output(folder, location, manifest)
    except BaseException:
        folder.__exit__(None, None, None)
        raise


@contextlib.contextmanager
def listing(location: str) -> Iterator[None]:
    """Translate errors of the system while the files of an output are listed.

    Raises CorruptDataError: without a listing, missing files cannot be found.
    """
    try:
        yield
    except OSError as exc:
        what = f"{exc.filename!r} of {location!r}" if exc.filename else repr(location)
        raise CorruptDataError(
            f"cannot read {what}: {exc.strerror or exc}; check the disk or the mount"
        ) from exc


def members_of(data: bytes) -> tuple[str, dict[str, bytes]]:
    """Return (key, members by extension) of the bytes of one sample; the first of a name counts.

    Raises CorruptDataError when they are not part of a tar.
    """
    reader = BlockReader(io.BytesIO(data))
    found: dict[str, bytes] = {}
    sample_key = ""
    try:
        for member in TarWalk(reader).members():
            key, field = split_name(member.name)
            if member.is_regular and key:
                sample_key = sample_key or key
                found.setdefault(field, reader.take(member.size))
    except TarFault as exc:
        raise CorruptDataError(f"the bytes of a sample are not part of a tar: {exc}") from exc
    return sample_key, found


def _manifest_of(folder: Folder, location: str) -> Manifest:
    """Return the manifest of a finished or an indexed output."""
    try:
        data = folder.read(MANIFEST_NAME, MAX_MANIFEST_BYTES)
    except OSError as exc:
        raise CorruptDataError(
            f"cannot read {MANIFEST_NAME!r} of {location!r}: {exc.strerror}; "
            "check the disk or the mount"
        ) from exc
    problem: CorruptDataError | None = None
    if data is not None:
        try:
            return validated_manifest(data)
        except CorruptDataError as exc:
            problem = exc
    # Only now: whose dataset it is takes a listing of the whole folder.
    owner = owner_of(folder)
    if owner == "none":
        raise CorruptDataError(
            f"{location!r} contains no dataset: it has neither an index.json nor a shard; "
            "pass the folder that convert wrote"
        )
    if owner == "others":
        raise CorruptDataError(
            f"{location!r} contains shards without an index; run `wdsremux index` first"
        )
    if problem is None:
        raise CorruptDataError(
            f"{location!r} is not finished: it has no index.json; "
            "run the same convert command again"
        )
    raise CorruptDataError(
        f"{location!r}: {problem}; run `wdsremux verify` for details"
    ) from problem
