"""The command `repair`, and what it prints."""

import argparse
from typing import TYPE_CHECKING, Any

from wdsremux.cli import console
from wdsremux.cli.flags import add_progress, add_run_options, options_set, progress_of
from wdsremux.core.escaping import escaped

if TYPE_CHECKING:
    from wdsremux.verifying.reports import RepairReport


RUN_OPTIONS = ("workers", "engine", "give_up_after", "record_timeout")


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "repair",
        help="rebuild damaged shards from the source",
        description="Make missing and damaged shards again from their source, and rebuild "
        "index, entries and card. A shard is published only if its SHA-256 is the recorded one; "
        "exit code 7 says what has changed, 1 that something could not be repaired.",
    )
    parser.add_argument("out", metavar="OUT", help="folder that convert wrote")
    parser.add_argument(
        "--shard",
        metavar="NAME",
        action="append",
        default=[],
        help="repair this shard only; may be repeated; all by default",
    )
    parser.add_argument(
        "--source", metavar="SOURCE", help="where the source is now, if it has moved"
    )
    parser.add_argument(
        "--transform",
        metavar="FILE.py:NAME",
        help="your function; the one that the dataset records runs only with --trust-recorded",
    )
    parser.add_argument(
        "--eval-transform",
        metavar="FILE.py:NAME",
        help="your function for the held-out splits, likewise",
    )
    parser.add_argument(
        "--trust-recorded",
        action="store_true",
        help="run the function that the dataset records if its file is unchanged and outside it",
    )
    add_run_options(parser, RUN_OPTIONS)
    add_progress(parser)
    parser.set_defaults(command=_repair)


def _repair(arguments: argparse.Namespace) -> int:
    from wdsremux.converting.progress import working
    from wdsremux.repairing.reopening import repair

    with working(f"checking {arguments.out}", progress_of(arguments)) as show:
        report = repair(
            arguments.out,
            shards=arguments.shard,
            source=arguments.source,
            transform=arguments.transform,
            eval_transform=arguments.eval_transform,
            trust_recorded=arguments.trust_recorded,
            observer=show,
            **options_set(arguments, RUN_OPTIONS),
        )
    console.out_report("\n".join(map(escaped, report_lines(report))))
    return report.exit_code


def report_lines(report: "RepairReport") -> list[str]:
    """Return the lines of a report: one for each file, and a closing one."""
    lines = [f"rebuilt: {name}" for name in report.remade]
    lines += [f"rebuilt: {name}" for name in report.rebuilt]
    lines += [f"moved to {name}" for name in report.moved]
    lines += [f"not repaired: {text}" for text in report.left]
    checked = f"{report.checked_shards} of {report.shards} shards checked"
    if report.left:
        return [*lines, f"not repaired completely: {checked}"]
    verdict = "repaired" if report.remade or report.rebuilt or report.moved else "nothing to repair"
    return [*lines, f"{verdict}: {checked}"]
