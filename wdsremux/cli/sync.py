"""The command `sync`, and what it prints."""

import argparse
from typing import TYPE_CHECKING, Any

from wdsremux.cli import console
from wdsremux.cli.flags import add_own_options, add_progress, own_options, progress_of
from wdsremux.core.escaping import escaped
from wdsremux.core.option_values import counted, duration, listed, size
from wdsremux.stores.schemes import FORMS
from wdsremux.syncing.options import SyncOptions

PLACES = f"a folder (also on NFS or SMB) · {FORMS}"
if TYPE_CHECKING:
    from wdsremux.syncing.report import SyncReport

MAX_NAMES = 10
"""How many names a line shows."""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "sync",
        help="copy a finished dataset to a folder, S3, a NAS or the Hub",
        description="Copy what is missing or different from a finished dataset to another place, "
        "shards first and index.json last. The same command again resumes an interrupted one, and "
        "sends nothing when everything is there.",
    )
    parser.add_argument("source", metavar="FROM", help=f"a finished dataset: {PLACES}")
    parser.add_argument("dest", metavar="TO", help="where to copy it: the same kinds of places")
    add_own_options(parser, SyncOptions)
    add_progress(parser)
    parser.set_defaults(command=_sync)


def _sync(arguments: argparse.Namespace) -> int:
    from wdsremux.converting.progress import working
    from wdsremux.syncing.sync import sync_by

    options = SyncOptions.from_options(own_options(arguments, SyncOptions))
    with working(f"comparing with {arguments.dest}", progress_of(arguments)) as show:
        report = sync_by(arguments.source, arguments.dest, options, show)
    (console.out if report.is_dry_run else console.out_report)(
        "\n".join(map(escaped, report_lines(report)))
    )
    return 0


def report_lines(report: "SyncReport") -> list[str]:
    """Return the lines of a report."""
    lines = _plan_lines(report) if report.is_dry_run else []
    lines += [
        f"{name} at {report.dest} was not written by wdsremux and was not changed"
        for name in report.left_alone
    ]
    lines += _named("kept here, since the copies could not be verified", report.kept)
    if not report.is_dry_run:
        lines += _named("moved", report.freed)
        lines += _named("removed there", report.removed)
    lines += _named("there, but no longer in index.json; --delete removes them", report.stale)
    lines.append(_closing(report))
    for form, by_split in report.loaders.items():
        for split, urls in by_split.items():
            lines += [f"  {split}, {form}: {url}" for url in urls]
    return lines


def _plan_lines(report: "SyncReport") -> list[str]:
    """Return a line for each file: a plan is complete, however long it is."""
    lines = [f"would send {s.name}, {size(s.size_bytes)}: {s.why}" for s in report.sent_files]
    lines += [f"would remove {name} at {report.dest}" for name in report.removed]
    return lines + [f"would remove {name} here, once its copy is verified" for name in report.freed]


def _named(what: str, names: tuple[str, ...]) -> list[str]:
    if not names:
        return []
    return [f"{what}: {listed(names, MAX_NAMES)}"]


def _closing(report: "SyncReport") -> str:
    present = f"{counted(report.present_files, 'file')}, {size(report.present_bytes)}"
    removal = ""
    if report.is_dry_run and report.removed:
        removal += f"; would remove {counted(len(report.removed), 'file')} there"
    if report.is_dry_run and report.freed:
        removal += f"; would remove {counted(len(report.freed), 'shard')} here"
    if not report.files:
        return f"nothing to send: {present}, already at {report.dest}{removal}"
    already = f"; {present}, there already" if report.present_files else ""
    sent = f"{counted(report.files, 'file')}, {size(report.size_bytes)}"
    if report.is_dry_run:
        return f"would send {sent}, to {report.dest}{already}{removal}"
    levels = ", ".join(f"{count} {level}" for level, count in sorted(report.levels.items()))
    seconds = duration(report.seconds)
    return f"sent {sent}, to {report.dest} in {seconds}, proof: {levels}{already}"
