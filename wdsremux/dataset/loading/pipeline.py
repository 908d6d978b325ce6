"""`pipeline`: one split of a finished output as a `webdataset` pipeline of batches for training.

Its batches are numbered, and worker k of n makes the batches k, k + n, k + 2n, ...: a `DataLoader`,
which takes from its workers in turn, delivers the same batches in the same order for any n. All
workers read all shards, by the sample ranges that the index holds.
"""

import operator
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, SupportsIndex

import webdataset
from webdataset.utils import pytorch_worker_info

from wdsremux.core.errors import UsageError
from wdsremux.dataset.loading.cache import DEFAULT_CACHE_SIZE, cache_of
from wdsremux.dataset.loading.collating import decoded_batch
from wdsremux.dataset.loading.cursor import Cursor, ranks
from wdsremux.dataset.loading.decoding import (
    Decode,
    SampleDecoder,
    checked_columns,
    checked_decode,
)
from wdsremux.dataset.loading.loader import Loader
from wdsremux.dataset.loading.order import WINDOW_SAMPLES, EpochOrder, Indices
from wdsremux.dataset.loading.reader import REQUESTS_AT_ONCE, SampleReader
from wdsremux.dataset.loading.shares import RankOrder, Remainder, share_of
from wdsremux.dataset.loading.split import split_shards
from wdsremux.dataset.reader import open_output
from wdsremux.stores.reading.prefetch import prefetch


def pipeline(  # noqa: PLR0913 (options of one call, by name; `load` has the same)
    out: str | os.PathLike[str],
    split: str | None = None,
    *,
    epoch: int = 0,
    shuffle: bool | int = False,
    seed: int = 0,
    decode: Decode = "rgb",
    columns: Sequence[str] | None = None,
    batch_size: int | None = None,
    rank: int | None = None,
    world_size: int | None = None,
    remainder: Remainder = "keep",
    cache_dir: str | os.PathLike[str] | None = None,
    cache_size: str | int = DEFAULT_CACHE_SIZE,
) -> "Pipeline":
    """Return one split of a finished output as a pipeline of batches, or of single samples.

    * `epoch`: the first epoch; epoch e reads copy e mod N of an output with N copies.
    * `shuffle`: True for an order that (seed, epoch) decides and that mixes sorted data as well. A
      number sets how many samples are shuffled together (16,384): with `cache_dir`, this many
      samples should fit into `cache_size`.
    * `decode`: "rgb" for uint8 arrays (N×H×W×3), "torch" for uint8 tensors (N×3×H×W, in memory
      channels last), "pil" for a list of Pillow images.
    * `columns`: batches become tuples of these instead of dicts of all. An image that is not named
      is not decoded.
    * `batch_size`: None for single samples.
    * `rank`, `world_size`: the part of this process, by default that of `torch.distributed` or of
      the variables RANK and WORLD_SIZE. Any number of ranks reads any number of shards.
    * `remainder`: what happens to samples that do not divide evenly. "keep": every sample once, and
      as many batches on every rank (ranks of single samples may differ by one); "pad": as many
      samples on every rank, a few of them twice; "drop": only full batches.
    * `cache_dir`, `cache_size`: behind a URL, a folder of bounded size for what was fetched.

    Raises UsageError for an option or split that does not exist, CorruptDataError when there is no
    finished output, StoreError when it cannot be reached.
    """
    window = WINDOW_SAMPLES if shuffle is True else _count("shuffle", shuffle or 0)
    epoch = _count("epoch", epoch)
    batch_size = None if batch_size is None else _count("batch_size", batch_size)
    rank = None if rank is None else _count("rank", rank)
    world_size = None if world_size is None else _count("world_size", world_size)
    decoder = SampleDecoder(checked_decode(decode), checked_columns(columns))
    rank, world_size = ranks(rank, world_size)
    cache = cache_of(cache_dir, cache_size)
    with open_output(out) as output:
        shards = split_shards(output, split)
        by_copy = sorted(shards, key=lambda shard: shard.copy)
        reader = SampleReader(output.location, output.manifest, by_copy, cache)
        copies = [
            sum(shard.samples for shard in shards if shard.copy == copy)
            for copy in range(output.manifest.head.copies)
        ]
        name = shards[0].split if shards else split or ""
    settings = _Settings(
        output.manifest.head.fingerprint, name, seed, window, batch_size, world_size, remainder
    )
    plan = _Plan(settings, tuple(copies), rank)
    plan.order(epoch)  # Wrong settings are reported now, not by a worker.
    return Pipeline(plan, Cursor(epoch), reader, decoder)


def _count(name: str, value: object) -> int:
    """Return an option that counts something, as an int. Raises UsageError for other values."""
    if not isinstance(value, SupportsIndex) or isinstance(value, bool) or operator.index(value) < 0:
        raise UsageError(f"{name}={value!r}: pass a whole number of at least 0")
    return operator.index(value)


