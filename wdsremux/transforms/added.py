"""The columns that the user's function adds: those that are packed must come, others are told."""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from wdsremux.errors import TransformError


class AddedColumns:
    """Looks at what a function returned beside the image."""

    def __init__(self, label: str, read: Collection[str], wanted: Collection[str]) -> None:
        """`label` names the function, `read` the columns it gets, `wanted` those it is to add."""
        self._label = label
        self._read = frozenset(read)
        self._wanted = frozenset(wanted)
        self._known = self._read | self._wanted

    def unpacked(self, fields: Mapping[str, Any], position: int) -> AbstractSet[str]:
        """Return the columns that the function added and that are not packed.

        Raises TransformError where one is missing that it is to add: a name that is misspelt would
        be null in every sample.
        """
        missing = sorted(self._wanted - fields.keys())
        if missing:
            came = ", ".join(repr(name) for name in fields if name not in self._read) or "none"
            raise TransformError(
                f"--extra-columns names {missing[0]!r}, which {self._label} does not return for "
                f"row {position} (columns that it adds: {came}); correct the name, or return it "
                "for every row, with None where there is no value"
            )
        return fields.keys() - self._known
