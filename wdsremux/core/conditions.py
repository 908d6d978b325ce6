"""Conditions on rows, as --where takes them: comparisons of columns with values.

A condition is a Python expression of a small part of Python: names of columns, numbers, strings,
lists of them, `== != < <= > >= in`, `not in`, `is None`, `and or not` and parentheses. It is parsed
and never run: nothing else of Python is accepted, so a condition that an output records is safe.
"""

import ast
from collections.abc import Iterator
from itertools import pairwise

MAX_CHARS = 2000
MAX_DEPTH = 50

_FORM = "write a condition such as label in [3, 7] and width >= 256"


def condition_from_text(text: object) -> str:
    """Return a condition as it is recorded, in one form of writing. Raises ValueError."""
    return ast.unparse(parsed_condition(text))


def parsed_condition(text: object) -> ast.expr:
    """Return the syntax tree of a condition. Raises ValueError for what is not a condition."""
    if not isinstance(text, str) or len(text) > MAX_CHARS:
        raise ValueError(_FORM)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(_FORM) from None
    _check_test(tree, MAX_DEPTH)
    return tree


def names_of(tree: ast.expr) -> Iterator[str]:
    """Yield the names of columns in a condition, each once."""
    names = (node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    yield from dict.fromkeys(names)


def value_of(node: ast.expr) -> object:
    """Return a number, string, bool or None, or a list of them. Raises ValueError."""
    if isinstance(node, ast.List | ast.Tuple):
        return [value_of(each) for each in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = value_of(node.operand)
        if type(number) in (int, float):
            return -number  # type: ignore[operator]  # a number by the test above
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float | str | None):
        return node.value
    raise ValueError(f"{ast.unparse(node)!r} is not a value; {_FORM}")


def _check_test(node: ast.expr, depth: int) -> None:
    """Raise ValueError unless a part of a condition is true or false."""
    if depth == 0:
        raise ValueError(f"it is too deep; {_FORM}")
    if isinstance(node, ast.BoolOp):
        for each in node.values:
            _check_test(each, depth - 1)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _check_test(node.operand, depth - 1)
    elif isinstance(node, ast.Compare):
        for left, operator, right in comparisons_of(node):
            _check_comparison(left, operator, right)
    elif not isinstance(node, ast.Name):
        raise _refusal(f"{ast.unparse(node)!r} cannot be used here")


def comparisons_of(node: ast.Compare) -> Iterator[tuple[ast.expr, ast.cmpop, ast.expr]]:
    """Yield the comparisons of a chain such as 1 < width < 10, each with both sides."""
    sides = pairwise([node.left, *node.comparators])
    for operator, (left, right) in zip(node.ops, sides, strict=True):
        yield left, operator, right


def _check_comparison(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> None:
    sides = [side for side in (left, right) if not isinstance(side, ast.Name)]
    if len(sides) == 2:
        raise _refusal("a comparison needs the name of a column")
    values = [value_of(side) for side in sides]
    if isinstance(operator, ast.Is | ast.IsNot):
        if values != [None]:
            raise _refusal("only None can follow `is`")
    elif isinstance(operator, ast.In | ast.NotIn):
        if not (isinstance(left, ast.Name) and values and isinstance(values[0], list)):
            raise _refusal("`in` needs a column and a list in brackets")
    elif any(isinstance(value, list) for value in values):
        raise _refusal("a list can follow only `in`")


def _refusal(problem: str) -> ValueError:
    return ValueError(f"{problem}; {_FORM}")
