"""The depth `entries` for shards of other tools: files, names, a wids index."""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from wdsremux.core.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES
from wdsremux.core.option_values import shortened
from wdsremux.core.tar.ustar import BLOCK_BYTES
from wdsremux.sources.split_rules import file_ranks, folder_ranks
from wdsremux.stores.reading.untrusted import Folder, Item
from wdsremux.verifying.checks.cards import names_files, read_card
from wdsremux.verifying.checks.reading import read_file
from wdsremux.verifying.checks.shard_tasks import CheckPlan, ShardTask
from wdsremux.verifying.findings import Code, Finding
from wdsremux.verifying.reports import Collector

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lz4")
_LOADABLE = frozenset(
    (
        "json", "jsonl", "csv", "tsv", "txt", "md", "toml", "parquet", "arrow", "feather", "lance",
        "xml", "html", "pdf", "h5", "hdf5", "npz", "png", "jpg", "jpeg", "webp", "gif", "bmp",
        "tif", "tiff", "wav", "mp3", "flac", "ogg", "mp4", "mkv", "avi", "mov", "mpeg", "zip",
    )
)  # fmt: skip
"""Suffixes by which `datasets` chooses a builder or reads a file (datasets 5.2, load.py)."""
_IGNORED = frozenset(
    (
        "README.md", "config.json", "dataset_info.json", "dataset_infos.json",
        "dataset_dict.json", "dummy_data.zip",
    )
)  # fmt: skip
"""Names that `datasets` ignores."""


def inspect_foreign(folder: Folder, found: Collector) -> CheckPlan:
    """Report what the files show without reading shards, and return what to read."""
    items = list(folder.tree())
    shards = [i for i in items if i.name.endswith(".tar") and not i.base.startswith(".")]
    index = _wids_index(folder, found)
    tasks = [task for item in shards if (task := _task(item, index, found)) is not None]
    _compare_index(shards, index, found)
    _check_same_names(shards, found)
    for item in items:
        if item.name.lower().endswith(COMPRESSED):
            found.take(Finding(Code.COMPRESSED, item.name))
    if not names_files(read_card(folder)):
        _check_splits(shards, found)
        _check_sidecars(items, shards, found)
    return CheckPlan(tasks=tuple(tasks), shards=len(shards), is_ours=False)


def _task(item: Item, index: Mapping[str, Any], found: Collector) -> ShardTask | None:
    if item.kind != "file":
        found.take(Finding(Code.NOT_A_FILE, item.name, detail=f"a {item.kind}"))
        return None
    if item.size_bytes % BLOCK_BYTES:
        detail = f"{item.size_bytes} bytes are not a multiple of {BLOCK_BYTES}"
        found.take(Finding(Code.TAR_CUT, item.name, detail=detail))
    listed = index.get(item.name, {})
    md5, samples = listed.get("md5sum"), listed.get("nsamples")
    return ShardTask(
        name=item.name,
        size_bytes=item.size_bytes,
        md5=md5.lower() if isinstance(md5, str) and len(md5) == 32 else None,
        samples=samples if isinstance(samples, int) else None,
    )


def _wids_index(folder: Folder, found: Collector) -> Mapping[str, Any]:
    """Return the shards of a wids index by their file names; empty without an index."""
    data = read_file(folder, MANIFEST_NAME, MAX_MANIFEST_BYTES, found)
    if data is None:
        return {}
    try:
        raw = json.loads(data)
        listed = {_local_name(shard["url"]): shard for shard in raw["shardlist"]}
        if raw["wids_version"] == 1 and all(_has_count(shard) for shard in listed.values()):
            return listed
        problem = "wids_version is not 1, or nsamples is missing"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
        problem = shortened(str(exc) or type(exc).__name__, 200)
    found.take(Finding(Code.INDEX_UNREADABLE, MANIFEST_NAME, detail=problem))
    return {}


def _has_count(shard: Any) -> bool:
    samples = shard.get("nsamples")
    return isinstance(samples, int) and not isinstance(samples, bool) and samples >= 0


def _local_name(url: str) -> str:
    """Return the name a relative URL has in the folder; another URL stays as it is."""
    return url if "://" in url else PurePosixPath(url).as_posix()


def _compare_index(shards: Sequence[Item], index: Mapping[str, Any], found: Collector) -> None:
    there = {item.name: item for item in shards}
    for name, listed in index.items():
        item = there.get(name)
        if item is None and "://" not in name:
            detail = "index.json lists it, but it is missing"
            found.take(Finding(Code.INDEX_DISAGREES, shortened(name, 200), detail=detail))
        size_bytes = listed.get("filesize")
        if item is not None and size_bytes is not None and size_bytes != item.size_bytes:
            detail = f"{item.size_bytes} bytes, index.json says {size_bytes!r}"
            found.take(Finding(Code.INDEX_DISAGREES, name, detail=detail))
    for name in there if index else ():
        if name not in index:
            detail = "index.json does not list it"
            found.take(Finding(Code.INDEX_DISAGREES, name, detail=detail))


def _check_same_names(shards: Sequence[Item], found: Collector) -> None:
    first: dict[str, str] = {}
    for item in shards:
        other = first.setdefault(item.base, item.name)
        if other != item.name:
            found.take(Finding(Code.SAME_NAME, item.name, detail=f"and {other}"))


def _splits_of(name: str) -> frozenset[str]:
    """Return the splits `datasets` puts a file into by the keywords in its name."""
    folder, _, base = name.rpartition("/")
    ranks = (*folder_ranks(folder), *file_ranks(base))
    return frozenset(rank.split for rank in ranks)


def _check_splits(shards: Sequence[Item], found: Collector) -> None:
    splits = {item.name: _splits_of(item.name) for item in shards}
    any_named = any(splits.values())
    for name, own in splits.items():
        if len(own) > 1:
            found.take(Finding(Code.SPLIT_NAME, name, detail=f"into {' and '.join(sorted(own))}"))
        elif any_named and not own:
            found.take(Finding(Code.SPLIT_NAME, name, detail="into none; other names contain one"))


def _check_sidecars(items: Sequence[Item], shards: Sequence[Item], found: Collector) -> None:
    """Report files that `datasets` takes for data, or passes to its tar reader."""
    any_named = any(_splits_of(item.name) for item in shards)
    for item in items:
        base = item.base
        if base.startswith(".") or base in _IGNORED or item.name.endswith(".tar"):
            continue
        # Where shards name their splits, only files that do so too are taken.
        if any_named and not _splits_of(item.name):
            continue
        parts = base.lower().split(".")[1:]
        if "tar" in parts and not base.lower().endswith(COMPRESSED):
            found.take(Finding(Code.SIDECAR, item.name, detail="it is read as a tar"))
        elif parts and parts[-1] in _LOADABLE:
            found.take(Finding(Code.SIDECAR, item.name, detail="it is read as data"))
