"""A Ray cluster as `--engine ray` uses it: its nodes, their versions, and tasks on them.

The only module that imports Ray, which is an extra.
"""

# ruff: noqa: PLC0415 (Ray takes a second to import, and may be missing)

import contextlib
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module, metadata
from typing import Any

from wdsremux.core.errors import UsageError
from wdsremux.core.option_values import counted
from wdsremux.processing.head import versions

PROBE_S = 120.0
"""Time limit for all nodes to report their versions; the first task of a node starts a process."""

Task = Callable[[int], Any]
"""What a task calls, with the number of its CPUs."""


class RayCluster:
    """A connection to a cluster, with the tasks that were submitted through it."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._pending: dict[Any, int] = {}
        self._lost_at: float | None = None

    @property
    def cpus(self) -> list[int]:
        """Number of CPUs of each node that is alive and has any."""
        nodes = [node["Resources"].get("CPU", 0) for node in self._nodes()]
        return sorted(int(cpus) for cpus in nodes if cpus >= 1)

    def refuse_other_versions(self) -> None:
        """Compare the libraries of every node with those of this process. Raises UsageError."""
        probe = self._ray.remote(num_cpus=0, max_retries=0)(_versions)
        names, refs = [], []
        for node in self._nodes():
            there = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                node_id=node["NodeID"], soft=False
            )
            names.append(node["NodeManagerHostname"])
            refs.append(probe.options(scheduling_strategy=there).remote())
        own = _versions()
        for name, ref in zip(names, refs, strict=True):
            try:
                found = self._ray.get(ref, timeout=PROBE_S)
            except self._ray.exceptions.RayError as exc:
                raise UsageError(
                    f"node {name!r} of the Ray cluster cannot run wdsremux ({_first_line(exc)}); "
                    f"install wdsremux {own['wdsremux']} there, in the environment of Ray"
                ) from exc
            for library, version in own.items():
                if found.get(library) != version:
                    raise UsageError(
                        f"node {name!r} of the Ray cluster has {library} {found.get(library)}, and "
                        f"this process has {version}: their shards could differ; install the same "
                        "versions on all nodes"
                    )

    def cpus_per_lane(self, asked: int | None) -> int:
        """Return the CPUs of a lane: by default all of the smallest node. Raises UsageError."""
        cpus = self.cpus
        if not cpus:
            raise UsageError("no node of the Ray cluster has a CPU; add nodes with CPUs")
        if asked is not None and asked > cpus[-1]:
            raise UsageError(
                f"--cpus-per-lane {asked}: the largest node of the Ray cluster has "
                f"{counted(cpus[-1], 'CPU')}"
            )
        return cpus[0] if asked is None else asked

    def submit(self, number: int, task: Task, cpus: int) -> None:
        """Run a task on some node with that number of CPUs."""
        remote = self._ray.remote(num_cpus=cpus, max_retries=0)(_run)
        self._pending[remote.remote(task)] = number

    def ended(self, timeout_s: float) -> Iterator[tuple[int, Any, str | None]]:
        """Yield (number, result, None), or (number, None, why the process of the task died)."""
        if not self._pending:
            return
        refs, _ = self._ray.wait([*self._pending], timeout=timeout_s)
        errors = self._ray.exceptions
        for ref in refs:
            number = self._pending.pop(ref)
            try:
                yield number, self._ray.get(ref), None
            except errors.RayTaskError:
                raise  # of our own code: a task returns the errors that a user can fix
            except errors.RayError as exc:
                yield number, None, _first_line(exc)

    def refuse_loss(self, cpus: int, give_up_after_s: float) -> None:
        """Raise UsageError if no node has had these CPUs for some time: tasks would wait forever.

        To be called again and again.
        """
        if any(node >= cpus for node in self.cpus):
            self._lost_at = None
            return
        now = time.monotonic()
        self._lost_at = now if self._lost_at is None else self._lost_at
        if now - self._lost_at > give_up_after_s:
            raise UsageError(
                f"the Ray cluster has lost all nodes with {counted(cpus, 'CPU')} or more; start "
                "nodes, or lower --cpus-per-lane, then run the same command again: it resumes"
            )

    def cancel(self) -> None:
        """Stop all tasks that were submitted."""
        for ref in self._pending:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.cancel(ref)
        self._pending.clear()

    def _nodes(self) -> Sequence[Any]:
        return [node for node in self._ray.nodes() if node["Alive"]]


@contextlib.contextmanager
def ray_cluster(address: str | None) -> Iterator[RayCluster]:
    """Connect to a cluster, quietly; tasks that have not ended by the end of the block are stopped.

    Where Ray is connected already, as in a notebook, that connection is used. Raises UsageError.
    """
    ray = _imported()
    is_ours = not ray.is_initialized()
    if is_ours:
        try:
            with _handlers_kept():
                ray.init(address=address or "auto", log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as exc:
            where = f"at {address}" if address else "on this machine"
            raise UsageError(
                f"no Ray cluster found {where} ({_first_line(exc)}); start one with `ray start "
                "--head`, or name another with --ray-address HOST:PORT"
            ) from exc
    cluster = RayCluster(ray)
    try:
        yield cluster
    finally:
        cluster.cancel()
        if is_ours:
            ray.shutdown()


def _imported() -> Any:
    """Import Ray, set not to print messages of its nodes to stdout. Raises UsageError.

    `log_to_driver` does not cover those, such as of a node that is lost.
    """
    quiet = {"RAY_DEDUP_LOGS_SKIP_REGEX": "."}  # Ray reads it when it is imported
    before = {name: os.environ.get(name) for name in quiet}
    if "ray" not in sys.modules:
        os.environ.update(quiet)
    try:
        return import_module("ray")
    except ModuleNotFoundError as exc:
        raise UsageError("--engine ray needs Ray; pip install ray") from exc
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Put the handler of SIGTERM back that Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _versions() -> dict[str, str]:
    """Return the versions that all nodes must share."""
    return {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "wdsremux": metadata.version("wdsremux"),
        **versions(),
    }


def _run(task: Task) -> Any:
    """Call the task with the CPUs that Ray has assigned to it; runs on a node."""
    import ray

    assigned = ray.get_runtime_context().get_assigned_resources()
    return task(max(1, int(assigned.get("CPU", 1))))


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0][:200]
