"""The argument parser of every command: short help, and errors in one line with a hint."""

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from wdsremux.cli import console
from wdsremux.core.option_values import did_you_mean

MAX_WIDTH = 100
OUT_FLAGS = ("-o", "--out", "--output", "--output-dir")
INSTEAD = {
    "--force": "--overwrite",
    "-f": "--overwrite",
    "--jobs": "--workers",
    "--threads": "--workers",
    "--num-workers": "--workers",
    "--num_workers": "--workers",
    "--num-proc": "--workers",
    "--num_proc": "--workers",
    "--shard-size": "--max-shard-size",
    "--maxsize": "--max-shard-size",
    "--maxcount": "--max-shard-samples",
}
"""Options of other tools, and what they are called here."""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Shows `--overwrite` and not `--overwrite, --no-overwrite`, and wraps at 100 columns."""

    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size().columns, MAX_WIDTH)
        super().__init__(prog, max_help_position=26, width=width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Wrap long lines; lines that are indented, such as examples, stay as they are."""
        return "\n".join(
            line if line.startswith(" ") else textwrap.fill(line, width, initial_indent=indent)
            for line in text.splitlines()
        )

    def _format_action_invocation(self, action: argparse.Action) -> str:
        shown = super()._format_action_invocation(action)
        names = action.option_strings
        if isinstance(action, argparse.BooleanOptionalAction):
            return ", ".join(name for name in names if not name.startswith("--no-"))
        if len(names) > 1 and action.nargs is None:  # -j, --workers N
            return f"{', '.join(names)} {self._format_args(action, action.dest.upper())}"
        return shown


class Parser(argparse.ArgumentParser):
    """Reports what is wrong in one line, and what may have been meant."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        keywords = {"allow_abbrev": False, "formatter_class": HelpFormatter, **keywords}
        super().__init__(*args, **keywords)

    def error(self, message: str) -> NoReturn:
        """End the process with exit code 2."""
        console.err(f"{self.prog}: {message}{self._hint(message)}; see {self.prog} --help")
        sys.exit(2)

    def print_help(self, _file: Any = None) -> None:
        """Print it as a result, which may be read through `| head`."""
        console.out(self.format_help().rstrip("\n"))

    def parse(self, command_line: Sequence[str]) -> argparse.Namespace:
        """Return the arguments; the command that was named reports an argument it does not take."""
        arguments, left = self.parse_known_args(command_line)
        if left:
            name = next(word for word in command_line if word in self.commands())
            chosen = self.commands()[name]
            options = {each: it.options() for each, it in self.commands().items()}
            text = _hint_of_step(left, command_line) or _hint_of_left(left, name, options)
            chosen.error(f"unrecognized arguments: {' '.join(left)}{text}")
        return arguments

    def commands(self) -> dict[str, "Parser"]:
        """Return the parsers of the commands."""
        found = [each.choices for each in self._actions if isinstance(each.choices, dict)]
        return dict(*found)

    def options(self) -> list[str]:
        """Return everything that may be written: options, and arguments such as OUT."""
        return [word for each in self._actions for word in each.option_strings or [each.dest]]

    def _hint(self, message: str) -> str:
        given = re.search(r"invalid choice: '([\w-]+)", message)
        choices = [str(one) for each in self._actions for one in each.choices or ()]
        return did_you_mean(given[1], choices) if given else ""


class Version(argparse.Action):
    """Prints the version, which is looked up only then."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_ignored: object) -> None:
        """Print it and end the process."""
        from importlib.metadata import version

        console.out(f"wdsremux {version('wdsremux')}")
        parser.exit()


def _hint_of_step(left: Sequence[str], command_line: Sequence[str]) -> str:
    """Return how to write `--step resize 256`, or an empty string."""
    name = command_line[command_line.index(left[0]) - 1]
    if name not in _step_names():
        return ""
    end = next((i for i, word in enumerate(left) if word.startswith("-")), len(left))
    return f"; the arguments of a step follow '=': --step {name}={','.join(left[:end])}"


def _hint_of_left(left: Sequence[str], command: str, options: Mapping[str, Sequence[str]]) -> str:
    """Return what to write instead, or an empty string.

    `left` are the arguments that were not taken, `options` what each command takes.
    """
    own = options[command]
    flag = next((word.partition("=")[0] for word in left if word.startswith("-")), None)
    if flag is not None:
        return _hint_of_flag(flag, command, options)
    if "source" in own:
        return "; if SOURCE is a pattern, quote it: the shell expands it to several arguments"
    return ""


def _hint_of_flag(flag: str, command: str, options: Mapping[str, Sequence[str]]) -> str:
    own = options[command]
    if flag in OUT_FLAGS and "out" in own:
        return f"; OUT is written without {flag}"
    if "--step" in own and flag[2:] in _step_names():
        return f"; built-in steps are written --step {flag[2:]}"
    if INSTEAD.get(flag) in own:
        return f"; use {INSTEAD[flag]}"
    others = [name for name, known in options.items() if flag in known]
    if others:
        named = " and ".join(filter(None, (", ".join(others[:-1]), others[-1])))
        return f"; {flag} is an option of {named}, not of {command}"
    return did_you_mean(flag, (one for one in own if one.startswith("-")))


def _step_names() -> Sequence[str]:
    from wdsremux.transforms.steps.catalogue import STEPS

    return [*STEPS]
