"""The commands `help`, `explain`, `steps` and `completion`."""

import argparse
import textwrap
from pathlib import Path
from typing import Any

from wdsremux.cli import console
from wdsremux.core.errors import UsageError
from wdsremux.core.option_values import did_you_mean

PAGES = Path(__file__).parent / "pages"
"""One Markdown file for each topic; its first line is `# Title`."""
SHELLS = ("bash", "zsh", "fish")

AREAS = {
    "1": "the folder, index.json and the entries (every depth of verify)",
    "2": "the bytes of the shards (--depth bytes and deeper)",
    "3": "tars and samples (--depth samples and deeper)",
    "4": "images (--depth pixels)",
    "5": "datasets of other tools: what some loaders cannot handle",
}
"""What is checked, by the first digit of a code."""


def add_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    parser = commands.add_parser(
        "help", help="list the help pages, or show one", description="Show a help page."
    )
    parser.add_argument("topic", metavar="TOPIC", nargs="?", help="page to show; all without it")
    parser.set_defaults(command=_help)
    parser = commands.add_parser(
        "explain",
        help="explain a finding of verify, such as W206",
        description="Explain what a finding of `wdsremux verify` means and what to do about it.",
    )
    parser.add_argument("code", metavar="CODE", help="code of the finding, such as W206")
    parser.set_defaults(command=_explain)
    parser = commands.add_parser(
        "steps", help="list the built-in steps", description="List the built-in steps."
    )
    parser.set_defaults(command=_steps)
    parser = commands.add_parser(
        "completion",
        help="print a completion script for your shell",
        description="Print a completion script for your shell.\n\n"
        '  bash: eval "$(wdsremux completion bash)" in ~/.bashrc\n'
        '  zsh:  eval "$(wdsremux completion zsh)" in ~/.zshrc, after compinit\n'
        "  fish: wdsremux completion fish > ~/.config/fish/completions/wdsremux.fish",
    )
    parser.add_argument("shell", choices=SHELLS, help="your shell")
    parser.set_defaults(command=_completion)


def topics() -> dict[str, str]:
    """Return the title of each page by its topic."""
    found = {}
    for path in sorted(PAGES.glob("*.md")):
        with path.open(encoding="utf-8") as file:
            found[path.stem] = file.readline().removeprefix("# ").strip()
    return found


def page(topic: str) -> str:
    """Return the content of a page. Raises UsageError for a topic that does not exist."""
    known = topics()
    if topic not in known:
        raise UsageError(
            f"unknown help page {topic!r}{did_you_mean(topic, known)}; "
            f"the pages are {', '.join(known)}"
        )
    return (PAGES / f"{topic}.md").read_text(encoding="utf-8").rstrip("\n")


def _help(arguments: argparse.Namespace) -> int:
    if arguments.topic is not None:
        commands = arguments.make_parser().commands()
        if arguments.topic in commands and arguments.topic not in topics():
            commands[arguments.topic].print_help()
        else:
            console.out(page(arguments.topic))
        return 0
    known = topics()
    width = max(map(len, known))
    lines = [f"  {topic:<{width}}  {title}" for topic, title in known.items()]
    console.out("\n".join(["Show a page with: wdsremux help TOPIC", "", *lines]))
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    from wdsremux.verifying.explanations import explanation_of
    from wdsremux.verifying.findings import Code

    known = {code.code: code for code in Code}
    found = known.get(arguments.code.upper())
    if found is None:
        raise UsageError(f"unknown finding {arguments.code!r}; `wdsremux help findings` lists all")
    shown = explanation_of(found)
    lines = [
        f"{shown.code} {shown.severity}: {shown.title}",
        "",
        f"Found in:    {AREAS[shown.code[1]]}",
        f"Cause:       {shown.cause}",
        f"Consequence: {shown.consequence}",
        f"What to do:  {shown.remedy}",
        "",
        "Example:",
        f"  {shown.example}",
    ]
    console.out("\n".join(lines))
    return 0


def _steps(_arguments: argparse.Namespace) -> int:
    from wdsremux.transforms.steps.catalogue import catalogue

    for usage, meaning in catalogue():
        text = textwrap.fill(meaning, 96, initial_indent="    ", subsequent_indent="    ")
        console.out(f"{usage}\n{text}")
    return 0


def _completion(arguments: argparse.Namespace) -> int:
    import shtab

    parser = arguments.make_parser(every=True)
    console.out(shtab.complete(parser, arguments.shell).rstrip("\n"))
    return 0
