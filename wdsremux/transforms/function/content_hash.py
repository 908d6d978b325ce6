"""Hashes values by their content, for the fingerprint of a function."""

import hashlib
import pickle
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

_PICKLE_PROTOCOL = 4
"""Fixed: another protocol would change fingerprints."""


def content_of(value: Any) -> Any:
    """Return the content of a value as JSON; None for other kinds of values."""
    if isinstance(value, bytes | bytearray | memoryview):
        return {type(value).__name__: _sha256(bytes(value))}
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        return {"array": [value.dtype.str, list(value.shape), _sha256(value.tobytes())]}
    if isinstance(value, Image.Image):
        return _image(value)
    torch = sys.modules.get("torch")  # where it is not imported, there are no tensors
    if torch is not None and isinstance(value, torch.Tensor):
        return _tensor(value, torch)
    return None


def pickled(value: Any) -> Any:
    """Return the digest of a pickled value; None if it cannot be pickled or has a state.

    The state of a generator or an iterator changes with each use, but the function is the same.
    """
    if isinstance(value, Iterator | np.random.Generator | np.random.RandomState):
        return None
    if isinstance(value, np.random.BitGenerator):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {"pickle": _sha256(pickle.dumps(value, _PICKLE_PROTOCOL))}
    except Exception:  # noqa: BLE001 (pickling runs any code)
        return None


def _image(image: Image.Image) -> Any:
    try:
        data = image.tobytes()
    except (OSError, ValueError, SyntaxError):  # its file is broken, or closed
        return None
    return {"image": [image.mode, list(image.size), image.getpalette(), _sha256(data)]}


def _tensor(tensor: Any, torch: Any) -> Any:
    try:
        flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    except (RuntimeError, TypeError, NotImplementedError):  # sparse, quantized, on no device
        return None
    return {"tensor": [str(tensor.dtype), list(tensor.shape), _sha256(flat.numpy().tobytes())]}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
