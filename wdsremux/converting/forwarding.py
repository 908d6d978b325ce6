"""Converts to two places at once: `--sync-to`."""

import contextlib
import hashlib
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Self

from wdsremux.core.errors import StoreError, UnreachableStoreError, UsageError, WdsremuxError
from wdsremux.core.events import Begun, Event, Note, Observer, ShardDone
from wdsremux.core.manifest import MANIFEST_NAME, STATE_FOLDER, Manifest, ShardSummary
from wdsremux.core.recipe import Run
from wdsremux.dataset.entry import entry_name
from wdsremux.dataset.ledger import RECIPE_NAME
from wdsremux.processing.plan import Conversion
from wdsremux.stores import registry
from wdsremux.stores.base import OutgoingFile, Store, Sums
from wdsremux.stores.staging.uploader import ENDS_WITHIN_S, Uploader, what_happened
from wdsremux.syncing.refusals import refuse_beforehand
from wdsremux.syncing.sync import sync

Convert = Callable[[Conversion, Run, Observer], Manifest]


def convert_and_sync(
    convert: Convert, conversion: Conversion, out: str | Path, run: Run, observer: Observer
) -> Manifest:
    """Convert, and upload what is finished to a second place; its failures are raised last."""
    folder = conversion.store.root
    if folder is None:
        raise UsageError(
            f"--sync-to needs an OUT that is a folder, and {str(out)!r} is not; run `wdsremux "
            "sync` after the conversion"
        )
    second = str(run.sync_to)
    try:
        # Wrong keys, and a place that would be refused in the end, are reported at once.
        remote = registry.open_store(second)
        planned = Manifest(head=conversion.head, shards=())
        refuse_beforehand(conversion.store, planned, remote)
    except UnreachableStoreError as exc:
        observer(Note(f"{exc}; converting without uploading, and trying again at the end"))
        manifest = convert(conversion, run, observer)
    else:
        with Forwarder(folder, remote, observer, run.give_up_after) as forwarder:
            manifest = convert(conversion, run, forwarder)
            forwarder.finish()
    try:
        report = sync(
            out,
            second,
            give_up_after=run.give_up_after,
            observer=lambda event: observer(event) if isinstance(event, Note) else None,
        )
    except WdsremuxError as exc:
        again = shlex.join(["wdsremux", "sync", str(out), second])
        raise StoreError(
            f"{str(out)!r} is finished, but not all of it is at {second!r}: {exc}; resume with: "
            f"{again}"
        ) from exc
    observer(
        Note(f"the copy at {report.dest} is complete; check it with: wdsremux verify {second}")
    )
    return manifest


class Forwarder:
    """An observer of a conversion that passes events on, and uploads what is finished.

    A context manager that holds the lock of the second place; for one thread.
    """

    def __init__(
        self, folder: Path, remote: Store, observer: Observer, give_up_after_s: float
    ) -> None:
        """`folder` is the output of the conversion."""
        self._folder = folder
        self._remote = remote
        self._observer = observer
        self._uploader = Uploader(remote, give_up_after_s=give_up_after_s, notify=self._notify)
        self._locked = contextlib.ExitStack()
        self._is_sending = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_exc: object) -> None:
        self._is_sending = False
        # An interrupted run waits for nothing; else a sync follows, which needs the lock.
        within_s = ENDS_WITHIN_S if kind is None else None
        self._uploader.stop(self._locked.pop_all().close, within_s)

    def __call__(self, event: Event) -> None:
        """Pass an event on; finished files are uploaded in the background."""
        self._observer(event)
        if isinstance(event, Begun):
            self._try(self._begin)
        elif isinstance(event, ShardDone):
            self._try(lambda: self._send_shard(event.shard))
        if self._is_sending:
            self._try(lambda: self._uploader.wait_until(lambda: True))

    def finish(self) -> None:
        """Wait until everything is uploaded, or given up."""
        if self._is_sending and self._uploader.files:
            self._notify(
                f"{self._uploader.files} files are still to be uploaded to {self._remote.url}"
            )
            self._try(self._uploader.flush)

    def _begin(self) -> None:
        self._locked.enter_context(self._remote.lock())
        names = {name for name, _ in self._remote.list()}
        has_state = any(True for _ in self._remote.list(STATE_FOLDER))
        is_foreign = not has_state and any(name.endswith(".tar") for name in names)
        if MANIFEST_NAME in names or is_foreign:
            # Its index would be wrong until the end.
            self._notify(
                f"{self._remote.url} already holds shards: it is synced after the conversion"
            )
            return
        self._is_sending = True
        # First: it marks the place as an output of wdsremux.
        self._send(RECIPE_NAME)

    def _send_shard(self, shard: ShardSummary) -> None:
        self._send(shard.name, Sums(shard.size_bytes, shard.sha256))
        self._send(entry_name(shard.name))

    def _send(self, name: str, sums: Sums | None = None) -> None:
        if self._is_sending:
            path = self._folder / name
            self._uploader.add(OutgoingFile(name, path, sums or _sums(path)))

    def _try(self, do: Callable[[], object]) -> None:
        try:
            do()
        except Exception as exc:  # noqa: BLE001 (a bug here must not end hours of work)
            # The sync at the end meets the same, and reports it in full.
            self._is_sending = False
            what = what_happened(exc)
            self._notify(f"{what}; converting without uploading, and trying again at the end")

    def _notify(self, text: str) -> None:
        self._observer(Note(text))


def _sums(path: Path) -> Sums:
    data = path.read_bytes()
    return Sums(len(data), hashlib.sha256(data).hexdigest())
