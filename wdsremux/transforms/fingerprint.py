"""What a function object is, as a sha256 that is the same in every process that has the same code.

The function's own text counts, the functions and plain values of its module that it names, its
defaults, and the plain values it has captured. What it imports and objects of foreign classes count
by their name only.
"""

import functools
import hashlib
import inspect
import json
import types
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any

import numpy as np

_Seen = frozenset[int]


def sha256_of_callable(function: Callable[..., Any]) -> str:
    """Return the fingerprint of a function, lambda, partial, bound method or callable object."""
    text = json.dumps(_callable(function, frozenset()), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _callable(value: Callable[..., Any], seen: _Seen) -> Any:
    if id(value) in seen:
        return "seen"
    seen |= {id(value)}
    if isinstance(value, functools.partial):
        keywords = {name: _value(item, seen) for name, item in value.keywords.items()}
        arguments = [_value(item, seen) for item in value.args]
        return {"partial": _callable(value.func, seen), "args": arguments, "keywords": keywords}
    if isinstance(value, types.MethodType):
        return {"method": _callable(value.__func__, seen), "of": _object(value.__self__, seen)}
    if isinstance(value, types.FunctionType):
        return _function(value, seen)
    if isinstance(value, types.BuiltinFunctionType):
        return {"builtin": value.__qualname__, "module": value.__module__}
    return _object(value, seen)


def _function(function: types.FunctionType, seen: _Seen) -> Any:
    names = sorted(set(_names(function.__code__)))
    module = function.__globals__
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {
        "source": _source(function) or _code(function.__code__),
        "defaults": _value(function.__defaults__, seen),
        "keyword defaults": _value(function.__kwdefaults__, seen),
        "captured": {name: _captured(cell, seen) for name, cell in cells},
        "names": {
            name: _value(module[name], seen)
            for name in names
            if name in module and not isinstance(module[name], types.ModuleType)
        },
    }


def _captured(cell: types.CellType, seen: _Seen) -> Any:
    try:
        return _value(cell.cell_contents, seen)
    except ValueError:  # not filled yet
        return "empty"


def _object(value: Any, seen: _Seen) -> Any:
    """Describe an object that can be called: its class's text and its plain attributes."""
    attributes = getattr(value, "__dict__", {})
    return {
        "class": _class_name(type(value)),
        "source": _source(type(value)),
        "attributes": {name: _value(item, seen) for name, item in sorted(attributes.items())},
    }


def _value(value: Any, seen: _Seen) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | set | frozenset | dict):
        return _container(value, seen)
    if isinstance(value, types.FunctionType | types.MethodType | functools.partial):
        return _callable(value, seen)
    return _leaf(value)


def _leaf(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": hashlib.sha256(value).hexdigest()}
    if isinstance(value, PurePath):
        return {"path": str(value)}
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        data = hashlib.sha256(value.tobytes()).hexdigest()
        return {"array": [value.dtype.str, list(value.shape), data]}
    return _class_name(value if isinstance(value, type) else type(value))


def _container(value: Any, seen: _Seen) -> Any:
    if id(value) in seen:
        return "seen"
    seen |= {id(value)}
    if isinstance(value, dict):
        pairs = [[_value(key, seen), _value(item, seen)] for key, item in value.items()]
        return {"dict": sorted(pairs, key=json.dumps)}
    items = [_value(item, seen) for item in value]
    if isinstance(value, set | frozenset):
        items.sort(key=json.dumps)
    return {type(value).__name__: items}


def _source(thing: Any) -> str | None:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return None


def _code(code: types.CodeType) -> Any:
    """Describe compiled code whose text is not at hand; differs between Python versions."""
    constants = [
        _code(constant) if isinstance(constant, types.CodeType) else _value(constant, frozenset())
        for constant in code.co_consts
    ]
    return [code.co_code.hex(), constants, code.co_names, code.co_varnames]


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield every name that the code, or code within it, may look up in its module."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _class_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
