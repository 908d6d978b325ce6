"""What a sync refuses before it writes: to replace what somebody else put where ours is to go.

`convert --sync-to` asks here too, before it begins.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path

from wdsremux.core.errors import RecipeMismatchError, StoreError, UsageError
from wdsremux.core.manifest import MANIFEST_NAME, Manifest
from wdsremux.dataset.head import added_files
from wdsremux.dataset.shards.series import prefix_of_shard
from wdsremux.stores.address import address_of
from wdsremux.stores.base import Store
from wdsremux.stores.retry import RetryingStore
from wdsremux.syncing.contents import Contents, contents_of, is_same_dataset

PATIENCE_S = 5.0
"""So long an outage is waited for before a conversion; what is found later is told later."""


def refuse_same_place(here: Store, there: Store) -> None:
    """Refuse to carry a dataset to where it is, or into itself."""
    one, other = address_of(here), address_of(there)
    if one == other:
        raise UsageError(f"FROM and TO are the same place, {there.url!r}; choose another")
    if here.root is not None and there.root is not None:
        paths = Path(one), Path(other)
        if paths[0] in paths[1].parents or paths[1] in paths[0].parents:
            raise UsageError(
                f"{there.url!r} and {here.url!r} lie one in the other; choose a place beside"
            )


def refuse_foreign(shards: Mapping[str, int], there: Contents, words: str) -> None:
    """Refuse to replace files that somebody else put where ours are to go.

    `shards` tells how many bytes each of ours has.
    """
    if there.manifest is not None or there.has_state:
        return
    if there.index is not None:
        raise UsageError(
            f"{words!r} holds an {MANIFEST_NAME} that is not of wdsremux; choose an empty place"
        )
    for name, size_bytes in shards.items():
        if there.sizes.get(name, size_bytes) != size_bytes:
            raise other_file(words, name)


def other_file(words: str, name: str) -> UsageError:
    """Return the refusal to replace a file that nothing tells to be ours."""
    return UsageError(
        f"{words!r} holds {name!r}, which is another than that of this dataset; "
        "choose an empty place, or remove it there"
    )


def refuse_other(here: Manifest, there: Contents, words: str) -> None:
    """Refuse to replace another finished dataset of ours: it may be the only copy.

    The same source by another recipe is the same dataset made anew, and so is one whose source has
    grown.
    """
    told = there.manifest
    if told is None or is_same_dataset(told, here):
        return
    # Where no recipe is recorded, there is none to be the same.
    is_same_recipe = told.head.fingerprint == here.head.fingerprint != ""
    is_same_source = told.head.source == here.head.source or added_files(
        told.head.source, here.head.source
    )
    if is_same_recipe or (told.head.name == here.head.name and is_same_source):
        return
    raise RecipeMismatchError(
        f"{words!r} holds another dataset, {_described(told)}, and this one is "
        f"{_described(here)}; choose another place, or give `wdsremux sync --delete` to replace it"
    )


def refuse_beforehand(here: Store, planned: Manifest, there: Store) -> None:
    """Refuse a place to which the output of a conversion could not be carried when it is done.

    `planned` is its manifest, without shards. A place that cannot be asked is not refused: whoever
    sends finds out the same, and tells it.
    """
    refuse_same_place(here, there)
    with contextlib.suppress(StoreError):
        found = contents_of(RetryingStore(there, PATIENCE_S))
        standing = dict(here.list())
        prefixes = planned.head.series
        refuse_foreign(
            {n: standing.get(n, -1) for n in found.sizes if prefix_of_shard(n) in prefixes},
            found,
            there.url,
        )
        refuse_other(planned, found, there.url)


def _described(manifest: Manifest) -> str:
    source = manifest.head.origin.get("source") or manifest.head.source.get("kind")
    return repr(manifest.head.name) + (f" of {source!r}" if source else "")
