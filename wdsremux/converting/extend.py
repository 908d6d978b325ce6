"""Takes a finished output up again when its source has got more rows: new shards behind the old.

The old shards stay as they are. Where the new rows begin the recipe has a break: from there on
shards and batches are counted anew. So the output is what a conversion of the whole source with
`--break-at ROW` makes, byte for byte, and everything that knows recipes knows how to treat it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from wdsremux.core.errors import RecipeMismatchError, UsageError
from wdsremux.core.manifest import Manifest
from wdsremux.dataset.head import added_files, fingerprint_of
from wdsremux.dataset.ledger import Ledger, refuse_difference
from wdsremux.processing.plan import Conversion
from wdsremux.processing.tasks import SeriesRows, series_from_text
from wdsremux.transforms.kernel.choice import PORTABLE, kernel_of, native_version

Head = Mapping[str, Any]


def taken_up(conversion: Conversion, *, extend: bool) -> Conversion:
    """Return the conversion with the breaks that its output has.

    With `extend`, rows that were added to the source get a break of their own. Raises UsageError
    for an output that is not finished, RecipeMismatchError when more has changed than that.
    """
    ledger = Ledger(conversion.target)
    standing = ledger.recipe()
    if standing is None:
        return conversion
    conversion = _with_kernel_of(conversion, standing)
    breaks = _breaks_of(standing)
    if breaks[: len(conversion.breaks)] == conversion.breaks:
        # Whoever runs the same command again does not repeat where it was extended.
        conversion = broken_at(conversion, breaks)
    if extend and added_files(standing.get("source") or {}, conversion.head["source"]):
        conversion = _extended(conversion, ledger, standing)
        ledger.extend(conversion.head)
        standing = conversion.head
    manifest = ledger.readable_manifest()
    is_same = standing.get("fingerprint") == conversion.fingerprint
    if is_same and manifest is not None and manifest.fingerprint != conversion.fingerprint:
        # The manifest is still that of the shorter dataset; a run may have been killed since.
        ledger.adopt(conversion.fingerprint, conversion.breaks)
    return conversion


def _with_kernel_of(conversion: Conversion, standing: Head) -> Conversion:
    """Return the conversion with the kernel that its output was begun with, where it may be used.

    Where that kernel is not built, the difference is refused later, with what to do.
    """
    versions = standing.get("versions")
    recorded = versions.get("kernel") if isinstance(versions, dict) else None
    if not conversion.adapts_kernel or recorded not in (PORTABLE, native_version()):
        return conversion
    codec = replace(conversion.job.codec, kernel=kernel_of(recorded))
    head = dict(conversion.head)
    head["versions"] = {**head["versions"], "kernel": recorded}
    head["fingerprint"] = fingerprint_of(head)
    return replace(conversion, head=head, job=replace(conversion.job, codec=codec))


def broken_at(conversion: Conversion, breaks: tuple[int, ...]) -> Conversion:
    """Return the conversion with other breaks, and the fingerprint that belongs to them."""
    if breaks == conversion.breaks:
        return conversion
    head = dict(conversion.head)
    head["recipe"] = {**head["recipe"], "break_at": list(breaks)}
    head["fingerprint"] = fingerprint_of(head)
    return replace(conversion, head=head, breaks=breaks)


def _breaks_of(head: Head) -> tuple[int, ...]:
    recipe = head.get("recipe")
    breaks = recipe.get("break_at") if isinstance(recipe, dict) else None
    return tuple(breaks) if isinstance(breaks, list) else ()


def _extended(conversion: Conversion, ledger: Ledger, standing: Head) -> Conversion:
    """Return the conversion with a break where the added rows begin."""
    manifest, missed = ledger.finished(str(standing.get("fingerprint")))
    if manifest is None or missed:
        raise UsageError(
            "--extend adds to a finished output, and this one is not: finish it with the source as "
            "it was, or give --overwrite to start anew"
        )
    row = _first_new_row(conversion, standing, manifest)
    if row is not None:
        conversion = broken_at(conversion, (*conversion.breaks, row))
    as_it_was = {**conversion.head, "source": standing["source"]}
    refuse_difference(
        {**standing, "recipe": {**standing["recipe"], "break_at": list(conversion.breaks)}},
        as_it_was,
    )
    for name in ("features", "class_names"):
        if conversion.head[name] != standing.get(name):
            raise RecipeMismatchError(
                f"the new files do not fit the old shards: {name} was {standing.get(name)}, now it "
                f"is {conversion.head[name]}; convert them into another OUT"
            )
    return conversion


def _first_new_row(conversion: Conversion, standing: Head, manifest: Manifest) -> int | None:
    """Return the position of the first row that was added; None when the run takes none of them.

    Only the last range of the last series may grow: the positions of all others would shift.
    """
    old, new = _series_before(standing), conversion.series
    added = {file.get("split") for file in added_files(standing["source"], _source(conversion))}
    *heads, last = [part for rows in new for part in rows.ranges]
    same = [(rows.name, rows.ranges) for rows in old[:-1]] == [(r.name, r.ranges) for r in new[:-1]]
    if (
        not same
        or len(old) != len(new)
        or old[-1].ranges[:-1] != new[-1].ranges[:-1]
        or (old[-1].ranges[-1].split, old[-1].ranges[-1].start) != (last.split, last.start)
        or added & {part.split for part in heads} - {last.split}
    ):
        raise RecipeMismatchError(
            f"--split {standing['recipe']['split']} cannot be extended: the rows that were added "
            "would shift the numbers of rows that stand already; convert into another OUT"
        )
    row = max(shard.stop for shard in manifest.shards)
    if last.split not in added or last.stop == old[-1].ranges[-1].stop is not None:
        return None
    return None if conversion.stop is not None and conversion.stop <= row else row


def _series_before(standing: Head) -> Sequence[SeriesRows]:
    """Return the series as they were, by the files that the source had."""
    counts: dict[str, int | None] = {}
    for file in standing["source"]["files"]:
        split, rows = str(file["split"]), file.get("rows")
        before = counts.get(split, 0)
        counts[split] = None if rows is None or before is None else before + rows
    return series_from_text(standing["recipe"]["split"], counts)


def _source(conversion: Conversion) -> Head:
    source: Head = conversion.head["source"]
    return source
