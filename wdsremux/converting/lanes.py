"""What the lanes of an output have made so far, and its end when all are done."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wdsremux.converting.finishing import finish as finish_store
from wdsremux.core.errors import UsageError
from wdsremux.core.events import Observer, ignore_event
from wdsremux.core.head import LANE_SHARDS, Head
from wdsremux.core.manifest import MANIFEST_NAME, STATE_FOLDER, Manifest
from wdsremux.core.option_values import ErrorLimit, counted, error_limit_from_text
from wdsremux.dataset.ledger import Ledger
from wdsremux.dataset.published import published_at
from wdsremux.dataset.shards.series import prefix_of_shard, split_of_prefix
from wdsremux.processing.even_shards import Lane
from wdsremux.stores.base import Store
from wdsremux.stores.registry import open_store

_NUMBER = re.compile(r"-(\d+)\.msgpack")


@dataclass(frozen=True, slots=True)
class LaneProgress:
    """How many of its shards a lane has made."""

    number: int
    done: int
    shards: int

    def __str__(self) -> str:
        """Return a line for people."""
        state = "finished" if self.done == self.shards else f"{100 * self.done // self.shards} %"
        return f"lane {self.number}: {self.done:,} of {counted(self.shards, 'shard')}, {state}"


@dataclass(frozen=True, slots=True)
class OutputProgress:
    """What all lanes of an output have made."""

    lanes: tuple[LaneProgress, ...]
    is_finished: bool
    """Whether index.json is written."""

    @property
    def done(self) -> int:
        """Number of finished shards."""
        return sum(lane.done for lane in self.lanes)

    @property
    def shards(self) -> int:
        """Number of all shards."""
        return sum(lane.shards for lane in self.lanes)

    def __str__(self) -> str:
        """Return a line for people."""
        ended = sum(lane.done == lane.shards for lane in self.lanes)
        return (
            f"{self.done:,} of {counted(self.shards, 'shard')} made, "
            f"{ended:,} of {counted(len(self.lanes), 'lane')} finished"
        )


def lanes_of(out: str | Path, lanes: int | None = None) -> OutputProgress:
    """Return how far the lanes of an output are; by the names of its entries, which are not read.

    `lanes` is needed where the recipe records only --shards. Raises UsageError.
    """
    store = open_store(out)
    ledger = Ledger(store)
    head = ledger.head()
    if head is None:
        raise UsageError(f"{str(out)!r} has no .wdsremux/recipe.json: nothing was started there")
    shards, recorded = _shards_by_series(head), head.options.get("lanes", 1)
    count = lanes or (recorded if isinstance(recorded, int) else 1)
    done: Counter[int] = Counter()
    owner = {prefix: _owners(number, count) for prefix, number in shards.items()}
    names = [name for name, _ in store.list(STATE_FOLDER)]
    for name in names:
        match = _NUMBER.search(name)
        prefix = prefix_of_shard(name.rpartition("/")[2].replace(".msgpack", ".tar"))
        if match and prefix in owner and int(match[1]) < len(owner[prefix]):
            done[owner[prefix][int(match[1])]] += 1
    wanted = Counter(lane for owners in owner.values() for lane in owners)
    found = [LaneProgress(lane, done[lane], wanted[lane]) for lane in range(count) if wanted[lane]]
    return OutputProgress(tuple(found), any(name == MANIFEST_NAME for name, _ in store.list()))


def _owners(shards: int, lanes: int) -> list[int]:
    """Return the lane of each shard of a series."""
    owners: list[int] = []
    for number in range(lanes):
        first, stop = Lane(number, lanes).shards(shards)
        owners += [number] * (stop - first)
    return owners


def _shards_by_series(head: Head) -> dict[str, int]:
    """Return the number of shards by prefix. Raises UsageError where sizes decide it."""
    by_split = head.options.get(LANE_SHARDS, {})
    found = {}
    for prefix in head.series:
        split = split_of_prefix(prefix, head.copies)
        shards: Any = head.options.get("shards") or by_split.get(split)
        if not isinstance(shards, int):
            raise UsageError(
                "the number of shards of this output is not known before its end: only those of "
                "--shards and --lanes are; a conversion shows its own progress"
            )
        found[prefix] = shards
    return found


def finish(
    out: str | Path,
    *,
    max_errors: str | int | ErrorLimit = "1%",
    observer: Observer = ignore_event,
) -> Manifest:
    """Write the index and the card of an output whose lanes have made all shards.

    The last lane does that, too. Nothing changes where it is done already. Raises UsageError for
    missing shards, StoreError, CorruptDataError for more errors than `max_errors`.
    """
    store = open_store(out)
    limit = error_limit_from_text(max_errors)
    manifest = finish_store(store, limit, partial(_published, store), observer)
    if manifest is None:
        raise AssertionError("a last word is an error or a manifest")
    return manifest


def _published(store: Store, manifest: Manifest) -> dict[str, Any]:
    """Return what the manifest records of a remote store; nothing for a folder."""
    return {} if store.root is not None else dict(published_at(store, manifest, {}))


def lines_of(progress: OutputProgress) -> Sequence[str]:
    """Return what `watch` prints at its end."""
    return [*map(str, progress.lanes), str(progress)]
