"""Extends a finished output when its source has more rows: new shards after the old ones.

The old shards are not changed. Where the new rows begin the recipe has a break: a new shard and a
new batch begin there. So the output is what a conversion of the whole source with `--break-at ROW`
makes, byte for byte.
"""

from collections.abc import Sequence
from dataclasses import replace

from wdsremux.converting.function_change import (
    accepted,
    has_changed,
    refuse_lost_shards,
    with_recorded_changes,
)
from wdsremux.converting.remarks import with_remarks_of
from wdsremux.core.errors import RecipeMismatchError, UsageError
from wdsremux.core.events import Note, Observer
from wdsremux.core.head import Head, fingerprint_of
from wdsremux.core.heartbeat import Phase, Worked, receiving
from wdsremux.core.manifest import Manifest
from wdsremux.core.recipe import Run
from wdsremux.dataset.function_changes import function_changes_of
from wdsremux.dataset.head import added_files, refuse_difference
from wdsremux.dataset.ledger import Ledger
from wdsremux.processing.opening import open_survey_engine
from wdsremux.processing.plan import Conversion
from wdsremux.processing.shard_rows import with_recorded_shard_rows
from wdsremux.processing.survey import needs_survey, surveyed, with_recorded_columns
from wdsremux.processing.tasks import SeriesRows, series_from_text
from wdsremux.transforms.kernel.choice import PORTABLE, kernel_of, native_version


def resumed(conversion: Conversion, run: Run, observer: Observer) -> Conversion:
    """Return the conversion with the breaks and the former functions that its output has.

    With `run.extend`, rows that were added to the source get a break of their own; with
    `run.accept_function_change`, another function continues the output. Raises UsageError for an
    output that is not finished, RecipeMismatchError when more has changed than that.
    """
    ledger = Ledger(conversion.store)
    recorded = ledger.head()
    if recorded is None or not ledger.is_begun():
        return _with_new_columns(conversion, run, observer)
    conversion = with_recorded_columns(conversion, recorded)
    conversion = _with_kernel_of(conversion, recorded)
    conversion = with_recorded_shard_rows(conversion, recorded)
    breaks = _breaks_of(recorded)
    if breaks[: len(conversion.breaks)] == conversion.breaks:
        # The same command again does not repeat where the output was extended.
        conversion = with_breaks(conversion, breaks)
    conversion = with_recorded_changes(conversion, recorded)
    begun, note = recorded, None
    extends = run.extend and bool(added_files(recorded.source, conversion.head.source))
    if run.accept_function_change and has_changed(conversion, recorded):
        conversion, recorded, note = accepted(conversion, ledger, recorded, has_new_rows=extends)
    if extends:
        conversion = _extended(conversion, ledger, recorded, begun.fingerprint)
        recorded = with_remarks_of(conversion.head, recorded)
    if recorded is not begun:
        _replace_head(conversion, ledger, recorded)
    if note is not None:
        observer(Note(note))
    _adopt(conversion, ledger, recorded)
    return conversion


def _with_new_columns(conversion: Conversion, run: Run, observer: Observer) -> Conversion:
    """Return the conversion of a new output with the columns that its function adds."""
    if not needs_survey(conversion):
        return conversion
    observer(Phase("running your function on the first rows", runs_function=True))
    # Its rows are converted later, and counted then.
    with receiving(lambda sent: None if isinstance(sent, Worked) else observer(sent)):
        return surveyed(conversion, open_survey_engine(run))


def _replace_head(conversion: Conversion, ledger: Ledger, recorded: Head) -> None:
    """Write the head of an output with more rows or another function, if nothing else differs."""
    refuse_difference(recorded, conversion.head)
    if function_changes_of(recorded):
        ledger.forget_beyond(ledger.progress())
    ledger.replace_head(recorded)


