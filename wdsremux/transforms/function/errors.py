"""Describes exceptions of the user's code in one line: what, and where in the user's file."""

import os
import signal
import threading
import traceback
from pathlib import Path

from wdsremux.core.errors import WdsremuxError
from wdsremux.core.option_values import shortened
from wdsremux.core.redaction import redacted

_MAX_CHARS = 500
_OURS = str(Path(__file__).parents[2]) + os.sep
_IMPORT_MACHINERY = "<frozen importlib"


def described(exc: BaseException, file: str | None) -> str:
    """Return "ValueError: message (aug.py:12)".

    The line is the innermost one in `file`, else the innermost one that is not ours.
    """
    text = redacted(text_of(exc), _MAX_CHARS)
    what = f"{type(exc).__name__}: {text}" if text else type(exc).__name__
    what = shortened(what, _MAX_CHARS)
    where = _where(exc, file)
    return f"{what} ({where})" if where else what


def text_of(exc: BaseException) -> str:
    """Return the message of an exception, also if its `__str__` fails."""
    try:
        return str(exc)
    except Exception as failure:  # noqa: BLE001 (a foreign `__str__` may raise anything)
        return f"its __str__ raised {type(failure).__name__}"


def ending_by(exc: BaseException) -> str:
    """Describe what a function did that raised a BaseException."""
    return "called sys.exit" if isinstance(exc, SystemExit) else f"raised {type(exc).__name__}"


def may_be_an_interrupt(exc: BaseException) -> bool:
    """Return whether Ctrl-C may have raised it: that reaches only the main thread of the run."""
    return (
        isinstance(exc, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    )


def own_frames(exc: BaseException) -> list[tuple[str, int, str]]:
    """Return (file, line, name) of the frames of an exception that are not ours.

    Errors of wdsremux have none: frames of libraries in between would be taken for the user's.
    """
    if isinstance(exc, WdsremuxError):
        return []
    return [
        (frame.filename, frame.lineno or 0, frame.name)
        for frame in traceback.extract_tb(exc.__traceback__)
        if not frame.filename.startswith((_OURS, _IMPORT_MACHINERY))
    ]


def _where(exc: BaseException, file: str | None) -> str | None:
    if isinstance(exc, SyntaxError):  # its message names the place
        return None
    frames = own_frames(exc)
    frames = [frame for frame in frames if frame[0] == file] or frames
    if not frames:
        return None
    return f"{Path(frames[-1][0]).name}:{frames[-1][1]}"
