"""What to send: the files that the destination lacks, by its records or by its proof."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wdsremux.core.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, Manifest
from wdsremux.dataset.card import CARD_NAME, is_ours
from wdsremux.dataset.indexes.record import INDEXES_NAME
from wdsremux.dataset.ledger import RECIPE_NAME
from wdsremux.stores.base import Proof
from wdsremux.stores.retry import RetryingStore
from wdsremux.syncing.contents import (
    Contents,
    SyncFile,
    is_same_dataset,
    shard_items,
    small_items,
    stale_names,
)
from wdsremux.syncing.moving import Moved
from wdsremux.syncing.refusals import other_file
from wdsremux.syncing.report import SentFile, Why
from wdsremux.syncing.sending import SURE, FileSender, PresenceCheck

LASTING = frozenset(("crc64nvme", "etag"))
"""Parts of a receipt that a store reports of an object until it is written again."""
CLOCK_STEP_S = 2.0
"""Mounts keep times in steps of up to this size."""
_WHY: Mapping[str, Why] = {"absent": "missing", "differs": "differs"}
"""By level of proof."""


@dataclass(slots=True)
class TransferPlan:
    """What a sync does, in this order."""

    first: list[SyncFile] = field(default_factory=list)
    """To send before the shards: the recipe, by which `verify` knows that shards without an index
    are unfinished.
    """
    shards: list[SyncFile] = field(default_factory=list)
    """To send next."""
    small: list[SyncFile] = field(default_factory=list)
    """To send after the shards."""
    why: dict[str, Why] = field(default_factory=dict)
    """Why each of them is sent, by name."""
    present: dict[str, tuple[SyncFile, Proof]] = field(default_factory=dict)
    """Files that the destination has; of recorded ones, no proof was requested."""
    lost: dict[str, str] = field(default_factory=dict)
    """What is wrong with shards that neither end has complete."""
    left_alone: list[str] = field(default_factory=list)
    """Files that are not ours."""
    stale: list[str] = field(default_factory=list)
    """Our files at the destination that the new index does not name."""
    takes_index_first: bool = False
    """Whether the index at the destination names a shard that will be replaced."""

    @property
    def items(self) -> list[SyncFile]:
        """Everything to send, except the index."""
        return [*self.first, *self.shards, *self.small]

    @property
    def sent_files(self) -> list[SentFile]:
        """The same, with the reason."""
        return [SentFile(item.name, item.size_bytes, self.why[item.name]) for item in self.items]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Both ends of a sync, as they are before it."""

    source: RetryingStore
    here: Contents
    manifest: Manifest
    dest: RetryingStore
    there: Contents
    moved: Mapping[str, Moved]

    def has_whole(self, item: SyncFile) -> bool:
        """Return whether the source has a file at its recorded size."""
        return self.here.sizes.get(item.name) == item.size_bytes

    def was_moved(self, item: SyncFile) -> bool:
        """Return whether a proven shard was removed at the source."""
        moved = self.moved.get(item.name)
        return moved is not None and moved.sha256 == item.sha256

    def is_recorded(self, item: SyncFile) -> bool:
        """Return whether the records of the destination say that it has a file."""
        theirs = self.there.manifest
        if item.name in self.here.index_files or item.name == INDEXES_NAME:
            return self._is_recorded_index(item.name)
        if theirs is None or item.shard is None:
            return is_same_dataset(theirs, self.manifest)
        recorded = self.there.shards.get(item.shard.name)
        if recorded is None or item.is_shard:
            return recorded is not None and recorded.sha256 == item.sha256
        # An entry is made of its shard and of the recipe's fingerprint.
        return recorded == item.shard and theirs.head.fingerprint == self.manifest.head.fingerprint

    def _is_recorded_index(self, name: str) -> bool:
        if name == INDEXES_NAME:
            return self.here.indexes == self.there.indexes
        return self.here.index_files[name] == self.there.index_files.get(name)

    def is_cheap_to_ask(self, item: SyncFile) -> bool:
        """Return whether a proof costs a request or a small read, not a download or a shard."""
        if item.is_shard:
            return self.dest.root is None
        return self.source.root is not None

    def has_changed(self, item: SyncFile) -> bool:
        """Return whether a file of a destination folder was written after its index."""
        root = self.dest.root
        if root is None:
            return False
        try:
            written, indexed = (
                (root / name).lstat().st_mtime for name in (item.name, MANIFEST_NAME)
            )
        except OSError:
            return True
        return written > indexed + CLOCK_STEP_S


