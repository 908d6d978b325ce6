"""Notes and errors of a conversion as a caller from Python reads them.

Messages name options as the command line does; here `--split all` becomes `split="all"`, and an
error of the user's function begins with the user's own frames.
"""

import re
import traceback
from dataclasses import Field, fields
from functools import cache
from typing import Any, TypeVar

from wdsremux.core.errors import TransformError, WdsremuxError, causes
from wdsremux.core.events import Event, Note, Observer
from wdsremux.core.recipe import Recipe, Run
from wdsremux.processing.engines.failures import WorkerTracebackError
from wdsremux.transforms.function.errors import own_frames

ErrorT = TypeVar("ErrorT", bound=WdsremuxError)

_COMMAND = re.compile(r"(`wdsremux [^`]*`)")
_OPTION = re.compile(r"--(no-)?([a-z][a-z-]*[a-z])(?:[ =]('[^']*'|[^\s;,:()`]+))?")
_NEIGHBOURS = re.compile(r"(\w=\S+) (?=\w+=)")
_PHRASES = {"the same command": "the same call", "this command again": "this call again"}


def in_python(text: str) -> str:
    """Return a message with options as keyword arguments; commands in backticks stay."""
    parts = _COMMAND.split(text)
    parts[::2] = map(_rewritten, parts[::2])
    return "".join(parts)


def noting_in_python(observer: Observer) -> Observer:
    """Return an observer that gets notes that name keyword arguments."""

    def observe(event: Event) -> None:
        observer(Note(in_python(event.text)) if isinstance(event, Note) else event)

    return observe


def error_in_python(exc: ErrorT) -> ErrorT:
    """Return an error to raise in place of another; it names keyword arguments.

    One of the user's function begins with the frames of the user's code.
    """
    text = in_python(str(exc))
    frames = _frames_of_function(exc) if isinstance(exc, TransformError) else ""
    return type(exc)(f"in your function\n{frames}\n{text}" if frames else text)


def _rewritten(text: str) -> str:
    for phrase, instead in _PHRASES.items():
        text = text.replace(phrase, instead)
    return _NEIGHBOURS.sub(r"\1, ", _OPTION.sub(_keyword, text))


def _keyword(found: re.Match[str]) -> str:
    negation, flag, value = found.groups()
    field = _options().get(flag)
    if field is None:
        return found[0]
    if field.type is bool:
        after = "" if value is None else f" {value}"
        return f"{field.name}={not negation}{after}"
    if value in (None, "number"):  # "--step number 2" names one of several
        return field.name if value is None else f"{field.name} {value}"
    if value.isdecimal() or value.startswith("'"):
        return f"{field.name}={value}"
    is_value = value[0].isdigit() or value == "all" or field.metadata["repeat"]
    if is_value or value in field.metadata["choices"]:
        return f'{field.name}="{value}"'
    return f"{field.name} {value}"


@cache
def _options() -> dict[str, Field[Any]]:
    """Return the options of a conversion by the names of their flags."""
    every: tuple[Field[Any], ...] = (*fields(Recipe), *fields(Run))
    return {(field.metadata["repeat"] or field.name).replace("_", "-"): field for field in every}


def _frames_of_function(exc: WdsremuxError) -> str:
    """Return the traceback of the user's code that an error comes from; empty without one."""
    for cause in causes(exc):
        if isinstance(cause, WorkerTracebackError):
            frames, what = cause.frames, cause.summary
        else:
            frames, what = own_frames(cause), _summary(cause)
        if frames:
            found = traceback.StackSummary.from_list([(*frame, None) for frame in frames])
            return "".join(found.format()) + what
    return ""


def _summary(exc: BaseException) -> str:
    return "".join(traceback.format_exception_only(exc)).strip()
