"""The commands `verify` and `index`, and what they print."""

import argparse
import json
from collections import Counter
from typing import Any

from wdsremux.cli import console
from wdsremux.cli.flags import add_progress, progress_of
from wdsremux.core.escaping import escaped
from wdsremux.core.option_values import counted, duration, size
from wdsremux.verifying.findings import Code
from wdsremux.verifying.reports import DEPTHS, Report

MAX_LINES = 1000
"""How many findings of one kind are printed; --json has more."""
PROOF_WORDS = {
    "reread": "read back",
    "checksum": "by checksum",
    "etag": "by ETag",
    "unverified": "unverified",
    "differs": "damaged",
    "absent": "missing",
}
"""How the closing line reports shards that were verified without reading them."""


def add_commands(commands: Any) -> None:
    """Add both commands to the parser."""
    _add_verify(commands)
    parser = commands.add_parser(
        "index",
        help="make an index for shards of another tool, or for another loader",
        description="Make index.json, the entries and, if it is missing, a README.md for a "
        "folder of shards that another tool packed. The shards are not changed. With --index, "
        "make indexes for other loaders; OUT may then be an output of wdsremux. Indexes that were "
        "made before are renewed where they are missing, damaged or describe other shards.",
    )
    parser.add_argument("out", metavar="OUT", help="folder or URL with .tar shards")
    parser.add_argument(
        "--index",
        metavar="KIND,...",
        dest="kinds",
        help="indexes for other loaders: wids, dali, energon, webshart, timm, open_clip, or all",
    )
    add_progress(parser)
    parser.set_defaults(command=_index)


def _add_verify(commands: Any) -> None:
    parser = commands.add_parser(
        "verify",
        help="check a dataset and report what is damaged",
        description="Check a dataset: one line for each finding on stdout, exit code 0 for a clean "
        "dataset, 1 for one with findings, 6 for a place without a dataset. "
        "Only --quarantine changes anything.",
    )
    parser.add_argument(
        "out", metavar="OUT", help="folder or URL of a dataset, or of any .tar shards"
    )
    _add_verify_options(parser)
    add_progress(parser)
    parser.set_defaults(command=_verify)


def _add_verify_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--depth",
        choices=DEPTHS,
        default="bytes",
        help="entries: manifest, entries and files agree; bytes: and every SHA-256; samples: and "
        "tar structure, CRCs, JSON, labels; pixels: and every image decodes (default bytes)",
    )
    parser.add_argument(
        "--deep",
        action="store_true",
        help="read every byte again: at a URL, instead of comparing the server's checksums, "
        "and in a folder, from the disk instead of from the page cache",
    )
    parser.add_argument(
        "--subset",
        metavar="1/20|5%",
        help="read only a part of the shards: 1/20 is the first of 20 parts",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=int,
        help="shards to read in parallel; the number of CPUs by default, 8 for a URL",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--quarantine",
        action="store_true",
        help="move damaged shards to OUT/.wdsremux/quarantine, each with its findings",
    )


def _verify(arguments: argparse.Namespace) -> int:
    from wdsremux.converting.progress import working
    from wdsremux.verifying.verify import verify

    with working(f"opening {arguments.out}", progress_of(arguments)) as show:
        report = verify(
            arguments.out,
            arguments.depth,
            deep=arguments.deep,
            subset=arguments.subset,
            workers=arguments.workers,
            quarantine=arguments.quarantine,
            observer=show,
        )
    if arguments.json:
        console.out(json.dumps(report.to_json()))
    else:
        console.out("\n".join(map(escaped, report_lines(report))))
    return report.exit_code


def _index(arguments: argparse.Namespace) -> int:
    from wdsremux.converting.progress import working
    from wdsremux.core.manifest import INDEX_WRITER
    from wdsremux.verifying.index import index

    kinds = arguments.kinds or ()
    with working(f"opening {arguments.out}", progress_of(arguments)) as show:
        manifest = index(arguments.out, kinds=kinds, observer=show)
    totals = manifest.totals
    done = f"wrote {arguments.out}/index.json"
    if kinds or manifest.head.options.get("writer") != INDEX_WRITER:
        done = f"the indexes {arguments.kinds or 'for other loaders'} are up to date"
    console.out_report(
        f"{counted(totals.samples, 'sample')} in {counted(totals.shards, 'shard')}, "
        f"{size(totals.size_bytes)}: {done}"
    )
    return 0


def report_lines(report: Report) -> list[str]:
    """Return the lines of a report: one for each finding, and a closing one."""
    shown: Counter[Code] = Counter()
    lines = []
    for finding in report.findings:
        shown[finding.code] += 1
        if shown[finding.code] <= MAX_LINES:
            lines.append(finding.line(report.out))
    for code, count in report.counts.items():
        if count != min(shown[code], MAX_LINES):
            lines.append(f"{code.code} {code.severity}: {count} in all")
    lines += [f"moved to {name}" for name in report.quarantined]
    verdict = (
        "clean"
        if not report.counts
        else ", ".join(
            counted(number, word)
            for number, word in ((report.errors, "error"), (report.warnings, "warning"))
            if number
        )
    )
    proofs = "".join(f", {n} {PROOF_WORDS[level]}" for level, n in report.proofs.items())
    shards = counted(report.shards, "shard")
    if report.checked_shards != report.shards:
        shards = f"{report.checked_shards} of {shards}"
    lines.append(
        f"{verdict}: {counted(report.samples, 'sample')} in {shards}{proofs}, "
        f"{size(report.size_bytes)} read in {duration(report.seconds)}, depth {report.depth}"
    )
    return lines
