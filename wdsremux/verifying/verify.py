"""Verifies a dataset: its manifest, its entries and the content of its shards agree.

Shards are checked in parallel by threads: hashing, checksums and decoding release Python's lock.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

from wdsremux.core.cpus import usable_cpus
from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.core.events import CheckAdvanced, CheckBegun, CheckObserver, ignore_event
from wdsremux.dataset.ownership import owner_of
from wdsremux.dataset.reader import listing
from wdsremux.dataset.shards.key_register import KeyRegister
from wdsremux.stores.reading.remote_folder import RemoteFolder
from wdsremux.stores.reading.untrusted import Folder, UntrustedFolder
from wdsremux.stores.registry import open_folder
from wdsremux.transforms.libraries import quiet_libraries
from wdsremux.verifying.checks.foreign_dataset import inspect_foreign
from wdsremux.verifying.checks.loader_indexes import damaged_indexes
from wdsremux.verifying.checks.member_contents import ImageCheck, Schema
from wdsremux.verifying.checks.mixture import Mixture
from wdsremux.verifying.checks.own_dataset import OwnDataset
from wdsremux.verifying.checks.proof import prove_shard
from wdsremux.verifying.checks.quarantine import DAMAGE
from wdsremux.verifying.checks.quarantine import quarantine as move_away
from wdsremux.verifying.checks.shard import CheckContext, ShardResult, check_shard
from wdsremux.verifying.checks.shard_tasks import CheckPlan, ShardTask, subset_of
from wdsremux.verifying.checks.structure import Expected
from wdsremux.verifying.findings import Code, Finding
from wdsremux.verifying.reports import DEPTHS, Collector, Depth, Report, ShardFindings

MAX_FINDINGS = 100_000
"""Reported one by one; more are only counted."""
REPORT_EVERY_S = 0.2
REMOTE_WORKERS = 8
"""Shards in progress at a time over a network: most of that time is waiting."""


def verify(  # noqa: PLR0913 (options of a public function, each by its name)
    out: str | Path,
    depth: Depth = "bytes",
    *,
    deep: bool = False,
    subset: str | None = None,
    workers: int | None = None,
    quarantine: bool = False,
    observer: CheckObserver = ignore_event,
) -> Report:
    """Check the dataset in a folder, or behind a URL, and return what was found.

    Each depth includes the ones before:

    * `entries`: manifest, entries and files agree, sizes are right, keys are unique, counts add up;
    * `bytes`: the SHA-256 of every shard; damage is traced to the sample and, where possible, to
      the byte;
    * `samples`: the tars' structure, every sample's CRC-32, JSON schema, label range;
    * `pixels`: every image decodes to the size its JSON says.

    Behind a URL no shard is read: `bytes` proves each by a checksum of its server; with `deep` all
    are read, at every depth. In a folder `deep` reads from the disk, not from the
    page cache.

    Shards of other tools have no recorded sums: `bytes` reads them completely and checks their
    structure. `subset` ("1/20", "5%") chooses the shards that are read. With
    `quarantine`, damaged shards are moved to `.wdsremux/quarantine/` under `out`; nothing else is
    changed.

    Raises CorruptDataError when there is no dataset, UsageError, or StoreError when a shard
    cannot be moved or a server cannot be reached.
    """
    began = time.monotonic()
    _refuse_invalid_options(depth, workers, deep=deep)
    with _opened(out, is_cold=deep) as folder:
        if isinstance(folder, RemoteFolder):
            _refuse_folder_options(depth, deep=deep, quarantine=quarantine)
        run = _Verification(folder, depth, observer)
        run.verify(out, subset, workers, deep=deep)
        return run.report(str(out), run.move_damaged() if quarantine else (), began)


def _refuse_invalid_options(depth: Depth, workers: int | None, *, deep: bool) -> None:
    if depth not in DEPTHS:
        raise UsageError(f"unknown --depth {depth!r}; use one of {', '.join(DEPTHS)}")
    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers} is not enough to read shards; pass 1 or more")
    if deep and depth == "entries":
        raise UsageError("--deep reads every byte, but --depth entries none; remove one of them")


def _refuse_folder_options(depth: Depth, *, deep: bool, quarantine: bool) -> None:
    if quarantine:
        raise UsageError(
            "--quarantine only works in a folder; repair the local copy of a remote output with "
            "`wdsremux repair`, then upload it again with `wdsremux sync`"
        )
    if depth in ("samples", "pixels") and not deep:
        raise UsageError(f"--depth {depth} reads every shard over the network; add --deep to do so")


def _opened(out: str | Path, *, is_cold: bool) -> Folder:
    try:
        return open_folder(out, is_cold=is_cold)
    except OSError as exc:
        raise CorruptDataError(
            f"cannot read {str(out)!r}: {exc.strerror or exc}; pass the folder of a dataset"
        ) from exc


Check = Callable[[ShardTask], ShardResult]


def _size_of(tasks: Sequence[ShardTask]) -> int:
    return sum(task.size_bytes for task in tasks)


@dataclass(slots=True)
class _ByteProgress:
    """Counts the bytes that the threads read, and stops them."""

    read_bytes: int = 0
    is_stopped: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, size_bytes: int) -> None:
        if self.is_stopped:
            raise InterruptedError("the run was stopped")
        with self._lock:
            self.read_bytes += size_bytes


class _Verification:
    """One verification."""

    def __init__(self, folder: Folder, depth: Depth, observer: CheckObserver) -> None:
        self._folder = folder
        self._depth: Depth = depth
        self._observer = observer
        self._found = Collector()
        self._holders = KeyRegister()
        self._meter = _ByteProgress()
        self._plan = CheckPlan(tasks=(), shards=0, is_ours=False)
        self._tasks: tuple[ShardTask, ...] = ()
        self._verdicts: list[ShardResult] = []
        """Without their findings, which are in `_gathered`."""
        self._gathered = ShardFindings(MAX_FINDINGS)

    def verify(
        self, out: str | Path, subset: str | None, workers: int | None, *, deep: bool
    ) -> None:
        """Run all checks; the findings are in the report."""
        is_remote = isinstance(self._folder, RemoteFolder)
        try:
            with listing(str(out)):
                self.inspect(out)
            at_once = workers or (REMOTE_WORKERS if is_remote else usable_cpus())
            self.read(subset, at_once, deep=deep)
            self.gather()
        finally:
            self._holders.close()

    def inspect(self, out: str | Path) -> None:
        """Run the checks that read no shard."""
        owner = owner_of(self._folder)
        if owner == "none":
            raise CorruptDataError(
                f"{str(out)!r} contains no dataset: it has neither index.json nor shards; pass "
                "the folder that convert wrote, or one with .tar shards"
            )
        if owner == "ours":
            self._plan = OwnDataset(self._folder, self._found, self._holders).inspect()
        else:
            self._plan = inspect_foreign(self._folder, self._found)

    def read(self, subset: str | None, workers: int, *, deep: bool) -> None:
        """Read or prove the shards of the subset, one per worker at a time."""
        self._tasks = subset_of(self._plan.tasks, subset)
        if self._depth == "entries":
            return
        if self._depth == "pixels":
            quiet_libraries()
        check: Check
        is_proven = isinstance(self._folder, RemoteFolder) and not deep
        if not is_proven:
            for finding in damaged_indexes(self._folder, self._plan.index_sums):
                self._found.take(finding)
        if isinstance(self._folder, RemoteFolder) and is_proven:
            check, size_bytes = partial(prove_shard, folder=self._folder), 0
        else:
            check, size_bytes = partial(check_shard, context=self._context()), _size_of(self._tasks)
        self._observer(CheckBegun(len(self._tasks), size_bytes, workers))
        verdicts: dict[int, ShardResult] = {}
        for number, verdict in self._verdicts_of(check, workers):
            self._gathered.take(number, verdict.findings, verdict.counts)
            verdicts[number] = replace(verdict, findings=())
        self._verdicts = [verdicts[number] for number in range(len(self._tasks))]
        self._compare_shards()

    def _context(self) -> CheckContext:
        plan = self._plan
        return CheckContext(
            folder=self._folder,
            plan=plan,
            expected=Expected(
                depth=self._depth,
                schema=Schema(plan.features),
                images=ImageCheck(plan.max_pixels),
                is_ours=plan.is_ours,
            ),
            holders=self._holders,
            names_by_sum=plan.names_by_sum(),
            on_bytes=self._meter,
        )

    def gather(self) -> None:
        """Put the findings of `inspect` first, once all others are known."""
        self._gathered.take(-1, self._found.findings(), self._found.counts)

    def _verdicts_of(self, check: Check, workers: int) -> Iterator[tuple[int, ShardResult]]:
        """Yield (number of the task, verdict) as they come."""
        waiting = iter(enumerate(self._tasks))
        pending: dict[Future[ShardResult], int] = {}
        pool = ThreadPoolExecutor(workers, thread_name_prefix="verify")
        reported = 0
        try:
            while True:
                for number, task in islice(waiting, 2 * workers - len(pending)):
                    pending[pool.submit(check, task)] = number
                if not pending:
                    return
                done, _ = wait(pending, REPORT_EVERY_S, FIRST_COMPLETED)
                read_bytes = self._meter.read_bytes
                self._observer(CheckAdvanced(read_bytes - reported, len(done)))
                reported = read_bytes
                yield from ((pending.pop(future), future.result()) for future in done)
        finally:
            # After an interruption the threads end at their next block.
            self._meter.is_stopped = True
            pool.shutdown(cancel_futures=True)

    def _compare_shards(self) -> None:
        """Report shards whose samples differ in form from those of the first."""
        mixture = Mixture()
        for verdict in self._verdicts:
            differences = mixture.merge(verdict.mixture)
            for code, detail in zip(
                (Code.MIXED_MEMBERS, Code.MIXED_JSON), differences, strict=True
            ):
                if detail is not None:
                    name = verdict.task.name
                    self._found.take(Finding(code, name, detail=f"{detail} (between shards)"))

    def move_damaged(self) -> tuple[str, ...]:
        """Move damaged shards to the quarantine folder and return their new names."""
        assert isinstance(self._folder, UntrustedFolder)  # noqa: S101 (others were refused)
        damage = {name: codes & DAMAGE for name, codes in self._found.codes.items()}
        for verdict in self._verdicts:
            name = verdict.task.name
            damage[name] = damage.get(name, set()) | (verdict.counts.keys() & DAMAGE)
        found: dict[str | None, list[Finding]] = {}
        for finding in self._gathered.findings():
            if finding.code in DAMAGE:
                found.setdefault(finding.shard, []).append(finding)
        there = [task.name for task in self._plan.tasks if damage.get(task.name)]
        # Beyond MAX_FINDINGS only the kinds are known.
        return tuple(
            move_away(
                self._folder,
                name,
                found.get(name) or [Finding(code, name) for code in Code if code in damage[name]],
            )
            for name in there
        )

    def report(self, out: str, moved: tuple[str, ...], began: float) -> Report:
        """Return the outcome; its time is measured from `began`."""
        samples = (
            (task.samples or 0 for task in self._tasks)
            if self._depth == "entries"
            else (verdict.samples for verdict in self._verdicts)
        )
        return Report(
            out=out,
            depth=self._depth,
            findings=tuple(self._gathered.findings()),
            counts=self._gathered.counts,
            shards=self._plan.shards,
            checked_shards=len(self._tasks),
            samples=sum(samples),
            size_bytes=self._meter.read_bytes,
            seconds=time.monotonic() - began,
            quarantined=moved,
            proofs=Counter(v.proof for v in self._verdicts if v.proof is not None),
        )
