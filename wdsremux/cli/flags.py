"""Makes command-line flags from the fields of Recipe and Run, and reads a TOML file of them.

The text under a field is the flag's help. A flag wins over the file, the file over the default.
"""

import argparse
import ast
import functools
import inspect
import sys
import tomllib
from collections.abc import Container, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from wdsremux.core import recipe as recipe_room
from wdsremux.core.errors import EXIT_CODES, UsageError
from wdsremux.core.option_values import meant
from wdsremux.core.recipe import Recipe, Run

NOT_GIVEN = object()
"""Tells a flag that was not given from one given as nothing."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every field of Recipe and Run, and --config."""
    docs = field_docs(recipe_room)
    for title, kind in (("recipe: decides the bytes", Recipe), ("run: decides only how", Run)):
        group = parser.add_argument_group(title)
        for field in fields(kind):
            _add_flag(group, field, docs[field.name])
    parser.add_argument(
        "--config", metavar="FILE.toml", help="options from a TOML file; flags win over it"
    )


def add_own_options(parser: argparse.ArgumentParser, kind: type[Any]) -> None:
    """Add a flag for every field of a command's own options."""
    docs = field_docs(sys.modules[kind.__module__])
    for field in fields(kind):
        _add_flag(parser, field, docs[field.name])


def own_options(arguments: argparse.Namespace, kind: type[Any]) -> dict[str, Any]:
    """Return what was given of a command's own options."""
    given = {field.name: getattr(arguments, field.name) for field in fields(kind)}
    return {name: value for name, value in given.items() if value is not NOT_GIVEN}


def add_run_options(parser: argparse.ArgumentParser, names: Container[str]) -> None:
    """Add the flags of some fields of Run."""
    docs = field_docs(recipe_room)
    for field in fields(Run):
        if field.name in names:
            _add_flag(parser, field, docs[field.name])


def _add_flag(group: Any, field: Field[Any], doc: str) -> None:
    meta = field.metadata
    keywords: dict[str, Any] = {
        "dest": field.name,
        "default": NOT_GIVEN,
        "help": _help(field, doc),
    }
    if field.type is bool:
        keywords["action"] = argparse.BooleanOptionalAction
    else:
        keywords["metavar"] = meta["metavar"] or None
        if meta["choices"]:
            keywords["choices"] = meta["choices"]
            del keywords["metavar"]
        if meta["repeat"]:
            keywords["action"] = _Append
    group.add_argument(flag_of(field), **keywords)


def flag_of(field: Field[Any]) -> str:
    """Return the flag of a field: --max-errors."""
    return "--" + (field.metadata["repeat"] or field.name).replace("_", "-")


class _Append(argparse.Action):
    """Collects a repeated flag; the default is no list yet."""

    def __call__(self, _parser: Any, namespace: Any, values: Any, _flag: Any = None) -> None:
        held = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [values] if held is NOT_GIVEN else [*held, values])


def _help(field: Field[Any], doc: str) -> str:
    default = default_text(field)
    text = f"{doc} (default {default})" if default else doc
    return text.replace("%", "%%")


def default_text(field: Field[Any]) -> str:
    """Return a field's default as a user would write it; nothing where there is none to tell."""
    default = field.default
    if default is MISSING or default is None or default is False or default == ():
        return ""
    text: str = field.metadata["show"](default)
    return text


@functools.cache
def field_docs(module: ModuleType) -> dict[str, str]:
    """Return the texts that stand under the fields of a module's classes."""
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
    """Read option values from a TOML file. Raises UsageError for a key that is no option."""
    if path is None:
        return {}
    known = {name: field.name for name, field in _file_names().items()}
    given: dict[str, Any] = {}
    for key, value in _toml(path).items():
        name = known.get(key.replace("-", "_"))
        if name is None:
            names = sorted(name.replace("_", "-") for name in known)
            raise UsageError(
                f"--config {path!r}: unknown option {key!r}{meant(key, names)}; "
                f"the options are {', '.join(names)}"
            )
        if name in given:
            raise UsageError(f"--config {path!r}: {key!r} is given twice, with - and with _")
        given[name] = value
    return given


def _toml(path: str) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except OSError as exc:
        raise UsageError(f"--config {path!r} cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"--config {path!r} is not TOML: {exc}") from exc


def _file_names() -> dict[str, Field[Any]]:
    """Return every option by the name it has in a file: that of its flag."""
    every: tuple[Field[Any], ...] = (*fields(Recipe), *fields(Run))
    return {(field.metadata["repeat"] or field.name): field for field in every}


def options_given(
    arguments: argparse.Namespace, from_file: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of the recipe and of the run, flags before file."""
    values = dict(from_file)
    for field in _file_names().values():
        value = getattr(arguments, field.name)
        if value is not NOT_GIVEN:
            values[field.name] = value
    run_names = {field.name for field in fields(Run)}
    return (
        {name: value for name, value in values.items() if name not in run_names},
        {name: value for name, value in values.items() if name in run_names},
    )


CODES_TEXT = "exit codes: " + " · ".join(f"{code} {text}" for code, text in EXIT_CODES.items())
