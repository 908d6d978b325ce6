"""A contact sheet before a conversion: rows of a source beside what `convert` would pack."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from wdsremux.converting.summary import source_summary
from wdsremux.core.errors import SourceError, system_errors_as
from wdsremux.core.image_formats import image_extension
from wdsremux.core.manifest import MANIFEST_NAME
from wdsremux.core.option_values import is_url
from wdsremux.core.paths import is_file
from wdsremux.core.recipe import Recipe, Run
from wdsremux.core.records import Batch, Record, Task
from wdsremux.dataset.ownership import owner_of
from wdsremux.dataset.reader import members_of
from wdsremux.dataset.sheets.overview import Overview
from wdsremux.dataset.sheets.preview import fields_of, label_of, spread
from wdsremux.dataset.sheets.sheet import (
    Sheet,
    SheetImage,
    SheetRow,
    further_images,
    original_image,
    packed_image,
)
from wdsremux.processing.opening import Transform, open_conversion
from wdsremux.processing.plan import Conversion
from wdsremux.processing.tasks import pieces
from wdsremux.sources.registry import SourceLike, parse
from wdsremux.stores.registry import open_folder
from wdsremux.transforms.base import DecodeError, StepError
from wdsremux.transforms.steps.catalogue import Step, steps_from_text
from wdsremux.transforms.steps.drawn import drawn
from wdsremux.transforms.steps.picture import SourceImage

SPOTS = 4
"""Places that rows are taken from, where each costs a download or a whole batch."""
_ROWS_OPTIONS = ("split", "image_column", "limit", "max_pixels", "shuffle")
"""Options of a recorded recipe that say which rows it read."""
_NOWHERE = "preview"
"""Names an output that is never written."""


@dataclass(slots=True)
class _Packed:
    """What workers made of one row."""

    samples: dict[int, Mapping[str, bytes]] = field(default_factory=dict)
    """The members of each copy."""
    label: str = ""
    problems: list[str] = field(default_factory=list)


def preview_source(
    source: SourceLike, rows: int, recipe: Recipe, run: Run, transform: Transform | None = None
) -> Sheet:
    """Return a sheet of about `rows` rows; the images are those that `convert` packs.

    They are spread over the source where that is cheap. Raises the errors of `convert`.
    """
    ref = parse(source, recipe)
    in_order = replace(recipe, shuffle=None)  # a few rows do not need all of them in another order
    conversion = open_conversion(ref, _NOWHERE, in_order, run, transform or recipe.transform)
    spots = SPOTS if ref.kind == "hub" or conversion.job.batches_rows else rows
    ranges = list(_ranges(conversion, rows, spots))
    packed = _converted(conversion, ranges)
    found = (
        _row(conversion, record, packed.get(record.position, _Packed()))
        for record in _records(conversion, ranges)
    )
    facts = (source_summary(conversion), _recipe_line(recipe, transform), *conversion.remarks)
    return Sheet(conversion.head.name, tuple(fact for fact in facts if fact), tuple(found))


def rejected_images(source: str, overview: Overview) -> dict[int, SheetImage | str]:
    """Return the images of rejected rows by position, or why one cannot be shown.

    `source` is what the output was made from. Raises SourceError, UsageError.
    """
    options = {name: overview.manifest.head.options.get(name) for name in _ROWS_OPTIONS}
    recipe = Recipe.from_options(options)
    conversion = open_conversion(source, _NOWHERE, recipe, Run(), None)
    wanted = sorted({item.position for kind in overview.rejected for item in kind.examples})
    found: dict[int, SheetImage | str] = {}
    for record in _records(conversion, [(position, position + 1) for position in wanted]):
        try:
            if record.image is None:
                raise DecodeError(record.problem or "the image is null")
            found[record.position] = original_image(record.image, conversion.job.codec)
        except (DecodeError, StepError) as exc:
            found[record.position] = str(exc)
    return found


def is_output(words: str) -> bool:
    """Return whether a string names an output of wdsremux and not a source."""
    with system_errors_as(SourceError, "read", words):
        if not (is_url(words) or is_file(Path(words).expanduser() / MANIFEST_NAME)):
            return False
    with open_folder(words) as folder:
        return owner_of(folder) == "ours"


def _recipe_line(recipe: Recipe, transform: Transform | None) -> str:
    name = getattr(transform, "__name__", transform) or recipe.transform
    parts = [*recipe.steps, *([f"function {name}"] if name else [])]
    copies = f" · {recipe.copies} copies" if recipe.copies > 1 else ""
    return f"{' → '.join(parts) or 'no steps'}{copies}"


def _ranges(conversion: Conversion, wanted: int, spots: int) -> Iterator[tuple[int, int]]:
    """Yield up to `spots` ranges of positions with `wanted` rows in all, evenly spread."""
    base, rows = conversion.base, conversion.series[0].rows
    rows = conversion.limit if rows is None else min(rows, conversion.limit or rows)
    if rows is None:  # a stream: only its beginning is cheap
        yield base, base + wanted
        return
    starts = spread(rows, min(spots, wanted))
    each = -(-wanted // max(1, len(starts)))
    for start, following in zip(starts, [*starts[1:], rows], strict=True):
        if (stop := min(start + each, following)) > start:
            yield base + start, base + stop


def _converted(conversion: Conversion, ranges: list[tuple[int, int]]) -> dict[int, _Packed]:
    """Convert the rows, each in the batch in which `convert` passes it to the function."""
    found: dict[int, _Packed] = {}
    with closing(conversion.batches(_tasks(conversion, ranges))) as batches:
        for batch in batches:
            _take(batch, found)
    return found


def _tasks(conversion: Conversion, ranges: list[tuple[int, int]]) -> Iterator[Task]:
    for start, stop in ranges:
        end = conversion.batch_end(0, conversion.base, stop)
        limit = end if conversion.stop is None else min(end, conversion.stop)
        yield from conversion.tasks(0, conversion.base, start, limit)


def _take(batch: Batch, found: dict[int, _Packed]) -> None:
    for copy, packed in enumerate(batch.packed):
        at = 0
        with memoryview(packed.payload) as payload:
            for position, size_bytes in zip(packed.positions, packed.sizes, strict=True):
                row = found.setdefault(position, _Packed())
                _, members = members_of(bytes(payload[at : at + size_bytes]))
                row.samples[copy] = members
                row.label = row.label or label_of(fields_of(members))
                at += size_bytes
    for item in batch.rejected:
        row = found.setdefault(item.position, _Packed())
        how = "filtered" if item.stage == "filter" else f"rejected ({item.stage})"
        row.problems.append(f"{how}: {item.reason}")


def _records(conversion: Conversion, ranges: list[tuple[int, int]]) -> Iterator[Record]:
    base, series = conversion.base, conversion.series[0]
    for start, stop in ranges:
        for piece in pieces(conversion.units, series, base, start, stop):
            yield from piece.unit.read(piece.start, piece.stop)


def _row(conversion: Conversion, record: Record, packed: _Packed) -> SheetRow:
    codec = conversion.job.codec
    steps = steps_from_text(conversion.job.steps)
    problems = list(dict.fromkeys(packed.problems))
    original = None
    if record.image is not None:
        try:
            original = original_image(record.image, codec)
        except DecodeError as exc:
            problems = problems or [str(exc)]
    images = []
    for copy, members in sorted(packed.samples.items()):
        lines = _drawn(conversion, steps, record, copy)
        name = image_extension(members)
        if name is not None:
            images.append(packed_image(members[name], codec, lines))
            images.extend(further_images(members, codec))
    title = f"row {record.position:,}"
    where = f"{title} · {record.location}" if record.location else title
    return SheetRow(where, packed.label, original, tuple(images), "; ".join(problems))


def _drawn(
    conversion: Conversion, steps: tuple[Step, ...], record: Record, copy: int
) -> tuple[str, ...]:
    """Return what the steps drew for one copy; the user's function is only named."""
    job = conversion.job
    lines: tuple[str, ...] = ()
    if steps and record.image is not None:
        try:
            size = SourceImage(record.image, job.codec).size
            lines = drawn(steps, size, seed=job.seed, copy=copy, position=record.position)
        except (DecodeError, StepError):
            lines = ()
    return lines if job.function is None else (*lines, "your function")
