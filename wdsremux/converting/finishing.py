"""The end of a conversion: rejected rows, card, indexes, and index.json last.

Run by the process that makes the last shard, and by `wdsremux finish`: the lanes of an output have
no other place where all shards are known.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from wdsremux.core.errors import CorruptDataError, StoreError, UsageError
from wdsremux.core.events import Done, Note, Observer
from wdsremux.core.head import Head
from wdsremux.core.heartbeat import Phase
from wdsremux.core.manifest import MANIFEST_NAME, Manifest, ShardSummary
from wdsremux.core.option_values import ErrorLimit, listed
from wdsremux.dataset.card import card_bytes
from wdsremux.dataset.indexes.writing import StoredShards, write_indexes
from wdsremux.dataset.ledger import Ledger
from wdsremux.dataset.rejected import write_rejected
from wdsremux.dataset.shards.series import prefix_of_shard
from wdsremux.stores.base import Store

Published = Callable[[Manifest], Mapping[str, Any]]


def finished(
    store: Store,
    head: Head,
    shards: Sequence[ShardSummary],
    published: Published,
    observer: Observer,
) -> Manifest:
    """Write what an output has beside its shards, and return its manifest."""
    ledger = Ledger(store)
    # Fields that decide no byte keep the values that the output was begun with.
    manifest = Manifest(head=head, shards=tuple(shards))
    _check_sums(manifest)
    write_rejected(store, ledger.rejected(manifest.shards))
    if not ledger.write_card(card_bytes(manifest)):
        observer(
            Note(
                "README.md was not written by wdsremux and was not changed: "
                "no dataset card was written"
            )
        )
    write_indexes(store, StoredShards(store, manifest))
    manifest = replace(manifest, published=published(manifest))
    ledger.write(MANIFEST_NAME, manifest.to_bytes())
    return manifest


def finish(
    store: Store,
    max_errors: ErrorLimit,
    published: Published,
    observer: Observer,
    *,
    is_last_word: bool = True,
) -> Manifest | None:
    """Finish an output whose shards were made by lanes; None where shards are missing.

    With `is_last_word`, missing shards are an error that names what to run, and so is another
    process that finishes the output at this moment. Raises UsageError, CorruptDataError.
    """
    head = Ledger(store).head()
    if head is None:
        raise UsageError("there is no unfinished output: it has no .wdsremux/recipe.json")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(store.lock())
        except StoreError:
            if is_last_word:
                raise
            return None  # another lane that has ended is finishing
        ledger = Ledger(store)
        manifest = ledger.readable_manifest()
        if manifest is None or manifest.head.fingerprint != head.fingerprint:
            shards = [shard for part in ledger.progress().values() for shard in part.shards]
            missing = _missing(head, shards)
            if missing and is_last_word:
                raise UsageError(missing)
            if missing:
                return None
            observer(Phase("finishing"))
            place = {name: number for number, name in enumerate(head.series)}
            shards.sort(key=lambda shard: (place[_prefix(shard)], shard.number))
            _check_errors(ledger, shards, max_errors)
            manifest = finished(store, head, shards, published, observer)
        observer(Done(manifest, 0))
        return manifest


def _prefix(shard: ShardSummary) -> str:
    return prefix_of_shard(shard.name)


def _missing(head: Head, shards: Sequence[ShardSummary]) -> str | None:
    """Return what an output lacks, if it does."""
    by_series = {name: list(own) for name, own in groupby(sorted(shards, key=_order), _prefix)}
    for name in head.series:
        own = by_series.get(name, [])
        if not own or not own[-1].is_last:
            lanes = head.options.get("lanes")
            command = f"--lane I/{lanes}" if lanes else "--lane"
            return (
                f"the output is not finished: series {name!r} lacks shard {len(own)}; run the "
                f"conversion with {command} for each lane that has not ended"
            )
    return None


def _order(shard: ShardSummary) -> tuple[str, int]:
    return _prefix(shard), shard.number


def _check_errors(ledger: Ledger, shards: Sequence[ShardSummary], limit: ErrorLimit) -> None:
    """Compare the errors of all lanes with the limit. Raises CorruptDataError."""
    errors = {r.position for r in ledger.rejected(shards) if r.stage != "filter"}
    rows = sum(shard.stop - shard.start for shard in shards if shard.copy == 0)
    if not limit.allows(len(errors), rows):
        raise CorruptDataError(
            f"rejected for errors: {len(errors)} of {rows} rows, more than --max-errors {limit} "
            f"allows; the first are rows {listed([str(row) for row in sorted(errors)], 3)}; raise "
            "--max-errors and run `wdsremux finish` again, or fix the cause and start from scratch"
        )


def _check_sums(manifest: Manifest) -> None:
    totals = manifest.totals
    expected = totals.rows * manifest.head.copies + totals.expanded
    if totals.samples + totals.left_out != expected:
        raise AssertionError(f"rows were lost or duplicated: {totals}")
