"""ShardWriter: the writer alone, for programs that make samples in a loop of their own."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from wdsremux.core.errors import UsageError
from wdsremux.core.head import unrecorded_head
from wdsremux.core.json_values import json_bytes
from wdsremux.core.keys import is_safe_key
from wdsremux.core.manifest import MANIFEST_NAME, Manifest, ShardSummary
from wdsremux.core.option_values import is_url, number_from, shard_size_from_text
from wdsremux.core.tar import ustar
from wdsremux.dataset.card import CARD_NAME, plain_card_bytes
from wdsremux.dataset.shards.bounds import Bounds
from wdsremux.dataset.shards.key_register import KeyRegister
from wdsremux.dataset.shards.packing import SamplePacker
from wdsremux.dataset.shards.series import SeriesPlan, SeriesWriter
from wdsremux.stores.folder.store import FolderStore

FLUSH_BYTES = 4 * 10**6

EXTENSION = re.compile(r"(?!_)[a-z0-9_-]+(\.[a-z0-9_-]+)*")
"""Lower case: webdataset converts to it, other readers do not."""


class ShardWriter:
    """Writes samples into size-bounded WebDataset shards with an index.

    A context manager: leaving it normally publishes the last shard and `index.json`; leaving it by
    an exception removes the unfinished shard and writes no index. No file is larger than
    `max_shard_size` (headers, padding and end blocks counted), and a file under its final name is
    whole. Not thread-safe.

        with ShardWriter("out", max_shard_size="256MB") as shards:
            shards.write({"__key__": "000001", "jpg": jpeg_bytes, "json": {"label": 3}})
    """

    def __init__(
        self,
        out: str | Path,
        *,
        split: str = "train",
        max_shard_size: str | int = "512MB",
        max_shard_samples: int | None = None,
    ) -> None:
        """Raise UsageError for an invalid option, and for a folder that has shards already."""
        if not is_safe_key(split):
            raise UsageError(f"split {split!r} cannot name shards; use letters, digits, _ and -")
        self._bounds = _bounds(max_shard_size, max_shard_samples)
        if is_url(out):
            raise UsageError(
                f"a ShardWriter cannot write to the URL {str(out)!r}; write into a folder and "
                "upload it with wdsremux.sync"
            )
        self._store = FolderStore(Path(out).expanduser())
        for name, _ in self._store.list():
            if name.endswith(".tar") or name == MANIFEST_NAME:
                raise UsageError(f"{str(out)!r} already contains {name!r}; choose an empty folder")
        self._name = Path(out).name
        self._split = split
        self._extensions: tuple[str, ...] = ()
        self._series: SeriesWriter | None = None
        self._packer = SamplePacker()
        self._register = KeyRegister()
        self._shards: list[ShardSummary] = []
        self._is_closed = False
        self.samples = 0

    def write(self, sample: Mapping[str, Any]) -> None:
        """Append one sample: `__key__` and, by extension, its members.

        Bytes are packed as they are, strings as UTF-8, integers as digits, and a dict or list under
        "json" as canonical JSON. Every sample has the extensions of the first, in any order.

        Raises UsageError for a key or a member that WebDataset readers could not find, for a
        duplicate key, and for a sample over the bound; StoreError when a file cannot be written.
        """
        if self._is_closed:
            raise UsageError("the ShardWriter is closed: its index is already written")
        key = sample.get("__key__")
        contents = {name: value for name, value in sample.items() if name != "__key__"}
        if not isinstance(key, str) or not is_safe_key(key):
            raise UsageError(
                f"the key {key!r} cannot name a sample; use up to 80 letters, digits, _ and -, "
                "without __ at the start"
            )
        extensions = self._extensions or _checked_extensions(contents)
        if set(contents) != set(extensions):
            raise UsageError(
                f"sample {key!r} has the members {sorted(contents)}, the first had "
                f"{sorted(extensions)}; write the same members for every sample"
            )
        members = [(name, _content(key, name, contents[name])) for name in extensions]
        self._check_size(key, members)
        if not self._register.is_new(key):
            raise UsageError(f"duplicate key {key!r}; use a unique key for every sample")
        # Only now: the caller may correct a refused sample and write it again.
        self._extensions = extensions
        self._packer.add(self.samples, key, members)
        self.samples += 1
        if len(self._packer.payload) >= FLUSH_BYTES:
            self._flush()

    def close(self) -> Manifest:
        """Publish the last shard and the index, and return the manifest."""
        try:
            self._flush()
            if self._series is not None:
                self._series.finish(self.samples)
        finally:
            self._release()
        head = unrecorded_head(self._name, writer="ShardWriter")
        manifest = Manifest(head=head, shards=tuple(self._shards))
        if manifest.shards and not any(name == CARD_NAME for name, _ in self._store.list()):
            self._publish(CARD_NAME, plain_card_bytes(manifest, [s.name for s in manifest.shards]))
        self._publish(MANIFEST_NAME, manifest.to_bytes())
        return manifest

    def _publish(self, name: str, data: bytes) -> None:
        staged = self._store.stage(name)
        staged.write(data)
        staged.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        if kind is None:
            self.close()
            return
        self._release()

    def _check_size(self, key: str, members: Sequence[tuple[str, bytes]]) -> None:
        """Refuse a sample that no shard can hold while the caller knows which one it is."""
        size = sum(ustar.member_bytes(len(content)) for _, content in members)
        if not self._bounds.fits(0, 0, size):
            raise UsageError(
                f"sample {key!r} needs a tar of {ustar.file_bytes(size)} bytes, more than "
                f"max_shard_size {self._bounds.max_bytes}; raise it, or make the sample smaller"
            )
        for name, _ in members:
            if len(f"{key}.{name}") > ustar.MAX_NAME_BYTES:
                raise UsageError(
                    f"the name '{key}.{name}' is too long; key and extension may have up to "
                    f"{ustar.MAX_NAME_BYTES} characters together"
                )

    def _flush(self) -> None:
        if self._extensions and self._series is None:
            plan = SeriesPlan(
                self._split, 0, self._split, self._bounds, self._extensions, fingerprint=""
            )
            self._series = SeriesWriter(self._store, plan, on_shard=self._shards.append)
        if self._series is not None:
            self._series.add(self._packer.packed())
        self._packer = SamplePacker()

    def _release(self) -> None:
        """Remove unfinished and temporary files; may be called twice."""
        self._is_closed = True
        if self._series is not None:
            self._series.abort()
        self._register.close()


def _bounds(max_size: str | int, max_samples: int | None) -> Bounds:
    name, value = "max_shard_size", max_size
    try:
        max_bytes = shard_size_from_text(max_size)
        name, value = "max_shard_samples", max_samples or 0
        return Bounds(max_bytes, None if max_samples is None else number_from(1)(max_samples))
    except ValueError as exc:
        raise UsageError(f"{name} cannot be {value!r}: {exc}") from exc


def _checked_extensions(names: Collection[object]) -> tuple[str, ...]:
    """Return the extensions that a first sample fixes for all."""
    # A caller without a type checker may pass names that are not strings.
    found = tuple(n for n in names if isinstance(n, str) and EXTENSION.fullmatch(n))
    if not found or len(found) != len(names):
        raise UsageError(
            f"invalid member names {list(names)}; name members by their extension in lower case, "
            "such as jpg, json or seg.png"
        )
    return found


def _content(key: str, name: str, value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    reason = "encode it to bytes"
    try:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value).encode()
        if name.rsplit(".", 1)[-1] == "json":
            return json_bytes(value)
    except (TypeError, ValueError) as exc:
        reason = str(exc)
    raise UsageError(
        f"sample {key!r}, member {name!r}: cannot pack a {type(value).__name__}; {reason}"
    )