@dataclass(frozen=True, slots=True)
class _Settings:
    """What decides which samples are in which batch; a state fits only the same settings."""

    fingerprint: str
    split: str
    seed: int
    shuffle: int
    batch_size: int | None
    world_size: int
    remainder: Remainder

    def to_json(self) -> dict[str, Any]:
        """Return the settings as part of a state."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which samples this rank reads in which epoch."""

    settings: _Settings
    copies: tuple[int, ...]
    """Samples of each copy."""
    rank: int

    def order(self, epoch: int) -> RankOrder:
        """Return the batches of an epoch. Raises UsageError where ranks would get none."""
        settings = self.settings
        samples = self.copies[epoch % len(self.copies)]
        share = share_of(
            samples,
            rank=self.rank,
            world_size=settings.world_size,
            batch_size=1 if settings.batch_size is None else settings.batch_size,
            remainder=settings.remainder,
        )
        return RankOrder(EpochOrder(samples, settings.seed, epoch, settings.shuffle), share)

    def first(self, epoch: int) -> int:
        """Return which number the first sample of the copy has among those of all copies."""
        return list(accumulate(self.copies, initial=0))[epoch % len(self.copies)]


class Pipeline(webdataset.DataPipeline):  # type: ignore[misc]  # webdataset has no types
    """Numbered batches of one rank: iterate it, pass it to `loader`, or `compose` further stages.

    Iterating to the end continues with the next epoch. In a plain `DataLoader(pipeline,
    batch_size=None)`, which iterates copies of it, call `set_epoch` before each epoch.
    """

    def __init__(
        self, plan: _Plan, cursor: Cursor, reader: SampleReader, decoder: SampleDecoder
    ) -> None:
        batch_size = plan.settings.batch_size
        super().__init__(
            _Numbers(plan, cursor),
            _Reading(reader, batch_size or 1),
            _Decoding(decoder, is_single=batch_size is None),
            _Counting(cursor),
        )
        self._plan = plan
        self._cursor = cursor

    def __len__(self) -> int:
        """Return the number of batches (without `batch_size`, of samples) of this rank."""
        return len(self._plan.order(self._cursor.epoch))

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration read this epoch from its start."""
        self._cursor.move(epoch, 0)

    def state_dict(self) -> dict[str, Any]:
        """Return where the iteration is, as plain values: the epoch and the batches delivered."""
        return {**self._cursor.state(), "settings": self._plan.settings.to_json()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration continue where the state was taken, with any number of workers.

        Raises UsageError for the state of another dataset, split, order or batch size.
        """
        own, others = self._plan.settings.to_json(), state["settings"]
        for name, value in own.items():
            if others.get(name) != value:
                raise UsageError(
                    f"the state was saved with {name}={others.get(name)!r}, and this pipeline has "
                    f"{name}={value!r}; make the pipeline with the old value to resume"
                )
        self._cursor.move(state["epoch"], state["batches"])

    def loader(
        self,
        num_workers: int = 0,
        *,
        pin_memory: bool = False,
        prefetch_factor: int | None = None,
        multiprocessing_context: str | None = None,
    ) -> Loader:
        """Return a `webdataset.WebLoader` over this pipeline, with worker processes.

        It has `state_dict`, `load_state_dict` and `set_epoch`, and its workers stay from epoch to
        epoch. Needs PyTorch.
        """
        return Loader(
            self,
            self._cursor,
            num_workers=num_workers,
            pin_memory=pin_memory,
            prefetch_factor=prefetch_factor,
            multiprocessing_context=multiprocessing_context,
        )

    def uncounted(self) -> "Pipeline":
        """Return the same pipeline without the stage that moves the cursor."""
        other: Pipeline = self.compose()
        other.pipeline = [stage for stage in self.pipeline if not isinstance(stage, _Counting)]
        return other


class _Numbers:
    """First stage: the samples of each batch that this worker makes, as their numbers."""

    def __init__(self, plan: _Plan, cursor: Cursor) -> None:
        self._plan = plan
        self._cursor = cursor

    def __call__(self) -> Iterator[Indices]:
        epoch, start = self._cursor.begin()
        order = self._plan.order(epoch)
        first = self._plan.first(epoch)
        _, _, worker, workers = pytorch_worker_info()
        for number in range(start + worker, len(order), workers):
            yield order.batch(number) + first


class _Reading:
    """Second stage: the bytes of these samples, read ahead where a network is waited for."""

    def __init__(self, reader: SampleReader, batch_size: int) -> None:
        self._reader = reader
        self._at_once = max(2, REQUESTS_AT_ONCE // batch_size)

    def __call__(self, batches: Iterator[Indices]) -> Iterator[list[bytes]]:
        if not self._reader.is_remote:
            for numbers in batches:
                yield self._reader.read(numbers.tolist())
            return
        for _, result in prefetch(self._read, batches, at_once=self._at_once, name="batches"):
            yield result()

    def _read(self, numbers: Indices) -> list[bytes]:
        return self._reader.read(numbers.tolist())


class _Decoding:
    """Third stage: batches, or single samples."""

    def __init__(self, decoder: SampleDecoder, *, is_single: bool) -> None:
        self._decoder = decoder
        self._is_single = is_single

    def __call__(self, batches: Iterator[list[bytes]]) -> Iterator[Any]:
        for raw in batches:
            if self._is_single:
                yield self._decoder(raw[0])
            else:
                yield decoded_batch(self._decoder, raw)


class _Counting:
    """Last stage: moves the cursor with every batch that is delivered."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        _, _, _, workers = pytorch_worker_info()
        for batch in batches:
            self._cursor.count(workers)
            yield batch
        self._cursor.finish()
