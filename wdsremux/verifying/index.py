"""Makes a manifest, entries and a card for shards of other tools, and does not change the shards.

Afterwards `verify` can check every sample's bytes, and wids and `load_dataset` read the folder.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wdsremux.core.cpus import usable_cpus
from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.core.events import CheckAdvanced, CheckBegun, CheckObserver, ignore_event
from wdsremux.core.head import unrecorded_head
from wdsremux.core.manifest import (
    INDEX_WRITER,
    MANIFEST_NAME,
    STATE_FOLDER,
    Manifest,
    ShardSummary,
)
from wdsremux.core.option_values import first_of
from wdsremux.core.tar.blocks import BlockReader, CrcCuts
from wdsremux.dataset.card import CARD_NAME, plain_card_bytes
from wdsremux.dataset.entry import entry_name
from wdsremux.dataset.indexes.record import INDEXES_NAME
from wdsremux.dataset.indexes.registry import kinds_from_text
from wdsremux.dataset.indexes.writing import write_indexes
from wdsremux.dataset.ownership import owner_of
from wdsremux.dataset.reader import listing, open_output
from wdsremux.dataset.shards.key_register import KeyRegister
from wdsremux.sources.kinds import dataset_name
from wdsremux.sources.split_rules import ordered, split_of_file
from wdsremux.stores.base import Store
from wdsremux.stores.folder.store import FolderStore
from wdsremux.stores.reading.prefetch import prefetch
from wdsremux.stores.reading.remote_folder import RemoteFolder
from wdsremux.stores.reading.untrusted import Folder
from wdsremux.stores.registry import open_folder
from wdsremux.verifying.checks.foreign_entry import ScannedShard
from wdsremux.verifying.checks.member_contents import ImageCheck, Schema
from wdsremux.verifying.checks.structure import Expected, ShardWalk, note_keys
from wdsremux.verifying.findings import Finding
from wdsremux.verifying.reports import Collector

READINGS = 2
"""Of every shard."""


def index(
    out: str | Path, *, kinds: str | Sequence[str] = (), observer: CheckObserver = ignore_event
) -> Manifest:
    """Write `index.json`, the entries and, if it is missing, a card beside shards of other tools.

    `kinds` names indexes of other loaders to write as well, or instead where the dataset has its
    own index already: "dali,webshart" or "all". Kinds that were asked for before are renewed, where
    their files are missing, damaged or describe other shards.

    Every shard is read twice: once for its structure, once for its SHA-256 and the samples' CRCs;
    `observer` is called for both, from several threads. A shard's split is the keyword in its name;
    without any keyword, all are "train".

    Raises UsageError for a folder that already has an index or for an unknown kind,
    CorruptDataError for one without shards, or whose shards have errors; no files are left then.
    """
    kinds = kinds_from_text(kinds)
    try:
        folder = open_folder(out)
    except OSError as exc:
        raise CorruptDataError(f"cannot read {str(out)!r}: {exc.strerror or exc}") from exc
    with folder:
        with listing(str(out)):
            renews = bool(kinds) or _has_indexes(folder)
            is_indexed = renews and owner_of(folder) == "ours"
            names = [] if is_indexed else _shard_names(folder, str(out))
        store: Store
        if isinstance(folder, RemoteFolder):
            store, name = folder.store, dataset_name(out)
        else:
            store = FolderStore(Path(out).expanduser())
            name = store.root.resolve().name
        with store.lock():
            if names:
                _Indexing(folder, store, name, observer).run(names)
            with open_output(out) as output:
                write_indexes(store, output, kinds, is_checked=True)
                return output.manifest


def _has_indexes(folder: Folder) -> bool:
    """Return whether indexes for other loaders are recorded."""
    return any(item.name == INDEXES_NAME for item in folder.items(STATE_FOLDER))


def _shard_names(folder: Folder, out: str) -> list[tuple[str, str]]:
    """Return (split, name) of the shards, in the order of the index."""
    if owner_of(folder) == "ours":
        raise UsageError(
            f"{out!r} is a dataset of wdsremux; `wdsremux repair` rebuilds its index and entries, "
            "--index KIND makes indexes for other loaders"
        )
    items = [item for item in folder.tree() if item.name.endswith(".tar")]
    items = [item for item in items if not item.base.startswith(".")]
    if not items:
        raise CorruptDataError(f"{out!r} contains no .tar file; pass the folder of the shards")
    odd = next((item for item in items if item.kind != "file" or "/" in item.name), None)
    if odd is not None:
        what = "is in a subfolder; index that folder by itself"
        what = what if odd.kind == "file" else f"is a {odd.kind}; replace it with the file itself"
        raise UsageError(f"cannot index {out!r}: {odd.name!r} {what}")
    if any(item.name == MANIFEST_NAME for item in folder.items()):
        raise UsageError(f"{out!r} already has an index.json; remove it to make a new one")
    splits = {item.name: split_of_file(item.name) for item in items}
    unnamed = [name for name, split in splits.items() if split is None]
    if unnamed and len(unnamed) < len(splits):
        raise UsageError(
            f"the name of {unnamed[0]!r} contains no split (train, validation, test), but those of "
            "other shards do; rename it"
        )
    own = {name: split or "train" for name, split in splits.items()}
    return [(s, name) for s in ordered(own.values()) for name in own if own[name] == s]


@dataclass(slots=True)
class _ByteProgress:
    """A tap that counts bytes and reports them."""

    report: Callable[[int], None]
    size_bytes: int = 0

    def __call__(self, block: memoryview) -> None:
        self.size_bytes += len(block)
        self.report(len(block))


class _Indexing:
    """One run over the shards of a folder."""

    def __init__(self, folder: Folder, store: Store, name: str, observer: CheckObserver) -> None:
        self._folder = folder
        self._store = store
        self._name = name
        self._observer = observer
        self._observing = threading.Lock()
        self._is_stopped = False
        self._written: list[str] = []
        self._expected = Expected(
            depth="bytes", schema=Schema({}), images=ImageCheck(None), is_ours=False
        )

    def run(self, names: Sequence[tuple[str, str]]) -> Manifest:
        """Write all files, or none."""
        try:
            manifest = self._manifest(list(self._summaries(names)))
            if not any(item.name == CARD_NAME for item in self._folder.items()):
                self._write(CARD_NAME, plain_card_bytes(manifest, [name for _, name in names]))
            self._write(MANIFEST_NAME, manifest.to_bytes())
        except BaseException:
            for name in self._written:
                self._store.remove(name)
            raise
        return manifest

    def _manifest(self, shards: Sequence[ShardSummary]) -> Manifest:
        head = unrecorded_head(self._name, writer=INDEX_WRITER)
        return Manifest(head=head, shards=tuple(shards))

    def _summaries(self, names: Sequence[tuple[str, str]]) -> Iterator[ShardSummary]:
        """Write the entry of each shard and yield its summary."""
        numbers: dict[str, int] = {}
        last = dict(names)
        position = 0
        holders = KeyRegister()
        workers = usable_cpus()
        sizes = {item.name: item.size_bytes for item in self._folder.items()}
        size_bytes = sum(READINGS * sizes[name] for _, name in names)
        self._observer(CheckBegun(len(names), size_bytes, workers))
        scans = prefetch(self._scan, [name for _, name in names], at_once=workers, name="index")
        try:
            for (split, _), (name, give) in zip(names, scans, strict=True):
                scanned = give()
                found = Collector(name)
                note_keys(holders, name, scanned.samples, found)
                _refuse_errors([*scanned.findings, *found.findings()])
                number = numbers[split] = numbers.get(split, -1) + 1
                entry = scanned.entry(split, number, position, is_last=last[split] == name)
                data = entry.to_bytes()
                self._write(entry_name(name), data)
                position += entry.summary.samples
                yield replace(entry.summary, entry_sha256=hashlib.sha256(data).hexdigest())
        finally:
            # After an error or an interruption the threads end at their next block.
            self._is_stopped = True
            scans.close()
            holders.close()

    def _scan(self, name: str) -> ScannedShard:
        scanned = ScannedShard(name)
        found, digest = Collector(name), hashlib.sha256()
        with self._folder.open(name) as file:
            meter = _ByteProgress(self._report)
            # A hole contains zeros only: the walk skips it.
            reader = BlockReader(file, [meter], jumps=True)
            walk = ShardWalk(self._expected, found, scanned.samples.extend)
            walk.run(reader)
            scanned.end, scanned.findings = walk.end, found.findings()
            if _errors(scanned.findings):
                return scanned  # the sums of a refused shard are not needed
            self._report(reader.size_bytes - meter.size_bytes)
            cuts = CrcCuts(scanned.sizes())
            file.seek(0)
            reader = BlockReader(file, [_ByteProgress(self._report), digest.update, cuts])
            reader.finish()
            scanned.size_bytes, scanned.sha256 = reader.offset, digest.hexdigest()
            scanned.crcs = cuts.crcs
        self._report(0, 1)
        return scanned

    def _report(self, size_bytes: int, shards: int = 0) -> None:
        if self._is_stopped:
            raise InterruptedError("the run was stopped")
        with self._observing:
            self._observer(CheckAdvanced(size_bytes, shards))

    def _write(self, name: str, data: bytes) -> None:
        staged = self._store.stage(name)
        staged.write(data)
        staged.commit()
        self._written.append(name)


def _errors(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.code.severity == "error"]


def _refuse_errors(findings: Sequence[Finding]) -> None:
    errors = _errors(findings)
    if errors:
        lines = [finding.line() for finding in errors]
        raise CorruptDataError(f"cannot index a damaged shard: {first_of(lines)}")
