"""`load`: one split of a finished output as an indexed dataset, for training and for a look."""

import operator
import os
from collections.abc import Iterator, Sequence
from typing import Any, SupportsIndex

from wdsremux.core.errors import UsageError
from wdsremux.core.manifest import ShardSummary
from wdsremux.dataset.loading.cache import DEFAULT_CACHE_SIZE, cache_of
from wdsremux.dataset.loading.decoding import (
    Decode,
    SampleDecoder,
    checked_columns,
    checked_decode,
)
from wdsremux.dataset.loading.reader import SampleReader
from wdsremux.dataset.reader import Output, open_output

COLUMN_READ_SAMPLES = 1024
"""Samples that `LoadedSplit.column` reads at a time."""


def load(  # noqa: PLR0913 (options of one call, by name; `pipeline` has the same)
    out: str | os.PathLike[str],
    split: str | None = None,
    *,
    copy: int | None = None,
    epoch: int | None = None,
    decode: Decode = "pil",
    columns: Sequence[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    cache_size: str | int = DEFAULT_CACHE_SIZE,
) -> "LoadedSplit":
    """Open one split of a finished output, in a folder or behind a URL, as an indexed dataset.

    `split` may be left out where there is only one. Of an output with copies, `copy` names the one
    to read (0 by default), or `epoch` does: epoch e reads copy e mod N. `decode` is what an image
    becomes: "pil", "rgb" (H×W×3 uint8 array) or "torch" (3×H×W uint8 tensor). With `columns`, a
    sample is a tuple of these, and an image that is not among them is not decoded. Behind a URL,
    `cache_dir` keeps what was fetched, up to `cache_size`.

    Raises UsageError for a split, copy or option that does not exist, CorruptDataError when there
    is no finished output, StoreError when it cannot be reached.
    """
    decoder = SampleDecoder(checked_decode(decode), checked_columns(columns))
    cache = cache_of(cache_dir, cache_size)
    with open_output(out) as output:
        chosen = chosen_copy(output, copy, epoch)
        shards = [shard for shard in split_shards(output, split) if shard.copy == chosen]
        return LoadedSplit(SampleReader(output.location, output.manifest, shards, cache), decoder)


def chosen_copy(output: Output, copy: int | None, epoch: int | None) -> int:
    """Return the copy that is named, or read in an epoch. Raises UsageError for another."""
    if copy is not None and epoch is not None:
        raise UsageError("copy and epoch both say which copy to read: pass one of them")
    copies = output.manifest.head.copies
    chosen = (epoch or 0) % copies if copy is None else copy
    if not 0 <= chosen < copies:
        raise UsageError(f"{output.location!r} has no copy {copy}; it has {copies}")
    return chosen


def split_shards(output: Output, split: str | None) -> list[ShardSummary]:
    """Return the shards of a split, of all copies. Raises UsageError where none is named."""
    if split is None and len(output.manifest.splits) > 1:
        names = ", ".join(map(repr, output.manifest.splits))
        raise UsageError(f"{output.location!r} has the splits {names}; name one of them")
    return output.shards(split)


class LoadedSplit:
    """One split of an output, in one copy; may be pickled, forked and used by several threads.

    `[i]` returns a new sample, and `[i:j]` these samples as another split. Without `columns` a
    sample is a dict: `key`, by which `ls`, `cat` and `show` know the sample; the fields of its
    JSON; `image`; further images by the name before their format, such as `mask` for `mask.png`,
    those of one channel as H×W labels where `decode` is not "pil"; every other member by its
    extension, as bytes unless it is txt or cls. The field
    `key` of the JSON, which is the string that a key column had, is `key_text`, unless a field has
    that name. Each sample is one read, compared with its CRC-32; the entry of a shard is read with
    its first one.
    """

    def __init__(
        self, reader: SampleReader, decoder: SampleDecoder, part: range | None = None
    ) -> None:
        """`part` are the numbers of the samples among those of the reader; all by default."""
        self._reader = reader
        self._decoder = decoder
        self._part = range(len(reader)) if part is None else part

    def __repr__(self) -> str:
        """Return one line: what is read, and what a sample is."""
        shards = self._reader.shards
        name = f" {shards[0].split!r}" if shards else ""
        copies = self._reader.manifest.head.copies
        copy = f", copy {shards[0].copy}" if shards and copies > 1 else ""
        whole = len(self._reader)
        of = f" of {whole:,}" if len(self) < whole else ""
        columns = "" if self._decoder.columns is None else f", columns={self._decoder.columns!r}"
        return (
            f"<LoadedSplit{name}{copy} of {self._reader.out!r}: {len(self):,}{of} samples, "
            f"decode={self._decoder.decode!r}{columns}>"
        )

    def __len__(self) -> int:
        return len(self._part)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int | slice) -> Any:
        """Return a sample, or for a slice a split of these samples, of which nothing is read yet.

        Negative numbers count from the end. Raises IndexError, CorruptDataError for a damaged
        sample, StoreError.
        """
        if isinstance(index, slice):
            return LoadedSplit(self._reader, self._decoder, self._part[index])
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Return several samples, read together; `DataLoader` calls this for every batch."""
        raw = self._reader.read([self._checked(index) for index in indices])
        return [self._decoder(data) for data in raw]

    def column(self, name: str) -> list[Any]:
        """Return one column of all samples, such as "label" for a sampler, in their order.

        Nothing but the JSON is decoded: images stay as they are. Every shard is read once.
        """
        decoder = SampleDecoder("rgb", (name,))
        found: list[Any] = []
        for start in range(0, len(self), COLUMN_READ_SAMPLES):
            wanted = self._part[start : start + COLUMN_READ_SAMPLES]
            found.extend(decoder(data)[0] for data in self._reader.read(wanted))
        return found

    def _checked(self, index: object) -> int:
        """Return the number of a sample; `index` may be an integer of numpy or torch."""
        if not isinstance(index, SupportsIndex):
            raise TypeError(f"{index!r} is neither a number nor a slice")
        number = operator.index(index)
        at = number + len(self) if number < 0 else number
        if not 0 <= at < len(self):
            raise IndexError(f"sample {index} does not exist: there are {len(self)}")
        return self._part[at]
