"""Repairs a dataset: damaged shards from their source, all other files from each other.

A shard that was made again is published only if its bytes are the recorded ones. The promise of
`convert` that the same recipe makes the same bytes allows this.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Protocol

from wdsremux.core.errors import (
    CorruptDataError,
    RecipeMismatchError,
    SourceError,
    TransformError,
    UsageError,
    WdsremuxError,
)
from wdsremux.core.events import CheckAdvanced, CheckBegun, CheckEvent, Done, Event, Note
from wdsremux.core.head import Head
from wdsremux.core.manifest import MANIFEST_NAME, Manifest, ShardSummary, indented_json
from wdsremux.core.option_values import counted, listed
from wdsremux.core.records import Rejected
from wdsremux.dataset.card import CARD_NAME, card_bytes
from wdsremux.dataset.entry import ShardEntry, entry_name
from wdsremux.dataset.function_changes import former_function
from wdsremux.dataset.indexes.writing import StoredShards, write_indexes
from wdsremux.dataset.ledger import RECIPE_NAME
from wdsremux.dataset.shards.series import prefix_of_shard, shard_name
from wdsremux.processing.plan import Conversion
from wdsremux.repairing.changes import Changes, changes_between
from wdsremux.repairing.examination import Examination, ShardVerdict
from wdsremux.repairing.files import Files, findings_left, move_stray_entries
from wdsremux.repairing.rebuilding import RebuildRequest, ShardRebuilder
from wdsremux.repairing.recorded_head import FoundHead, find_head
from wdsremux.repairing.rejections import Rejections
from wdsremux.repairing.shard_records import ShardRecord, ShardRecords
from wdsremux.stores.base import Store
from wdsremux.stores.reading.untrusted import UntrustedFolder
from wdsremux.verifying.reports import RepairReport

AGAIN = "run the same convert command again to resume it"
MAX_NAMED = 3

RepairObserver = Callable[[Event | CheckEvent], None]


class Reopen(Protocol):
    """Opens source and function again."""

    def __call__(self, head: Head, *, after_death: bool) -> Conversion:
        """Return the recorded conversion, with the careful engine after a run that died."""


def repair(
    out: Path,
    store: Store,
    reopen: Reopen,
    *,
    shards: Iterable[str],
    workers: int,
    observer: RepairObserver,
) -> RepairReport:
    """Repair the dataset in a folder that `store` publishes to; see `wdsremux.repair`."""
    try:
        folder = UntrustedFolder(out)
    except OSError as exc:
        raise CorruptDataError(
            f"cannot read {str(out)!r}: {exc.strerror or exc}; pass the folder of a dataset"
        ) from exc
    with folder, store.lock() as died:
        run = _Repair(folder, store, find_head(folder, str(out)), observer)
        run.examine(list(shards), max(1, workers))
        run.remake(lambda head: reopen(head, after_death=died))
        run.rebuild()
        run.tidy(str(out))
        return run.report(str(out))


class _Repair:
    """One repair."""

    def __init__(
        self, folder: UntrustedFolder, store: Store, found: FoundHead, observer: RepairObserver
    ) -> None:
        self._folder = folder
        self._store = store
        self._files = Files(folder, store)
        self._head = found.head
        listed_shards = found.manifest.shards if found.manifest is not None else ()
        # An index of version 1 stays as it is.
        self._has_entry_sums = not listed_shards or any(s.entry_sha256 for s in listed_shards)
        self._observer = observer
        self._records = ShardRecords(folder, found.head, found.manifest)
        self._rejections = Rejections(folder, self._records)
        self._true: dict[str, ShardSummary] = {}
        """The summary of each intact shard."""
        self._checked = 0
        self._is_partial = False
        self._to_make: list[ShardVerdict] = []
        self._remade: list[str] = []
        self._moved: list[str] = []
        self._left: list[str] = []
        self._mismatches: list[str] = []

    def examine(self, shards: Sequence[str], workers: int) -> None:
        """Read the shards, rebuild entries, and find the shards to make again."""
        self._files.write(RECIPE_NAME, indented_json(self._head.to_json()))
        chosen = self._chosen(shards)
        self._is_partial = bool(shards)
        self._checked = len(chosen)
        size_bytes = sum(record.summaries[0].size_bytes for record in chosen)
        self._observer(CheckBegun(len(chosen), size_bytes, workers))
        examination = Examination(
            self._folder, self._head, self._records, self._rejections, self._report_bytes
        )
        for verdict in examination.verdicts(chosen, workers):
            if verdict.entry is not None:
                self._files.write(entry_name(verdict.record.name), verdict.entry.to_bytes())
            if verdict.problem is None and verdict.rejected is not None:
                self._true[verdict.record.name] = verdict.summary
            else:
                self._to_make.append(verdict)
                why = verdict.problem or "has no record of its rejected rows"
                self._observer(Note(f"{verdict.record.name} {why}: its rows are processed again"))

    def remake(self, reopen: Callable[[Head], Conversion]) -> None:
        """Make shards again from their source, and publish those with the recorded bytes."""
        requests = [_request(verdict) for verdict in self._to_make]
        if not self._is_partial:
            requests += [RebuildRequest(**gap._asdict()) for gap in self._records.gaps()]
        requests.sort(key=lambda request: (request.series.number, request.number))
        requests = self._without_former(requests)
        if not requests:
            return
        conversion = self._reopened(reopen, requests)
        changes = changes_between(self._head, conversion.head)
        poison = self._rejections.poison | self._records.poison
        rebuilder = ShardRebuilder(
            conversion, self._head.fingerprint, self._records, poison, self._observer
        )
        # Without a recorded SHA-256, only an unchanged conversion may make a shard.
        sure = [request for request in requests if request.sums is not None or changes == Changes()]
        try:
            rebuilder.run(sure, gives_up=changes.affect_every_shard)
        except (SourceError, TransformError) as exc:
            if changes == Changes():
                raise
            raise RecipeMismatchError(f"{changes.text()}; the conversion now fails: {exc}") from exc
        finally:
            self._remade += rebuilder.made
            self._true |= rebuilder.made
        lost = [
            name for request in requests for name in request.names if name not in rebuilder.made
        ]
        if lost:
            self._mismatches.append(
                f"{listed(lost, MAX_NAMED)} cannot be rebuilt with the recorded bytes and was "
                f"not published: {changes.text()}"
            )

    def _without_former(self, requests: Sequence[RebuildRequest]) -> list[RebuildRequest]:
        """Return the requests without those for shards that a former function made."""
        former = [
            (each, former_function(self._head, each.series.prefix, each.start)) for each in requests
        ]
        lost = [name for each, change in former if change is not None for name in each.names]
        if lost:
            change = next(change for _, change in former if change is not None)
            self._mismatches.append(
                f"{listed(lost, MAX_NAMED)} was made by the former function {change.label}, which "
                "--accept-function-change replaced, and repair does not make its shards again: "
                "restore the file from a copy, or convert again into another OUT"
            )
        return [each for each, change in former if change is None]

    def rebuild(self) -> None:
        """Write the files that are made from entries and head, once all shards exist.

        Raises RecipeMismatchError when a shard could not be made with its recorded bytes.
        """
        if self._mismatches:
            repaired = len(self._remade) + len(self._files.written)
            also = f"; {counted(repaired, 'other file')} repaired" if repaired else ""
            raise RecipeMismatchError("; ".join(self._mismatches) + also)
        self._note_left()
        if self._left:
            return
        shards = {record.name: record.summaries[0] for record in self._records} | self._true
        request = {series.prefix: i for i, series in enumerate(self._records.series)}
        summaries = sorted(
            shards.values(), key=lambda s: (request[prefix_of_shard(s.name)], s.number)
        )
        entries = sorted(map(entry_name, shards))
        if self._has_entry_sums:
            summaries = [self._with_entry_sum(summary) for summary in summaries]
        manifest = Manifest(head=self._head, shards=tuple(summaries))
        self._files.write_rejected(lambda: self._rejected_in(entries))
        if not self._files.write_card(card_bytes(manifest)):
            self._observer(Note(f"{CARD_NAME} was not written by wdsremux and was not changed"))
        self._files.written += write_indexes(
            self._store, StoredShards(self._store, manifest), is_checked=True
        )
        self._files.write(MANIFEST_NAME, manifest.to_bytes())
        rows = sum(shards[name].stop - shards[name].start for name in self._remade)
        self._observer(Done(manifest, rows))

    def tidy(self, out: str) -> None:
        """Move entries without a shard away, and record what `verify` would still find."""
        if self._left:
            return
        self._moved += move_stray_entries(self._folder, self._shard_names())
        self._left += [finding.line(out) for finding in findings_left(self._folder)]

    def report(self, out: str) -> RepairReport:
        """Return the outcome."""
        return RepairReport(
            out=out,
            shards=len(self._shard_names()),
            checked_shards=self._checked,
            remade=tuple(self._remade),
            rebuilt=tuple(self._files.written),
            moved=tuple(self._moved),
            left=tuple(self._left),
        )

    def _shard_names(self) -> set[str]:
        """Return the names of the dataset's shards."""
        return {*self._true, *(record.name for record in self._records)}

    def _chosen(self, shards: Sequence[str]) -> list[ShardRecord]:
        """Return the shards to be read: those named, or all."""
        records = {record.name: record for record in self._records}
        if not shards:
            return list(records.values())
        names = [PurePath(name).name.removesuffix(".tar") + ".tar" for name in shards]
        for name in names:
            if name not in records:
                raise UsageError(
                    f"--shard {name!r} is not a shard of the dataset; its shards are "
                    f"{listed(list(records), MAX_NAMED)}"
                )
        return [record for name, record in records.items() if name in names]

    def _reopened(
        self, reopen: Callable[[Head], Conversion], requests: Sequence[RebuildRequest]
    ) -> Conversion:
        try:
            return reopen(self._head)
        except WdsremuxError as exc:
            names = listed([name for request in requests for name in request.names], MAX_NAMED)
            raise type(exc)(f"cannot rebuild {names}: {exc}") from exc

    def _note_left(self) -> None:
        """Record what prevents a manifest."""
        sizes = dict(self._store.list())
        for record in self._records:
            name, is_sure = record.name, len(record.summaries) == 1 and record.has_entry
            if name not in self._true and (
                not is_sure or sizes.get(name) != record.summaries[0].size_bytes
            ):
                self._left.append(f"{name} is damaged, too; run repair without --shard")
        for gap in self._records.gaps() if self._is_partial else ():
            name = shard_name(gap.series.prefix, gap.number)
            self._left.append(f"{name} has no record; run repair without --shard")
        if not self._left and not self._records.is_finished:
            # An unreadable manifest would prevent the conversion.
            remove = f"remove {MANIFEST_NAME} and " if MANIFEST_NAME in sizes else ""
            self._left.append(f"the conversion is not finished; {remove}{AGAIN}")

    def _with_entry_sum(self, summary: ShardSummary) -> ShardSummary:
        entry = self._read_entry(entry_name(summary.name))
        return replace(summary, entry_sha256=entry.summary.entry_sha256)

    def _read_entry(self, name: str) -> ShardEntry:
        entry = self._records.read(name)
        if entry is None:
            raise CorruptDataError(f"{name!r} disappeared during the repair; run repair again")
        return entry

    def _rejected_in(self, names: Iterable[str]) -> Iterator[Rejected]:
        """Yield the rejected records of entries."""
        for name in names:
            yield from self._read_entry(name).rejected

    def _report_bytes(self, size_bytes: int) -> None:
        self._observer(CheckAdvanced(size_bytes))


def _request(verdict: ShardVerdict) -> RebuildRequest:
    """Return the request for a shard that has to be made again."""
    summary = verdict.summary
    return RebuildRequest(
        series=verdict.record.series,
        number=summary.number,
        start=summary.start,
        stop=summary.stop,
        is_last=summary.is_last,
        rejected=verdict.rejected,
        # Also that of the existing file: two ways to the same bytes outweigh a record.
        sums=frozenset(filter(None, (*verdict.record.sums, verdict.sha256))),
    )
