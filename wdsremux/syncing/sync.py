"""`wdsremux sync`: copies a finished dataset to a folder, a bucket or the Hub.

Shards first, then their entries, and `index.json` last: a reader never sees an index that names
missing files.
"""

import contextlib
import hashlib
import os
import shlex
import time
from collections import Counter
from pathlib import Path

from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.core.events import (
    Note,
    SyncAdvanced,
    SyncBegun,
    SyncObserver,
    ignore_event,
    log_notes,
)
from wdsremux.core.manifest import MANIFEST_NAME, Manifest
from wdsremux.core.option_values import first_of
from wdsremux.dataset.published import loaders_of
from wdsremux.stores import registry
from wdsremux.stores.address import address_of
from wdsremux.stores.base import Proof, Store, Sums
from wdsremux.stores.retry import RetryingStore
from wdsremux.stores.staging.files import scratch_errors, scratch_folder
from wdsremux.syncing.contents import Contents, SyncFile, contents_of, finished_contents
from wdsremux.syncing.index_file import index_at
from wdsremux.syncing.moving import Mover, moved_shards
from wdsremux.syncing.options import SyncOptions
from wdsremux.syncing.plan import Endpoints, TransferPlan, plan_of
from wdsremux.syncing.refusals import refuse_foreign, refuse_other, refuse_same_place
from wdsremux.syncing.report import SentFile, SyncReport, Why
from wdsremux.syncing.sending import FileSender
from wdsremux.syncing.shard_moves import ShardMoves
from wdsremux.syncing.source_files import FetchedFiles, LocalFiles, SourceFiles
from wdsremux.syncing.threads import Notifier, Stop, Throttle


def sync(  # noqa: PLR0913 (one for each flag)
    source: str | os.PathLike[str],
    dest: str | os.PathLike[str],
    *,
    delete: bool = False,
    checksum: bool = False,
    dry_run: bool = False,
    move: bool = False,
    jobs: int = 4,
    bandwidth: str | int | None = None,
    give_up_after: str | float | None = None,
    observer: SyncObserver = log_notes,
) -> SyncReport:
    """Copy a finished dataset to another store; files that are there already are not sent.

    `source` and `dest` are folders, or URLs of s3://, gs://, az:// or hf://datasets/. The options
    are those of `wdsremux sync --help`, as strings ("50MB", "10m") or values. Shards are sent
    first and `index.json` last; the same call again resumes an interrupted one.

    Nothing is printed. An `observer` is called with each event of `wdsremux.events`; without one,
    notes are logged as warnings of the logger "wdsremux".

    Raises UsageError, SourceError for a source that is not a finished dataset, CorruptDataError
    when files of it are damaged (the others are sent, the index is not), StoreError.
    """
    options = SyncOptions.from_options(
        {
            "delete": delete,
            "checksum": checksum,
            "dry_run": dry_run,
            "move": move,
            "jobs": jobs,
            "bandwidth": bandwidth,
            "give_up_after": give_up_after,
        }
    )
    return sync_by(source, dest, options, observer)


def sync_by(
    source: str | os.PathLike[str],
    dest: str | os.PathLike[str],
    options: SyncOptions,
    observer: SyncObserver = ignore_event,
) -> SyncReport:
    """Do what `sync` does, with parsed options."""
    here, there = (_opened(*end, options.jobs) for end in ((source, "FROM"), (dest, "TO")))
    _refuse_ends(here, there, options)
    with scratch_folder(address_of(there)) as folder:
        return _Sync(here, there, options, observer, folder).run()


def _opened(url: str | os.PathLike[str], name: str, parallel: int) -> Store:
    if not os.fspath(url):
        raise UsageError(f"{name} is empty; write . for the current folder")
    return registry.open_store(url, parallel=parallel)


def _refuse_ends(here: Store, there: Store, options: SyncOptions) -> None:
    refuse_same_place(here, there)
    if options.move and here.root is None:
        raise UsageError(f"--move removes shards of a folder, but {here.url!r} is not a folder")


