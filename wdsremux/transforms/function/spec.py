"""The user's function, named or passed as an object: found, checked, loaded in the worker."""

import contextlib
import hashlib
import importlib.util
import inspect
import os
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wdsremux.core.errors import TransformError, UsageError, system_errors_as
from wdsremux.core.paths import is_file
from wdsremux.transforms.function.errors import described
from wdsremux.transforms.function.imported import module_of, refuse_changed
from wdsremux.transforms.function.source_hash import OwnModule, own_modules, source_sha256


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """The user's function, not yet loaded; see `function_from_text` and `function_from_callable`.

    Sent to worker processes: a named function by its name, an object by cloudpickle.
    """

    name: str
    """Its name in its file, module or code."""
    origin: str
    """Its origin for messages: file name or module; empty for an object."""
    sha256: str
    """Of the meaning of its file or module; of the function object if it was passed."""
    file: str | None = None
    """Absolute path of the source file."""
    module: str | None = None
    """Its module; None for an object and for a function of a file."""
    folder: str | None = None
    """Folder from which its file or module may import other modules."""
    function: Callable[..., Any] | None = None
    """The function if it was passed as an object."""
    modules: tuple[OwnModule, ...] = ()
    """The user's own modules that it imports, directly or not."""
    by_name: tuple[str, ...] = ()
    """Classes of objects it uses whose content is not part of the hash."""

    @property
    def label(self) -> str:
        """Its name in messages, for example "aug.py:augment"."""
        return f"{self.origin}:{self.name}" if self.origin else self.name

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the output, as JSON: name and hashes. No path of this machine."""
        found: dict[str, Any] = {"name": self.name, "sha256": self.sha256}
        if self.modules:
            found["modules"] = {module.name: module.sha256 for module in self.modules}
        return found

    def load(self) -> Callable[..., Any]:
        """Import the function; called in the worker.

        Raises UsageError when it is not there or cannot be called, TransformError when its file
        fails or is not the one it was when the run began.
        """
        if self.function is not None:
            return self.function
        assert self.file is not None  # noqa: S101 (passed or named)
        if _sha256_of_file(Path(self.file)) != self.sha256:
            raise TransformError(f"{self.origin} was changed during the run; start it again")
        for own in self.modules:
            if _sha256_of_file(Path(own.file)) != own.sha256:
                raise TransformError(
                    f"module {own.name} was changed during the run; start it again"
                )
        module = self._imported(self.file)
        function: Callable[..., Any] = _member(module, self.name, self.origin)
        _check_callable(function, self.label)
        return function

    def _imported(self, file: str) -> types.ModuleType:
        if self.folder is not None and self.folder not in sys.path:
            # After the installed packages: a folder "datasets" beside the function is common, and
            # must not replace the library of that name.
            sys.path.append(self.folder)
        try:
            refuse_changed(self.modules)
            if self.module is not None:
                found = module_of(self.module, file, self.sha256)
            else:
                found = _module_from_file(file, self.sha256)
            refuse_changed(self.modules)  # marks those that were imported just now
        except TransformError:
            raise
        except (Exception, SystemExit) as exc:
            raise TransformError(f"cannot import {self.origin}: {described(exc, file)}") from exc
        return found


def function_from_text(text: str) -> FunctionSpec:
    """Return what "FILE.py:NAME" or "MODULE:NAME" names; nothing of the user's is run yet.

    A package is imported when the module is in one. Raises UsageError when there is no such file
    or module; whether it has the name is seen when it is loaded.
    """
    module, _, name = text.rpartition(":")
    if not module or not name:
        raise UsageError(
            f"transform {text!r} is not FILE.py:NAME or MODULE:NAME; add the name of the function"
        )
    if module.endswith(".py") or "/" in module or os.sep in module:
        return _spec_from_file(Path(module), name)
    return _spec_from_module(module, name)


def function_from_callable(function: Callable[..., Any]) -> FunctionSpec:
    """Return a spec of a function, lambda, partial or callable object; raises UsageError."""
    from wdsremux.transforms.function.fingerprint import fingerprint_of_callable  # noqa: PLC0415 (brings NumPy)

    name = _name_of(function)
    _check_callable(function, repr(name))
    fingerprint = fingerprint_of_callable(function)
    return FunctionSpec(
        name=name,
        origin="",
        sha256=fingerprint.sha256,
        file=_file_of(function),
        function=function,
        by_name=fingerprint.by_name,
    )


def _spec_from_file(path: Path, name: str) -> FunctionSpec:
    path = path.expanduser().absolute()
    with system_errors_as(UsageError, "read transform file", path):
        is_there = is_file(path)
    if not is_there:
        raise UsageError(f"transform file {path.name!r} does not exist in {str(path.parent)!r}")
    sha256 = _sha256_of_file(path)
    folder = str(path.parent)
    modules = own_modules(path, [folder, str(Path.cwd())])
    return FunctionSpec(name, path.name, sha256, str(path), folder=folder, modules=modules)


def _spec_from_module(module: str, name: str) -> FunctionSpec:
    folder = str(Path.cwd())
    with _on_path(folder):
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError) as exc:  # ImportError: "." names a package's part
            if isinstance(exc, ModuleNotFoundError) and not _is_part_of(exc.name, module):
                raise TransformError(f"cannot import {module}: {described(exc, None)}") from exc
            spec = None
    with system_errors_as(UsageError, "read transform module", module):
        is_found = spec is not None and spec.origin is not None and Path(spec.origin).is_file()
    if spec is None or spec.origin is None or not is_found:
        raise UsageError(
            f"transform module {module!r} not found from {folder!r}; for a file write FILE.py:NAME"
        )
    file = Path(spec.origin).absolute()
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return FunctionSpec(
        name,
        module,
        _sha256_of_file(file),
        str(file),
        module,
        folder,
        modules=own_modules(file, [folder], package),
    )


def _is_part_of(missing: str | None, module: str) -> bool:
    """Return whether the missing module is the requested one or a parent of it."""
    return missing is not None and (module + ".").startswith(missing + ".")


@contextlib.contextmanager
def _on_path(folder: str) -> Iterator[None]:
    sys.path.append(folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of what a source file means."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise UsageError(f"cannot read transform file {str(path)!r}: {exc.strerror}") from exc
    return source_sha256(data)


def _module_from_file(file: str, sha256: str) -> types.ModuleType:
    """Import a file under a unique module name."""
    path = Path(file)
    mark = hashlib.sha256(f"{file} {sha256}".encode()).hexdigest()[:12]
    name = f"_wdsremux_{path.stem}_{mark}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _member(module: types.ModuleType, name: str, origin: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            names = ", ".join(_functions_of(module)) or "no function"
            raise UsageError(f"{origin} has no {name!r}; it has {names}")
        found = getattr(found, part)
    return found


def _functions_of(module: types.ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and not inspect.isclass(value)
        and getattr(value, "__module__", None) == module.__name__
    ]


def _check_callable(function: Any, label: str) -> None:
    if inspect.isclass(function):
        raise UsageError(
            f"transform {label} is a class; name a function, or an object of the class"
        )
    if not callable(function):
        raise UsageError(f"transform {label} is not a function but {type(function).__name__}")
    if inspect.iscoroutinefunction(function):
        raise UsageError(f"transform {label} is async; it must be a plain function")


def _name_of(function: Any) -> str:
    inner = getattr(function, "func", function)  # of a partial
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))


def _file_of(function: Any) -> str | None:
    inner = inspect.unwrap(getattr(function, "func", function))
    code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    return code.co_filename if isinstance(code, types.CodeType) else None
