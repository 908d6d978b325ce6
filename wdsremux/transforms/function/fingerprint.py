"""Hashes a function object; the hash is the same in every process that has the same code.

It covers the function's source, the functions and values of its module that it names, its defaults,
and the values it has captured. Numbers, arrays, images and tensors count by their content, objects
by the name of their class and their attributes (within the bounds below) or their pickle; modules,
classes, and objects with a state (generators, locks) by name only.
"""

import functools
import hashlib
import inspect
import json
import sys
import textwrap
import types
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

import numpy as np

from wdsremux.transforms.function.content_hash import content_of, pickled
from wdsremux.transforms.function.source_hash import hashes_of_module, source_sha256

_MAX_DEPTH = 6
"""Depth of objects within objects that are inspected."""
_MAX_OBJECTS = 2_000
"""Total number of objects that are inspected: cyclic structures must end."""
_CALLABLES = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    functools.partial,
)
_SETTINGS_MODULES = ("argparse", "types")
"""Modules of the standard library whose objects hold settings; others hold a state."""


@dataclass(slots=True)
class _Budget:
    left: int = _MAX_OBJECTS
    by_name: set[str] = field(default_factory=set)
    """Classes of values that were hashed by their class name only."""


@dataclass(frozen=True, slots=True)
class _Path:
    """The path by which a value was reached."""

    ids: frozenset[int] = frozenset()
    depth: int = 0
    budget: _Budget = field(default_factory=_Budget)

    def passed(self, value: Any) -> bool:
        return id(value) in self.ids

    def into(self, value: Any) -> "_Path":
        return replace(self, ids=self.ids | {id(value)})

    def deeper(self, value: Any) -> "_Path | None":
        """Return the path into an object; None beyond the bounds."""
        if self.depth >= _MAX_DEPTH or self.budget.left <= 0:
            return None
        self.budget.left -= 1
        return replace(self.into(value), depth=self.depth + 1)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hash of a function object."""

    sha256: str
    by_name: tuple[str, ...]
    """Classes of objects whose content is not part of the hash."""


def fingerprint_of_callable(function: Callable[..., Any]) -> Fingerprint:
    """Return the fingerprint of a function, lambda, partial, bound method or callable object."""
    path = _Path()
    text = json.dumps(_callable(function, path), sort_keys=True)
    return Fingerprint(
        hashlib.sha256(text.encode()).hexdigest(), tuple(sorted(path.budget.by_name))
    )


def _callable(value: Callable[..., Any], path: _Path) -> Any:
    if path.passed(value):
        return "seen"
    path = path.into(value)
    if isinstance(value, functools.partial):
        keywords = {name: _value(item, path) for name, item in value.keywords.items()}
        arguments = [_value(item, path) for item in value.args]
        return {"partial": _callable(value.func, path), "args": arguments, "keywords": keywords}
    if isinstance(value, types.MethodType):
        return {"method": _callable(value.__func__, path), "of": _object(value.__self__, path)}
    if isinstance(value, types.FunctionType):
        return _function(value, path)
    if isinstance(value, types.BuiltinFunctionType):
        return {"builtin": value.__qualname__, "module": value.__module__}
    return _object(value, path)


def _function(function: types.FunctionType, path: _Path) -> Any:
    names = sorted(set(_names(function.__code__)))
    module = function.__globals__
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {
        "source": _source(function) or _code(function.__code__),
        "defaults": _value(function.__defaults__, path),
        "keyword defaults": _value(function.__kwdefaults__, path),
        "captured": {name: _captured(cell, path) for name, cell in cells},
        "modules": {
            name: hashes
            for name in names
            if isinstance(module.get(name), types.ModuleType)
            and (hashes := hashes_of_module(module[name])) is not None
        },
        "names": {
            name: _value(module[name], path)
            for name in names
            if name in module and not isinstance(module[name], types.ModuleType)
        },
    }


def _captured(cell: types.CellType, path: _Path) -> Any:
    try:
        return _value(cell.cell_contents, path)
    except ValueError:  # not filled yet
        return "empty"


def _object(value: Any, path: _Path) -> Any:
    """Describe a callable object: the source of its class and its attributes."""
    attributes = getattr(value, "__dict__", {})
    return {
        "class": _class_name(type(value)),
        "source": _source(type(value)),
        "attributes": {name: _value(item, path) for name, item in sorted(attributes.items())},
    }


def _foreign(value: Any, path: _Path) -> Any:
    """Describe an object that the function uses: the name of its class and its attributes."""
    name = _class_name(type(value))
    if path.passed(value):
        return "seen"
    attributes = dict(_attributes(value))
    if not attributes:
        return _opaque(value, path)
    inner = path.deeper(value)
    if inner is None:
        path.budget.by_name.add(name)
        return name
    home = _package(type(value))
    return {
        "class": name,
        "attributes": {
            key: _class_name(item) if _is_function_of(item, home) else _value(item, inner)
            for key, item in sorted(attributes.items())
        },
    }


def _opaque(value: Any, path: _Path) -> Any:
    """Describe an object without attributes that count."""
    name = _class_name(type(value))
    if getattr(value, "__dict__", None):  # a state
        return name
    content = pickled(value)
    if content is None:
        # Those of the standard library and of NumPy have a state: locks, iterators, generators.
        is_known = _package(type(value)) in (*sys.stdlib_module_names, "numpy")
        if not is_known and not hasattr(value, "__dict__"):
            path.budget.by_name.add(name)
        return name
    return {"class": name, **content}


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that decide what an object does, not what a call left behind."""
    cls = type(value)
    if _package(cls) in sys.stdlib_module_names and cls.__module__ not in _SETTINGS_MODULES:
        return
    held = vars(value) if isinstance(getattr(value, "__dict__", None), dict) else {}
    # What is seeded before each call keeps what the last call drew, as in albumentations: of that
    # only what it was made with counts, which is what its own `to_dict` has.
    chosen = _settings(cls) if callable(getattr(cls, "set_random_seed", None)) else held.keys()
    yield from ((name, held[name]) for name in held if isinstance(name, str) and name in chosen)
    for name in {name for each in cls.__mro__ for name in _slots_of(each)}:
        if hasattr(value, name):
            yield name, getattr(value, name)


