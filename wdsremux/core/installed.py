"""Which versions of libraries are installed.

Short because it is one question. `importlib.metadata` answers it, too, but it imports parsers of
e-mail, and takes a thirtieth of the time to the first image.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the version of each distribution, and "missing" for one that is not installed."""
    wanted = {_normalized(name): name for name in names}
    found: dict[str, str] = {}
    for path in _records():
        name = wanted.get(_normalized(path.name.partition("-")[0]))
        if name is not None and name not in found and (version := _version_in(path / "METADATA")):
            found[name] = version
    return {name: found.get(name) or _from_any_format(name) for name in wanted.values()}


def _records() -> Iterator[Path]:
    """Yield the folders that installers write, in the order of the import path."""
    for folder in sys.path:
        yield from sorted(Path(folder).glob("*.dist-info"))


def _normalized(name: str) -> str:
    """Return a name as two names of one distribution are equal (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _version_in(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.lower() == "version":
                    return value.strip()
                if not line.strip():
                    break  # the description begins
    except OSError:
        pass
    return None


def _from_any_format(name: str) -> str:
    """Return the version of a distribution in an egg or archive."""
    from importlib import metadata  # noqa: PLC0415 (slow, and rarely needed)

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"
