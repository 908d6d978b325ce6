"""One shard at its depth: all that needs its bytes comes from one reading, block by block."""

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import RawIOBase

from wdsremux.core.tar.blocks import BlockReader, CrcCuts, Tap
from wdsremux.dataset.entry import ShardEntry, entry_name
from wdsremux.dataset.reading import read_entry
from wdsremux.dataset.shards.damage import damaged_end, damaged_samples, sample_at
from wdsremux.dataset.shards.key_register import KeyRegister
from wdsremux.stores.base import ProofLevel
from wdsremux.stores.reading.untrusted import Folder
from wdsremux.verifying.checks.mixture import Mixture
from wdsremux.verifying.checks.reading import finding_of
from wdsremux.verifying.checks.shard_tasks import CheckPlan, ShardTask
from wdsremux.verifying.checks.structure import Expected, SeenSample, ShardWalk, note_keys
from wdsremux.verifying.findings import Code, Finding
from wdsremux.verifying.reports import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """What the checks of all shards share; may be used by several threads."""

    folder: Folder
    plan: CheckPlan
    expected: Expected
    holders: KeyRegister
    names_by_sum: dict[str, str]
    on_bytes: Callable[[int], None]
    """Called with the number of bytes read."""


@dataclass(frozen=True, slots=True)
class ShardResult:
    """The outcome for one shard."""

    task: ShardTask
    findings: Sequence[Finding]
    """As they are reported."""
    counts: Mapping[Code, int]
    """Of all findings."""
    samples: int
    mixture: Mixture = field(default_factory=Mixture)
    proof: ProofLevel | None = None
    """How certain the outcome is where the shard was not read."""


def check_shard(task: ShardTask, context: CheckContext) -> ShardResult:
    """Read a shard and report what is wrong with it."""
    check = _Check(task, context)
    try:
        with context.folder.open(task.name) as file:
            check.run(file)
    except FileNotFoundError:
        check.found.add(Code.SHARD_MISSING, "it disappeared during the check")
    except OSError as exc:
        check.found.take(check.finding_of(exc))
    return ShardResult(
        task, check.found.findings(), check.found.counts, check.samples, check.mixture
    )


