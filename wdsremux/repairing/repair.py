"""Makes a dataset whole again: damaged shards from their source, all other files from each other.

A shard made again is published only if it is, byte for byte, the one that was recorded: the promise
of `convert` that the same recipe gives the same bytes is what makes this possible.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
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
from wdsremux.core.records import Rejected
from wdsremux.dataset.card import CARD_NAME, card_bytes
from wdsremux.dataset.entry import entry_name
from wdsremux.dataset.ledger import RECIPE_NAME
from wdsremux.dataset.shards.series import prefix_of_shard, shard_name
from wdsremux.processing.plan import Conversion
from wdsremux.repairing.changes import Changes, changes_between
from wdsremux.repairing.examination import Examination, Verdict
from wdsremux.repairing.files import Files, findings_left, move_stray_entries
from wdsremux.repairing.recorded_head import Found, find_head
from wdsremux.repairing.rejections import Rejections
from wdsremux.repairing.remaking import Order, Remaking
from wdsremux.repairing.shard_records import ShardRecord, ShardRecords
from wdsremux.stores.base import Store
from wdsremux.stores.reading.untrusted import UntrustedFolder
from wdsremux.verifying.reports import RepairReport

AGAIN = "run the same convert command again: it goes on from there"
MAX_NAMED = 3

RepairObserver = Callable[[Event | CheckEvent], None]


class Reopen(Protocol):
    """Opens source and function again."""

    def __call__(self, head: Head, *, after_death: bool) -> Conversion:
        """Return a conversion as a head records it, careful after a run that died."""


def repair(
    out: Path,
    target: Store,
    reopen: Reopen,
    *,
    shards: Iterable[str],
    workers: int,
    observer: RepairObserver,
) -> RepairReport:
    """Mend the dataset in a folder that `target` publishes to; `wdsremux.repair` says more."""
    try:
        folder = UntrustedFolder(out)
    except OSError as exc:
        raise CorruptDataError(
            f"cannot read {str(out)!r}: {exc.strerror or exc}; give the folder of a dataset"
        ) from exc
    with folder, target.lock() as died:
        run = _Repair(folder, target, find_head(folder, str(out)), observer)
        run.examine(list(shards), max(1, workers))
        run.remake(lambda head: reopen(head, after_death=died))
        run.rebuild()
        run.tidy(str(out))
        return run.report(str(out))


class _Repair:
    """One repair."""

    def __init__(
        self, folder: UntrustedFolder, target: Store, found: Found, observer: RepairObserver
    ) -> None:
        self._folder = folder
        self._target = target
        self._files = Files(folder, target)
        self._head = found.head
        self._observer = observer
        self._records = ShardRecords(folder, found.head, found.manifest)
        self._rejections = Rejections(folder, self._records)
        self._true: dict[str, ShardSummary] = {}
        """What is true of each shard that is whole."""
        self._checked = 0
        self._is_partial = False
        self._to_make: list[Verdict] = []
        self._remade: list[str] = []
        self._moved: list[str] = []
        self._left: list[str] = []
        self._mismatch: str | None = None

    def examine(self, shards: Sequence[str], workers: int) -> None:
        """Read the shards, rebuild entries, and note what has to be made again."""
        self._files.write(RECIPE_NAME, indented_json(self._head.to_json()))
        chosen = self._chosen(shards)
        self._is_partial = bool(shards)
        self._checked = len(chosen)
        size_bytes = sum(record.summaries[0].size_bytes for record in chosen)
        self._observer(CheckBegun(len(chosen), size_bytes, workers))
        examination = Examination(
            self._folder, self._head, self._records, self._rejections, self._tell_bytes
        )
        for verdict in examination.verdicts(chosen, workers):
            if verdict.entry is not None:
                self._files.write(entry_name(verdict.record.name), verdict.entry.to_bytes())
            if verdict.problem is None and verdict.rejected is not None:
                self._true[verdict.record.name] = verdict.summary
            else:
                self._to_make.append(verdict)
                why = verdict.problem or "does not tell what was rejected, nor does anything else"
                self._observer(Note(f"{verdict.record.name} {why}: its rows are run again"))

    def remake(self, reopen: Callable[[Head], Conversion]) -> None:
        """Make shards again from their source, and publish those that become what they were."""
        orders = [_order(verdict) for verdict in self._to_make]
        if not self._is_partial:
            orders += [Order(**gap._asdict()) for gap in self._records.gaps()]
        if not orders:
            return
        orders.sort(key=lambda order: (order.series.number, order.number))
        conversion = self._reopened(reopen, orders)
        changes = changes_between(self._head, conversion.head)
        poison = self._rejections.poison | self._records.poison
        line = Remaking(conversion, self._head.fingerprint, self._records, poison, self._observer)
        # Where nothing tells what a shard was, only an unchanged conversion may say.
        sure = [order for order in orders if order.sums is not None or changes == Changes()]
        try:
            line.run(sure, gives_up=changes.spare_no_shard)
        except (SourceError, TransformError) as exc:
            if changes == Changes():
                raise
            raise RecipeMismatchError(f"{changes.text()}; it fails now: {exc}") from exc
        finally:
            self._remade += line.made
            self._true |= line.made
        lost = [name for order in orders for name in order.names if name not in line.made]
        if lost:
            self._mismatch = (
                f"{_names(lost)} cannot be made again with the bytes recorded, and nothing of "
                f"the kind was published: {changes.text()}"
            )

    def rebuild(self) -> None:
        """Write what is made of entries and head, once all shards stand.

        Raises RecipeMismatchError when a shard did not become what it was.
        """
        if self._mismatch is not None:
            mended = len(self._remade) + len(self._files.written)
            also = f"; {mended} other files were mended" if mended else ""
            raise RecipeMismatchError(self._mismatch + also)
        self._note_left()
        if self._left:
            return
        shards = {record.name: record.summaries[0] for record in self._records} | self._true
        order = {series.prefix: i for i, series in enumerate(self._records.series)}
        summaries = sorted(
            shards.values(), key=lambda s: (order[prefix_of_shard(s.name)], s.number)
        )
        manifest = Manifest(head=self._head, shards=tuple(summaries))
        entries = sorted(map(entry_name, shards))
        self._files.write_rejected(lambda: self._rejected_in(entries))
        if not self._files.write_card(card_bytes(manifest)):
            self._observer(Note(f"{CARD_NAME} is not ours and was left as it is"))
        self._files.write(MANIFEST_NAME, manifest.to_bytes())
        rows = sum(shards[name].stop - shards[name].start for name in self._remade)
        self._observer(Done(manifest, rows))

    def tidy(self, out: str) -> None:
        """Move away what belongs to no shard, and note all that `verify` would still find."""
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
                    f"--shard {name!r}: the dataset has no such shard; its shards are "
                    f"{_names(list(records))}"
                )
        return [record for name, record in records.items() if name in names]

    def _reopened(
        self, reopen: Callable[[Head], Conversion], orders: Sequence[Order]
    ) -> Conversion:
        try:
            return reopen(self._head)
        except WdsremuxError as exc:
            names = _names([name for order in orders for name in order.names])
            raise type(exc)(f"{names} must be made again, but {exc}") from exc

    def _note_left(self) -> None:
        """Note what is in the way of a manifest."""
        sizes = dict(self._target.list())
        for record in self._records:
            name, is_sure = record.name, len(record.summaries) == 1 and record.has_entry
            if name not in self._true and (
                not is_sure or sizes.get(name) != record.summaries[0].size_bytes
            ):
                self._left.append(f"{name} is not whole, either; run repair without --shard")
        for gap in self._records.gaps() if self._is_partial else ():
            name = shard_name(gap.series.prefix, gap.number)
            self._left.append(f"nothing is recorded of {name}; run repair without --shard")
        if not self._left and not self._records.is_finished:
            # A manifest that cannot be read would be in the way.
            remove = f"remove {MANIFEST_NAME} and " if MANIFEST_NAME in sizes else ""
            self._left.append(f"the conversion is not finished; {remove}{AGAIN}")

    def _rejected_in(self, names: Iterable[str]) -> Iterator[Rejected]:
        """Yield what entries say was rejected."""
        for name in names:
            entry = self._records.read(name)
            if entry is None:
                raise CorruptDataError(f"{name!r} was there a moment ago; run repair again")
            yield from entry.rejected

    def _tell_bytes(self, size_bytes: int) -> None:
        self._observer(CheckAdvanced(size_bytes))


def _order(verdict: Verdict) -> Order:
    """Return the order for a shard that a verdict finds wanting."""
    summary = verdict.summary
    return Order(
        series=verdict.record.series,
        number=summary.number,
        start=summary.start,
        stop=summary.stop,
        is_last=summary.is_last,
        rejected=verdict.rejected,
        # Also that of the file there: two ways to the same bytes outweigh a record.
        sums=frozenset(filter(None, (*verdict.record.sums, verdict.sha256))),
    )


def _names(names: Sequence[str]) -> str:
    """Return the first few names."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
