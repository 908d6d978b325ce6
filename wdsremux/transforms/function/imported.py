"""Checks that a loaded module is the one in its file: Python imports a module only once.

A run must not record the new source of a function and call the old one.
"""

import importlib
import sys
import types
from collections.abc import Iterator, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path

from wdsremux.core.errors import TransformError
from wdsremux.transforms.function.source_hash import OwnModule

_MARK = "_wdsremux_sha256"
"""Attribute of a module's spec, which a reload replaces: the hash of the source seen first."""


def module_of(name: str, file: str, sha256: str) -> types.ModuleType:
    """Import a module whose file has this sha256.

    Raises TransformError if it was imported earlier with another source. It is not imported again:
    other modules may hold its old functions and classes.
    """
    was_imported = name in sys.modules
    module = importlib.import_module(name)
    if was_imported and not _is_current(module, file, sha256):
        raise TransformError(
            f"module {name!r} has changed since it was imported; restart Python, or call "
            "importlib.reload() on it and try again"
        )
    if module.__spec__ is not None:
        vars(module.__spec__)[_MARK] = sha256
    return module


def refuse_changed(modules: Sequence[OwnModule]) -> None:
    """Raise TransformError for a module that is loaded with another source than its file has."""
    for own in modules:
        loaded = sys.modules.get(own.name)
        if getattr(loaded, "__file__", None) == own.file:
            module_of(own.name, own.file, own.sha256)


def _is_current(module: types.ModuleType, file: str, sha256: str) -> bool:
    spec = module.__spec__
    mark = None if spec is None else vars(spec).get(_MARK)
    return mark == sha256 if mark is not None else _has_functions_of(module, file)


def _has_functions_of(module: types.ModuleType, file: str) -> bool:
    """Return whether the module's functions are those of its file; a changed constant is not seen.

    For a module that the program imported itself: its source at that time is unknown.
    """
    if type(module.__loader__) is not SourceFileLoader:  # another one may change the code
        return True
    try:
        text = compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    known = set(_codes(text))
    return all(code in known for code in _loaded_codes(module) if code.co_filename == file)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _codes(constant)


def _loaded_codes(module: types.ModuleType) -> Iterator[types.CodeType]:
    own = [each for each in vars(module).values() if _is_of(each, module)]
    inner = [each for cls in own if isinstance(cls, type) for each in vars(cls).values()]
    for each in (*own, *inner):
        if isinstance(each, types.FunctionType):
            yield each.__code__


def _is_of(value: object, module: types.ModuleType) -> bool:
    is_code = isinstance(value, type | types.FunctionType)
    return is_code and value.__module__ == module.__name__
