"""The command `convert`."""

import argparse
import shlex
import time
from collections.abc import Sequence
from typing import Any

from wdsremux.cli import bench, console
from wdsremux.cli.flags import add_options, options_from_file, options_given
from wdsremux.cli.parser import Parser
from wdsremux.converting.progress import duration, images_per_s
from wdsremux.core.escaping import escaped
from wdsremux.core.events import Begun, Done, Event
from wdsremux.core.manifest import Manifest, ShardSummary, brace_patterns
from wdsremux.core.option_values import counted, size


def _series(manifest: Manifest) -> dict[str, list[ShardSummary]]:
    """Return the shards that an epoch reads together, by what people call them."""
    found: dict[str, list[ShardSummary]] = {}
    for shard in manifest.shards:
        name = f"{shard.split}, copy {shard.copy}" if manifest.head.copies > 1 else shard.split
        found.setdefault(name, []).append(shard)
    return found


def report(event: Done, out: str, seconds: float) -> str:
    """Return the closing report: what there is, and how to read it."""
    from wdsremux.dataset.indexes.loader_urls import own_loaders

    manifest, totals = event.manifest, event.manifest.totals
    lines = []
    if event.rows:
        rate = event.rows / seconds
        lines.append(f"{counted(event.rows, 'row')} in {duration(seconds)}, {images_per_s(rate)}")
    else:
        lines.append(f"nothing to do: {out} is finished with this recipe")
    lines.append(
        f"{counted(totals.samples, 'sample')} of {counted(totals.rows, 'row')} in "
        f"{counted(totals.shards, 'shard')}, "
        f"{size(totals.size_bytes)}, {totals.rejected} rejected"
    )
    lines += [f"note: {note}" for note in manifest.head.notes]
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
    "Hub dataset (user/name) · folder or glob of .parquet, images or .tar · "
    "'train-{000000..000009}.tar' · demo: (see wdsremux help sources)"
)
OUT_HELP = "folder or s3:// gs:// az:// hf:// URL; the same command resumes"
EXAMPLE = """
examples:
  wdsremux convert user/dataset out/dataset --step resize=256 --step center-crop=224
  wdsremux convert photos out/photos --transform augment.py:augment -j 8

more: wdsremux convert --help-all · wdsremux help convert · function · resume · steps · exit-codes
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
        help="measure for 5 s, print time and size of the whole, write nothing",
    )
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
            console.out_report(report(event, arguments.out, time.monotonic() - began))

    convert_by(arguments.source, arguments.out, recipe, run, observer=tell_and_report)
    return 0
