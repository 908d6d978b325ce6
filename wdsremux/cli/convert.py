"""The command `convert`."""

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from wdsremux.cli import bench, console
from wdsremux.cli.flags import add_options, options_from_file, options_given
from wdsremux.cli.parser import Parser
from wdsremux.core.option_values import size
from wdsremux.stores.schemes import SCHEMES

if TYPE_CHECKING:
    from wdsremux.core.events import Event, Note
    from wdsremux.core.recipe import Recipe, Run

SOURCE_HELP = (
    "Hub dataset (user/name) · image folder · folder or pattern of .parquet or "
    ".tar files, 'x-{000..009}.tar' · demo: (see wdsremux help sources)"
)
OUT_HELP = f"folder or {' '.join(f'{name}://' for name in SCHEMES)} URL; the same command resumes"
DEBUG_HELP = (
    "run row N, with its batch, in this process; show what your function gets, returns or raises; "
    "write nothing"
)
EXAMPLE = """
examples:
  wdsremux convert user/dataset out/dataset --step resize=256 --step center-crop=224
  wdsremux convert photos out/photos --transform augment.py:augment -j 8

more: --help-all · wdsremux help TOPIC (function, sources, resume, steps, ...)
"""


def add_command(commands: Any, *, every: bool) -> None:
    """Add `convert` to the parsers of the command line."""
    parser = commands.add_parser("convert", **_texts())
    _add_arguments(parser, every=every)
    parser.set_defaults(command=_convert)


def _texts() -> dict[str, str]:
    return {
        "help": "convert a dataset into WebDataset shards",
        "usage": "wdsremux convert SOURCE OUT [OPTIONS]",
        "description": "Convert a dataset into WebDataset shards.",
        "epilog": EXAMPLE.strip(),
    }


def _add_arguments(parser: argparse.ArgumentParser, *, every: bool) -> None:
    parser.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument("out", metavar="OUT", help=OUT_HELP)
    parser.add_argument("--help-all", action=_HelpAll)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="measure for 5 s; print time and size; write nothing",
    )
    parser.add_argument(
        "--debug-row",
        metavar="N",
        type=int,
        help=DEBUG_HELP if every else argparse.SUPPRESS,
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="show finished shards and rows left out",
    )
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    add_options(parser, every=every)


class _HelpAll(argparse.Action):
    """Prints the help with every option."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show every option and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_ignored: object) -> None:
        texts = {name: text for name, text in _texts().items() if name != "help"}
        full = Parser(prog=parser.prog, **texts)
        _add_arguments(full, every=True)
        full.print_help()
        parser.exit()


def _convert(arguments: argparse.Namespace) -> int:
    # Imported here: `wdsremux --help` needs none of it.
    from wdsremux.core.recipe import Recipe, Run

    recipe_options, run_options = options_given(arguments, options_from_file(arguments.config))
    recipe = Recipe.from_options(recipe_options)
    run = Run.from_options(run_options)
    if arguments.dry_run:
        return bench.dry_run(arguments.source, arguments.out, recipe, run)
    if arguments.debug_row is not None:
        from wdsremux.cli.debug_row import show_row

        return show_row(arguments.source, arguments.out, recipe, run, arguments.debug_row)
    if arguments.resume and run.progress != "none":
        console.err("--resume is not needed: the same command resumes")
    return _run(arguments, recipe, run)


def _run(arguments: argparse.Namespace, recipe: "Recipe", run: "Run") -> int:
    """Convert, show the progress, and print the report."""
    from wdsremux.cli.report import RunRecord, report
    from wdsremux.converting import progress
    from wdsremux.converting.convert import convert_by
    from wdsremux.converting.meter import Meter
    from wdsremux.core.events import Begun, Done, Event

    meter = Meter()
    show, began, record = progress.observer(run.progress), time.monotonic(), RunRecord()
    arguments.meter, arguments.is_quiet = meter, run.progress == "none"
    arguments.close_progress = lambda: progress.close(show)

    def observe(event: Event) -> None:
        meter.note(event)
        record.note(event)
        show(event)
        for note in _details(event) if arguments.verbose else ():
            show(note)
        if isinstance(event, Begun):
            arguments.has_begun = run.overwrite
        if isinstance(event, Done) and run.progress != "none":
            progress.close(show)
            seconds = time.monotonic() - began
            console.out_report(report(event, arguments.out, seconds, record, meter))

    try:
        convert_by(arguments.source, arguments.out, recipe, run, observer=observe)
    finally:
        progress.close(show)
    return 0


def _details(event: "Event") -> Iterator["Note"]:
    """Yield what --verbose shows: each finished shard and each rejected row."""
    from wdsremux.core.events import Advanced, Note, ShardDone

    if isinstance(event, ShardDone):
        shard = event.shard
        yield Note(f"{shard.name}: {shard.samples:,} samples, {size(shard.size_bytes)}")
    for item in event.rejected if isinstance(event, Advanced) else ():
        how = "filtered" if item.stage == "filter" else f"rejected ({item.stage})"
        yield Note(f"row {item.position} {how}: {item.reason}")
