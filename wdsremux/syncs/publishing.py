"""The table of contents as it stands at the place where a dataset was carried."""

import json
from collections.abc import Mapping
from typing import Any

from wdsremux.manifest import Manifest, ShardSummary, indented_json
from wdsremux.syncs.loaders import Loaders, loader_urls
from wdsremux.syncs.plan import Ends, Plan
from wdsremux.targets.address import endpoint_of
from wdsremux.targets.base import Proof, RemoteTarget
from wdsremux.targets.local import LocalTarget


def index_at(ends: Ends, plan: Plan, proofs: Mapping[str, Proof]) -> bytes:
    """Return `index.json` as it is at the other end; in a folder it is as it was, to the byte.

    `proofs` are those of the shards that were sent.
    """
    assert ends.here.index is not None  # noqa: S101 (it is where its manifest comes from)
    dest = ends.dest.target
    published: dict[str, Any] = {}
    if not isinstance(dest, LocalTarget):
        receipts = {s.name: _receipt(ends, plan, proofs, s) for s in ends.manifest.shards}
        published = published_at(dest, ends.manifest, receipts)
    return with_published(ends.here.index, published)


def published_at(
    dest: RemoteTarget, manifest: Manifest, receipts: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return `Manifest.published` for a target that holds all shards."""
    return {
        "at": dest.url,
        "loaders": loaders_of(dest, manifest),
        "receipts": {
            s.name: dict(receipts[s.name]) for s in manifest.shards if receipts.get(s.name)
        },
    }


def with_published(index: bytes, published: Mapping[str, Any]) -> bytes:
    """Return a table of contents that tells where it was carried, otherwise as it was."""
    raw = json.loads(index)
    if not published and "published" not in raw:
        return index
    raw.pop("published", None)
    return indented_json(raw | {"published": published} if published else raw)


def loaders_of(dest: RemoteTarget, manifest: Manifest) -> Loaders:
    """Return the URLs that loaders take for what stands at a target."""
    if isinstance(dest, LocalTarget):
        return {}
    return loader_urls(dest.url, manifest.patterns(), endpoint_of(dest))


def _receipt(
    ends: Ends, plan: Plan, proofs: Mapping[str, Proof], shard: ShardSummary
) -> dict[str, str]:
    """Return the newest receipt of a shard."""
    standing, moved = plan.standing.get(shard.name), ends.moved.get(shard.name)
    proof = proofs.get(shard.name, standing[1] if standing is not None else None)
    if proof is not None and proof.receipt:
        return dict(proof.receipt)
    return dict(ends.there.receipt(shard) or (moved.receipt if moved is not None else {}))
