"""ShardWriter: the writer alone, for whoever makes samples in their own loop."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from wdsremux.errors import UsageError
from wdsremux.jsonvalues import json_bytes
from wdsremux.keys import is_safe_key
from wdsremux.lots import LotBuilder
from wdsremux.manifest import MANIFEST_NAME, Manifest, ShardSummary, totals_by_split
from wdsremux.shards.assign import Bounds
from wdsremux.shards.series import SeriesPlan, SeriesWriter
from wdsremux.shards.uniqueness import KeyRegister
from wdsremux.targets.local import LocalTarget
from wdsremux.values import size_from_text

FLUSH_BYTES = 4 * 10**6


class ShardWriter:
    """Writes samples into size-bounded WebDataset shards with an index.

    A context manager: leaving it in peace publishes the last shard and `index.json`; leaving it by
    an exception drops the shard being written and writes no index. No file is larger than
    `max_shard_size` (headers, padding and end blocks counted), and a file under its final name is
    whole. Not for several threads at once.

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
        """Raise UsageError for a folder that holds shards or an index already."""
        self._target = LocalTarget(Path(out))
        held = [name for name, _ in self._target.list() if name.endswith((".tar", MANIFEST_NAME))]
        if held:
            raise UsageError(f"{str(out)!r} holds {held[0]!r} already; choose an empty folder")
        self._name = Path(out).name
        self._split = split
        self._bounds = Bounds(size_from_text(max_shard_size), max_shard_samples)
        self._extensions: tuple[str, ...] = ()
        self._series: SeriesWriter | None = None
        self._lot = LotBuilder()
        self._register = KeyRegister()
        self._shards: list[ShardSummary] = []
        self.samples = 0

    def write(self, sample: Mapping[str, Any]) -> None:
        """Append one sample: `__key__` and, by extension, its members.

        Bytes are packed as they are, texts as UTF-8, whole numbers as digits, and a dict or list
        under "json" as canonical JSON. Every sample has the extensions of the first, in any order.

        Raises UsageError for a key or a member that WebDataset readers would not find again, for a
        key given twice, and for a sample over the bound; TargetError when the disk refuses.
        """
        key = sample.get("__key__")
        contents = {name: value for name, value in sample.items() if name != "__key__"}
        if not isinstance(key, str) or not is_safe_key(key):
            raise UsageError(
                f"the key {key!r} cannot name a sample; use letters, digits, _ and -, at most 80"
            )
        if not self._extensions:
            self._begin(tuple(contents))
        if set(contents) != set(self._extensions):
            raise UsageError(
                f"sample {key!r} has the members {sorted(contents)}, the first had "
                f"{sorted(self._extensions)}; every sample of a dataset has the same"
            )
        if not self._register.is_new(key):
            raise UsageError(f"the key {key!r} was given before; keys are unique in a dataset")
        members = [(name, _content(key, name, contents[name])) for name in self._extensions]
        self._lot.add(self.samples, key, members)
        self.samples += 1
        if len(self._lot.payload) >= FLUSH_BYTES:
            self._flush()

    def close(self) -> Manifest:
        """Publish the last shard and the index, and return the manifest."""
        self._flush()
        if self._series is not None:
            self._series.finish(self.samples)
        self._register.close()
        manifest = Manifest(
            name=self._name,
            shards=tuple(self._shards),
            splits=totals_by_split(self._shards),
            copies=1,
            class_names=None,
            features={},
            recipe={"writer": "ShardWriter"},
            source={},
            versions={},
            fingerprint="",
        )
        staged = self._target.stage(MANIFEST_NAME)
        staged.write(manifest.to_bytes())
        staged.commit()
        return manifest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
            return
        if self._series is not None:
            self._series.abort()
        self._register.close()

    def _begin(self, extensions: tuple[str, ...]) -> None:
        odd = [name for name in extensions if not is_safe_key(name.replace(".", ""))]
        if odd or not extensions or any(name.startswith("_") for name in extensions):
            raise UsageError(
                f"members are named by their extension, such as jpg, json or seg.png; got "
                f"{list(extensions)}"
            )
        self._extensions = extensions
        plan = SeriesPlan(self._split, 0, self._split, self._bounds, extensions, fingerprint="")
        self._series = SeriesWriter(self._target, plan, on_shard=self._shards.append)

    def _flush(self) -> None:
        if self._series is not None:
            self._series.add(self._lot.lot())
        self._lot = LotBuilder()


def _content(key: str, name: str, value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value).encode()
    if name.rsplit(".", 1)[-1] == "json":
        return json_bytes(value)
    raise UsageError(
        f"sample {key!r}, member {name!r}: cannot pack a {type(value).__name__}; encode it to bytes"
    )
