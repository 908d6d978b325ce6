"""Whether samples are uniform: the same members, JSON fields and types."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wdsremux.core.option_values import shortened

MAX_FIELDS = 1000
"""Of one sample's JSON; more are not compared."""


@dataclass(slots=True)
class Mixture:
    """What the samples seen so far have in common."""

    members: tuple[str, ...] | None = None
    """Sorted, of the first sample."""
    names: frozenset[str] | None = None
    """Of the JSON fields, of the first sample."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Type of each JSON field, from the first sample where it is not null."""

    def note_members(self, members: Iterable[str]) -> str | None:
        """Add a sample's members; return how they differ from those before."""
        found = tuple(sorted(set(members)))
        if self.members is None:
            self.members = found
        if found == self.members:
            return None
        return f"{_listed(found)}, the first has {_listed(self.members)}"

    def note_json(self, value: Mapping[str, Any]) -> str | None:
        """Add a sample's JSON; return how it differs from those before."""
        return self._note_fields(
            {name: _kind_of(item) for name, item in list(value.items())[:MAX_FIELDS]}
        )

    def merge(self, other: "Mixture") -> tuple[str | None, str | None]:
        """Add a later shard; return how its members and its JSON differ."""
        members = None if other.members is None else self.note_members(other.members)
        if other.names is None:
            return members, None
        return members, self._note_fields(
            {name: other.kinds.get(name) for name in sorted(other.names)}
        )

    def _note_fields(self, kinds: Mapping[str, str | None]) -> str | None:
        if self.names is None:
            self.names = frozenset(kinds)
        for name, kind in kinds.items():
            if kind is not None and self.kinds.setdefault(name, kind) != kind:
                return f"{shortened(name)!r} is {kind}, before it was {self.kinds[name]}"
        odd = sorted(self.names ^ kinds.keys())
        if odd:
            where = "is new" if odd[0] in kinds else "is missing"
            return f"{shortened(odd[0])!r} {where}"
        return None


def _kind_of(value: object) -> str | None:
    """Return the JSON type of a value; None for null, which fits every type."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, int):
        return "a whole number"
    if isinstance(value, float):
        return "a number"
    return "a list" if isinstance(value, list) else "an object"


def _listed(members: Iterable[str]) -> str:
    return repr(shortened(", ".join(f".{name}" for name in members), 80))
