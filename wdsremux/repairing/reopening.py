"""The public `repair`: opens the source and function of a dataset again."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from wdsremux.core.columns import Column
from wdsremux.core.cpus import usable_cpus
from wdsremux.core.errors import RecipeMismatchError, SourceError, UsageError, WdsremuxError
from wdsremux.core.events import log_notes
from wdsremux.core.head import SHARD_ROWS, Head
from wdsremux.core.keywords import RepairOptions, refuse_unknown
from wdsremux.core.option_values import is_url
from wdsremux.core.recipe import Run
from wdsremux.dataset.function_changes import function_changes_of, with_function_changes
from wdsremux.processing import opening
from wdsremux.processing.head import recipe_from_head
from wdsremux.processing.opening import Transform, open_conversion, with_careful_engine
from wdsremux.processing.plan import Conversion
from wdsremux.processing.shard_rows import with_shard_rows
from wdsremux.processing.survey import with_columns
from wdsremux.repairing.consent import approved_function, refuse_other_file
from wdsremux.repairing.repair import RepairObserver
from wdsremux.repairing.repair import repair as run_repair
from wdsremux.sources.kinds import KIND_ADVICE
from wdsremux.sources.registry import SourceLike, parse
from wdsremux.stores import registry
from wdsremux.verifying.reports import RepairReport


def repair(  # noqa: PLR0913 (options of a public function, each by its name)
    out: str | Path,
    *,
    shards: Iterable[str] = (),
    source: SourceLike | None = None,
    transform: Transform | None = None,
    eval_transform: str | None = None,
    trust_recorded: bool = False,
    observer: RepairObserver = log_notes,
    **options: Unpack[RepairOptions],
) -> RepairReport:
    """Make missing and damaged shards of a dataset again, and rebuild its other files.

    Every shard is read, or those that `shards` names. One that is missing or damaged is made again
    from the source and by the function that are recorded, and published only if its SHA-256 is the
    recorded one. Entries, `index.json`, `recipe.json`, `rejected.jsonl` and the card are made from
    each other and from the shards, byte for byte as they were. Entries without a shard are moved to
    `.wdsremux/quarantine`; the report's `left` lists what `verify` would still find.

    Pass `source`, `transform` and `eval_transform` where they have moved, or where `convert` got
    objects. The functions that the dataset's record names are run only with `trust_recorded`, and
    then only if their files are unchanged, outside of `out` and not part of Python or of an
    installed package.

    Nothing is printed. An `observer` is called with each event of `wdsremux.events`; without one,
    notes are logged as warnings of the logger "wdsremux".

    Raises CorruptDataError when too little is left, RecipeMismatchError when a shard cannot be made
    as it was, and what `convert` raises; files repaired by then stay.
    """
    if not os.fspath(out):
        raise UsageError("OUT is empty; write . for the current folder")
    if is_url(out):
        raise UsageError(
            f"repair works in a folder, not on {str(out)!r}: repair the local copy of the output, "
            "then upload it again with `wdsremux sync`"
        )
    refuse_unknown(options, RepairOptions)
    run = Run.from_options(dict(options))
    return run_repair(
        Path(out).expanduser(),
        registry.open_store(out),
        _Reopening(out, run, source, transform, eval_transform, trust_recorded),
        shards=[shards] if isinstance(shards, str) else shards,
        workers=usable_cpus() if run.workers is None else run.workers,
        observer=observer,
    )


@dataclass(frozen=True, slots=True)
class _Reopening:
    """Opens source and function of a dataset, as recorded or as passed to `repair`."""

    out: str | Path
    run: Run
    source: SourceLike | None
    transform: Transform | None
    eval_transform: str | None
    trusts_recorded: bool

    def __call__(self, head: Head, *, after_death: bool) -> Conversion:
        source = self._source(head.origin)
        function = self._function(head)
        name = function if isinstance(function, str) else None
        recipe = recipe_from_head(head, name, self._eval_function(head))
        try:
            ref = parse(source, recipe).without_revision()
            conversion = open_conversion(ref, self.out, recipe, self.run, function)
        except UsageError as exc:
            raise RecipeMismatchError(f"the source no longer fits the recipe: {exc}") from exc
        except SourceError as exc:
            # How to read it is recorded: only the location of the source can be passed.
            text = str(exc).removesuffix(f"; {KIND_ADVICE}")
            raise SourceError(
                f"{text}; if the source has moved, pass its new location with --source"
            ) from exc
        added = head.options.get("added_columns", {})
        conversion = with_columns(
            conversion, [Column(name, dtype) for name, dtype in added.items()], required=()
        )
        conversion = with_shard_rows(conversion, head.options.get(SHARD_ROWS, {}))
        changes = function_changes_of(head)
        conversion = replace(conversion, head=with_function_changes(conversion.head, changes))
        return with_careful_engine(conversion, self.run) if after_death else conversion

    def _source(self, origin: Mapping[str, Any]) -> SourceLike:
        source = origin.get("source") if self.source is None else self.source
        if source is None:
            raise UsageError(
                "the source was a Python object, which cannot be recorded; pass it again: "
                "wdsremux.repair(out, source=...)"
            )
        return source

    def _eval_function(self, head: Head) -> str | None:
        """Return the function of the held-out splits, under the same conditions as the other."""
        if not head.options.get("eval_transform"):
            return None
        if self.eval_transform is not None:
            opening.open_function(self.eval_transform)
            return self.eval_transform
        try:
            return self._recorded(head, "eval_transform")
        except WdsremuxError as exc:
            text = str(exc).replace("--transform", "--eval-transform")
            raise type(exc)(text.replace("(transform=)", "(eval_transform=)")) from exc

    def _function(self, head: Head) -> Transform | None:
        if head.options["transform"] is None:
            return None
        if self.transform is not None:
            opening.open_function(self.transform)  # its errors come before those of the source
            return self.transform
        if head.origin.get("transform") is None:
            raise UsageError(
                "the function was a Python object, which cannot be recorded; pass it again: "
                "wdsremux.repair(out, transform=...)"
            )
        return self._recorded(head, "transform")

    def _recorded(self, head: Head, option: str) -> str:
        """Return the function that the record names for an option, if it may be run."""
        out = Path(self.out).expanduser()
        function = approved_function(head, out, trusts=self.trusts_recorded, option=option)
        opened = opening.open_function(function)
        refuse_other_file(function, out, None if opened is None else opened.file)
        return function