def plan_of(ends: Endpoints, sender: FileSender, *, moves: bool, reads_all: bool) -> TransferPlan:
    """Compare both ends: sizes, records, and what the destination proves without being read.

    A folder is read where it has no record, where a file was written after the index, where `moves`
    needs the proof, and everywhere with `reads_all`.
    """
    plan, checks = TransferPlan(), {}
    items = (*shard_items(ends.manifest), *small_items(ends.here, ends.manifest))
    for item in items:
        is_needed = moves and item.is_shard and ends.has_whole(item)
        asks = reads_all or is_needed or not ends.is_recorded(item)
        if ends.there.sizes.get(item.name) != item.size_bytes:
            _send(
                plan,
                ends,
                item,
                "differs" if item.name in ends.there.sizes else "missing",
            )
        elif asks or ends.is_cheap_to_ask(item) or ends.has_changed(item):
            checks[item.name] = _check(ends, item, has_local_copy=asks)
        else:
            plan.present[item.name] = (item, Proof("unverified", "by its records"))
    for name, proof in sender.check(checks.values()).items():
        _take_proof(plan, ends, checks[name].item, proof)
    order = {item.name: number for number, item in enumerate(items)}
    plan.shards.sort(key=lambda item: order[item.name])
    plan.small.sort(key=lambda item: order[item.name])
    _add_card(plan, ends)
    plan.stale = stale_names(ends.here, ends.manifest, ends.there)
    plan.takes_index_first = ends.there.index is not None and (
        ends.there.manifest is None or any(_replaced(plan, ends))
    )
    return plan


def _check(ends: Endpoints, item: SyncFile, *, has_local_copy: bool) -> PresenceCheck:
    """Return the check for a file; a local shard is read only where its proof may need it."""
    listed = ends.there.versions.get(item.name)
    if item.shard is None or not item.is_shard:
        return PresenceCheck(item, listed=listed)
    moved = ends.moved.get(item.name)
    receipt = ends.there.receipt(item.shard)
    if not receipt and moved is not None and moved.sha256 == item.sha256:
        receipt = moved.receipt
    # A folder is read back, and needs no local copy.
    is_at_hand = has_local_copy and ends.has_whole(item) and ends.dest.root is None
    root = ends.source.root
    path = root / item.name if root is not None and is_at_hand else None
    return PresenceCheck(item, receipt, path, listed)


def _take_proof(plan: TransferPlan, ends: Endpoints, item: SyncFile, proof: Proof) -> None:
    # There is no better proof for what was recorded or noted when it was sent, nor for what was
    # proven before its shard was removed at the source. But an object that loses the checksums of
    # its receipt was written by another tool.
    is_replaced = item.shard is not None and not LASTING.isdisjoint(ends.there.receipt(item.shard))
    is_recorded = ends.is_recorded(item) and not (item.is_shard and is_replaced)
    is_known = proof.is_noted or ends.was_moved(item) or is_recorded
    if proof.level in SURE or (proof.level == "unverified" and is_known):
        plan.present[item.name] = (item, proof)
        return
    if proof.level == "differs" and ends.there.manifest is None and not ends.there.has_state:
        raise other_file(ends.dest.url, item.name)
    _send(plan, ends, item, _WHY.get(proof.level, "unverified"))


def _send(plan: TransferPlan, ends: Endpoints, item: SyncFile, why: Why) -> None:
    plan.why[item.name] = why
    if item.name == RECIPE_NAME:
        plan.first.append(item)
    elif not item.is_shard:
        plan.small.append(item)
    elif ends.has_whole(item):
        plan.shards.append(item)
    else:
        size_bytes = ends.here.sizes.get(item.name)
        if size_bytes is None and ends.was_moved(item) and item.name in ends.there.sizes:
            plan.lost[item.name] = (
                f"{item.name!r} was moved to {ends.dest.url!r} and is damaged there"
            )
            return
        plan.lost[item.name] = f"{item.name!r} " + (
            "is missing"
            if size_bytes is None
            else f"has {size_bytes} bytes, but {item.size_bytes} are recorded"
        )


def _add_card(plan: TransferPlan, ends: Endpoints) -> None:
    """Compare the cards by their content: users edit them."""
    if CARD_NAME not in ends.here.sizes:
        return
    item = SyncFile(CARD_NAME, ends.here.sizes[CARD_NAME])
    card = ends.dest.read(CARD_NAME, MAX_MANIFEST_BYTES) if CARD_NAME in ends.there.sizes else None
    if card is not None and card == ends.source.read(CARD_NAME, MAX_MANIFEST_BYTES):
        plan.present[CARD_NAME] = (item, Proof("reread"))
    elif card is None or is_ours(card):
        plan.small.append(item)
        plan.why[CARD_NAME] = "missing" if card is None else "differs"
    else:
        plan.left_alone.append(CARD_NAME)


def _replaced(plan: TransferPlan, ends: Endpoints) -> Iterator[bool]:
    """Yield for each shard to send whether the index at the destination names another one."""
    listed = {s.name: s.sha256 for s in (ends.there.manifest.shards if ends.there.manifest else ())}
    for item in plan.shards:
        yield listed.get(item.name, item.sha256) != item.sha256
