"""What a manifest tells of the place where it is published."""

from collections.abc import Mapping
from typing import Any

from wdsremux.manifest import Manifest
from wdsremux.syncs.loaders import loader_urls
from wdsremux.targets.base import RemoteTarget, Sums
from wdsremux.targets.staged import StagedTarget


def published_at(
    place: RemoteTarget, manifest: Manifest, receipts: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return `Manifest.published`: the URL, its forms for loaders, and the shards' receipts."""
    endpoint = getattr(place, "endpoint", None)
    return {
        "at": place.url,
        "loaders": loader_urls(place.url, manifest.patterns(), endpoint),
        "receipts": {
            shard.name: dict(receipts[shard.name])
            for shard in manifest.shards
            if receipts.get(shard.name)
        },
    }


def published_by(target: StagedTarget, manifest: Manifest) -> dict[str, Any]:
    """Return the same for what a conversion has written, after asking for every shard."""
    files = {shard.name: Sums(shard.size_bytes, shard.sha256) for shard in manifest.shards}
    receipts = {name: proof.receipt for name, proof in target.proofs(files).items()}
    return published_at(target.remote, manifest, receipts)
