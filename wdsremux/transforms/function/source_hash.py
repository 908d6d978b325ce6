"""Hashes what source code means, and finds the user's own modules that it imports.

Comments, docstrings and formatting do not count. An own module is a file below the folder of the
function or the working directory that is not part of Python or an installed package. Imports by
other means than import statements are not seen.
"""

import ast
import hashlib
import json
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INSTALLED = frozenset({"site-packages", "dist-packages"})
_IGNORED_FIELDS = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_MAX_MODULES = 1000


@dataclass(frozen=True, slots=True)
class OwnModule:
    """A module of the user's own that a function imports."""

    name: str
    """Its dotted name, as imported."""
    file: str
    """Absolute path of its source."""
    sha256: str
    """Of its meaning."""


def source_sha256(source: bytes) -> str:
    """Return the SHA-256 of the syntax tree; of the bytes, with any line ends, if there is none."""
    tree = _parsed(source)
    if tree is not None:
        try:
            return hashlib.sha256(json.dumps(_plain(tree)).encode()).hexdigest()
        except RecursionError:  # an expression of thousands of terms
            pass
    return hashlib.sha256(source.replace(b"\r\n", b"\n")).hexdigest()


def own_modules(file: Path, folders: Sequence[str], package: str = "") -> tuple[OwnModule, ...]:
    """Return the own modules that a file imports, directly or not, by name.

    `folders` are where they are looked for, `package` is the package of the file.
    """
    roots = [Path(folder) for folder in dict.fromkeys(folders)]
    found: dict[str, OwnModule] = {}
    waiting = [(file, package)]
    while waiting and len(found) < _MAX_MODULES:
        path, home = waiting.pop()
        source = _read(path)
        tree = None if source is None else _parsed(source)
        for name in [] if tree is None else _imported_names(tree, home):
            located = None if name in found else _located(name, roots)
            content = None if located is None else _read(located)
            if located is None or content is None or located == file:
                continue
            found[name] = OwnModule(name, str(located), source_sha256(content))
            is_package = located.name == "__init__.py"
            waiting.append((located, name if is_package else name.rpartition(".")[0]))
    return tuple(found[name] for name in sorted(found))


def is_own_name(name: str) -> bool:
    """Return whether a module of this name can be the user's own."""
    top = name.partition(".")[0]
    return top != "wdsremux" and top not in sys.stdlib_module_names


def hashes_of_module(module: types.ModuleType) -> dict[str, str] | None:
    """Return the hashes of a module of the user's and of those it imports, None for others."""
    file = Path(module.__file__ or "") if getattr(module, "__file__", None) else None
    is_own = file is not None and file.suffix == ".py" and not INSTALLED & {*file.parts}
    if file is None or not is_own or not is_own_name(module.__name__):
        return None
    source = _read(file)
    if source is None:
        return None
    root = file.parents[module.__name__.count(".") + (file.name == "__init__.py")]
    inner = own_modules(file, [str(root)], module.__package__ or "")
    return {module.__name__: source_sha256(source), **{each.name: each.sha256 for each in inner}}


def _parsed(source: bytes) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _plain(node: Any) -> Any:
    """Return a syntax tree as JSON that is the same for every version of Python."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, ast.AST):
        return [type(node).__name__, repr(node)]
    parts: dict[str, Any] = {}
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(node, _DOCUMENTED):
            value = _without_docstring(value)  # noqa: PLW2901 (the field as it counts)
        if name not in _IGNORED_FIELDS and value is not None and value != []:
            parts[name] = _plain(value)
    return [type(node).__name__, parts]


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    is_docstring = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return body[1:] if is_docstring else body


def _imported_names(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield every module that import statements may load: parents, and names that may be one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            names = [base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]
        else:
            continue
        for name in filter(None, names):
            parts = name.split(".")
            yield from (".".join(parts[: n + 1]) for n in range(len(parts)))


def _base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    parents = parts[: len(parts) - node.level + 1]
    return ".".join([*parents, *filter(None, [node.module])])


def _located(name: str, roots: Sequence[Path]) -> Path | None:
    """Return the source file of a module below one of the folders, None for any other module."""
    parts = name.split(".")
    if not is_own_name(name) or not all(part.isidentifier() for part in parts):
        return None
    for root in roots:
        base = root.joinpath(*parts)
        for path in (base / "__init__.py", base.with_name(base.name + ".py")):
            if path.is_file() and not INSTALLED & {*path.parts}:
                return path
    return None
