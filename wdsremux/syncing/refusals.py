"""What a sync refuses before it writes: to replace files that are not of this dataset.

`convert --sync-to` checks the same before it begins.
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
"""How long to wait for a store before a conversion; the sync at its end checks again."""


def refuse_same_place(here: Store, there: Store) -> None:
    """Refuse to copy a dataset to itself, or into itself."""
    one, other = address_of(here), address_of(there)
    if one == other:
        raise UsageError(f"FROM and TO are the same, {there.url!r}; choose another TO")
    if here.root is not None and there.root is not None:
        paths = Path(one), Path(other)
        if paths[0] in paths[1].parents or paths[1] in paths[0].parents:
            raise UsageError(
                f"{there.url!r} and {here.url!r} are one inside the other; choose another TO"
            )


def refuse_foreign(shards: Mapping[str, int], there: Contents, url: str) -> None:
    """Refuse to replace foreign files that have the names of our files.

    `shards` holds the size of each of our files.
    """
    if there.manifest is not None or there.has_state:
        return
    if there.index is not None:
        raise UsageError(
            f"{url!r} contains an {MANIFEST_NAME} that wdsremux did not write; "
            "choose an empty folder"
        )
    for name, size_bytes in shards.items():
        if there.sizes.get(name, size_bytes) != size_bytes:
            raise other_file(url, name)


def other_file(url: str, name: str) -> UsageError:
    """Return the refusal to replace a file that may be of another tool."""
    return UsageError(
        f"{url!r} contains a file {name!r} that is not part of this dataset; "
        "choose an empty folder, or remove the file there"
    )


def refuse_other(here: Manifest, there: Contents, url: str) -> None:
    """Refuse to replace another finished dataset of wdsremux: it may be the only copy.

    The same source with another recipe is the same dataset made again, and so is one whose source
    has grown.
    """
    recorded = there.manifest
    if recorded is None or is_same_dataset(recorded, here):
        return
    # Without a recorded recipe there is nothing to compare.
    is_same_recipe = recorded.head.fingerprint == here.head.fingerprint != ""
    is_same_source = recorded.head.source == here.head.source or added_files(
        recorded.head.source, here.head.source
    )
    if is_same_recipe or (recorded.head.name == here.head.name and is_same_source):
        return
    raise RecipeMismatchError(
        f"{url!r} holds another dataset, {_described(recorded)}, and this one is "
        f"{_described(here)}; choose another TO, or replace it with `wdsremux sync --delete`"
    )


def refuse_beforehand(here: Store, planned: Manifest, there: Store) -> None:
    """Refuse a store that could not take the output of a conversion when it is done.

    `planned` is its manifest, without shards. A store that cannot be asked is not refused: sending
    finds the same problem, and reports it.
    """
    refuse_same_place(here, there)
    with contextlib.suppress(StoreError):
        found = contents_of(RetryingStore(there, PATIENCE_S))
        present = dict(here.list())
        prefixes = planned.head.series
        refuse_foreign(
            {n: present.get(n, -1) for n in found.sizes if prefix_of_shard(n) in prefixes},
            found,
            there.url,
        )
        refuse_other(planned, found, there.url)


def _described(manifest: Manifest) -> str:
    source = manifest.head.origin.get("source") or manifest.head.source.get("kind")
    return repr(manifest.head.name) + (f" of {source!r}" if source else "")
