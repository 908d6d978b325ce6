"""The command line: one command for each public function, and an exit code for each kind of end.

Options are made from the fields of Recipe and Run, so that each stands once.
"""

import argparse
import os
import re
import shlex
import sys
import textwrap
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from wdsremux.cli import bench, browse, repair, sync, verify
from wdsremux.cli.console import complain, say, settle
from wdsremux.cli.convert import SOURCE_HELP, add_command
from wdsremux.cli.flags import CODES_TEXT
from wdsremux.cli.hints import hint
from wdsremux.cli.signals import StopRequest, stop_on_signals
from wdsremux.core.errors import WdsremuxError
from wdsremux.core.escaping import escaped
from wdsremux.core.option_values import meant

STOPPED_CODES = (130, 143)


def main(argv: Sequence[str] | None = None, on_threads: Callable[[], None] = lambda: None) -> int:
    """Run the command line and return its exit code.

    `on_threads` is told when a conversion has begun that worker processes could do as well.
    """
    words = [*(sys.argv[1:] if argv is None else argv)]
    arguments = argparse.Namespace()
    try:
        arguments = _parser().parse(words)
        arguments.on_threads = on_threads
        with stop_on_signals(lambda: f"wdsremux: {_stopped(words, arguments)}"):
            code: int = arguments.command(arguments)
    except WdsremuxError as exc:
        return _fail(str(exc), exc.exit_code)
    except StopRequest as exc:
        return _fail(_stopped(words, arguments), exc.exit_code)
    except Exception:  # the outermost border: whatever comes here is a bug of ours
        complain(traceback.format_exc())
        return _fail("this is a bug of wdsremux; please report it with the lines above", 70)
    return code


def command(on_threads: Callable[[], None]) -> NoReturn:
    """Run the command line and end the process; what the installed `wdsremux` calls."""
    try:
        code = main(on_threads=on_threads)
    finally:
        settle()
    if "datasets" in sys.modules or code in STOPPED_CODES:
        # The Parquet streams of `datasets` can hang or abort the interpreter at exit
        # (apache/arrow#45214), and threads that wait for a source can hold it up. Nothing of ours
        # is open any more.
        os._exit(code)
    sys.exit(code)


def _stopped(words: Sequence[str], arguments: argparse.Namespace) -> str:
    """Tell the command that goes on."""
    again = [*words]
    if getattr(arguments, "has_begun", False):
        # What was there before is removed already: to remove what came since is not to go on.
        again = [word for word in words if word != "--overwrite"]
        if again == [*words]:  # the option came from a file
            again.append("--no-overwrite")
    return f"stopped; finished shards stay; to go on: {shlex.join(['wdsremux', *again])}"


def _fail(text: str, code: int) -> int:
    complain(f"wdsremux: {escaped(text)}")
    return code


def _parser() -> "_Parser":
    parser = _Parser(
        prog="wdsremux",
        description="Stream an image dataset through preprocessing once and pack it into "
        "WebDataset shards.",
        epilog=CODES_TEXT,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_command(commands)
    verify.add_commands(commands, CODES_TEXT)
    repair.add_command(commands, CODES_TEXT)
    browse.add_commands(commands, CODES_TEXT)
    sync.add_command(commands, CODES_TEXT)
    bench.add_commands(commands, CODES_TEXT, SOURCE_HELP)
    steps = commands.add_parser("steps", help="list the built-in steps with their exact meaning")
    steps.set_defaults(command=_steps)
    return parser


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong in one line, and which word may have been meant."""

    def error(self, message: str) -> NoReturn:
        """End the process with exit code 2."""
        text = f"{self.prog}: {message}{self._hint(message)}; see {self.prog} --help"
        complain(text)
        sys.exit(2)

    def print_help(self, _file: Any = None) -> None:
        """Print it as a result, which somebody may read through `| head`."""
        say(self.format_help().rstrip("\n"))

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the arguments; a word too many is told by the command that it was given to."""
        arguments, left = self.parse_known_args(words)
        if left:
            name = next(word for word in words if word in self.commands())
            chosen = self.commands()[name]
            text = hint(left, name, {each: it.options() for each, it in self.commands().items()})
            chosen.error(f"unrecognized arguments: {' '.join(left)}{text}")
        return arguments

    def commands(self) -> dict[str, "_Parser"]:
        """Return the parsers of the commands."""
        found = [each.choices for each in self._actions if isinstance(each.choices, dict)]
        return dict(*found)

    def options(self) -> list[str]:
        """Return all that may be written: options, and words such as OUT."""
        return [word for each in self._actions for word in each.option_strings or [each.dest]]

    def _hint(self, message: str) -> str:
        given = re.search(r"invalid choice: '([\w-]+)", message)
        choices = [str(one) for each in self._actions for one in each.choices or ()]
        return meant(given[1], choices) if given else ""


class _Version(argparse.Action):
    """Prints the version; asks for it only then."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_ignored: object) -> None:
        from importlib.metadata import version

        say(f"wdsremux {version('wdsremux')}")
        parser.exit()


def _steps(_arguments: argparse.Namespace) -> int:
    from wdsremux.transforms.steps.catalogue import catalogue

    for usage, meaning in catalogue():
        text = textwrap.fill(meaning, 96, initial_indent="    ", subsequent_indent="    ")
        say(f"{usage}\n{text}")
    return 0
