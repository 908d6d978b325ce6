"""A remote store that is written to at disk speed: files are staged and sent in the background.

Up to `max_bytes` are staged: then writing waits until a file was sent. So writing and sending run
in parallel, together as fast as the slower of the two.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from wdsremux.core.errors import StoreError, WdsremuxError
from wdsremux.core.manifest import MANIFEST_NAME, STATE_FOLDER
from wdsremux.core.option_values import size
from wdsremux.stores.base import OutgoingFile, Proof, Store, Sums
from wdsremux.stores.folder.store import FolderStore
from wdsremux.stores.reading.prefetch import READS_AT_ONCE
from wdsremux.stores.retry import RetryingStore
from wdsremux.stores.staging.files import StagedFile, staging_error
from wdsremux.stores.staging.uploader import ENDS_WITHIN_S, Uploader

WAITS_FOR_ALL = (MANIFEST_NAME, f"{STATE_FOLDER}/")
"""Files that rely on others, unless they are entries: recipe, records and the manifest."""


class StagedStore(Store):
    """Publishes files at a remote store, whole and in the order of their commits.

    `commit` of the manifest and of the files in the state folder, except entries, returns when it
    is published, and all before it; that of any other file before it is. Reading waits for queued
    files. Written to by one thread.
    """

    def __init__(
        self,
        remote: Store,
        folder: Path,
        max_bytes: int,
        *,
        give_up_after_s: float = 120.0,
        notify: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """`folder` is ours alone: its contents are removed, at the beginning and the end."""
        self.remote = remote
        self.url, self.endpoint = remote.url, remote.endpoint
        self._patient = RetryingStore(remote, give_up_after_s, notify=notify)
        self.folder = folder
        self._receipts: dict[str, Mapping[str, str]] = {}
        """What the store reported of each shard that it stored (`Proof.receipt`)."""
        self._unverified = 0
        """Shards of which the store reports only the size."""
        self._max_bytes = max_bytes
        self._give_up_after_s = give_up_after_s
        self._notify = notify
        self._uploader: Uploader | None = None
        self._files = 0
        self._open_bytes = 0
        """Bytes that are staged and not committed."""
        self._has_noted_bound = False

    def stage(self, name: str) -> StagedFile:
        """Begin a new file, in the staging folder."""
        self._files += 1
        path = self.folder / f"{self._files:06d}-{Path(name).name}"
        with self._translating_errors():
            if self._files == 1:
                self._make_folder()
            return StagedFile(self, name, path)

    def put(
        self, name: str, path: Path, sums: Sums, on_bytes: Callable[[int], None] = lambda _: None
    ) -> Proof:
        """Publish a copy of a file after all that is queued, without staging it."""
        self.flush()
        return self._patient.put(name, path, sums, on_bytes)

    def prove(self, name: str, sums: Sums, path: Path | None = None) -> Proof:
        """Return how sure it is that a published file has these bytes."""
        self.flush()
        return self._patient.prove(name, sums, path)

    def open(self, name: str) -> BinaryIO:
        """Open a published file, which is read whole; raises FileNotFoundError."""
        uploader = self._running_uploader()
        if uploader.holds(name):
            uploader.wait_until(lambda: not uploader.holds(name))

        def fetched() -> bytes:
            with self.remote.open(name) as file:
                return file.read()

        return BytesIO(self._patient.tried(fetched))

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield (name, size in bytes) of the files of one folder, sorted by name."""
        self.flush()
        return self._patient.list(prefix)

    def remove(self, name: str) -> None:
        """Remove a published file; no error when it is not there."""
        self.flush()
        self._patient.remove(name)

    @contextlib.contextmanager
    def lock(self, part: str = "") -> Iterator[bool]:
        """Keep other runs away while the block runs, and remove all staged files.

        Unless it is stopped, what is committed is published before the lock is released.
        """
        with contextlib.ExitStack() as locked:
            died = locked.enter_context(self._patient.lock(part))
            within_s: float | None = None
            try:
                self.flush()
                self._clear()
                self._check_room()
                yield died
                self.flush()
            except WdsremuxError:
                # Finished shards are kept: queued ones are still sent. If sending is what failed,
                # this raises the same again.
                with contextlib.suppress(WdsremuxError):
                    self.flush()
                within_s = ENDS_WITHIN_S
                raise
            finally:
                # An upload may not end at once: no other run may write there until it has.
                self.close(locked.pop_all().close, within_s)

    def receipts(self, files: Mapping[str, Sums]) -> dict[str, Mapping[str, str]]:
        """Return the receipts of files, which all must exist. Raises StoreError.

        The store is asked, so that they are the same whether this run sent the files or one
        before it.
        """
        self.flush()
        if self._unverified:
            self._notify(
                f"{self._unverified} uploaded shards could not be verified: the store reports only "
                f"their size; `wdsremux verify --deep {self.url}` reads them"
            )
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            found = dict(
                zip(files, pool.map(self._patient.prove, files, files.values()), strict=True)
            )
        for name, proof in found.items():
            if not proof.is_there:
                raise StoreError(
                    f"{f'{self.url}/{name}'!r} has been removed or replaced; make sure that "
                    "only one run writes there, then run the same command again"
                )
        return {n: proof.receipt or self._receipts.get(n, {}) for n, proof in found.items()}

    def flush(self) -> None:
        """Wait until all that is committed is published; raises what ended the upload."""
        self._running_uploader().flush()

    def close(
        self, when_ended: Callable[[], object] = lambda: None, within_s: float | None = None
    ) -> None:
        """Stop sending, as `Uploader.stop` does, and remove the staging folder."""
        uploader, self._uploader = self._running_uploader(), None
        uploader.stop(when_ended, within_s)
        # The next run removes what cannot be removed now.
        with contextlib.suppress(StoreError):
            self._clear()

    def reserve(self, more_bytes: int) -> None:
        """Wait until there is room for more bytes, or no upload that could make room.

        Raises what ended the upload.
        """
        uploader = self._running_uploader()
        uploader.wait_until(
            lambda: not uploader.files or self._staged_bytes() + more_bytes <= self._max_bytes
        )
        self._open_bytes += more_bytes
        if self._staged_bytes() > self._max_bytes and not self._has_noted_bound:
            self._has_noted_bound = True
            self._notify(
                f"--staging-max {size(self._max_bytes)} is too small for the shards being written: "
                "more than that is staged; raise it or lower --max-shard-size"
            )

    def has_made_room(self) -> bool:
        """Wait until one more file was sent; False when none is queued."""
        uploader = self._running_uploader()
        files = uploader.files
        uploader.wait_until(lambda: uploader.files < files or not files)
        return files > 0

    def take(self, file: OutgoingFile) -> None:
        """Queue a finished file, and wait until it is published where others rely on it."""
        uploader = self._running_uploader()
        self._open_bytes -= file.sums.size_bytes
        uploader.add(file)
        if file.name.startswith(WAITS_FOR_ALL) and not file.name.endswith(".msgpack"):
            uploader.flush()

    def release(self, reserved_bytes: int) -> None:
        """Release reserved bytes that are not needed."""
        self._open_bytes -= reserved_bytes

    def _staged_bytes(self) -> int:
        return self._open_bytes + self._running_uploader().queued_bytes

    def _running_uploader(self) -> Uploader:
        if self._uploader is None:
            self._uploader = Uploader(
                self.remote,
                give_up_after_s=self._give_up_after_s,
                notify=self._notify,
                on_sent=self._note_sent,
            )
        return self._uploader

    def _note_sent(self, file: OutgoingFile, proof: Proof) -> None:
        if file.name.endswith(".tar"):
            self._receipts[file.name] = proof.receipt
            self._unverified += proof.level == "unverified"
        with contextlib.suppress(OSError):
            file.path.unlink()

    def _check_room(self) -> None:
        free = FolderStore(self.folder).free_bytes()
        if free is not None and free < self._max_bytes:
            self._notify(
                f"{size(free)} is free in {str(self.folder.parent)!r}, less than --staging-max "
                f"{size(self._max_bytes)}: when it is used up, the conversion waits for "
                "uploads; use another folder with --staging"
            )

    def _make_folder(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        # Not `exist_ok`: in a shared folder, another user may have created it.
        self.folder.mkdir(mode=0o700)

    def _clear(self) -> None:
        """Remove the folder: the same bytes of what a killed run staged are made again."""
        self._files = self._open_bytes = 0
        with self._translating_errors(), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)

    @contextlib.contextmanager
    def _translating_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise staging_error(self.folder, exc) from exc
