"""Reads a finished output as a plain indexed dataset: `load(out)[i]`, for training and for a look.

Opens what it reads lazily and anew in every process, so that it travels to the workers of a
`torch.utils.data.DataLoader` by fork or by pickle.
"""

import io
import json
import os
import threading
import weakref
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import RawIOBase
from itertools import accumulate
from pathlib import Path
from typing import Any

from PIL import Image

from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.core.manifest import Manifest, ShardSummary
from wdsremux.dataset.reader import Output, image_extension, members_of, open_output
from wdsremux.transforms.codecs.pillow_formats import PILLOW_FORMATS

MAX_OPEN_SHARDS = 32
"""Kept open by each process."""


def load(
    out: str | Path, split: str | None = None, *, copy: int | None = None, epoch: int | None = None
) -> "LoadedSplit":
    """Open one split of a finished output, in a folder or behind a URL, as an indexed dataset.

    `split` may be left out where there is only one. Of an output with copies, `copy` names the one
    to be read (0 by default), or `epoch` does: epoch e reads copy e mod N.

    Raises UsageError for a split or copy there is not, CorruptDataError where no finished output
    is, StoreError when it cannot be reached.
    """
    if copy is not None and epoch is not None:
        raise UsageError("copy and epoch both select the copy to read: pass one of them")
    with open_output(out) as output:
        manifest = output.manifest
        if split is None and len(manifest.splits) > 1:
            names = ", ".join(map(repr, manifest.splits))
            raise UsageError(f"{output.words!r} has the splits {names}; name one of them")
        chosen = (epoch or 0) % manifest.head.copies if copy is None else copy
        if not 0 <= chosen < manifest.head.copies:
            raise UsageError(f"{output.words!r} has no copy {copy}; it has {manifest.head.copies}")
        shards = [shard for shard in output.shards(split) if shard.copy == chosen]
        return LoadedSplit(output.words, manifest, shards)


class LoadedSplit:
    """One split of an output, in one copy; may be pickled, forked and used by several threads.

    `[i]` gives a new dict: `key`, by which `ls`, `cat` and `show` know the sample; the fields of
    its JSON; `image`, a decoded `PIL.Image.Image` of the mode it is stored in; and every other
    member as bytes, by its extension. The field `key` of the JSON, which is the text that a key
    column gave, comes as `key_text`, unless a field has that name. Each sample is one read, held
    against its CRC-32; a shard's entry is read when its first sample is.
    """

    def __init__(self, words: str, manifest: Manifest, shards: Sequence[ShardSummary]) -> None:
        self._words = words
        self._manifest = manifest
        self._shards = tuple(shards)
        self._ends = list(accumulate(shard.samples for shard in shards))
        self._reader: _Reader | None = None

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return a sample; negative numbers count from the end. Slices are not taken.

        Raises IndexError, CorruptDataError for a damaged sample, StoreError.
        """
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"sample {index} does not exist: there are {len(self)}")
        number = bisect_right(self._ends, at)
        first = self._ends[number] - self._shards[number].samples
        return _sample(self._own_reader().sample_bytes(self._shards[number], at - first))

    def __getstate__(self) -> tuple[str, Manifest, tuple[ShardSummary, ...]]:
        return self._words, self._manifest, self._shards

    def __setstate__(self, state: tuple[str, Manifest, tuple[ShardSummary, ...]]) -> None:
        self.__init__(*state)  # type: ignore[misc]  # to unpickle is to make it anew

    def _own_reader(self) -> "_Reader":
        """Return what this process reads through."""
        reader = self._reader
        if reader is None or reader.process != os.getpid():
            reader = self._reader = _Reader(open_output(self._words, self._manifest))
        return reader


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the samples of a shard stand: what is needed of its entry, in 12 bytes a sample."""

    offsets: "array[int]"
    """And the end of the last one."""
    crcs: "array[int]"


class _Reader:
    """Open shards and known entries of one process; they are closed when nobody needs it."""

    def __init__(self, output: Output) -> None:
        self.process = os.getpid()
        self._output = output
        self._places: dict[str, _Places] = {}
        self._idle: list[tuple[str, RawIOBase]] = []
        """Open files that are not in use, the last used at the end."""
        self._lock = threading.Lock()
        weakref.finalize(self, _close, output, self._idle).atexit = False

    def sample_bytes(self, shard: ShardSummary, number: int) -> bytes:
        """Return the bytes of one sample of a shard."""
        places = self._places_of(shard)
        start = places.offsets[number]
        place = (start, places.offsets[number + 1] - start, places.crcs[number])
        file = self._taken(shard)
        try:
            data = self._output.sample_bytes(file, shard, place)
        except BaseException:
            file.close()
            raise
        self._give_back(shard, file)
        return data

    def _places_of(self, shard: ShardSummary) -> _Places:
        places = self._places.get(shard.name)
        if places is None:
            entry = self._output.entry(shard)
            offsets = array("Q", accumulate(entry.sizes, initial=0))
            places = self._places[shard.name] = _Places(offsets, array("I", entry.crcs))
        return places

    def _taken(self, shard: ShardSummary) -> RawIOBase:
        with self._lock:
            for at, (name, file) in enumerate(self._idle):
                if name == shard.name:
                    del self._idle[at]
                    return file
        return self._output.open(shard)

    def _give_back(self, shard: ShardSummary, file: RawIOBase) -> None:
        with self._lock:
            self._idle.append((shard.name, file))
            oldest = self._idle.pop(0)[1] if len(self._idle) > MAX_OPEN_SHARDS else None
        if oldest is not None:
            oldest.close()


def _close(output: Output, idle: list[tuple[str, RawIOBase]]) -> None:
    for _, file in idle:
        file.close()
    output.__exit__(None, None, None)


def _sample(data: bytes) -> dict[str, Any]:
    """Return what the bytes of a sample hold."""
    key, members = members_of(data)
    image = image_extension(members)
    sample: dict[str, Any] = {"key": key}
    if "json" in members:
        fields = _fields(members.pop("json"), key)
        if "key" in fields:
            fields.setdefault("key_text", fields.pop("key"))
        sample |= fields
    if image is not None:
        sample["image"] = _image(members.pop(image), key)
    return sample | members


def _fields(content: bytes, key: str) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise CorruptDataError(f"the JSON of sample {key!r} is not valid JSON: {exc}") from exc
    if not isinstance(fields, dict):
        raise CorruptDataError(f"the JSON of sample {key!r} is not an object")
    return fields


def _image(content: bytes, key: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content), formats=PILLOW_FORMATS)
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise CorruptDataError(f"the image of sample {key!r} cannot be decoded: {exc}") from exc
    return image