def _adopt(conversion: Conversion, ledger: Ledger, recorded: Head) -> None:
    """Write the fingerprint of the head into all entries that have a former one."""
    if recorded.fingerprint != conversion.fingerprint:
        return
    manifest = ledger.readable_manifest()
    is_replaced = manifest is not None and manifest.head.fingerprint != conversion.fingerprint
    if is_replaced or function_changes_of(recorded):
        ledger.adopt(conversion.fingerprint, conversion.breaks)
    refuse_lost_shards(conversion, ledger)


def _with_kernel_of(conversion: Conversion, recorded: Head) -> Conversion:
    """Return the conversion with the kernel that its output was started with, where it may be used.

    Where that kernel is not built, the difference is refused later, with what to do.
    """
    version = recorded.versions.get("kernel")
    is_usable = version in (PORTABLE, native_version())
    if not conversion.adapts_kernel or version is None or not is_usable:
        return conversion
    codec = replace(conversion.job.codec, kernel=kernel_of(version))
    head = replace(conversion.head, versions={**conversion.head.versions, "kernel": version})
    head = replace(head, fingerprint=fingerprint_of(head.to_json()))
    return replace(conversion, head=head, job=replace(conversion.job, codec=codec))


def with_breaks(conversion: Conversion, breaks: tuple[int, ...]) -> Conversion:
    """Return the conversion with other breaks, and the fingerprint that belongs to them."""
    if breaks == conversion.breaks:
        return conversion
    options = {**conversion.head.options, "break_at": list(breaks)}
    head = replace(conversion.head, options=options)
    head = replace(head, fingerprint=fingerprint_of(head.to_json()))
    return replace(conversion, head=head, breaks=breaks)


def _breaks_of(head: Head) -> tuple[int, ...]:
    breaks = head.options.get("break_at")
    return tuple(breaks) if isinstance(breaks, list) else ()


def _extended(
    conversion: Conversion, ledger: Ledger, recorded: Head, fingerprint: str
) -> Conversion:
    """Return the conversion with a break where the added rows begin.

    `fingerprint` is the one that the finished output has.
    """
    manifest, missing = ledger.finished(fingerprint)
    if manifest is None or missing:
        raise UsageError(
            "--extend needs a finished output; finish this one with the source as it was, or start "
            "from scratch with --overwrite"
        )
    row = _first_new_row(conversion, recorded, manifest)
    if row is not None:
        conversion = with_breaks(conversion, (*conversion.breaks, row))
    options = {**recorded.options, "break_at": list(conversion.breaks)}
    refuse_difference(
        replace(recorded, options=options), replace(conversion.head, source=recorded.source)
    )
    for name in ("features", "class_names"):
        was, now = getattr(recorded, name), getattr(conversion.head, name)
        if was != now:
            raise RecipeMismatchError(
                f"the new files do not fit the old shards: {name} was {was}, now it is {now}; "
                "convert them into another OUT"
            )
    return conversion


def _first_new_row(conversion: Conversion, recorded: Head, manifest: Manifest) -> int | None:
    """Return the position of the first row that was added; None when the run takes none of them.

    Only the last range of the last series may grow: the positions of all others would shift.
    """
    old, new = _series_before(recorded), conversion.series
    added = {file.get("split") for file in added_files(recorded.source, conversion.head.source)}
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
            f"--split {recorded.options['split']} cannot be extended: the rows that were added "
            "would shift the numbers of existing rows; convert into another OUT"
        )
    row = max(shard.stop for shard in manifest.shards)
    if last.split not in added or last.stop == old[-1].ranges[-1].stop is not None:
        return None
    return None if conversion.stop is not None and conversion.stop <= row else row


def _series_before(recorded: Head) -> Sequence[SeriesRows]:
    """Return the series as they were, by the files that the source had."""
    counts: dict[str, int | None] = {}
    for file in recorded.source["files"]:
        split, rows = str(file["split"]), file.get("rows")
        before = counts.get(split, 0)
        counts[split] = None if rows is None or before is None else before + rows
    return series_from_text(recorded.options["split"], counts)
