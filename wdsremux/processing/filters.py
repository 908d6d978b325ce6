"""Decides which rows are converted: --where, --min-size and --max-aspect.

Conditions are evaluated by pyarrow.compute: a comparison with null is null, and a row is kept only
where the condition is true.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from wdsremux.core.columns import Column
from wdsremux.core.conditions import comparisons_of, parsed_condition, value_of
from wdsremux.core.errors import UsageError
from wdsremux.core.lazy_module import LazyModule
from wdsremux.core.option_values import did_you_mean
from wdsremux.transforms.codecs.codec import stored_size

if TYPE_CHECKING:
    import pyarrow.compute as pc
else:
    pc = LazyModule("pyarrow.compute")

Values = Mapping[str, Any]
"""Arrow scalars by column."""
_Test = Callable[[Values], Any]

_COMPARE: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
}


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows are converted; may be pickled."""

    where: str | None = None
    columns: tuple[Column, ...] = ()
    """Those that `where` names."""
    min_size: int | None = None
    """Least pixels of the shorter side."""
    max_aspect: float | None = None
    """Most pixels of the longer side for each of the shorter one."""

    def prepared(self) -> "PreparedFilter":
        """Return what tests rows. Raises UsageError where types do not fit the condition."""
        return PreparedFilter(self)


class PreparedFilter:
    """Tests rows, in one worker."""

    def __init__(self, rows: RowFilter) -> None:
        self._rows = rows
        self._types = {column.name: _arrow_type(column) for column in rows.columns}
        self._test: _Test | None = None
        if rows.where is not None:
            try:
                self._test = self._checked(rows.where)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as exc:
                types = ", ".join(f"{c.name} is {_shown(c)}" for c in rows.columns)
                raise UsageError(
                    f"--where {rows.where!r} compares values of different types: {types}"
                ) from exc

    def _checked(self, where: str) -> _Test:
        """Return the condition, tried once on values that are null."""
        test = _test_of(parsed_condition(where), {c.name: c for c in self._rows.columns})
        if not pa.types.is_boolean(
            test({n: pa.scalar(None, t) for n, t in self._types.items()}).type
        ):
            raise pa.ArrowTypeError("a condition is true or false")
        return test

    def reason_against(self, fields: Mapping[str, Any]) -> str | None:
        """Return why a row with these columns is left out; None for a row that is kept."""
        if self._test is None:
            return None
        try:
            values = {name: pa.scalar(fields.get(name), kind) for name, kind in self._types.items()}
            is_kept = self._test(values).as_py()
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as exc:
            return f"--where {self._rows.where} cannot be evaluated: {exc}"
        return None if is_kept else f"not --where {self._rows.where}"

    def reason_against_image(self, image: bytes) -> str | None:
        """Return why a stored image is left out; raises DecodeError for a broken header."""
        rows = self._rows
        if rows.min_size is None and rows.max_aspect is None:
            return None
        width, height = stored_size(image)
        if rows.min_size is not None and min(width, height) < rows.min_size:
            return f"smaller than --min-size {rows.min_size}: {width} × {height}"
        if rows.max_aspect is not None and max(width, height) > rows.max_aspect * min(
            width, height
        ):
            return f"longer than --max-aspect {rows.max_aspect:g}: {width} × {height}"
        return None


def _arrow_type(column: Column) -> Any:
    """Return the Arrow type of a column's values. Raises UsageError for lists and structs."""
    if column.class_names is not None:
        return pa.int64()
    try:
        return pa.type_for_alias(column.dtype if isinstance(column.dtype, str) else "")
    except ValueError:
        raise UsageError(
            f"--where cannot compare column {column.name!r}, whose type is {_shown(column)}; "
            "use columns of numbers, strings or bool"
        ) from None


def _shown(column: Column) -> str:
    """Return the type of a column in a message."""
    if column.class_names is not None:
        return "a class"
    return next(iter(column.dtype)) if isinstance(column.dtype, dict) else column.dtype


def _test_of(node: ast.expr, columns: Mapping[str, Column]) -> _Test:
    """Return what evaluates a part of a condition that is true or false."""
    if isinstance(node, ast.BoolOp):
        join = pc.and_kleene if isinstance(node.op, ast.And) else pc.or_kleene
        first, *rest = (_test_of(each, columns) for each in node.values)
        return lambda values: _joined(join, first(values), [each(values) for each in rest])
    if isinstance(node, ast.UnaryOp):
        inner = _test_of(node.operand, columns)
        return lambda values: pc.invert(inner(values))
    if isinstance(node, ast.Compare):
        first, *rest = (_comparison(*each, columns) for each in comparisons_of(node))
        return lambda values: _joined(pc.and_kleene, first(values), [r(values) for r in rest])
    name = ast.unparse(node)
    return lambda values: pc.and_kleene(values[name], values[name])


def _joined(join: Callable[[Any, Any], Any], first: Any, rest: list[Any]) -> Any:
    for each in rest:
        first = join(first, each)
    return first


def _comparison(
    left: ast.expr, operator: ast.cmpop, right: ast.expr, columns: Mapping[str, Column]
) -> _Test:
    name = next(side.id for side in (left, right) if isinstance(side, ast.Name))
    column = columns[name]
    is_negated = isinstance(operator, ast.NotIn | ast.IsNot | ast.NotEq)
    constants = [value_of(side) for side in (left, right) if not isinstance(side, ast.Name)]
    if isinstance(operator, ast.In | ast.NotIn):
        values = _numbered(constants[0], column)
        kind = _arrow_type(column)
        if pa.types.is_integer(kind) and any(type(value) is float for value in values):
            kind = pa.float64()
        members = pa.array(values, kind)
        return lambda values: _is_in(values[name], members, is_negated=is_negated)
    if constants == [None]:
        is_such = pc.is_valid if is_negated else pc.is_null
        return lambda values: is_such(values[name])
    compare = getattr(pc, _COMPARE[type(operator)])
    one, other = _side(left, column), _side(right, column)
    return lambda values: compare(one(values), other(values))


def _is_in(value: Any, members: Any, *, is_negated: bool) -> Any:
    if not value.is_valid:
        return pa.scalar(None, pa.bool_())
    found = pc.is_in(value.cast(members.type), value_set=members)
    return pc.invert(found) if is_negated else found


def _side(node: ast.expr, column: Column) -> _Test:
    """Return what reads one side of a comparison as an Arrow scalar."""
    if isinstance(node, ast.Name):
        name = node.id
        return lambda values: values[name]
    scalar = pa.scalar(_numbered(value_of(node), column))
    return lambda _values: scalar


def _numbered(value: object, column: Column) -> Any:
    """Return class numbers for class names. Raises UsageError for an unknown class."""
    if isinstance(value, list):
        return [_numbered(each, column) for each in value]
    names = column.class_names
    if names is None or not isinstance(value, str):
        return value
    if value not in names:
        raise UsageError(
            f"--where: {column.name!r} has no class {value!r}{did_you_mean(value, names)}"
        )
    return names.index(value)
