"""Decides whether the function that a dataset's record names may be run.

A dataset may come from anyone, and its record with it: that record only names a function. It is run
when the user agrees, and never when it is part of the dataset, of Python, or of an installed
package: then only the author of the dataset has chosen it.
"""

import ast
import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from wdsremux.core.errors import CorruptDataError, RecipeMismatchError, UsageError
from wdsremux.core.escaping import escaped
from wdsremux.core.head import Head
from wdsremux.repairing.changes import CODE_HASH
from wdsremux.transforms.function.source_hash import source_sha256

NAME_IT = "pass it yourself: --transform FILE.py:NAME"
_INSTALLED_PARTS = frozenset({"site-packages", "dist-packages"})
_PREFIX_FOLDERS = ("bin", "lib", "lib64", "libexec", "share", "Lib")


@dataclass(frozen=True, slots=True)
class RecordedFunction:
    """A function as a dataset's record names it, and the file that has it now."""

    spec: str
    """FILE.py:NAME or MODULE:NAME, as recorded."""
    name: str
    file: Path
    files: tuple[Path, ...]
    """Everything that an import of it would run first: the packages it is in, and its file."""
    text: bytes

    @property
    def sha256(self) -> str:
        """As `FunctionSpec.sha256`: of what the source means."""
        return source_sha256(self.text)


def approved_function(head: Head, out: Path, *, trusts: bool, option: str = "transform") -> str:
    """Return the recorded function of an option as it was typed, if it may be run.

    Raises UsageError without the user's consent and for a function that no consent covers,
    RecipeMismatchError when its file is not the one that is recorded.
    """
    recorded = head.options[option]
    spec = head.origin.get(option)
    if not isinstance(recorded, dict) or not isinstance(spec, str):
        raise CorruptDataError("the record does not say where its function is; " + NAME_IT)
    found = _found(spec)
    _refuse_foreign(found, out)
    shown = escaped(f"{found.file}:{found.name}")
    if not trusts:
        raise UsageError(
            f"its function comes from the dataset's own record and is not run without your "
            f"consent: it was recorded as {escaped(spec)} with the {CODE_HASH} "
            f"{escaped(recorded.get('sha256'))}, and {shown} now has {found.sha256}. Read that "
            "file, then pass --trust-recorded (Python: trust_recorded=True) to run it as recorded, "
            "or --transform FILE.py:NAME (transform=) to run the one you name"
        )
    difference = {"name": found.name, "sha256": found.sha256}
    for field, now in difference.items():
        if recorded.get(field) != now:
            raise RecipeMismatchError(
                f"the function has changed: its {CODE_HASH if field == 'sha256' else field} was "
                f"{escaped(recorded.get(field))}, now it is {escaped(now)} in {shown}; restore "
                "it, or run the new one with --transform"
            )
    return spec


def refuse_other_file(spec: str, out: Path, file: str | None) -> None:
    """Refuse a function that Python finds in another file than the one that was approved."""
    found = _found(spec)
    if file is None or not found.file.samefile(file):
        raise UsageError(f"{escaped(spec)} is found in another file than expected; {NAME_IT}")
    _refuse_foreign(found, out)


def _found(spec: str) -> RecordedFunction:
    """Return the function that `spec` names. Nothing is imported, not even the package it is in."""
    module, _, name = spec.rpartition(":")
    if not module or not name or "\0" in spec:
        raise UsageError(
            f"the recorded function {escaped(spec)} is not of the form FILE.py:NAME; {NAME_IT}"
        )
    if module.endswith(".py") or "/" in module or os.sep in module:
        files = [Path(module).expanduser().absolute()]
    else:
        files = _files_of_module(module)
    file = files[-1] if files else None
    try:
        if file is None or not file.is_file():
            raise UsageError(
                f"the function was recorded as {escaped(spec)}, which does not exist now; if it "
                "has moved, pass --transform FILE.py:NAME"
            )
        text = file.read_bytes()
    except OSError as exc:
        raise UsageError(f"cannot read {escaped(str(file))}: {exc.strerror}; {NAME_IT}") from exc
    return RecordedFunction(spec, name, file, tuple(files), text)


def _files_of_module(module: str) -> list[Path]:
    """Return the files that an import of a module runs, its own last; none if it is not found."""
    top, *parts = module.split(".")
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        raise UsageError(_refusal(module, "is part of Python"))
    found: list[Path] = []
    folders: Sequence[str] = [*sys.path, str(Path.cwd())]
    for number in range(len(parts) + 1):
        name = ".".join([top, *parts][: number + 1])
        try:
            spec = PathFinder.find_spec(name, folders)
        except (ImportError, ValueError):
            spec = None
        if spec is None or (number < len(parts) and spec.submodule_search_locations is None):
            return []
        if spec.origin is not None:
            found.append(Path(spec.origin).absolute())
        elif number == len(parts):
            return []
        folders = list(spec.submodule_search_locations or ())
    return found


def _refuse_foreign(found: RecordedFunction, out: Path) -> None:
    """Refuse what is not in a file of the user's own, and a name that is only imported there."""
    for file in found.files:
        if _is_below(file, [out]):
            raise UsageError(_refusal(found.spec, "is inside the dataset"))
        if _INSTALLED_PARTS & {*file.parts, *file.resolve().parts} or _is_below(
            file, _installed_folders()
        ):
            raise UsageError(_refusal(found.spec, "is part of Python or of an installed package"))
    if not _defines(found.text, found.name.split(".")):
        raise UsageError(_refusal(found.spec, f"is not defined in {str(found.file)!r} itself"))


def _refusal(spec: str, why: str) -> str:
    return (
        f"its function was recorded as {escaped(spec)}, which {escaped(why)}: such a function is "
        f"never run from a record, even with --trust-recorded; {NAME_IT}"
    )


def _is_below(file: Path, folders: Sequence[Path]) -> bool:
    """Return whether a file is in one of the folders, by any link that leads there."""
    above = {*file.parents, *file.resolve().parents}
    known = set(filter(None, map(_identity, folders)))
    return any(_identity(folder) in known for folder in above)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _installed_folders() -> list[Path]:
    paths = sysconfig.get_paths()
    names = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")]
    names += [*site.getsitepackages(), site.getusersitepackages()]
    for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix):
        names += [str(Path(prefix, name)) for name in _PREFIX_FOLDERS]
    return [*map(Path, names), Path(__file__).parent.parent]


def _defines(text: bytes, names: Sequence[str]) -> bool:
    """Return whether Python source itself defines a name, also within classes: not by an import.

    Otherwise a record could call any library by way of a file that only uses it.
    """
    try:
        nodes: Sequence[ast.stmt] = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    *outer, last = names
    for name in outer:
        classes = [n for n in _bindings(nodes) if isinstance(n, ast.ClassDef) and n.name == name]
        if not classes:
            return False
        nodes = classes[-1].body
    own = [node for node in _bindings(nodes) if last in _bound_names(node)]
    return bool(own) and not isinstance(own[-1], ast.Import | ast.ImportFrom)


def _bindings(nodes: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a body, also those within `if`, `try`, `with` and loops."""
    for node in nodes:
        yield node
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for field in ("body", "orelse", "finalbody"):
                yield from _bindings(getattr(node, field, ()))
            for handler in getattr(node, "handlers", ()):
                yield from _bindings(handler.body)


def _bound_names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {
            each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)
        }
    return set()
