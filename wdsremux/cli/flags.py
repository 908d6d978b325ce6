"""Makes command-line flags from the fields of Recipe and Run, and reads a TOML file of them.

The docstring under a field is the flag's help. Flags win over the file, the file over defaults.
"""

import argparse
import ast
import functools
import inspect
import os
import stat
import sys
from collections.abc import Container, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from types import ModuleType
from typing import Any

from wdsremux.core import recipe as recipe_module
from wdsremux.core.errors import EXIT_CODES, UsageError
from wdsremux.core.option_values import did_you_mean
from wdsremux.core.recipe import Recipe, Run

NOT_GIVEN = object()
"""The value of a flag that was not used, as opposed to one with an empty value."""


COMMON = {
    "rows and columns": ("split", "image_column", "label_column", "extra_columns", "limit"),
    "images": ("steps", "transform", "transform_mode", "copies", "format", "quality"),
    "output": ("max_shard_size", "overwrite", "workers", "max_errors"),
}
"""Fields that `--help` shows, by their group; `--help-all` shows all."""
SHORT = {"workers": "-j"}
_MAX_CONFIG_BYTES = 1 << 20


def add_options(parser: argparse.ArgumentParser, *, every: bool = False) -> None:
    """Add a flag for every field of Recipe and Run, and --config; show the common ones or all."""
    docs = field_docs(recipe_module)
    for title, names in COMMON.items():
        group = parser.add_argument_group(title)
        for name in names:
            _add_flag(group, _fields()[name], docs[name])
    _add_own(group)
    shown = {name for names in COMMON.values() for name in names}
    for title, kind in (
        ("more options that decide the bytes of the output", Recipe),
        ("more options that decide only how it is made", Run),
    ):
        group = parser.add_argument_group(title)
        for field in fields(kind):
            if field.name not in shown:
                _add_flag(group, field, docs[field.name] if every else None)


def _add_own(group: Any) -> None:
    """Add what has no field of its own."""
    _add_quiet(group, "print errors only; the same as --progress none")
    group.add_argument(
        "--config", metavar="FILE.toml", help="options from a TOML file; flags win over it"
    )


def _add_quiet(group: Any, text: str) -> None:
    group.add_argument(
        "-q",
        "--quiet",
        dest="progress",
        action="store_const",
        const="none",
        default=NOT_GIVEN,
        help=text,
    )


def _fields() -> dict[str, Field[Any]]:
    """Return every option of Recipe and Run by its name."""
    every: tuple[Field[Any], ...] = (*fields(Recipe), *fields(Run))
    return {field.name: field for field in every}


def add_own_options(parser: argparse.ArgumentParser, kind: type[Any]) -> None:
    """Add a flag for every field of a command's own options."""
    docs = field_docs(sys.modules[kind.__module__])
    for field in fields(kind):
        _add_flag(parser, field, docs[field.name])


def own_options(arguments: argparse.Namespace, kind: type[Any]) -> dict[str, Any]:
    """Return the values of a command's own options that were set."""
    return options_set(arguments, (field.name for field in fields(kind)))


