"""How a built-in step is declared, checked and written as a string.

A step is a frozen dataclass; each field says what values it takes. Nothing heavy is imported here
or by the steps' own files: `--help` lists them.
"""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from wdsremux.core.errors import UsageError
from wdsremux.core.option_values import counted

if TYPE_CHECKING:
    from numpy.random import Generator

    from wdsremux.transforms.steps.picture import Picture

_MAX_SIDE = 65_500


@dataclass(frozen=True, slots=True)
class Extent:
    """A size written as 224 or 256x192 (width x height)."""

    width: int
    height: int | None = None

    def __str__(self) -> str:
        return f"{self.width}" if self.height is None else f"{self.width}x{self.height}"

    @property
    def both(self) -> tuple[int, int]:
        """Width and height; a single number is both."""
        return self.width, self.width if self.height is None else self.height


@dataclass(frozen=True, slots=True)
class _Argument:
    """The values that a field accepts."""

    read: Callable[[str], Any]
    accepts: Callable[[Any], bool]
    allowed: str
    """The allowed values, for the error message."""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _argument(argument: _Argument, default: Any) -> Any:
    return field(default=default, metadata={"argument": argument})


def number(low: float, high: float, default: Any = MISSING) -> Any:
    """Declare a field that takes numbers from low to high."""

    def accepts(value: Any) -> bool:
        return _is_number(value) and low <= value <= high

    return _argument(_Argument(float, accepts, f"a number from {low} to {high}"), default)


def whole_number(low: int, high: int, default: Any = MISSING) -> Any:
    """Declare a field that takes whole numbers from low to high."""

    def accepts(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return _argument(_Argument(int, accepts, f"a whole number from {low} to {high}"), default)


def side() -> Any:
    """Declare a field that takes the length of a side in pixels."""
    return whole_number(1, _MAX_SIDE)


def extent() -> Any:
    """Declare a field that takes a size, written as one number or as WIDTHxHEIGHT."""

    def read(text: str) -> Extent:
        width, times, height = text.partition("x")
        return Extent(int(width), int(height) if times else None)

    def accepts(value: Any) -> bool:
        return isinstance(value, Extent) and all(1 <= side <= _MAX_SIDE for side in value.both)

    allowed = f"a number of pixels from 1 to {_MAX_SIDE}, such as 224 or 256x192 (width x height)"
    return _argument(_Argument(read, accepts, allowed), MISSING)


@dataclass(frozen=True, slots=True)
class Step:
    """One built-in step; `str(step)` is the string it is read from, every default written out."""

    name: ClassVar[str]
    """Name of the step on the command line."""

    def __post_init__(self) -> None:
        for each in fields(self):
            argument: _Argument = each.metadata["argument"]
            value = getattr(self, each.name)
            if argument.read is float and _is_number(value):
                object.__setattr__(self, each.name, float(value))
            if not argument.accepts(value):
                raise self._wrong(each, value)
        self.check()

    def __str__(self) -> str:
        arguments = ",".join(str(getattr(self, each.name)) for each in fields(self))
        return f"{self.name}={arguments}" if arguments else self.name

    def check(self) -> None:
        """Raise UsageError for arguments that contradict each other."""

    def apply(self, picture: "Picture", rng: "Generator") -> None:
        """Change one picture. Whatever is random comes from `rng` alone."""
        raise NotImplementedError

    @classmethod
    def usage(cls) -> str:
        """Return how the step is written, for example "hflip[=P]"."""
        text = closing = ""
        for index, each in enumerate(fields(cls)):
            mark = "," if index else "="
            optional = each.default is not MISSING
            text += ("[" if optional else "") + mark + each.name.upper()
            closing += "]" if optional else ""
        return cls.name + text + closing

    @classmethod
    def defaults(cls) -> str:
        """Return the defaults of the optional arguments, for example "P 0.5"."""
        known = ((each.name.upper(), each.default) for each in fields(cls))
        return ", ".join(f"{name} {value:.4g}" for name, value in known if value is not MISSING)

    @classmethod
    def from_arguments(cls, texts: Sequence[str]) -> Self:
        """Read the arguments; raises UsageError that says which is wrong and what is allowed."""
        declared = fields(cls)
        required = sum(each.default is MISSING for each in declared)
        if not required <= len(texts) <= len(declared):
            raise UsageError(
                f"step {cls.name!r} got {counted(len(texts), 'argument')}; write {cls.usage()!r}"
            )
        values = {}
        for each, text in zip(declared, texts, strict=False):
            try:
                values[each.name] = each.metadata["argument"].read(text)
            except ValueError:
                raise cls._wrong(each, text) from None
        return cls(**values)

    @classmethod
    def _wrong(cls, each: "Field[Any]", value: Any) -> UsageError:
        shown = str(value) if isinstance(value, Extent) else value
        allowed = each.metadata["argument"].allowed
        return UsageError(
            f"step {cls.name!r}: {each.name} is {shown!r}, not {allowed}; write {cls.usage()!r}"
        )


def check_order(step: Step, low: str, high: str) -> None:
    """Raise UsageError when the field `low` is more than the field `high`."""
    if getattr(step, low) > getattr(step, high):
        raise UsageError(
            f"step {step.name!r}: {low} {getattr(step, low)!r} is larger than "
            f"{high} {getattr(step, high)!r}; write the smaller one first"
        )
