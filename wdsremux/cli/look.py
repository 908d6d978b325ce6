"""The commands `preview` and `report`: pages that show what is, or will be, in an output."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wdsremux.cli import console
from wdsremux.cli.flags import add_options, options_from_file, options_given
from wdsremux.core.errors import StoreError, UsageError
from wdsremux.core.option_values import counted, size
from wdsremux.core.recipe import Recipe, Run, has_function

PREVIEW_ROWS = 24
MAX_PREVIEW_ROWS = 1000


def add_commands(commands: Any, source_help: str, *, every: bool) -> None:
    """Add both commands to the parser."""
    _add_preview(commands, source_help, every=every)
    _add_report(commands)


def _add_preview(commands: Any, source_help: str, *, every: bool) -> None:
    parser = commands.add_parser(
        "preview",
        help="show rows beside what convert would pack, in one HTML or PNG file",
        usage="wdsremux preview SOURCE|OUT [--n N] [--out FILE] [OPTIONS of convert]",
        description="Write a contact sheet: for rows from all over SOURCE the original beside each "
        "copy after the recipe, with label, sizes and what the random steps drew. For a finished "
        "OUT: its samples. The page needs no network.",
    )
    parser.add_argument("source", metavar="SOURCE|OUT", help=source_help)
    parser.add_argument(
        "--n", metavar="N", type=_rows, default=PREVIEW_ROWS, help="number of rows (default 24)"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        default="preview.html",
        help="file to write, .html or .png (default preview.html)",
    )
    add_options(parser, every=every)
    parser.set_defaults(command=_preview)


def _add_report(commands: Any) -> None:
    parser = commands.add_parser(
        "report",
        help="describe a finished output in one HTML file",
        description="Write a page with totals, classes, sizes, rejected rows by reason, speed, "
        "recipe and versions of a finished output. The page needs no network.",
    )
    parser.add_argument("out", metavar="OUT", help="folder or URL of a finished output")
    parser.add_argument(
        "--out",
        dest="file",
        metavar="FILE",
        default="report.html",
        help="file to write (default report.html)",
    )
    parser.add_argument(
        "--source",
        metavar="SOURCE",
        help="where the output was made from; shows images of rejected rows",
    )
    parser.set_defaults(command=_report)


def _rows(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PREVIEW_ROWS:
        raise argparse.ArgumentTypeError(f"write a number of rows from 1 to {MAX_PREVIEW_ROWS}")
    return int(text)


def _preview(arguments: argparse.Namespace) -> int:
    from wdsremux.converting.preview import is_output, preview_source
    from wdsremux.converting.progress import LatePhase, working
    from wdsremux.dataset.sheets.preview import preview_output
    from wdsremux.dataset.sheets.sheet_html import sheet_html
    from wdsremux.dataset.sheets.sheet_png import sheet_png

    recipe_options, run_options = options_given(arguments, options_from_file(arguments.config))
    makers: dict[str, Callable[[], bytes]] = {
        ".html": lambda: sheet_html(sheet).encode(),
        ".png": lambda: sheet_png(sheet),
    }
    make = _maker(arguments.out, makers)
    if not recipe_options.keys() - {"split"} and is_output(arguments.source):
        with LatePhase(f"reading {arguments.source}"):
            sheet = preview_output(arguments.source, arguments.n, recipe_options.get("split"))
    else:
        recipe, run = Recipe.from_options(recipe_options), Run.from_options(run_options)
        phase = f"making {counted(arguments.n, 'row')} of {arguments.source}"
        with working(phase, run.progress, runs_function=has_function(recipe)):
            sheet = preview_source(arguments.source, arguments.n, recipe, run)
    _write(arguments.out, make(), counted(len(sheet.rows), "row"))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from wdsremux.converting.preview import rejected_images
    from wdsremux.converting.progress import LatePhase
    from wdsremux.dataset.sheets.overview import overview_of
    from wdsremux.dataset.sheets.report_html import report_html

    _maker(arguments.file, {".html": bytes})
    with LatePhase(f"reading {arguments.out}"):
        overview = overview_of(arguments.out)
        images = {} if arguments.source is None else rejected_images(arguments.source, overview)
    page = report_html(overview, images).encode()
    _write(arguments.file, page, counted(overview.manifest.totals.samples, "sample"))
    return 0


def _maker(name: str, makers: dict[str, Callable[[], bytes]]) -> Callable[[], bytes]:
    """Return what makes a file by its extension. Raises UsageError for another one."""
    suffix = Path(name).suffix.lower()
    if suffix not in makers:
        raise UsageError(f"--out {name!r}: write a file name that ends in {' or '.join(makers)}")
    return makers[suffix]


def _write(name: str, data: bytes, what: str) -> None:
    try:
        Path(name).expanduser().write_bytes(data)
    except OSError as exc:
        raise StoreError(f"cannot write --out {name!r}: {exc.strerror}") from exc
    console.out(f"{what} in {name}, {size(len(data))}")