class _Check:
    """The check of one shard."""

    def __init__(self, task: ShardTask, context: CheckContext) -> None:
        self.found = Collector(task.name)
        self.samples = task.samples or 0
        self.mixture = Mixture()
        self._task = task
        self._context = context
        self._reader: BlockReader | None = None
        self._entry: ShardEntry | None = None

    def run(self, file: RawIOBase) -> None:
        """Run the check that fits what is recorded of the shard."""
        if not self._task.sums:
            self._check_foreign(file)
        elif self._task.size_bytes != self._task.recorded_bytes:
            self._check_resized(file)
        else:
            self._check_recorded(file)

    def finding_of(self, exc: OSError) -> Finding:
        """Return the finding for an error of the system, with the sample where it happened."""
        offset = self._reader.offset if self._reader is not None else None
        with contextlib.suppress(OSError):
            self._load_entry()
        key = sample_at(self._entry, offset) if self._entry is not None and offset else None
        return finding_of(exc, self._task.name, key, offset)

    def _check_foreign(self, file: RawIOBase) -> None:
        """Walk a shard of which at most an MD5 is recorded."""
        md5 = hashlib.md5(usedforsecurity=False) if self._task.md5 is not None else None
        taps: list[Tap] = [] if md5 is None else [md5.update]
        reader = self._read(file, taps, jumps=md5 is None)
        self._walk(reader, self.found)
        if md5 is not None:
            reader.finish()
            if md5.hexdigest() != self._task.md5:
                self.found.add(Code.BYTES_DAMAGED, "its MD5 differs from the one in index.json")

    def _check_recorded(self, file: RawIOBase) -> None:
        """Hash a shard, and at the greater depths walk it, in one reading."""
        digest = hashlib.sha256()
        if self._context.expected.depth == "bytes":
            self._read(file, [digest.update]).finish()
            self._is_intact(file, digest.hexdigest())
            return
        self._load_entry()
        cuts = CrcCuts(self._entry.sizes if self._entry is not None else ())
        reader = self._read(file, [digest.update, cuts])
        # In a damaged shard the walk fails; the entry's offsets locate the damage.
        walked = Collector(self._task.name)
        self._walk(reader, walked)
        reader.finish()
        if self._is_intact(file, digest.hexdigest()):
            self.found.merge(walked)
            self._compare_crcs(cuts)
        else:
            self.mixture = Mixture()

    def _check_resized(self, file: RawIOBase) -> None:
        """Find the damage in a shard of another size, which is already reported."""
        twins = [t for t in self._context.plan.tasks if t.recorded_bytes == self._task.size_bytes]
        if twins and self._is_swapped(self._hashed(file)):
            return
        self._name_damage(file)

    def _is_intact(self, file: RawIOBase, digest: str) -> bool:
        """Compare a shard's SHA-256 with the recorded ones; return whether it is intact."""
        task = self._task
        if digest not in task.sums:
            if not self._is_swapped(digest):
                self._name_damage(file)
            return False
        if len(task.sums) > 1:
            right, wrong = ("index.json", "its entry")
            if digest == task.entry_sum:
                right, wrong = wrong, right
            self.found.add(Code.SUM_STALE, f"the shard matches {right}, not {wrong}")
        return True

    def _is_swapped(self, digest: str) -> bool:
        owner = self._context.names_by_sum.get(digest)
        if owner is None or owner == self._task.name:
            return False
        self.found.add(Code.SHARD_SWAPPED, f"the bytes of {owner}")
        return True

    def _hashed(self, file: RawIOBase) -> str:
        digest = hashlib.sha256()
        self._read(file, [digest.update]).finish()
        return digest.hexdigest()

    def _name_damage(self, file: RawIOBase) -> None:
        """Find which samples are damaged, by the offsets in the entry."""
        self._load_entry()
        entry, found = self._entry, self.found
        has_size = self._task.size_bytes == self._task.recorded_bytes
        if entry is None:
            if has_size:
                found.add(Code.BYTES_DAMAGED)
            return
        is_ours = bool(entry.extensions) and self._context.plan.is_ours
        damages = 0
        for damage in damaged_samples(file, entry, is_ours=is_ours):
            damages += 1
            found.add(Code.SAMPLE_DAMAGED, damage.detail, key=damage.key, offset=damage.offset)
        end = damaged_end(file, entry, self._context.on_bytes)
        if end is not None:
            found.add(Code.END_DAMAGED, "" if damages else "all samples are intact", offset=end)
        elif not damages and has_size:
            found.add(Code.SUM_STALE, "all samples match their CRC-32, and zeros follow the last")

    def _compare_crcs(self, cuts: CrcCuts) -> None:
        """Report samples of an intact shard whose entry has another CRC-32."""
        if self._entry is None:
            return
        offset = 0
        for key, size, recorded, real in zip(
            self._entry.keys, self._entry.sizes, self._entry.crcs, cuts.crcs, strict=False
        ):
            if recorded != real:
                self.found.add(Code.ENTRY_DIFFERS, "its CRC-32 differs", key=key, offset=offset)
            offset += size

    def _walk(self, reader: BlockReader, found: Collector) -> None:
        entries = self._entry.samples() if self._entry is not None else None
        walk = ShardWalk(self._context.expected, found, self._take_samples, entries)
        walk.run(reader)
        self.mixture = walk.mixture
        if self._task.samples is None:
            self.samples = walk.samples
        elif not self._task.has_entry and walk.samples != self._task.samples:
            detail = f"{walk.samples} samples, but index.json lists {self._task.samples}"
            found.add(Code.INDEX_DISAGREES, detail)

    def _take_samples(self, samples: list[SeenSample]) -> None:
        """Report keys that were seen before; keys of entries are already registered."""
        if not self._task.has_entry:
            note_keys(self._context.holders, self._task.name, samples, self.found)

    def _load_entry(self) -> None:
        """Read the shard's entry once; problems with it are already reported."""
        if self._entry is None and self._task.has_entry:
            name = entry_name(self._task.name)
            self._entry, _ = read_entry(
                self._context.folder, name, is_ours=self._context.plan.is_ours
            )

    def _read(self, file: RawIOBase, taps: list[Tap], *, jumps: bool = False) -> BlockReader:
        file.seek(0)
        count: Tap = lambda block: self._context.on_bytes(len(block))  # noqa: E731
        self._reader = BlockReader(file, [*taps, count], jumps=jumps)
        return self._reader
