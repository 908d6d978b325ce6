"""From words to parts: the only room that knows every source, engine and target."""

# ruff: noqa: PLC0415 (local imports keep each part out of the way of those who do not use it)

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wdsremux.engines.base import Engine
from wdsremux.engines.cpus import usable_cpus
from wdsremux.errors import UsageError
from wdsremux.recipe import Run
from wdsremux.targets.base import Target
from wdsremux.targets.local import LocalTarget
from wdsremux.transforms.user import FunctionSpec, function_from_callable, function_from_text

GLOB = re.compile(r"[*?\[{]")
REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")


def open_target(out: str | Path) -> Target:
    """Return the target that OUT names."""
    return LocalTarget(Path(out))


def open_engine(run: Run, *, has_function: bool) -> tuple[Engine, str, int]:
    """Return the engine, what it is called, and its number of workers."""
    from wdsremux.engines.processes import ProcessEngine
    from wdsremux.engines.serial import SerialEngine
    from wdsremux.engines.threads import ThreadEngine

    workers = usable_cpus() if run.workers is None else run.workers
    if workers == 0:
        return SerialEngine(), "serial", 0
    if has_function and run.engine == "threads":
        raise UsageError(
            "--engine threads cannot run your function: it would share Python's lock and the "
            "global random generators; leave --engine at auto"
        )
    if has_function or run.engine == "processes":
        return ProcessEngine(workers, result_timeout_s=run.record_timeout), "processes", workers
    return ThreadEngine(workers), "threads", workers


def open_function(transform: str | Callable[..., Any] | None) -> FunctionSpec | None:
    """Return the user's function, named or given."""
    if transform is None:
        return None
    if isinstance(transform, str):
        return function_from_text(transform)
    return function_from_callable(transform)
