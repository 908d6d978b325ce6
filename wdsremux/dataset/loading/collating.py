"""From samples to a batch: images stacked, numbers as an array, everything else as a list."""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wdsremux.core.errors import UsageError
from wdsremux.dataset.loading.decoding import (
    Decode,
    ParsedSample,
    Pixels,
    SampleDecoder,
    rgb,
    rgb_into,
)


def collate(samples: Sequence[Any]) -> Any:
    """Return a batch of samples, as a `collate_fn` of a `torch.utils.data.DataLoader`.

    Dicts become a dict and tuples a tuple of columns. In a column, arrays are stacked to an array
    and tensors to a tensor, numbers become an array (a tensor where the sample has tensors), and
    everything else a list. Raises UsageError for images of different sizes.
    """
    first = samples[0]
    if isinstance(first, Mapping):
        is_torch = any(map(_is_tensor, first.values()))
        names = _common_names(samples)
        return {name: _column([one[name] for one in samples], is_torch) for name in names}
    if isinstance(first, tuple):
        is_torch = any(map(_is_tensor, first))
        columns = zip(*samples, strict=True)
        return tuple(_column(list(column), is_torch) for column in columns)
    return _column(list(samples), _is_tensor(first))


def decoded_batch(decoder: SampleDecoder, raw: Sequence[bytes]) -> Any:
    """Return the batch that `collate` makes of decoded samples; images are decoded in place.

    In a worker of a DataLoader, a batch of tensors is decoded into shared memory: it reaches the
    main process without a copy.
    """
    samples = [decoder.parsed(data) for data in raw]
    has_images = decoder.columns is None or "image" in decoder.columns
    if decoder.decode == "pil" or not has_images or samples[0].image is None:
        batch = collate([decoder.finished(sample, None) for sample in samples])
        return _with_tensors(batch) if decoder.decode == "torch" else batch
    images = _stacked(samples, decoder.decode)
    # Each sample is finished with a mark in the place of its image.
    batch = collate([decoder.finished(sample, _MARK) for sample in samples])
    if decoder.decode == "torch":
        batch = _with_tensors(batch)
    if isinstance(batch, dict):
        return batch | {"image": images}
    return tuple(
        images if column == "image" else values
        for column, values in zip(decoder.columns or (), batch, strict=True)
    )


_MARK = ""


def _stacked(samples: Sequence[ParsedSample], decode: Decode) -> Any:
    """Return the images of samples as one array, or as one tensor with the channels first."""
    first = rgb(samples[0].image_content(), samples[0].key)
    shape = (len(samples), *first.shape)
    if decode == "rgb":
        images = np.empty(shape, dtype=np.uint8)
        _fill(images, samples, first)
        return images
    tensor = _new_tensor(shape)
    _fill(tensor.numpy(), samples, first)
    return tensor.movedim(-1, -3)


def _fill(images: Pixels, samples: Sequence[ParsedSample], first: Pixels) -> None:
    """Decode images into an array; the first one is decoded already."""
    images[0] = first
    for sample, image in zip(samples[1:], images[1:], strict=True):
        if sample.image is None:
            raise UsageError(f"sample {sample.key!r} has no image, as others of its batch have")
        content = sample.image_content()
        if not rgb_into(content, image):
            pixels = rgb(content, sample.key)
            if pixels.shape != image.shape:
                raise _different_sizes(image.shape, pixels.shape)
            image[:] = pixels


def _new_tensor(shape: tuple[int, ...]) -> Any:
    """Return an empty uint8 tensor, in a worker of a DataLoader in shared memory.

    That is how torch's own collate function allocates it: a tensor that moves to shared memory
    later is copied.
    """
    import torch  # noqa: PLC0415 (heavy, and only this way to decode needs it)

    if not _in_worker():
        return torch.empty(shape, dtype=torch.uint8)
    storage = torch.UntypedStorage._new_shared(math.prod(shape))  # noqa: SLF001
    return torch.empty(0, dtype=torch.uint8).set_(storage).view(shape)


def _in_worker() -> bool:
    from torch.utils.data import get_worker_info  # noqa: PLC0415 (heavy; only tensors are shared)

    return get_worker_info() is not None


def _common_names(samples: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns that all samples have, in the order of the first."""
    for sample in samples[1:]:
        if sample.keys() != samples[0].keys():
            differ = sorted(sample.keys() ^ samples[0].keys())
            raise UsageError(
                f"samples of one batch differ in the columns {', '.join(map(repr, differ))}; "
                "name the columns you need"
            )
    return list(samples[0])


def _column(values: list[Any], is_torch: bool) -> Any:  # noqa: FBT001 (what the batch holds)
    first = values[0]
    if isinstance(first, np.ndarray) or _is_tensor(first):
        shapes = {tuple(value.shape) for value in values}
        if len(shapes) > 1:
            raise _different_sizes(*sorted(shapes)[:2])
        if isinstance(first, np.ndarray):
            return np.stack(values)
        from torch.utils.data import default_collate  # noqa: PLC0415 (loaded: a value is a tensor)

        return default_collate(values)
    if {type(value) for value in values} <= {int, float, bool}:
        numbers = _numbers(values)
        if isinstance(numbers, np.ndarray) and is_torch:
            return sys.modules["torch"].from_numpy(numbers)
        return numbers
    return values


def _numbers(values: list[Any]) -> Any:
    """Return an array of numbers; integers beyond 64 bits stay a list."""
    try:
        numbers = np.array(values)
    except OverflowError:
        return values
    return numbers if numbers.dtype.kind in "bif" else values


def _with_tensors(batch: Any) -> Any:
    """Return a batch with tensors in place of arrays."""
    from torch import from_numpy  # noqa: PLC0415 (heavy, and only this way to decode needs it)

    def as_tensor(value: Any) -> Any:
        return from_numpy(value) if isinstance(value, np.ndarray) else value

    if isinstance(batch, dict):
        return {name: as_tensor(value) for name, value in batch.items()}
    return tuple(map(as_tensor, batch))


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _different_sizes(one: tuple[int, ...], other: tuple[int, ...]) -> UsageError:
    return UsageError(
        f"arrays of one batch differ in shape, {'×'.join(map(str, one))} and "
        f"{'×'.join(map(str, other))}; convert with a step such as resize, or pass batch_size=None"
    )
