"""The lanes of one conversion as tasks of a Ray cluster: `--engine ray`.

No data passes through Ray: each task converts one lane from the source to the output, as
`wdsremux convert --lane I/N` does. The driver submits a lane again whose node or process died, and
reports what the lanes publish. What is done is decided by the output alone.
"""

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from wdsremux.converting.extend import resumed
from wdsremux.converting.finishing import finish
from wdsremux.converting.published_shards import PublishedShards
from wdsremux.converting.ray_cluster import RayCluster, ray_cluster
from wdsremux.converting.remote_output import with_remote_output
from wdsremux.converting.summary import summary_of
from wdsremux.core import errors
from wdsremux.core.errors import LockedError, TransformError, UsageError, WdsremuxError
from wdsremux.core.events import Begun, Done, Event, Note, Observer, Opened, ignore_event
from wdsremux.core.heartbeat import Phase, receiving
from wdsremux.core.manifest import Manifest
from wdsremux.core.option_values import is_url
from wdsremux.core.recipe import Recipe, Run
from wdsremux.dataset.ledger import Ledger
from wdsremux.processing.even_shards import refuse_hub
from wdsremux.processing.opening import Transform, open_conversion
from wdsremux.processing.plan import Conversion
from wdsremux.sources.registry import SourceRef
from wdsremux.stores.registry import open_store

LANES_A_NODE = 3
"""Lanes for each node where --lanes is not given: a node that is done early takes another one."""
MAX_DEATHS = 3
"""Times that a lane may die in a row without a new shard of any lane."""
POLL_S = 1.0
T = TypeVar("T")
RETRY_S = 5.0
"""Pause before a lane is tried again that another process is making."""


@dataclass(frozen=True, slots=True)
class LaneTask:
    """What a task needs to convert one lane."""

    convert: Callable[..., Manifest]
    source: str
    out: str
    recipe: Recipe
    run: Run
    transform: Transform | None

    def __call__(self, cpus: int) -> tuple[str, str]:
        """Convert the lane with that number of CPUs; return the class of an error and its message.

        An error is returned, not raised, because Ray would wrap it. The class is "" without one.
        """
        # Ray sets it to the CPUs of the task, and each worker of the lane would use that many.
        os.environ["OMP_NUM_THREADS"] = "1"
        run = replace(self.run, workers=cpus if self.run.workers is None else self.run.workers)
        try:
            self.convert(
                self.source,
                self.out,
                self.recipe,
                run,
                transform=self.transform,
                observer=ignore_event,
            )
        except WdsremuxError as exc:
            return type(exc).__name__, str(exc)
        return "", ""


def convert_on_ray(
    convert: Callable[..., Manifest],
    ref: SourceRef,
    out: str | Path,
    options: tuple[Recipe, Run],
    transform: Transform | None,
    observer: Observer,
) -> Manifest:
    """Make an output by tasks that each call `convert` for one lane.

    Raises what `convert` raises, and UsageError for a cluster that cannot run it.
    """
    recipe, run = options
    source = _absolute_source(ref)
    _refuse_local(out, recipe, run, transform)
    observer(Phase("connecting to the Ray cluster"))
    with ray_cluster(run.ray_address) as cluster:
        cluster.refuse_other_versions()
        cpus = cluster.cpus_per_lane(run.cpus_per_lane)
        recipe = _with_lanes(recipe, run, out, len(cluster.cpus))
        own = replace(run, engine="auto", ray_address=None, cpus_per_lane=None)
        local = replace(own, workers=1)  # this process converts nothing
        with receiving(observer):
            conversion = open_conversion(ref, out, recipe, local, transform)
        observer(Opened(summary_of(conversion, out)))
        if conversion.store.root is None:
            conversion = with_remote_output(conversion, local, observer)
        conversion = _when_free(partial(_begun, conversion, local, observer), observer)
        task = LaneTask(
            convert, source, os.fspath(out), recipe, replace(own, overwrite=False), transform
        )
        return _LaneRun(conversion, cluster, task, cpus, observer).run(run.give_up_after)


def _absolute_source(ref: SourceRef) -> str:
    if ref.location is None:
        raise UsageError("--engine ray cannot read a Python object; pass a path or a dataset ID")
    is_path = ref.kind not in ("hub", "demo") and not is_url(ref.location)
    if is_path and not Path(ref.location).is_absolute():
        raise _relative("SOURCE", ref.location, ref.location)
    return ref.location


def _refuse_local(out: str | Path, recipe: Recipe, run: Run, transform: Transform | None) -> None:
    """Raise UsageError for what the nodes of a cluster cannot find or do."""
    refuse_hub(out)
    if not is_url(out) and not Path(out).is_absolute():
        raise _relative("OUT", os.fspath(out), os.fspath(out))
    for value, name in ((transform, "--transform"), (recipe.eval_transform, "--eval-transform")):
        file, _, function = value.rpartition(":") if isinstance(value, str) else ("", "", "")
        if file.endswith(".py") and not Path(file).is_absolute():
            raise _relative(name, str(value), file, f":{function}")
    for is_given, name in (
        (run.lane, "--lane"),
        (run.sync_to, "--sync-to"),
        (run.extend, "--extend"),
        (run.accept_function_change, "--accept-function-change"),
    ):
        if is_given:
            raise UsageError(f"{name} cannot be combined with --engine ray")