class _Sync:
    """One sync."""

    def __init__(
        self,
        source: Store,
        dest: Store,
        options: SyncOptions,
        observer: SyncObserver,
        folder: Path,
    ) -> None:
        """`folder` is for temporary files."""
        self._options = options
        self._folder = folder
        self._began = time.monotonic()
        self._notifier = Notifier(observer)
        self._stop = Stop()
        self._source = self._patient(source)
        self._dest = self._patient(dest)
        self._files = self._source_files()
        # A download to a folder is throttled where it is fetched.
        is_fetch = source.root is None and dest.root is not None
        self._throttle = self._throttled(None if is_fetch else options.bandwidth)
        self._sender = FileSender(self._files, self._dest, options, self._stop, self._sent)
        mover = None
        if source.root is not None and options.move:
            mover = Mover(source.root, self._source, address_of(dest))
        self._moves = ShardMoves(mover, is_dry_run=options.dry_run)
        self._sent_files: list[SentFile] = []
        self._present_index_bytes = 0

    def run(self) -> SyncReport:
        """Do all of it, under the lock of the destination."""
        here, manifest = finished_contents(self._source)
        if here.indexes is not None and not here.has_current_indexes:
            kinds = ", ".join(here.indexes.kinds)
            text = f"the indexes {kinds} describe other shards and are not copied"
            renew = shlex.join(["wdsremux", "index", self._source.url])
            self._notifier.notify(Note(f"{text}; renew them with `{renew}`"))
        with contextlib.ExitStack() as locked:
            if not self._options.dry_run:
                if self._moves.is_asked:
                    locked.enter_context(self._source.lock())
                locked.enter_context(self._dest.lock())
            ends = self._ends(here, manifest)
            plan = plan_of(
                ends,
                self._sender,
                moves=self._moves.is_asked,
                reads_all=self._options.checksum,
            )
            self._sent_files = plan.sent_files
            if self._options.dry_run:
                self._refuse_damage(plan)
                self._count_index(ends, plan)
                self._moves.record_planned(ends, plan)
            else:
                self._carry(ends, plan)
        return self._report(manifest, plan)

    def _ends(self, here: Contents, manifest: Manifest) -> Endpoints:
        there = contents_of(self._dest)
        ours = {s.name: s.size_bytes for s in manifest.shards}
        ours |= {name: one.size_bytes for name, one in here.index_files.items()}
        refuse_foreign(ours, there, self._dest.url)
        if not self._options.delete:
            refuse_other(manifest, there, self._dest.url)
        return Endpoints(
            source=self._source,
            here=here,
            manifest=manifest,
            dest=self._dest,
            there=there,
            moved=moved_shards(self._source, address_of(self._dest)),
        )

    def _carry(self, ends: Endpoints, plan: TransferPlan) -> None:
        self._notifier.notify(SyncBegun(len(self._sent_files), self._size_bytes()))
        if plan.takes_index_first:
            self._dest.remove(MANIFEST_NAME)
        self._moves.begin(ends, plan)
        # Together: where files are published by commits, the recipe needs no commit of its own.
        self._sender.send([*plan.first, *plan.shards], self._done)
        self._moves.keep(self._sender.damaged)
        self._sender.send(plan.small, self._done)
        self._refuse_damage(plan)
        index = self._count_index(ends, plan)
        if index is not None:
            self._put_index(index)
        if self._options.delete and plan.stale:
            self._dest.remove_many(plan.stale)

    def _count_index(self, ends: Endpoints, plan: TransferPlan) -> bytes | None:
        """Return the index if it must be sent, and count it among the sent files."""
        index = index_at(ends, plan, self._sender.proofs)
        if index == ends.there.index and not plan.takes_index_first:
            self._present_index_bytes = len(index)
            return None
        why: Why = "missing" if ends.there.index is None else "differs"
        self._sent_files.append(SentFile(MANIFEST_NAME, len(index), why))
        return index

    def _size_bytes(self) -> int:
        return sum(file.size_bytes for file in self._sent_files)

    def _put_index(self, index: bytes) -> None:
        path = self._folder / MANIFEST_NAME
        with scratch_errors(self._folder.parent):
            path.write_bytes(index)
        sums = Sums(len(index), hashlib.sha256(index).hexdigest())
        self._sender.put(MANIFEST_NAME, path, sums)

    def _done(self, item: SyncFile, proof: Proof) -> None:
        self._notifier.notify(SyncAdvanced(0, files=1))
        self._moves.free(item, proof)

    def _refuse_damage(self, plan: TransferPlan) -> None:
        damaged = [*(plan.lost | self._sender.damaged).values()]
        if not damaged:
            return
        sent = (
            "" if self._options.dry_run else f"; the other files were sent, {MANIFEST_NAME} was not"
        )
        raise CorruptDataError(
            f"{self._source.url!r} is damaged: {first_of(damaged, 'file')}{sent}; run "
            "`wdsremux verify` and `wdsremux repair` on it, then the same command again"
        )

    def _report(self, manifest: Manifest, plan: TransferPlan) -> SyncReport:
        sizes = [item.size_bytes for item, _ in plan.present.values()]
        sizes += [self._present_index_bytes] if self._present_index_bytes else []
        return SyncReport(
            dest=self._dest.url,
            is_dry_run=self._options.dry_run,
            files=len(self._sent_files),
            size_bytes=self._size_bytes(),
            sent_files=tuple(self._sent_files),
            present_files=len(sizes),
            present_bytes=sum(sizes),
            seconds=time.monotonic() - self._began,
            levels=dict(Counter(proof.level for proof in self._sender.proofs.values())),
            removed=tuple(plan.stale) if self._options.delete else (),
            stale=() if self._options.delete else tuple(plan.stale),
            freed=self._moves.freed,
            kept=tuple(sorted(self._moves.kept)),
            left_alone=tuple(plan.left_alone),
            loaders=loaders_of(self._dest, manifest),
        )

    def _patient(self, store: Store) -> RetryingStore:
        return RetryingStore(
            store, self._options.give_up_after, notify=self._notifier.note, sleep=self._stop.sleep
        )

    def _throttled(self, bytes_per_s: int | None) -> Throttle:
        return Throttle(bytes_per_s, self._stop.sleep)

    def _source_files(self) -> SourceFiles:
        if self._source.root is not None:
            return LocalFiles(self._source.root)
        throttle = self._throttled(self._options.bandwidth)

        def fetched(size_bytes: int) -> None:
            self._stop.check()
            throttle.passed(size_bytes)

        return FetchedFiles(self._source, self._folder, fetched)

    def _sent(self, size_bytes: int) -> None:
        self._stop.check()
        self._throttle.passed(size_bytes)
        if size_bytes:
            self._notifier.notify(SyncAdvanced(size_bytes))
