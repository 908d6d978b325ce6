"""Puts a staging folder before an output behind a network; tells in its index where it stands."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

from wdsremux.core.events import Note, Observer
from wdsremux.core.manifest import Manifest
from wdsremux.core.recipe import Run
from wdsremux.dataset.published import published_at
from wdsremux.processing.plan import Conversion
from wdsremux.stores.address import address_of
from wdsremux.stores.base import RemoteTarget, Sums
from wdsremux.stores.staging.files import staging_folder
from wdsremux.stores.staging.store import StagedTarget


def placed(conversion: Conversion, run: Run, observer: Observer) -> Conversion:
    """Return a conversion whose target is behind a network as it writes there."""
    remote = cast("RemoteTarget", conversion.target)
    target = StagedTarget(
        remote,
        staging_folder(address_of(remote), run.staging),
        run.staging_max,
        give_up_after_s=run.give_up_after,
        tell=lambda text: observer(Note(text)),
    )
    return replace(conversion, target=target, published=partial(_published, target))


def _published(target: StagedTarget, manifest: Manifest) -> Mapping[str, Any]:
    """Return what the manifest is to tell of the place, which is asked for every shard."""
    files = {shard.name: Sums(shard.size_bytes, shard.sha256) for shard in manifest.shards}
    return published_at(target.remote, manifest, target.receipts(files))
