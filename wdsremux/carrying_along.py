"""Carries an output to a second place while it is made (`--sync-to`)."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import cast

from wdsremux import opening
from wdsremux.conversion import Conversion
from wdsremux.errors import TargetError, UnreachableTargetError, UsageError, WdsremuxError
from wdsremux.events import Note, Observer
from wdsremux.forwarding import Forwarder
from wdsremux.manifest import Manifest
from wdsremux.recipe import Run
from wdsremux.syncing import sync
from wdsremux.syncs.refusing import refuse_beforehand
from wdsremux.targets.base import RemoteTarget
from wdsremux.targets.local import LocalTarget

Convert = Callable[[Conversion, Run, Observer], Manifest]


def carried_along(
    convert: Convert, conversion: Conversion, out: str | Path, run: Run, observer: Observer
) -> Manifest:
    """Convert, and carry what is finished to a second place; its failures come last."""
    if not isinstance(conversion.target, LocalTarget):
        raise UsageError(
            f"--sync-to carries a folder, and {str(out)!r} is none; run `wdsremux sync` when the "
            "conversion is done"
        )
    second = str(run.sync_to)
    try:
        # Wrong keys, and a place that would be refused in the end, are told at once.
        remote = cast("RemoteTarget", opening.open_target(second))
        planned = Manifest.from_head(conversion.head, ())
        refuse_beforehand(conversion.target, planned, remote)
    except UnreachableTargetError as exc:
        observer(Note(f"{exc}; converting without sending, and trying again when all is done"))
        manifest = convert(conversion, run, observer)
    else:
        with Forwarder(conversion.target.root, remote, observer, run.give_up_after) as forwarder:
            manifest = convert(conversion, run, forwarder)
            forwarder.finish()
    try:
        report = sync(
            out,
            second,
            give_up_after=run.give_up_after,
            observer=lambda event: observer(event) if isinstance(event, Note) else None,
        )
    except WdsremuxError as exc:
        again = shlex.join(["wdsremux", "sync", str(out), second])
        raise TargetError(
            f"{str(out)!r} is finished, but not all of it is at {second!r}: {exc}; to go on: "
            f"{again}"
        ) from exc
    observer(Note(f"all of it is at {report.dest} too; check it with: wdsremux verify {second}"))
    return manifest
