"""The command `convert`."""

import argparse
import shlex
import time
from typing import Any

from wdsremux.cli import bench
from wdsremux.cli.console import say_report
from wdsremux.cli.flags import CODES_TEXT, add_options, options_from_file, options_given
from wdsremux.converting.progress import duration, images_per_s
from wdsremux.core.escaping import escaped
from wdsremux.core.events import Begun, Done, Event
from wdsremux.core.manifest import Manifest, ShardSummary, brace_patterns
from wdsremux.core.option_values import counted, size
from wdsremux.dataset.indexes.loader_urls import own_loaders


def _series(manifest: Manifest) -> dict[str, list[ShardSummary]]:
    """Return the shards that an epoch reads together, by what people call them."""
    found: dict[str, list[ShardSummary]] = {}
    for shard in manifest.shards:
        name = f"{shard.split}, copy {shard.copy}" if manifest.copies > 1 else shard.split
        found.setdefault(name, []).append(shard)
    return found


def report(event: Done, out: str, seconds: float) -> str:
    """Return the closing report: what there is, and how to read it."""
    manifest, totals = event.manifest, event.manifest.totals
    lines = []
    if event.rows:
        rate = event.rows / seconds
        lines.append(f"{counted(event.rows, 'row')} in {duration(seconds)}, {images_per_s(rate)}")
    else:
        lines.append(f"nothing to do: {out} was finished by this very recipe")
    lines.append(
        f"{counted(totals.samples, 'sample')} of {counted(totals.rows, 'row')} in "
        f"{counted(totals.shards, 'shard')}, "
        f"{size(totals.size_bytes)}, {totals.rejected} rejected"
    )
    lines += [f"note: {note}" for note in manifest.notes]
    for name, shards in _series(manifest).items():
        samples = sum(shard.samples for shard in shards)
        patterns = brace_patterns([shard.name for shard in shards])
        lines += [f"  {name}: {out}/{pattern}" for pattern in patterns]
        lines.append(
            f"  {name}: {counted(samples, 'sample')}, for .with_epoch() and .with_length()"
        )
    loaders = own_loaders(manifest.published, manifest.patterns())
    for form, by_split in loaders.items():
        lines += [f"  {split}, {form}: {url}" for split, urls in by_split.items() for url in urls]
    if manifest.published:
        lines.append(f"check it with: wdsremux verify {shlex.quote(out)}")
    return "\n".join(map(escaped, lines))


SOURCE_HELP = (
    "user/name or hf://datasets/user/name[@revision] · a folder or glob of .parquet · a folder "
    "saved by save_to_disk · a folder of images · 'train-{000000..000009}.tar' or a folder of "
    "tars · any folder load_dataset understands · demo:"
)


OUT_HELP = (
    "folder for the shards, made when missing, or s3://BUCKET/FOLDER · gs://BUCKET/FOLDER · "
    "az://CONTAINER/FOLDER · hf://datasets/user/name[@branch]"
)


def add_command(commands: Any) -> None:
    """Add `convert` to the parsers of the command line."""
    parser = commands.add_parser(
        "convert",
        help="convert a dataset into WebDataset shards",
        description="Convert a dataset into WebDataset shards. The same command again goes on "
        "where an interrupted one stopped.",
        epilog=CODES_TEXT,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument("out", metavar="OUT", help=OUT_HELP)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="measure for some seconds, tell what the conversion would take, and write nothing",
    )
    add_options(parser)
    parser.set_defaults(command=_convert)


def _convert(arguments: argparse.Namespace) -> int:
    # Imported here: `wdsremux --help` needs none of it.
    from wdsremux.converting.convert import convert_by
    from wdsremux.converting.progress import observer
    from wdsremux.core.events import Done
    from wdsremux.core.recipe import Recipe, Run

    recipe_options, run_options = options_given(arguments, options_from_file(arguments.config))
    recipe = Recipe.from_options(recipe_options)
    run = Run.from_options(run_options)
    if arguments.dry_run:
        return bench.dry_run(arguments.source, arguments.out, recipe, run)
    tell, began = observer(run.progress), time.monotonic()

    def tell_and_report(event: Event) -> None:
        tell(event)
        if isinstance(event, Begun):
            arguments.has_begun = run.overwrite
            if (event.engine, run.engine) == ("threads", "auto"):
                arguments.on_threads()
        if isinstance(event, Done) and run.progress != "none":
            say_report(report(event, arguments.out, time.monotonic() - began))

    convert_by(arguments.source, arguments.out, recipe, run, observer=tell_and_report)
    return 0
