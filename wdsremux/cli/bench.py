"""The commands `bench` and `doctor`, the estimate of `convert --dry-run`, and what they print."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wdsremux.cli import console
from wdsremux.cli.flags import add_options, options_from_file, options_given
from wdsremux.core.option_values import crew, duration, seconds_from_text, size
from wdsremux.core.recipe import Recipe, Run, has_function

if TYPE_CHECKING:
    from wdsremux.converting.bench.measure import Bench, Estimate


SECONDS_HELP = "how long to measure, about; at least 1 (default 20)"


WORTH_SHOWING_S = 0.1
"""Threads start in less."""


def add_commands(commands: Any, source_help: str, *, every: bool) -> None:
    """Add both commands to the parser."""
    parser = commands.add_parser(
        "bench",
        usage="wdsremux bench SOURCE [--seconds S] [--json] [OPTIONS of convert]",
        help="measure speed, time and size of a conversion on your data",
        description="Measure on the first rows of SOURCE: images/s of one core and of all workers, "
        "where the time goes, time and size of the whole, and how much faster images load from "
        "shards than from the source. The shards are written to a temporary folder.",
    )
    parser.add_argument("source", metavar="SOURCE", help=source_help)
    parser.add_argument("--seconds", metavar="S", type=_seconds, default=20.0, help=SECONDS_HELP)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_options(parser, every=every)
    parser.set_defaults(command=_bench)
    parser = commands.add_parser(
        "doctor",
        help="show what is installed and what is missing",
        description="Show versions, CPUs, engines and optional parts. Exit code 1 when something "
        "is missing that a run needs.",
    )
    parser.add_argument("folder", metavar="FOLDER", nargs="?", help="folder you would write to")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=_doctor)


def _seconds(text: str) -> float:
    return max(1.0, seconds_from_text(text))


def _bench(arguments: argparse.Namespace) -> int:
    from wdsremux.converting.bench.measure import bench
    from wdsremux.converting.progress import working

    recipe_options, run_options = options_given(arguments, options_from_file(arguments.config))
    recipe, run = Recipe.from_options(recipe_options), Run.from_options(run_options)
    phase = f"measuring {arguments.source} for about {duration(arguments.seconds)}"
    with working(phase, run.progress, runs_function=has_function(recipe)):
        found = bench(arguments.source, recipe, run, seconds=arguments.seconds)
    console.out(json.dumps(found.to_json()) if arguments.json else "\n".join(bench_lines(found)))
    return 0


def dry_run(source: str, out: str, recipe: Recipe, run: Run) -> int:
    """Print what `convert` would take; nothing is written."""
    from wdsremux.converting.bench.measure import estimate
    from wdsremux.converting.disk_space import free_at
    from wdsremux.converting.progress import working
    from wdsremux.processing.opening import open_conversion

    with working(f"measuring {source}", run.progress, runs_function=has_function(recipe)):
        in_order = replace(recipe, shuffle=None)  # what is measured does not need the other order
        found = estimate(open_conversion(source, out, in_order, run, recipe.transform))
    free = free_at(out)
    if run.progress == "json":
        console.out(json.dumps({"event": "estimate", **found.to_json(), "free_bytes": free}))
        return 0
    console.out("\n".join([*estimate_lines(found), *_room_lines(found.size_bytes, free, out)]))
    return 0


def _room_lines(needed: int | None, free: int | None, out: str) -> list[str]:
    if free is None:
        return ["nothing was written"]
    lines = [f"{size(free)} free at {out}; nothing was written"]
    if needed is not None and needed > free:
        lines.append(f"note: {size(needed - free)} more is needed")
    return lines


def estimate_lines(found: "Estimate") -> list[str]:
    """Return the lines that `--dry-run` prints."""
    pace = found.pace
    whole = "an unknown number of" if found.rows_in_all is None else f"{found.rows_in_all}"
    with_what = crew(found.workers, found.engine) if found.workers else "this process alone"
    after = f", after {pace.start_s:.1f} s to start" if pace.start_s >= WORTH_SHOWING_S else ""
    measured = f"measured on the first {pace.rows} in {pace.seconds:.1f} s with {with_what}{after}"
    lines = [
        f"{whole} rows; {measured}",
        f"{_rate(pace.rows_per_s)} images/s, {size(round(pace.output_bytes / pace.rows))} per row",
    ]
    if found.seconds is not None and found.size_bytes is not None:
        shards = f"{found.shards} shard{'' if found.shards == 1 else 's'}"
        lines.append(
            f"whole dataset: about {duration(found.seconds)}, {size(found.size_bytes)} in {shards}"
        )
    if found.are_shards_too_few:
        lines.append(
            f"note: {found.shards} shards of at most {size(found.bounds.max_bytes)} are too few; "
            "choose a larger --shards, or raise --max-shard-size"
        )
    if pace.first_rejected is not None:
        first = pace.first_rejected
        lines.append(
            f"note: {pace.rejected} rejected; the first was row {first.position} "
            f"({first.stage}): {first.reason}"
        )
    if pace.filtered:
        lines.append(f"note: {pace.filtered} filtered")
    if found.is_over_max_errors:
        lines.append(
            f"note: with this share of errors, convert stops at --max-errors {found.max_errors}"
        )
    return lines


def bench_lines(found: "Bench") -> list[str]:
    """Return the lines that `bench` prints."""
    one = found.profile
    lines = [f"one core: {_rate(one.rows_per_s)} images/s, {one.row_ms:.2f} ms per image"]
    for stage, ms in one.stages_ms.items():
        lines.append(f"  {stage:<10}{ms:9.3f} ms {ms / one.row_ms:6.0%}")
    lines += ["", *estimate_lines(found.estimate), ""]
    source, shards = found.from_source.rows_per_s, found.from_shards.rows_per_s
    verdict = (
        f"{found.gain:.1f} times as fast from the shards"
        if found.gain > 1
        else "not faster from the shards"
    )
    lines.append(
        f"loading to pixels: {_rate(source)} images/s from the source, {_rate(shards)} from the "
        f"shards: {verdict}"
    )
    if found.epochs_to_pay is not None:
        lines.append(f"  the conversion pays for itself after {found.epochs_to_pay:.1f} epochs")
    lines.append(
        "  from the source, images were read, decoded and processed; from the shards, read and "
        "decoded; with the same workers, without training, files in the page cache"
    )
    return lines


def _rate(rows_per_s: float) -> str:
    return f"{rows_per_s:.1f}" if rows_per_s < 100 else f"{rows_per_s:.0f}"


def _doctor(arguments: argparse.Namespace) -> int:
    from wdsremux.cli.doctor import diagnose
    from wdsremux.converting.disk_space import free_at

    found, folder = diagnose(), arguments.folder
    free = None if folder is None else free_at(folder)
    if arguments.json:
        console.out(json.dumps(found.to_json() | {"free_bytes": free}))
    else:
        room = "unknown" if free is None else size(free)
        more = {} if folder is None else {"free space": f"{room} at {folder}"}
        console.out("\n".join([*found.lines(more), *verdict_lines(found.problems)]))
    return 1 if found.problems else 0


def verdict_lines(problems: Sequence[str]) -> list[str]:
    """Return the closing lines of `doctor`."""
    if not problems:
        return ["nothing is missing"]
    return [f"problem: {problem}" for problem in problems]
