"""Where a dataset is published, and the URLs that loaders take there.

Short because conversions and syncs share it.
"""

import json
from collections.abc import Mapping
from typing import Any

from wdsremux.core.manifest import Manifest, indented_json
from wdsremux.dataset.indexes.loader_urls import Loaders, loader_urls
from wdsremux.stores.base import Store


def published_at(
    dest: Store, manifest: Manifest, receipts: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return `Manifest.published` for a store that has all shards."""
    return {
        "at": dest.url,
        "loaders": loaders_of(dest, manifest),
        "receipts": {
            s.name: dict(receipts[s.name]) for s in manifest.shards if receipts.get(s.name)
        },
    }


def with_published(index: bytes, published: Mapping[str, Any]) -> bytes:
    """Return index.json with another `published`, otherwise unchanged."""
    raw = json.loads(index)
    if not published and "published" not in raw:
        return index
    raw.pop("published", None)
    return indented_json(raw | {"published": published} if published else raw)


def loaders_of(dest: Store, manifest: Manifest) -> Loaders:
    """Return the URLs by which loaders read the shards in a store."""
    if dest.root is not None:
        return {}
    return loader_urls(dest.url, manifest.patterns(), dest.endpoint)
