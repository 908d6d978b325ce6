"""The command line: one command for each public function, and an exit code for each kind of end.

Options are made from the fields of Recipe and Run, so that each is written once.
"""

import argparse
import functools
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from wdsremux.cli import bench, browse, console, convert, help, lanes, look, repair, sync, verify  # noqa: A004 (the command's name)
from wdsremux.cli.flags import CODES_TEXT
from wdsremux.cli.parser import Parser, Version
from wdsremux.cli.signals import StopRequest, stop_on_signals
from wdsremux.core.errors import WdsremuxError
from wdsremux.core.escaping import escaped

STOPPED_CODES = (130, 143)

EXAMPLE = """
example:
  wdsremux convert user/dataset out/dataset --step resize=256 --step center-crop=224
  wdsremux verify out/dataset

`wdsremux help` lists the help pages; `wdsremux COMMAND --help` shows the options of a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    command_line = [*(sys.argv[1:] if argv is None else argv)]
    arguments = argparse.Namespace()
    try:
        arguments = make_parser().parse(command_line)
        with stop_on_signals(lambda: _last_words(command_line, arguments)):
            code: int = arguments.command(arguments)
    except WdsremuxError as exc:
        code = _fail(str(exc), exc.exit_code)
        if (kept := _kept(arguments)) and not arguments.is_quiet:
            console.err(kept.strip())
    except StopRequest as exc:
        console.err(_stopped(command_line, arguments))
        return exc.exit_code
    except Exception:  # the outermost boundary: an exception here is a bug of wdsremux
        console.err(traceback.format_exc())
        return _fail("this is a bug in wdsremux; please report it with the lines above", 70)
    return code


def command() -> NoReturn:
    """Run the command line and end the process; what the installed `wdsremux` calls."""
    try:
        code = main()
    finally:
        console.flush()
    if "datasets" in sys.modules or code in STOPPED_CODES:
        # The Parquet streams of `datasets` can hang or abort the interpreter at exit
        # (apache/arrow#45214), and threads that wait for a source can delay it. No file of
        # wdsremux is open any more.
        os._exit(code)
    sys.exit(code)


def _last_words(command_line: Sequence[str], arguments: argparse.Namespace) -> str:
    """Return what to print before a run is ended that does not stop: stderr is restored first."""
    getattr(arguments, "close_progress", lambda: None)()
    return f"\n{_stopped(command_line, arguments)}"


def _stopped(command_line: Sequence[str], arguments: argparse.Namespace) -> str:
    """Return what is kept, and the command that resumes on a line of its own."""
    again = [*command_line]
    if getattr(arguments, "has_begun", False):
        # What was there before is removed already: do not remove what was made since.
        again = [word for word in command_line if word != "--overwrite"]
        if again == [*command_line]:  # the option came from a file
            again.append("--no-overwrite")
    kept = _kept(arguments)
    resume = "Resume with:" if kept or command_line[:1] == ["sync"] else "Run it again with:"
    return "\n".join([f"Interrupted. {kept}{resume}", shlex.join(["wdsremux", *again])])


def _kept(arguments: argparse.Namespace) -> str:
    """Return what a conversion has finished, and what is lost; empty if nothing is finished."""
    meter = getattr(arguments, "meter", None)
    kept: str = "" if meter is None else meter.kept_text()
    return kept


def _fail(text: str, code: int) -> int:
    console.err(f"wdsremux: {escaped(text)}")
    return code


def make_parser(*, every: bool = False) -> Parser:
    """Return the parser; with `every`, help and completion show the less common options, too."""
    parser = Parser(
        prog="wdsremux",
        usage="wdsremux COMMAND ...",
        description="Stream an image dataset through preprocessing once and pack it into "
        "WebDataset shards.",
        epilog=f"{EXAMPLE.strip()}\n\n{CODES_TEXT}",
    )
    parser.add_argument("--version", action=Version)
    parser.set_defaults(command=functools.partial(_print_help, parser), make_parser=make_parser)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", prog="wdsremux")
    convert.add_command(commands, every=every)
    verify.add_commands(commands)
    repair.add_command(commands)
    lanes.add_commands(commands)
    sync.add_command(commands)
    browse.add_commands(commands)
    look.add_commands(commands, convert.SOURCE_HELP, every=every)
    bench.add_commands(commands, convert.SOURCE_HELP, every=every)
    help.add_commands(commands)
    return parser


def _print_help(parser: Parser, _arguments: argparse.Namespace) -> int:
    parser.print_help()
    return 0