def options_set(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Return those of the named options that were set."""
    given = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in given.items() if value is not NOT_GIVEN}


def add_run_options(parser: argparse.ArgumentParser, names: Container[str]) -> None:
    """Add the flags of some fields of Run."""
    docs = field_docs(recipe_module)
    for field in fields(Run):
        if field.name in names:
            _add_flag(parser, field, docs[field.name])


def add_progress(parser: argparse.ArgumentParser) -> None:
    """Add --progress and -q to a command without other options of a run."""
    add_run_options(parser, ("progress",))
    _add_quiet(parser, "show no progress; the same as --progress none")


def progress_of(arguments: argparse.Namespace) -> str:
    """Return what --progress says. Raises UsageError."""
    return Run.from_options(options_set(arguments, ("progress",))).progress


def _add_flag(group: Any, field: Field[Any], doc: str | None) -> None:
    """Add the flag of a field; without `doc`, help does not show it."""
    meta = field.metadata
    keywords: dict[str, Any] = {
        "dest": field.name,
        "default": NOT_GIVEN,
        "help": argparse.SUPPRESS if doc is None else _help(field, doc),
    }
    if field.type is bool:
        keywords["action"] = argparse.BooleanOptionalAction
    else:
        keywords["metavar"] = meta["metavar"] or None
        if meta["choices"]:
            keywords["choices"] = meta["choices"]
            keywords["metavar"] = "|".join(meta["choices"])
        if meta["repeat"]:
            keywords["action"] = _Append
    short = [SHORT[field.name]] if field.name in SHORT else []
    group.add_argument(*short, flag_of(field), **keywords)


def flag_of(field: Field[Any]) -> str:
    """Return the flag of a field: --max-errors."""
    return "--" + (field.metadata["repeat"] or field.name).replace("_", "-")


class _Append(argparse.Action):
    """Collects a repeated flag; the default is not a list."""

    def __call__(self, _parser: Any, namespace: Any, values: Any, _flag: Any = None) -> None:
        held = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [values] if held is NOT_GIVEN else [*held, values])


def _help(field: Field[Any], doc: str) -> str:
    default = default_text(field)
    text = f"{doc} (default {default})" if default else doc
    return text.replace("%", "%%")


def default_text(field: Field[Any]) -> str:
    """Return a field's default as a user would write it; empty without one."""
    default = field.default
    if default is MISSING or default is None or default is False or default == ():
        return ""
    text: str = field.metadata["show"](default)
    return text


@functools.cache
def field_docs(module: ModuleType) -> dict[str, str]:
    """Return the docstrings under the fields of a module's classes."""
    docs = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            for field, text in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(text, ast.Expr)
                    and isinstance(text.value, ast.Constant)
                ):
                    docs[field.target.id] = " ".join(str(text.value.value).split())
    return docs


def options_from_file(path: str | None) -> dict[str, Any]:
    """Read option values from a TOML file. Raises UsageError for an unknown key."""
    if path is None:
        return {}
    known = {name: field.name for name, field in _file_names().items()}
    given: dict[str, Any] = {}
    for key, value in _toml(path).items():
        name = known.get(key.replace("-", "_"))
        if name is None:
            names = sorted(name.replace("_", "-") for name in known)
            raise UsageError(
                f"--config {path!r}: unknown option {key!r}{did_you_mean(key, names)}; "
                f"the options are {', '.join(names)}"
            )
        if name in given:
            raise UsageError(f"--config {path!r}: {key!r} is set twice, with - and with _")
        given[name] = value
    return given


def _toml(path: str) -> dict[str, Any]:
    import tomllib

    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_CONFIG_BYTES:
                raise UsageError(
                    f"--config {path!r} is not a regular file of at most {_MAX_CONFIG_BYTES} bytes;"
                    " pass a TOML file"
                )
            return tomllib.load(file)
    except OSError as exc:
        raise UsageError(f"--config {path!r} cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"--config {path!r} is not TOML: {exc}") from exc


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a FIFO must not wait for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _file_names() -> dict[str, Field[Any]]:
    """Return every option by its name in a file, which is that of its flag."""
    return {(field.metadata["repeat"] or field.name): field for field in _fields().values()}


def options_given(
    arguments: argparse.Namespace, from_file: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of the recipe and of the run, flags before file."""
    set_here = options_set(arguments, (field.name for field in _file_names().values()))
    values = {**from_file, **set_here}
    run_names = {field.name for field in fields(Run)}
    return (
        {name: value for name, value in values.items() if name not in run_names},
        {name: value for name, value in values.items() if name in run_names},
    )


CODES_TEXT = "exit codes: " + " · ".join(f"{code} {text}" for code, text in EXIT_CODES.items())