def _slots_of(cls: type) -> tuple[str, ...]:
    slots = vars(cls).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if not name.startswith("__"))


def _settings(cls: type) -> set[str]:
    makers = [vars(each)["__init__"] for each in cls.__mro__ if "__init__" in vars(each)]
    codes = [code for maker in makers if (code := getattr(maker, "__code__", None))]
    return {name for code in codes for name in code.co_varnames[: _count_of_arguments(code)]}


def _count_of_arguments(code: types.CodeType) -> int:
    return code.co_argcount + code.co_kwonlyargcount


def _is_function_of(value: Any, package: str) -> bool:
    """Return whether a value is a function that its package names."""
    is_function = isinstance(value, types.FunctionType) and "<" not in value.__qualname__
    return is_function and _package(value) == package


def _package(thing: Any) -> str:
    return str(thing.__module__).partition(".")[0]


def _value(value: Any, path: _Path) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | set | frozenset | dict):
        return _container(value, path)
    if isinstance(value, _CALLABLES):
        return _callable(value, path)
    return _leaf(value, path)


def _leaf(value: Any, path: _Path) -> Any:
    if isinstance(value, PurePath):
        return {"path": str(value)}
    if isinstance(value, type):
        return _class_name(value)
    parts = _parts(value)
    if parts is not None:
        return {_class_name(type(value)): _container(parts, path)}
    content = content_of(value)
    return _foreign(value, path) if content is None else content


def _parts(value: Any) -> list[Any] | dict[Any, Any] | None:
    """Return the parts of a plain container, else None."""
    if isinstance(value, slice):
        return [value.start, value.stop, value.step]
    if isinstance(value, deque):
        return [value.maxlen, *value]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [list(value.shape), value.ravel().tolist()]
    return dict(value) if isinstance(value, types.MappingProxyType) else None


def _container(value: Any, path: _Path) -> Any:
    if path.passed(value):
        return "seen"
    path = path.into(value)
    if isinstance(value, dict):
        pairs = [[_value(key, path), _value(item, path)] for key, item in value.items()]
        return {"dict": sorted(pairs, key=json.dumps)}
    items = [_value(item, path) for item in value]
    if isinstance(value, set | frozenset):
        items.sort(key=json.dumps)
    return {type(value).__name__: items}


def _source(thing: Any) -> str | None:
    """Return the hash of the source, without comments, docstrings and formatting."""
    try:
        return source_sha256(textwrap.dedent(inspect.getsource(thing)).encode())
    except (OSError, TypeError):
        return None


def _code(code: types.CodeType) -> Any:
    """Describe compiled code without source; differs between Python versions."""
    constants = [
        _code(constant) if isinstance(constant, types.CodeType) else _value(constant, _Path())
        for constant in code.co_consts
    ]
    return [code.co_code.hex(), constants, code.co_names, code.co_varnames]


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield every name that the code, or code within it, may look up in its module."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _class_name(cls: type | types.FunctionType) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
