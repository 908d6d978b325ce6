"""How the source, function and libraries of a dataset differ from the recorded ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wdsremux.core.head import Head
from wdsremux.dataset.head import first_difference, option_at
from wdsremux.transforms.kernel.choice import HOW_TO_BUILD, PORTABLE

CODE_HASH = "code hash"
"""How messages call the SHA-256 of a function: of what its source means, not of its file."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed since the dataset was made."""

    source: str | None = None
    function: str | None = None
    others: tuple[str, ...] = ()
    """Libraries, and all else that decides the bytes."""

    @property
    def affect_every_shard(self) -> bool:
        """Whether every shard is affected."""
        return self.function is not None or bool(self.others)

    def text(self) -> str:
        """Say what has changed, and what to do."""
        if self.function is not None:
            return f"{self.function}; pass the original function with --transform"
        if self.source is not None:
            return f"{self.source}; pass the original source with --source"
        if self.others:
            return f"{', '.join(self.others)}; run repair with the original versions and options"
        return (
            "nothing that is recorded has changed: either the rows of the source changed in files "
            "of the same size, or the function uses randomness other than `rng` and the global "
            "generators, or other files; convert again into another folder"
        )


def changes_between(old: Head, new: Head) -> Changes:
    """Compare the recorded head of a dataset with the one it would have now."""
    source = first_difference(_by_name(old.source), _by_name(new.source))
    function = first_difference(_with_code_hash(old), _with_code_hash(new))
    return Changes(
        None if source is None else f"the source has changed: {_shown(source)}",
        None if function is None else f"the function has changed: its {_shown(function)}",
        tuple(_other_changes(old, new)),
    )


def _with_code_hash(head: Head) -> dict[str, Any]:
    """Return the recorded function with the name of its hash in messages."""
    recorded = head.options["transform"] or {}
    return {CODE_HASH if name == "sha256" else name: value for name, value in recorded.items()}


def _other_changes(old: Head, new: Head) -> Iterator[str]:
    names = sorted(old.versions.keys() | new.versions.keys())
    for name in names:
        was, now = old.versions.get(name, "missing"), new.versions.get(name, "missing")
        if was != now:
            yield f"{name} was {was}, now it is {now}"
            if name == "kernel" and now == PORTABLE:
                yield f"to get that kernel, {HOW_TO_BUILD}"
    if old.format != new.format:
        yield f"the format was {old.format}, now it is {new.format}"
    one, other = ({**head.options, "transform": None} for head in (old, new))
    for difference in (
        first_difference(one, other, "recipe"),
        first_difference(list(old.series), list(new.series), "series"),
    ):
        if difference is not None:
            yield _shown(difference)


def _shown(difference: tuple[str, str, str]) -> str:
    where, old, new = difference
    return f"{option_at(where)} was {old}, now it is {new}"


def _by_name(value: Any) -> Any:
    """Return JSON in which lists of named items are objects, so that files are compared by name."""
    if isinstance(value, dict):
        return {name: _by_name(item) for name, item in value.items()}
    if isinstance(value, list):
        items = [_by_name(item) for item in value]
        if all(isinstance(item, dict) and "name" in item for item in items):
            return {str(item["name"]): item for item in items}
        return items
    return value
