"""What a run would find on this machine: libraries, CPUs, engines, optional parts."""

import contextlib
import importlib.util
import os
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from wdsremux.core.cpus import usable_cpus
from wdsremux.core.errors import TransformError
from wdsremux.processing.engines.base import WorkerDiedError
from wdsremux.stores.schemes import SCHEMES
from wdsremux.transforms.kernel.choice import HOW_TO_BUILD, PORTABLE, extension, native_version

LIBRARIES = (
    "numpy",
    "pillow",
    "simplejpeg",
    "opencv-python-headless",
    "pyarrow",
    "datasets",
    "fsspec",
    "huggingface-hub",
    "msgpack",
    "cloudpickle",
    "braceexpand",
    "pyyaml",
    "tqdm",
)
"""What a run imports, by the names of the distributions."""


_FOUND = "found"
_NO_LOGIN = "none (public datasets need none)"


@dataclass(frozen=True, slots=True)
class Option:
    """A part that a run can do without."""

    name: str
    """Of the distribution."""
    use: str
    """What it is good for, and how to get it."""


def _store_packages() -> dict[str, str]:
    """Return the schemes that need a package, by package."""
    needed: dict[str, list[str]] = {}
    for row in SCHEMES.values():
        for package in row.extra:
            needed.setdefault(package, []).append(f"{row.name}://")
    return {package: " and ".join(schemes) for package, schemes in needed.items()}


OPTIONS = (
    Option(
        "cykooz-resizer", "resamples several times as fast as Pillow: pip install cykooz-resizer"
    ),
    *(
        Option(package, f"reads and writes {schemes}: pip install {package}")
        for package, schemes in _store_packages().items()
    ),
    Option("ray", "runs lanes on a cluster, with --engine ray: pip install ray"),
    Option("shtab", "prints completion scripts for your shell: pip install shtab"),
    Option("hf-xet", "faster downloads of Hub datasets that are not Parquet: pip install hf-xet"),
    Option("webdataset", "reads the shards when you train: pip install webdataset"),
    Option("wids", "reads the shards by number through index.json: pip install wids"),
    Option("torch", "training; its generator is seeded before your function is called"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was found."""

    versions: dict[str, str]
    """Python, this package and its libraries; "missing" for what is not there."""
    kernel: str
    """What `--kernel auto` takes for a new output, and how to get the native one."""
    resampler: str
    cpus: dict[str, int]
    engines: dict[str, str]
    """By name: "ready", or what is wrong."""
    options: dict[str, str | None]
    """Version by name; None where not installed."""
    hub_login: str
    """Whether a token of the Hub was found; never the token itself."""
    problems: tuple[str, ...]
    """What a run needs and does not find; empty for a healthy machine."""

    def to_json(self) -> dict[str, Any]:
        """Return everything as `doctor --json` prints it; never the token itself."""
        return {
            "versions": self.versions,
            "kernel": self.kernel,
            "resampler": self.resampler,
            "cpus": self.cpus,
            "engines": self.engines,
            "optional": self.options,
            "hub_token": self.hub_login == _FOUND,
            "problems": list(self.problems),
        }

    def lines(self, more: Mapping[str, str]) -> list[str]:
        """Return what people read, with more rows at the end."""
        uses = {option.name: option.use for option in OPTIONS}
        optional = {
            name: version or f"not installed ({uses[name]})"
            for name, version in self.options.items()
        }
        cpus = ", ".join(f"{count} {what}" for what, count in self.cpus.items())
        rows = {
            **self.versions,
            "kernel": self.kernel,
            "resampler": self.resampler,
            "CPUs": cpus,
            **{f"engine {name}": state for name, state in self.engines.items()},
            **optional,
            "Hub token": self.hub_login,
            **more,
        }
        width = max(map(len, rows))
        return [f"{name:<{width}} {text}" for name, text in rows.items()]


def diagnose() -> Diagnosis:
    """Check everything; takes about a second, since a worker process is started."""
    problems: list[str] = []
    versions = {"wdsremux": _version("wdsremux") or "missing", "python": _python()}
    for name in LIBRARIES:
        version = _version(name)
        versions[name] = version or "missing"
        if version is None:
            problems.append(f"{name} is missing: pip install {name}")
    engines = {"serial": "ready", "threads": "ready", "processes": _process_engine()}
    problems.extend(
        f"engine {name}: {state}" for name, state in engines.items() if not _is_ready(state)
    )
    return Diagnosis(
        versions=versions,
        kernel=_kernel(),
        resampler=_resampler(problems),
        cpus=_cpus(),
        engines=engines,
        options={option.name: _version(option.name) for option in OPTIONS},
        hub_login=_hub_login(),
        problems=tuple(problems),
    )


def _python() -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _is_ready(state: str) -> bool:
    return state.startswith("ready")


def _kernel() -> str:
    module, version = extension(), native_version()
    if module is None:
        return f"{PORTABLE}; for the native one, {HOW_TO_BUILD}"
    return f"{version}, with {module.VECTORS} instructions"


def _resampler(problems: list[str]) -> str:
    try:
        from wdsremux.transforms.resample import resampler_name
    except ImportError as exc:
        problems.append(f"images cannot be processed: {exc}; install wdsremux again")
        return "missing"
    return resampler_name()


def _cpus() -> dict[str, int]:
    found = {"usable (affinity and container quota)": usable_cpus()}
    return found | {"in the machine": os.cpu_count() or 1}


def _hub_login() -> str:
    if importlib.util.find_spec("huggingface_hub") is None:
        return _NO_LOGIN
    from huggingface_hub import get_token

    try:
        return _NO_LOGIN if get_token() is None else _FOUND
    except OSError as exc:
        return f"cannot be read from {exc.filename!r}: {exc.strerror}; set HOME, or HF_TOKEN"


class _Answer:
    """What the probe returns."""

    size_bytes = 0


class Probe:
    """A task without work."""

    def __call__(self, _item: int) -> Iterator[_Answer]:
        """Yield one result."""
        yield _Answer()


def _process_engine() -> str:
    """Start a worker process and let it answer."""
    began = time.monotonic()
    try:
        from wdsremux.processing.engines.processes import ProcessEngine

        with contextlib.closing(ProcessEngine(1).map(Probe, [0])) as answers:
            next(answers)
    except (ImportError, TransformError, WorkerDiedError) as exc:
        return f"a worker process cannot be used: {type(exc).__name__}: {exc}"
    return f"ready, a worker starts in {time.monotonic() - began:.1f} s"
