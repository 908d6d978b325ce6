"""Puts a staging folder before a remote output, and records the URL in its index.

Short because only outputs behind a network import it, and what it imports.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from wdsremux.core.events import Note, Observer
from wdsremux.core.manifest import Manifest
from wdsremux.core.recipe import Run
from wdsremux.dataset.published import published_at
from wdsremux.processing.plan import Conversion
from wdsremux.stores.address import address_of
from wdsremux.stores.base import Sums
from wdsremux.stores.staging.files import staging_folder
from wdsremux.stores.staging.store import StagedStore


def with_remote_output(conversion: Conversion, run: Run, observer: Observer) -> Conversion:
    """Return a conversion whose remote store is written through a staging folder."""
    remote = conversion.store
    store = StagedStore(
        remote,
        # Lanes on one machine must not share a folder.
        staging_folder(f"{address_of(remote)} {run.lane or ''}".rstrip(), run.staging),
        run.staging_max,
        give_up_after_s=run.give_up_after,
        notify=lambda text: observer(Note(text)),
    )
    return replace(conversion, store=store, published=partial(_published, store))


def _published(store: StagedStore, manifest: Manifest) -> Mapping[str, Any]:
    """Return what the manifest records about the store, which is asked for every shard."""
    files = {shard.name: Sums(shard.size_bytes, shard.sha256) for shard in manifest.shards}
    return published_at(store.remote, manifest, store.receipts(files))
