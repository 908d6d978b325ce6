"""One schema for all files of a Parquet dataset: columns and struct fields that begin later count.

null + T is T, integers become the wider one, integer + float is float64, structs have the union of
their fields. Other differences are refused before the run, with both files; an integer that float64
does not hold exactly is refused where it is read. A column of uint64
with values that int64 cannot hold is a string: readers of JSON would fail on them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wdsremux.core.columns import Column, Dtype
from wdsremux.core.errors import SourceError

_INTEGERS = ("int8", "int16", "int32", "int64")
_UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
_FLOATS = ("float16", "float32", "float64")


@dataclass(slots=True)
class MergedSchema:
    """The columns of the files seen so far."""

    dtypes: dict[str, Dtype] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """By column, the file that decided its dtype."""
    drifting: set[str] = field(default_factory=set)
    """Columns that are not the same in all files."""
    wide: set[str] = field(default_factory=set)
    """Columns of uint64 with values that int64 cannot hold."""
    files: int = 0

    def add(self, file: str, columns: Sequence[Column], wide: Iterable[str] = ()) -> None:
        """Merge the columns of a file. Raises SourceError when two types have no common one."""
        for column in columns:
            known = self.dtypes.get(column.name)
            if known is None:
                self.dtypes[column.name], self.origins[column.name] = column.dtype, file
                if self.files:
                    self.drifting.add(column.name)
                continue
            if known == column.dtype:
                continue
            merged = merged_dtype(known, column.dtype)
            if merged is None:
                raise SourceError(
                    f"column {column.name!r} is {_shown(known)} in {self.origins[column.name]!r} "
                    f"and {_shown(column.dtype)} in {file!r}; write the files with one type, or "
                    "pass only files of one type"
                )
            self.drifting.add(column.name)
            if merged != known:
                self.dtypes[column.name], self.origins[column.name] = merged, file
        self.drifting |= self.dtypes.keys() - {column.name for column in columns}
        names = {column.name for column in columns}
        self.wide |= {path if path in names else path.split(".", 1)[0] for path in wide}
        self.files += 1

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns, in the order in which they are first seen."""
        return tuple(Column(name, self._dtype(name)) for name in self.dtypes)

    def _dtype(self, name: str) -> Dtype:
        dtype = self.dtypes[name]
        return _widened(dtype) if name in self.wide else dtype

    @property
    def targets(self) -> dict[str, Dtype]:
        """The dtypes that the values of drifting columns are converted to."""
        changed = self.drifting | self.wide
        return {name: self._dtype(name) for name in self.dtypes if name in changed}


def _widened(dtype: Dtype) -> Dtype:
    """Return a dtype with strings for the integers that int64 may not hold."""
    if dtype in (*_INTEGERS, *_UNSIGNED):
        return "string"
    return _widened_within(dtype)


def _widened_within(dtype: Dtype) -> Dtype:
    if isinstance(dtype, str) or "class_label" in dtype:
        return "string" if dtype == "uint64" else dtype
    if "list" in dtype:
        return {"list": _widened_within(dtype["list"])}
    return {"struct": {name: _widened_within(each) for name, each in dtype["struct"].items()}}


def merged_dtype(one: Dtype, other: Dtype) -> Dtype | None:
    """Return the dtype that holds the values of both, None when there is none."""
    if other in (one, "null"):
        return one
    if one == "null":
        return other
    if isinstance(one, str) and isinstance(other, str):
        return _merged_names(one, other)
    if isinstance(one, str) or isinstance(other, str):
        return _merged_label(one, other) or _merged_label(other, one)
    if "list" in one and "list" in other:
        inner = merged_dtype(one["list"], other["list"])
        return None if inner is None else {"list": inner}
    return _merged_structs(one, other) if "struct" in one and "struct" in other else None


def _merged_label(one: Dtype, other: Dtype) -> Dtype | None:
    """Return a class label that plain integers go with."""
    return one if isinstance(one, dict) and "class_label" in one and other in _INTEGERS else None


def _merged_structs(one: Mapping[str, Any], other: Mapping[str, Any]) -> Dtype | None:
    ones, others = one["struct"], other["struct"]
    names = dict.fromkeys((*ones, *others))
    fields = {n: merged_dtype(ones.get(n, "null"), others.get(n, "null")) for n in names}
    return None if None in fields.values() else {"struct": fields}


def _merged_names(one: str, other: str) -> Dtype | None:
    if {one, other} == {"image", "binary"}:
        return "image"
    for ladder in (_INTEGERS, _UNSIGNED, _FLOATS):
        if one in ladder and other in ladder:
            return max(one, other, key=ladder.index)
    numbers = (*_INTEGERS, *_UNSIGNED)
    if one in numbers and other in numbers:
        return "int64"
    every = (*numbers, *_FLOATS)
    return "float64" if one in every and other in every else None


def _shown(dtype: Dtype) -> str:
    return dtype if isinstance(dtype, str) else next(iter(dtype))


def conformed(values: Iterable[Any], dtype: Dtype) -> list[Any]:
    """Return the values of one file in the dtype of all files.

    Raises ValueError for an integer that is not exact as a float.
    """
    return [_conformed(value, dtype) for value in values]


def _conformed(value: Any, dtype: Dtype) -> Any:
    if value is None:
        return None
    if isinstance(dtype, str):
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if is_number and dtype == "string":
            return str(value)
        return _exact_float(value) if is_number and dtype.startswith("float") else value
    if "list" in dtype and isinstance(value, list):
        return conformed(value, dtype["list"])
    if "struct" in dtype and isinstance(value, Mapping):
        return {name: _conformed(value.get(name), each) for name, each in dtype["struct"].items()}
    return value


def _exact_float(value: int) -> float:
    number = float(value)
    if int(number) != value:
        raise ValueError(f"float64 does not hold the integer {value} exactly")
    return number
