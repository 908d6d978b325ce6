"""Makes the randomness of a user's function belong to (seed, copy, position).

Before each call these are seeded: the global generators of `random`, of NumPy and, if imported, of
PyTorch (torchvision uses it), and every object that the function can reach and that holds
generators of its own which can be replaced, such as the transforms of albumentations.
"""

import contextlib
import functools
import inspect
import random
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from wdsremux.core.errors import UsageError
from wdsremux.transforms.base import sample_rng

_APART = 2**63
"""Added to the number of the copy: separates these seeds from the streams of the samples."""

_MAX_DEPTH = 6
_MAX_MODULE_DEPTH = 2
"""Modules are searched for the function and for the functions it uses, no further."""

_MAX_ITEMS = 1000
_MAX_TRIES = 3


class Randomness:
    """The generators that a function may use without an `rng` argument; for one thread.

    They stay seeded after a call, so global randomness of the process is that of the last call.

    Reachable are the values of the function's module, captured values, the arguments of a partial
    and the attributes of an object, and what lists, tuples and dicts of these hold. A transform
    that is created in each call is not: pass it a seed drawn from the function's `rng` argument.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._holders: list[Any] = []
        self._settled = False

    @property
    def is_settled(self) -> bool:
        """Whether every call now happens only once."""
        return self._settled

    def run(self, call: Callable[[], Any], seed: int, copy: int, position: int) -> Any:
        """Return the result of a call with all generators seeded.

        A first call may create generators (`import torch` in the function) that were not seeded: it
        is called again until no new ones appear.
        """
        for _ in range(_MAX_TRIES):
            before = self._sources()
            self._seed(before, seed, copy, position)
            result = call()
            if self._settled or not _are_new(before, self._sources()):
                break
        self._settled = True
        return result

    def _sources(self) -> list[Any]:
        """Return the objects with generators, and the module of PyTorch."""
        if not self._settled:
            self._holders = list(_holders(self._function))
        torch = sys.modules.get("torch")
        return self._holders if torch is None else [*self._holders, torch]

    def _seed(self, sources: list[Any], seed: int, copy: int, position: int) -> None:
        generator = sample_rng(seed, _APART + copy, position)
        data = generator.bytes(32)
        number = int.from_bytes(data, "little")
        random.seed(number)
        np.random.seed(np.frombuffer(data, "<u4"))  # noqa: NPY002 (the old global generator is what many functions use)
        # One pair of generators for all, drawn from in turn. With `set_random_seed` albumentations
        # passes every transform of a Compose the same seed, and a horizontal and a vertical flip
        # would always happen together (measured with 2.0.8).
        python_random = random.Random(number) if sources else None  # noqa: S311 (no secrets)
        for source in sources:
            if isinstance(source, types.ModuleType):  # PyTorch
                source.manual_seed(number % 2**63)
            elif callable(getattr(source, "set_random_state", None)):
                source.set_random_state(generator, python_random)
            else:
                source.set_random_seed(number % 2**32)


def requested_streams(function: Callable[..., Any], mode: str, label: str) -> frozenset[str]:
    """Return the names of the random streams that the function has parameters for.

    Raises UsageError if it cannot be called with its argument and these alone.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # compiled functions have none
        return frozenset()
    offered = ("rng", "rngs") if mode == "batch" else ("rng",)
    wanted = frozenset(name for name in offered if name in signature.parameters)
    argument = {"batch": "the batch", "sample": "the sample", "image": "the image"}[mode]
    try:
        signature.bind(object(), **dict.fromkeys(wanted))
    except TypeError as exc:
        raise UsageError(
            f"transform {label} cannot be called with {argument} alone, "
            f"and {' and '.join(offered)} if it asks for it: {exc}"
        ) from exc
    return wanted


def _are_new(before: list[Any], after: list[Any]) -> bool:
    known = {id(source) for source in before}
    return any(id(source) not in known for source in after)


def _holders(function: Callable[..., Any]) -> Iterator[Any]:
    """Yield the reachable objects that hold generators, each once, in a fixed order."""
    home = getattr(getattr(function, "func", function), "__module__", None)
    seen: set[int] = set()
    waiting: list[tuple[Any, int]] = [(function, 0)]
    while waiting:
        value, depth = waiting.pop()
        if id(value) in seen or isinstance(value, type | types.ModuleType):
            continue
        seen.add(id(value))
        if _keeps_generators(value):
            yield value
        elif depth < _MAX_DEPTH:
            inner = _within(value, depth)
            if not inner and (depth == 0 or type(value).__module__ == home):
                inner = _within_object(value)
            waiting.extend((item, depth + 1) for item in reversed(inner))


def _keeps_generators(value: Any) -> bool:
    names = ("set_random_state", "set_random_seed")
    return any(callable(getattr(type(value), name, None)) for name in names)


def _within(value: Any, depth: int) -> list[Any]:
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, types.FunctionType):
        module = [value.__globals__] if depth <= _MAX_MODULE_DEPTH else []
        return [*_within_function(value), *module]
    if isinstance(value, dict):
        return list(value.values()) if len(value) <= _MAX_ITEMS else []
    if isinstance(value, list | tuple):
        return list(value) if len(value) <= _MAX_ITEMS else []
    return []


def _within_object(value: Any) -> list[Any]:
    """Return the attributes of an object of the user's own class, and its `__call__`."""
    return [*getattr(value, "__dict__", {}).values(), vars(type(value)).get("__call__")]


def _within_function(function: types.FunctionType) -> list[Any]:
    captured = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # not filled yet
            captured.append(cell.cell_contents)
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return [*captured, *defaults]
