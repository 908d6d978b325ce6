"""Which shards `sync --move` removes: those whose copies are proven, in the dataset's order."""

from collections.abc import Iterable

from wdsremux.stores.base import Proof
from wdsremux.syncing.contents import SyncFile
from wdsremux.syncing.moving import Mover
from wdsremux.syncing.plan import Endpoints, TransferPlan
from wdsremux.syncing.sending import SURE


class ShardMoves:
    """The removals of one sync; without a mover it removes nothing."""

    def __init__(self, mover: Mover | None, *, is_dry_run: bool) -> None:
        self._mover = mover
        self._is_dry_run = is_dry_run
        self.kept: list[str] = []
        """Shards that stay: their copies are not proven."""

    @property
    def is_asked(self) -> bool:
        """Whether shards are to be removed."""
        return self._mover is not None

    @property
    def freed(self) -> tuple[str, ...]:
        """Names of the shards that were removed, or would be, sorted."""
        return () if self._mover is None else tuple(sorted(self._mover.freed))

    def begin(self, ends: Endpoints, plan: TransferPlan) -> None:
        """Fix the order of removals, as copies finish in any order; remove what is copied."""
        if self._mover is not None:
            present = {name for name, (item, _) in plan.present.items() if ends.has_whole(item)}
            names = [shard.name for shard in ends.manifest.shards if shard.name in present]
            self._mover.begin([*names, *(item.name for item in plan.shards)])
        self._free_present(ends, plan)

    def free(self, item: SyncFile, proof: Proof) -> None:
        """Remove a shard if its copy is proven; keep it otherwise."""
        if self._mover is None or item.shard is None or not item.is_shard:
            return
        if proof.level in SURE and self._is_dry_run:
            self._mover.record(item.shard)
        elif proof.level in SURE:
            self._mover.free(item.shard, proof)
        else:
            self.kept.append(item.name)
            self._mover.keep(item.name)

    def keep(self, names: Iterable[str]) -> None:
        """Keep shards that could not be copied, so that those behind them can be removed."""
        if self._mover is not None:
            for name in names:
                self._mover.keep(name)

    def record_planned(self, ends: Endpoints, plan: TransferPlan) -> None:
        """Record what a dry run would remove."""
        self._free_present(ends, plan)
        for item in plan.shards:
            if self._mover is not None and item.shard is not None:
                self._mover.record(item.shard)

    def _free_present(self, ends: Endpoints, plan: TransferPlan) -> None:
        for item, proof in plan.present.values():
            if ends.has_whole(item):
                self.free(item, proof)
