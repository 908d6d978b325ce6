"""Makes the randomness of a user's function belong to (seed, copy, position).

Seeded before each call: the global generators of `random`, of NumPy and, if it is imported, of
PyTorch (torchvision draws from it); and every object in the function's reach that keeps generators
of its own and can be given others, as the transforms of albumentations do.
"""

import contextlib
import functools
import random
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from wdsremux.transforms.base import sample_rng

_APART = 2**63
"""Added to the number of the copy: keeps these seeds apart from the streams of the samples."""

_MAX_DEPTH = 6
_MAX_MODULE_DEPTH = 2
"""Modules are looked through for the function and for those it finds beside it, no further."""

_MAX_ITEMS = 1000
_MAX_TRIES = 3


class Randomness:
    """The generators that a function may draw from without asking; for one thread.

    They stay seeded after a call: of the process, only the last call's randomness is left.

    In reach are the values of the function's module, what it has captured, the arguments of a
    partial and the attributes of an object, and what lists, tuples and dicts of these hold. A
    transform that is made anew in each call is not: give it a seed drawn from the `rng` that the
    function may ask for.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._holders: list[Any] = []
        self._settled = False

    @property
    def is_settled(self) -> bool:
        """Whether a call can be trusted to happen only once."""
        return self._settled

    def run(self, call: Callable[[], Any], seed: int, copy: int, position: int) -> Any:
        """Return what a call gives when all generators are seeded before.

        A first call may bring in generators (`import torch` within the function): they were not
        seeded then, so it is called again, until nothing new appears.
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
        """Return what draws: objects with generators, and the module of PyTorch."""
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
        # gives every transform of a Compose the same seed, and a horizontal and a vertical flip
        # would always happen together (measured with 2.0.8).
        python_random = random.Random(number) if sources else None  # noqa: S311 (no secrets)
        for source in sources:
            if isinstance(source, types.ModuleType):  # PyTorch
                source.manual_seed(number % 2**63)
            elif callable(getattr(source, "set_random_state", None)):
                source.set_random_state(generator, python_random)
            else:
                source.set_random_seed(number % 2**32)


def _are_new(before: list[Any], after: list[Any]) -> bool:
    known = {id(source) for source in before}
    return any(id(source) not in known for source in after)


def _holders(function: Callable[..., Any]) -> Iterator[Any]:
    """Yield the objects in reach that keep generators, each once, in a fixed order."""
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
    """Return the attributes of an object of the user's own class, and its way of being called."""
    return [*getattr(value, "__dict__", {}).values(), vars(type(value)).get("__call__")]


def _within_function(function: types.FunctionType) -> list[Any]:
    captured = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # not filled yet
            captured.append(cell.cell_contents)
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return [*captured, *defaults]
