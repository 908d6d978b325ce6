"""The `index.json` of a copied dataset.

Short because `sync`, its one caller, would exceed 300 lines with it.
"""

from collections.abc import Mapping
from typing import Any

from wdsremux.core.manifest import ShardSummary
from wdsremux.dataset.published import published_at, with_published
from wdsremux.stores.base import Proof
from wdsremux.syncing.plan import Endpoints, TransferPlan


def index_at(ends: Endpoints, plan: TransferPlan, proofs: Mapping[str, Proof]) -> bytes:
    """Return the `index.json` of the destination; for a folder its bytes are those of the source.

    `proofs` are those of the shards that were sent.
    """
    assert ends.here.index is not None  # noqa: S101 (the manifest was read from it)
    published: dict[str, Any] = {}
    if ends.dest.root is None:
        receipts = {s.name: _receipt(ends, plan, proofs, s) for s in ends.manifest.shards}
        published = published_at(ends.dest, ends.manifest, receipts)
    return with_published(ends.here.index, published)


def _receipt(
    ends: Endpoints, plan: TransferPlan, proofs: Mapping[str, Proof], shard: ShardSummary
) -> dict[str, str]:
    """Return the newest receipt of a shard."""
    sent = proofs.get(shard.name)
    if sent is not None:
        return dict(sent.receipt)
    present, moved = plan.present.get(shard.name), ends.moved.get(shard.name)
    recorded = ends.there.receipt(shard) or (moved.receipt if moved is not None else {})
    # A proof may return only the part that it compared.
    return {**recorded, **(present[1].receipt if present is not None else {})}
