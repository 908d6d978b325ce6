"""Sends files from the source to the destination, several at a time, and asks for proofs."""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from wdsremux.core.errors import CorruptDataError, StoreError
from wdsremux.stores.base import OutgoingFile, Proof, Sums, Version
from wdsremux.stores.copying import BLOCK_BYTES, read_blocks
from wdsremux.stores.retry import RetryingStore
from wdsremux.syncing.contents import SyncFile
from wdsremux.syncing.options import SyncOptions
from wdsremux.syncing.source_files import SourceFiles, damage_of
from wdsremux.syncing.threads import Stop, in_threads

SURE = ("etag", "checksum", "reread")
"""Levels of proof that rest on more than our own notes."""
BULK_BYTES = 4 << 30
"""Maximum size of files that are sent in one call; fetched files take space on this machine."""
MD5_DIGITS = 32
READ_BACK_BYTES = 16 << 20
"""Files up to this size are read over a network where the store cannot prove them."""


@dataclass(frozen=True, slots=True)
class PresenceCheck:
    """Whether the store has the bytes of a file."""

    item: SyncFile
    receipt: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    """A file of this machine with the bytes of a shard, if there is one."""
    listed: Version | None = None
    """The file as the store lists it, which may prove it without a request."""


class FileSender:
    """Sends files and records the results; `send` and `check` are for one thread."""

    def __init__(
        self,
        files: SourceFiles,
        dest: RetryingStore,
        options: SyncOptions,
        stop: Stop,
        on_bytes: Callable[[int], None],
    ) -> None:
        self._files = files
        self._dest = dest
        self._jobs = options.jobs
        self._max_read_back_bytes = None if options.checksum else READ_BACK_BYTES
        self._stop = stop
        self._on_bytes = on_bytes
        self.proofs: dict[str, Proof] = {}
        """Proofs of the files that were sent, by name."""
        self.damaged: dict[str, str] = {}
        """What is wrong with the files that were not sent, by name."""

    def send(
        self,
        items: Sequence[SyncFile],
        sent: Callable[[SyncFile, Proof], None] = lambda _i, _p: None,
    ) -> None:
        """Send files; `sent` is called for each, in the thread that sent it.

        A file that is damaged at the source is recorded and not sent. Raises StoreError.
        """
        if self._dest.files_per_call > 1:
            # One after the other: files are published in their order.
            in_threads(
                1,
                lambda group: self._send_group(group, sent),
                _groups(items, self._dest.files_per_call),
                self._stop,
            )
        else:
            in_threads(self._jobs, lambda item: self._send_one(item, sent), items, self._stop)

    def check(self, checks: Iterable[PresenceCheck]) -> dict[str, Proof]:
        """Return how sure it is that the store has the bytes of files, by name."""
        found: dict[str, Proof] = {}

        def run(check: PresenceCheck) -> None:
            self._stop.check()
            found[check.item.name] = self._proof(check)

        in_threads(self._jobs, run, checks, self._stop)
        return found

    def put(self, name: str, path: Path, sums: Sums) -> Proof:
        """Send one more file."""
        proof = self.proofs[name] = self._dest.put(name, path, sums, self._on_bytes)
        return proof

    def _send_one(self, item: SyncFile, sent: Callable[[SyncFile, Proof], None]) -> None:
        self._stop.check()
        with self._noted(item), self._files.hold(item) as (path, sums):
            try:
                proof = self.put(item.name, path, sums)
            except StoreError as exc:
                damage = damage_of(path, item)
                if damage is None:
                    raise
                raise CorruptDataError(damage) from exc
            sent(item, proof)

    def _send_group(
        self, group: Sequence[SyncFile], sent: Callable[[SyncFile, Proof], None]
    ) -> None:
        self._stop.check()
        with contextlib.ExitStack() as held:
            outgoing = {}
            for item in group:
                with self._noted(item):
                    path, sums = held.enter_context(self._files.hold(item))
                    damage = damage_of(path, item)
                    if damage is not None:
                        raise CorruptDataError(damage)
                    outgoing[item] = OutgoingFile(item.name, path, sums)
            proofs = self._dest.put_many([*outgoing.values()], self._on_bytes) if outgoing else {}
            self.proofs |= proofs
            for item in outgoing:
                sent(item, proofs[item.name])

    @contextlib.contextmanager
    def _noted(self, item: SyncFile) -> Iterator[None]:
        try:
            yield
        except CorruptDataError as exc:
            self.damaged[item.name] = str(exc)

    def _proof(self, check: PresenceCheck) -> Proof:
        item = check.item
        if item.sha256 is not None:
            sums, path = Sums(item.size_bytes, item.sha256, check.receipt), check.path
            listed = check.listed.proof(sums) if check.listed is not None else None
            if listed is not None:
                return listed
            if path is not None and damage_of(path, item) is not None:
                path = None  # the copy may be damaged in the same way: it proves nothing
            proof = self._dest.prove(item.name, sums, path)
        else:
            try:
                with self._files.hold(item) as (held, sums):
                    proof = _listed_proof(check.listed, held, sums) or self._dest.prove(
                        item.name, sums, held
                    )
            except CorruptDataError:
                return Proof("differs")  # sending it finds the same damage, and reports it
        max_bytes = self._max_read_back_bytes
        is_small = max_bytes is None or (not item.is_shard and sums.size_bytes <= max_bytes)
        return (
            self._read_back(item.name, sums) if proof.level == "unverified" and is_small else proof
        )

    def _read_back(self, name: str, sums: Sums) -> Proof:
        sha256 = self._dest.tried(lambda: self._stored_sha256(name))
        is_same = sha256 == sums.sha256
        return Proof("reread" if is_same else "differs", "SHA-256 of the bytes read back")

    def _stored_sha256(self, name: str) -> str:
        digest = hashlib.sha256()
        with self._dest.store.open(name) as file:
            while block := file.read(BLOCK_BYTES):
                self._stop.check()
                digest.update(block)
        return digest.hexdigest()


def _listed_proof(listed: Version | None, path: Path, sums: Sums) -> Proof | None:
    """Return the proof of a small file by the list of the store, where its ETag is an MD5."""
    if listed is None or len(listed.etag) != MD5_DIGITS or sums.size_bytes > READ_BACK_BYTES:
        return None
    md5 = hashlib.md5(usedforsecurity=False)
    for block in read_blocks(path):
        md5.update(block)
    return listed.proof(replace(sums, receipt={"etag": md5.hexdigest()}))


def _groups(items: Sequence[SyncFile], max_files: int) -> Iterator[list[SyncFile]]:
    group: list[SyncFile] = []
    held = 0
    for item in items:
        if group and (len(group) == max_files or held + item.size_bytes > BULK_BYTES):
            yield group
            group, held = [], 0
        group.append(item)
        held += item.size_bytes
    if group:
        yield group