def _relative(option: str, value: str, path: str, rest: str = "") -> UsageError:
    return UsageError(
        f"{option} {value!r} is a relative path, and other machines have other working "
        f"directories; with --engine ray, use a path such as '{Path(path).absolute()}{rest}' that "
        "exists on all of them"
    )


def _with_lanes(recipe: Recipe, run: Run, out: str | Path, nodes: int) -> Recipe:
    """Return the recipe with a number of lanes: that of an unfinished output, or by the nodes."""
    if recipe.lanes > 1:
        return recipe
    lanes = max(2, LANES_A_NODE * nodes)
    if recipe.shards is not None:  # which alone decides the bytes
        return replace(recipe, lanes=min(recipe.shards, lanes))
    head = None if run.overwrite else Ledger(open_store(out)).head()
    recorded = None if head is None else head.options.get("lanes")
    return replace(recipe, lanes=recorded if isinstance(recorded, int) else lanes)


def _begun(conversion: Conversion, run: Run, observer: Observer) -> Conversion:
    """Write the head of the output, or check it, before any lane does."""
    ledger = Ledger(conversion.store)
    with conversion.store.lock():
        if run.overwrite:
            ledger.clear()
        conversion = resumed(conversion, run, observer)
        ledger.begin(conversion.head)
    return conversion


def _when_free(call: Callable[[], T], observer: Observer) -> T:
    """Return what a call returns, as soon as no other process holds what it needs.

    Processes of a driver or a node that has died may write on for a while.
    """
    is_noted = False
    while True:
        try:
            return call()
        except LockedError as exc:
            if not is_noted:
                observer(Note(f"waiting for another process: {exc}"))
            is_noted = True
            time.sleep(POLL_S)


class _LaneRun:
    """The lanes of one conversion, from the first task to index.json."""

    def __init__(
        self,
        conversion: Conversion,
        cluster: RayCluster,
        task: LaneTask,
        cpus: int,
        observer: Observer,
    ) -> None:
        self._c = conversion
        self._cluster = cluster
        self._task = task
        self._cpus = cpus
        self._observer = observer
        self._published = PublishedShards(conversion.store, conversion.fingerprint)
        self._deaths: Counter[int] = Counter()
        self._waiting: dict[int, float] = {}
        """Lanes that are submitted again later, and when, by the monotonic clock."""
        self._noted: set[int] = set()
        """Lanes for which a note said that another process is making them."""

    def run(self, give_up_after_s: float) -> Manifest:
        """Convert all lanes, then finish the output."""
        before = self._begin()
        left = set(range(self._task.recipe.lanes))
        for lane in sorted(left):
            self._submit(lane)
        while left:
            for lane, result, death in self._cluster.ended(POLL_S):
                if death is not None:
                    self._retry_dead(lane, death)
                elif self._is_done(lane, *result):
                    left.discard(lane)
            if self._published.report(self._observer):
                self._deaths.clear()
            self._submit_waiting()
            self._cluster.refuse_loss(self._cpus, give_up_after_s)
        return self._finish(before)

    def _begin(self) -> int:
        """Report what is done and what is left; return the number of finished rows."""
        for _ in self._published.new():
            pass
        c, lanes = self._c, self._task.recipe.lanes
        self._observer(
            Begun(
                c.rows,
                self._published.rows,
                lanes,
                "ray",
                done_shards=self._published.shards,
                max_shard_bytes=c.bounds.max_bytes,
                copies=c.job.copies,
                function="" if c.job.function is None else c.job.function.label,
            )
        )
        return self._published.rows

    def _submit(self, lane: int) -> None:
        run = replace(self._task.run, lane=f"{lane}/{self._task.recipe.lanes}")
        self._cluster.submit(lane, replace(self._task, run=run), self._cpus)

    def _submit_waiting(self) -> None:
        now = time.monotonic()
        for lane in [lane for lane, at in self._waiting.items() if at <= now]:
            del self._waiting[lane]
            self._submit(lane)
        if self._waiting:
            time.sleep(POLL_S)

    def _is_done(self, lane: int, kind: str, text: str) -> bool:
        """Return whether a lane has ended well. Raises the error that the task returned."""
        if not kind:
            return True
        if kind != LockedError.__name__:
            raise getattr(errors, kind)(f"lane {lane}/{self._task.recipe.lanes}: {text}")
        # A node that Ray takes for dead may still be writing.
        if lane not in self._noted:
            self._noted.add(lane)
            self._observer(Note(f"lane {lane} is waited for: {text}"))
        self._waiting[lane] = time.monotonic() + RETRY_S
        return False

    def _retry_dead(self, lane: int, death: str) -> None:
        self._deaths[lane] += 1
        if self._deaths[lane] >= MAX_DEATHS:
            raise TransformError(
                f"lane {lane}/{self._task.recipe.lanes} died {MAX_DEATHS} times without a new "
                f"shard ({death}); look at the memory of the nodes, and at your function, then run "
                "the same command again: it resumes"
            )
        self._observer(Note(f"lane {lane} died ({death}): running it on another node"))
        self._submit(lane)

    def _finish(self, before: int) -> Manifest:
        observe = partial(_observe_with_rows, self._observer, self._published.rows - before)
        call = partial(finish, self._c.store, self._c.max_errors, self._c.published, observe)
        manifest = _when_free(call, self._observer)
        if manifest is None:
            raise AssertionError("finish returns None only to a lane")
        return manifest


def _observe_with_rows(observer: Observer, rows: int, event: Event) -> None:
    observer(replace(event, rows=rows) if isinstance(event, Done) else event)
