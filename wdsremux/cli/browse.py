"""The commands `ls`, `cat` and `show`: a look into a finished output, in a folder or at a URL."""

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from wdsremux.cli import console
from wdsremux.cli.snippets import SNIPPETS, snippet
from wdsremux.core.errors import UsageError
from wdsremux.core.escaping import escaped
from wdsremux.core.option_values import counted, size

if TYPE_CHECKING:
    from wdsremux.core.manifest import Manifest, ShardSummary


if TYPE_CHECKING:
    from wdsremux.dataset.browsing import FoundSample

OUT_HELP = "folder or URL of a finished output"
KEY_HELP = "key of a sample, or its row number"


def add_commands(commands: Any) -> None:
    """Add the three commands to the parser."""
    parser = _added(commands, "ls", "list the shards of an output, or its samples")
    parser.add_argument(
        "--samples",
        action="store_true",
        help="one line for each sample: key, shard, first byte, size; reads no shard",
    )
    _add_split(parser)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object for each shard or sample"
    )
    parser.set_defaults(command=_ls)
    parser = _added(commands, "cat", "write one member of a sample to stdout")
    parser.add_argument(
        "key", metavar="KEY[.EXT]", help=f"{KEY_HELP}; writes the image without an extension"
    )
    _add_split(parser)
    parser.set_defaults(command=_cat)
    parser = _added(commands, "show", "show what an output, or one of its samples, contains")
    parser.add_argument("key", metavar="KEY", nargs="?", help=KEY_HELP)
    _add_split(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument(
        "--snippet",
        choices=[*SNIPPETS],
        help="print code that reads the output in a training loop",
    )
    parser.set_defaults(command=_show)


def _added(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
    )
    parser.add_argument("out", metavar="OUT", help=OUT_HELP)
    return parser


def _add_split(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", metavar="S", help="show this split only")


def _ls(arguments: argparse.Namespace) -> int:
    from wdsremux.converting.progress import LatePhase
    from wdsremux.dataset.browsing import samples_of
    from wdsremux.dataset.reader import open_output

    with LatePhase(f"reading {arguments.out}") as phase, open_output(arguments.out) as output:
        shards = output.shards(arguments.split)
        if arguments.samples:
            line = _sample_json if arguments.json else _sample_line
            console.out_lines(phase.lines(line(found) for found in samples_of(shards, output)))
        elif arguments.json:
            console.out_lines(phase.lines(json.dumps(_shard(shard)) for shard in shards))
        else:
            console.out_lines(phase.lines(_shard_lines(shards)))
    return 0


def _cat(arguments: argparse.Namespace) -> int:
    from wdsremux.converting.progress import LatePhase
    from wdsremux.dataset.browsing import member
    from wdsremux.dataset.reader import open_output

    with LatePhase(f"reading {arguments.out}"), open_output(arguments.out) as output:
        data = member(output, arguments.key, arguments.split)
    if sys.stdout.isatty() and not _is_text(data):
        raise UsageError(
            f"refusing to write {len(data)} bytes of binary data to a terminal; redirect it: "
            f"wdsremux cat {arguments.out} {arguments.key} > FILE"
        )
    console.out_bytes(data)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from wdsremux.converting.progress import LatePhase
    from wdsremux.dataset.browsing import find
    from wdsremux.dataset.reader import open_output

    if arguments.snippet and arguments.key is not None:
        raise UsageError("--snippet is for a whole output; leave KEY out")
    with LatePhase(f"reading {arguments.out}") as phase, open_output(arguments.out) as output:
        if arguments.snippet:
            output.shards(arguments.split)  # a split that does not exist is an error
            phase.end()
            code = snippet(arguments.snippet, output.manifest, arguments.out, arguments.split)
            console.out(code.rstrip())
            return 0
        if arguments.key is None:
            manifest = output.manifest
            facts = {
                name: value for name, value in manifest.to_json().items() if name != "shardlist"
            }
            lines = _dataset_lines(manifest)
        else:
            found, _ = find(output, arguments.key, arguments.split)
            facts = _place(found) | _contents(output.members(found.shard, found.sample))
            lines = _sample_lines(facts)
    console.out(json.dumps(facts) if arguments.json else "\n".join(lines))
    return 0


def _shard(shard: "ShardSummary") -> dict[str, Any]:
    """Return a shard as `ls --json` prints it."""
    return {
        "shard": shard.name,
        "split": shard.split,
        "copy": shard.copy,
        "samples": shard.samples,
        "rejected": shard.rejected,
        "filtered": shard.filtered,
        "expanded": shard.expanded,
        "bytes": shard.size_bytes,
        "first_position": shard.first_position,
        "last_position": shard.last_position,
        "sha256": shard.sha256,
    }


def _place(found: "FoundSample") -> dict[str, Any]:
    """Return the location of a sample as `ls --json` prints it."""
    return {
        "key": found.sample.key,
        "shard": found.shard.name,
        "split": found.shard.split,
        "copy": found.shard.copy,
        "position": found.sample.position,
        "offset": found.sample.offset,
        "bytes": found.sample.size_bytes,
    }


def _contents(members: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the members of a sample: sizes, the JSON, what the image header says."""
    from wdsremux.core.image_formats import image_extension

    facts: dict[str, Any] = {"members": {name: len(content) for name, content in members.items()}}
    if "json" in members:
        with contextlib.suppress(ValueError, RecursionError):
            facts["json"] = json.loads(members["json"])
    image = image_extension(members)
    if image is not None:
        facts["image"] = _image(members[image])
    return facts


def _image(content: bytes) -> dict[str, Any]:
    """Return format, size and mode of an image by its header."""
    from PIL import Image

    from wdsremux.transforms.codecs.pillow_formats import PILLOW_FORMATS

    try:
        with Image.open(io.BytesIO(content), formats=PILLOW_FORMATS) as image:
            width, height = image.size
            return {"format": image.format, "width": width, "height": height, "mode": image.mode}
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        return {"problem": str(exc)}


def _shard_lines(shards: "list[ShardSummary]") -> Iterator[str]:
    width = max((len(escaped(shard.name)) for shard in shards), default=0)
    for shard in shards:
        rows = f"rows {shard.first_position} to {shard.last_position}"
        yield (
            f"{escaped(shard.name):{width}}  {shard.samples:>8} samples  "
            f"{size(shard.size_bytes):>9}  {rows}"
        )
    samples, size_bytes = sum(s.samples for s in shards), sum(s.size_bytes for s in shards)
    yield f"{counted(samples, 'sample')} in {counted(len(shards), 'shard')}, {size(size_bytes)}"


def _sample_json(found: "FoundSample") -> str:
    return json.dumps(_place(found))


def _sample_line(found: "FoundSample") -> str:
    sample = found.sample
    texts = (sample.key, found.shard.name)
    return "\t".join((*map(escaped, texts), str(sample.offset), str(sample.size_bytes)))


def _sample_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    yield f"sample {facts['key']!r}: row {facts['position']}, copy {facts['copy']}"
    yield (
        f"shard: {escaped(facts['shard'])} (split {facts['split']!r}), byte {facts['offset']}, "
        f"{facts['bytes']} bytes"
    )
    members = (f".{escaped(name)} {n} bytes" for name, n in facts["members"].items())
    yield f"members: {', '.join(members)}"
    image = facts.get("image")
    if image is not None and "problem" in image:
        yield f"image: broken: {escaped(image['problem'])}"
    elif image is not None:
        yield f"image: {image['format']}, {image['width']} × {image['height']}, {image['mode']}"
    if "json" in facts:
        # Escaped: a string of a row may hold terminal control characters.
        yield f"json: {json.dumps(facts['json'], indent=2)}"


def _dataset_lines(manifest: "Manifest") -> Iterator[str]:
    from wdsremux.dataset.indexes.loader_urls import own_loaders

    totals = manifest.totals
    yield (
        f"{escaped(manifest.head.name)}: {counted(totals.samples, 'sample')} in "
        f"{counted(totals.shards, 'shard')}, "
        f"{size(totals.size_bytes)}"
    )
    for name, own in manifest.splits.items():
        filtered = f", {own.filtered} filtered" if own.filtered else ""
        more = f", {own.expanded} added by the function" if own.expanded else ""
        copies = f" × {manifest.head.copies} copies" if manifest.head.copies > 1 else ""
        yield (
            f"split {name!r}: {counted(own.samples, 'sample')} in "
            f"{counted(own.shards, 'shard')}, "
            f"{size(own.size_bytes)}; {counted(own.rows, 'row')}{copies}, "
            f"{own.rejected} rejected{filtered}{more}"
        )
    if manifest.head.class_names is not None:
        shown = json.dumps(manifest.head.class_names[:20])[1:-1]
        more = ", ..." if manifest.head.class_names[20:] else ""
        yield f"classes ({len(manifest.head.class_names)}): {shown}{more}"
    for title, fields in (
        ("recipe", manifest.head.options),
        ("source", manifest.head.source),
        ("versions", manifest.head.versions),
    ):
        given = {escaped(k): json.dumps(v) for k, v in fields.items() if v not in (None, False, [])}
        yield f"{title}: {', '.join(f'{name}={text}' for name, text in given.items())}"
    for split, patterns in manifest.patterns().items():
        yield f"shards of {split!r}: {', '.join(map(escaped, patterns))}"
    loaders = own_loaders(manifest.published, manifest.patterns())
    for form, urls in loaders.items():
        yield f"loader {escaped(form)}: {json.dumps(urls)}"
    left_out = [name for name in manifest.published.get("loaders", {}) if name not in loaders]
    if left_out:
        listed = escaped(", ".join(left_out))
        yield f"loader URLs not shown, since wdsremux did not make them: {listed}"
    yield from (f"note: {escaped(note)}" for note in manifest.head.notes)


def _is_text(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\n\r\t" for char in text)
