"""The commands `watch` and `finish`, for outputs that several processes make."""

import argparse
import time
from typing import Any

from wdsremux.cli import console
from wdsremux.cli.flags import add_progress, progress_of

POLL_S = 2.0


def add_commands(commands: Any) -> None:
    """Add both commands to the parser."""
    parser = commands.add_parser(
        "watch",
        help="show how far the lanes of an output are",
        description="Show how many shards the lanes of an output have made, until all are made; "
        "--once shows it once.",
    )
    parser.add_argument("out", metavar="OUT", help="folder or URL that convert --lane writes to")
    parser.add_argument("--once", action="store_true", help="show it once and exit")
    parser.add_argument(
        "--lanes", metavar="N", type=int, help="number of lanes; recorded with --lanes N"
    )
    add_progress(parser)
    parser.set_defaults(command=_watch)
    parser = commands.add_parser(
        "finish",
        help="write the index of an output whose lanes are done",
        description="Write index.json, the dataset card and the list of rejected rows of an output "
        "whose shards were made by lanes. The last lane does this by itself.",
    )
    parser.add_argument("out", metavar="OUT", help="folder or URL that convert --lane wrote")
    parser.add_argument(
        "--max-errors",
        metavar="N|P%",
        default="1%",
        help="refuse an output with more rejected rows than this (default: 1%%)",
    )
    add_progress(parser)
    parser.set_defaults(command=_finish)


def _watch(arguments: argparse.Namespace) -> int:
    from wdsremux.converting.lanes import lanes_of, lines_of
    from wdsremux.converting.progress import working
    from wdsremux.core.heartbeat import Phase

    with working(f"watching {arguments.out}", progress_of(arguments)) as show:
        while True:
            found = lanes_of(arguments.out, arguments.lanes)
            if arguments.once or found.is_finished or found.done == found.shards:
                break
            show(Phase(str(found)))
            time.sleep(POLL_S)
    console.out("\n".join(lines_of(found)))
    if not found.is_finished and found.done == found.shards:
        console.out("index.json is missing; if no lane is running, run:")
        console.out(f"wdsremux finish {arguments.out}")
    return 0


def _finish(arguments: argparse.Namespace) -> int:
    from wdsremux.converting.lanes import finish
    from wdsremux.converting.progress import working

    with working(f"finishing {arguments.out}", progress_of(arguments)) as show:
        manifest = finish(arguments.out, max_errors=arguments.max_errors, observer=show)
    totals = manifest.totals
    samples = f"{totals.samples:,} samples of {totals.rows:,} rows"
    console.out(f"{samples} in {totals.shards:,} shards, {totals.rejected:,} rejected")
    return 0
