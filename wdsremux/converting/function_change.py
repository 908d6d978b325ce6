"""Continues an unfinished output with a function that has changed: --accept-function-change.

Finished shards are kept. The head records, for each series, the row at which the new function
begins, so that `repair` never makes a shard of the former function with the new one.
"""

from collections.abc import Mapping
from dataclasses import replace

from wdsremux.core.errors import CorruptDataError, RecipeMismatchError
from wdsremux.core.head import Head
from wdsremux.core.option_values import counted, listed
from wdsremux.dataset.function_changes import (
    FunctionChange,
    function_changes_of,
    function_label,
    with_function_changes,
)
from wdsremux.dataset.head import changed_modules
from wdsremux.dataset.ledger import Ledger, SeriesProgress
from wdsremux.dataset.shards.series import prefix_of, shard_name
from wdsremux.processing.plan import Conversion


def with_recorded_changes(conversion: Conversion, recorded: Head) -> Conversion:
    """Return the conversion with the changes of the function that its output records."""
    changes = function_changes_of(recorded)
    if not changes:
        return conversion
    return replace(conversion, head=with_function_changes(conversion.head, changes))


def has_changed(conversion: Conversion, recorded: Head) -> bool:
    """Return whether an output was begun with another function, of any name."""
    was, now = recorded.options.get("transform"), conversion.head.options.get("transform")
    return isinstance(was, dict) and isinstance(now, dict) and was != now


def accepted(
    conversion: Conversion, ledger: Ledger, recorded: Head, *, has_new_rows: bool
) -> tuple[Conversion, Head, str]:
    """Return the conversion and the recorded head with the change of the function, and a note.

    `has_new_rows` says that --extend adds rows. Raises RecipeMismatchError for a finished output
    without them: no row is left for the new function.
    """
    manifest, _ = ledger.finished(recorded.fingerprint)
    if manifest is not None and not has_new_rows:
        raise RecipeMismatchError(
            "the output is finished: --accept-function-change finds no row left for the new "
            "function; pass another OUT, or pass --overwrite to start from scratch"
        )
    progress = ledger.progress()
    until = _until(progress, conversion.job.copies)
    changes = function_changes_of(recorded)
    if until and (not changes or dict(changes[-1].until) != until):
        changes = (*changes, FunctionChange(recorded.options["transform"], until))
    note = _announcement(recorded, conversion.head, progress)
    options = {**recorded.options, "transform": conversion.head.options["transform"]}
    recorded = replace(recorded, options=options, origin=conversion.head.origin)
    return (
        replace(conversion, head=with_function_changes(conversion.head, changes)),
        with_function_changes(recorded, changes),
        note,
    )


def refuse_lost_shards(conversion: Conversion, ledger: Ledger) -> None:
    """Raise CorruptDataError if shards of a former function are lost: no run can make them."""
    changes = function_changes_of(conversion.head)
    if not changes:
        return
    copies = conversion.job.copies
    made = {
        prefix_of(split, copy, copies): part for (split, copy), part in ledger.progress().items()
    }
    lost = [
        shard_name(prefix, made.get(prefix, SeriesProgress()).number)
        for prefix, row in changes[-1].until.items()
        if made.get(prefix, SeriesProgress()).next_row(0) < row
    ]
    if lost:
        raise CorruptDataError(
            f"{listed(lost, 3)}, made by the former function {changes[-1].label}, is lost or has "
            "another size; restore it from a copy, or pass --overwrite to start from scratch"
        )


def _until(progress: Mapping[tuple[str, int], SeriesProgress], copies: int) -> dict[str, int]:
    """Return the row at which each series that has finished shards continues."""
    return {
        prefix_of(split, copy, copies): part.next_row(0)
        for (split, copy), part in sorted(progress.items())
        if part.shards
    }


def _announcement(
    recorded: Head, head: Head, progress: Mapping[tuple[str, int], SeriesProgress]
) -> str:
    was, now = recorded.options["transform"], head.options["transform"]
    modules = changed_modules(was, now)
    changed = f"; changed modules: {', '.join(map(repr, modules))}" if modules else ""
    kept = sum(part.number for part in progress.values())
    rows = max((part.next_row(0) for part in progress.values()), default=0)
    done = f"kept {counted(kept, 'shard')}, continuing from row {rows}" if kept else "no shard yet"
    return (
        f"the function was {function_label(was)}, now it is {function_label(now)}{changed}: {done}"
    )
