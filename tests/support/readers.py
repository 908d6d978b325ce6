"""Other people's readers of our shards, tamed for tests."""

import sys
import types
import warnings
from typing import Generic, TypeVar

T = TypeVar("T")


def wids_samples(index, cache):
    """Return all samples as wids reads them: dicts of bytes with keys such as ".jpg"."""
    dataset = _wids().ShardListDataset(str(index), cache_dir=str(cache), transformations=[])
    try:
        return [
            {name: value.read() if name.startswith(".") else value for name, value in item.items()}
            for item in (dataset[i] for i in range(len(dataset)))
        ]
    finally:
        dataset.close()


def webdataset_samples(folder, pattern):
    """Return all samples as webdataset reads them, not decoded."""
    import webdataset

    urls = f"{folder}/{pattern}"
    with warnings.catch_warnings():
        # It leaves it to the garbage collector to close the shards.
        warnings.simplefilter("ignore", ResourceWarning)
        return list(webdataset.WebDataset(urls, shardshuffle=False))


class _Subscriptable(Generic[T]):
    """Stands for torch's Dataset and Sampler."""


def _wids():
    """Import wids, which wants two names of torch for a sampler that no test uses."""
    if "wids" in sys.modules or "torch" in sys.modules:
        import wids

        return wids
    stubs = {name: types.ModuleType(name) for name in _TORCH_NAMES}
    stubs["torch"].distributed = stubs["torch.distributed"]
    stubs["torch.utils.data"].Dataset = stubs["torch.utils.data"].Sampler = _Subscriptable
    sys.modules.update(stubs)
    try:
        import wids
    finally:
        for name in stubs:
            del sys.modules[name]
    return wids


_TORCH_NAMES = ("torch", "torch.distributed", "torch.utils", "torch.utils.data")
