"""The built-in steps: their catalogue, parser, and application.

Light to import: `--help` and the recipe's checks need no image library.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from wdsremux.core.errors import UsageError
from wdsremux.core.option_values import did_you_mean
from wdsremux.transforms.steps import colour, geometry
from wdsremux.transforms.steps.arguments import Step

if TYPE_CHECKING:
    from numpy.random import Generator

    from wdsremux.transforms.steps.picture import Picture

__all__ = [
    "FOUNDING",
    "STEPS",
    "Step",
    "apply_steps",
    "catalogue",
    "is_geometric",
    "is_random",
    "steps_from_text",
]

_GEOMETRIC = (
    geometry.Resize,
    geometry.ResizeMax,
    geometry.CenterCrop,
    geometry.RandomCrop,
    geometry.RandomResizedCrop,
    geometry.CenterCropScale,
    geometry.Pad,
    geometry.FlipHorizontal,
    geometry.FlipVertical,
    geometry.Rotate,
)

STEPS: Mapping[str, type[Step]] = MappingProxyType(
    {
        step.name: step
        for step in (
            *_GEOMETRIC,
            colour.ColorJitter,
            colour.Grayscale,
            colour.Sharpen,
            colour.Blur,
            colour.Autocontrast,
            colour.Equalize,
            colour.Posterize,
            colour.Solarize,
            colour.RandomErasing,
        )
    }
)
"""Every built-in step by its name; the docstring of each is its exact meaning."""

FOUNDING: tuple[str, ...] = ("center-crop-scale=0.7,1.0", "resize=256x256", "hflip", "sharpen")
"""The augmentation that examples and benchmarks use."""


_ALWAYS_RANDOM = (
    geometry.RandomCrop,
    geometry.RandomResizedCrop,
    geometry.CenterCropScale,
    geometry.Rotate,
    colour.ColorJitter,
    colour.RandomErasing,
)


def is_random(step: Step) -> bool:
    """Return whether a step may treat the same image differently: it draws, or has a chance."""
    return isinstance(step, _ALWAYS_RANDOM) or 0 < getattr(step, "p", 0) < 1


def is_geometric(step: Step) -> bool:
    """Return whether a step changes where pixels are."""
    return isinstance(step, _GEOMETRIC)


def catalogue() -> list[tuple[str, str]]:
    """Return the usage and the meaning of each step."""
    return [(step.usage(), _meaning(step)) for step in STEPS.values()]


def _meaning(step: type[Step]) -> str:
    text = " ".join((step.__doc__ or "").split())
    defaults = step.defaults()
    return f"{text} Default: {defaults}." if defaults else text


def steps_from_text(texts: Sequence[str]) -> tuple[Step, ...]:
    """Read steps written as NAME or NAME=ARGUMENT,ARGUMENT.

    Raises UsageError that lists the known steps, or the wrong argument and the allowed values.
    """
    return tuple(_step_from_text(text) for text in texts)


def _step_from_text(text: str) -> Step:
    name, given, rest = text.partition("=")
    if any(part.partition("=")[0].strip() in STEPS for part in text.split(",")[1:]):
        raise UsageError(
            f"step {text!r} holds several steps; pass each separately, as in "
            "--step resize=64 --step hflip"
        )
    step = STEPS.get(name.strip())
    if step is None:
        words = text.split()
        if words[0:1] and words[0] in STEPS:
            raise UsageError(
                f"step {text!r}: its arguments follow '='; write {words[0]}={','.join(words[1:])}"
            )
        near = did_you_mean(name.strip(), STEPS)
        raise UsageError(f"unknown step {text!r}{near}; the steps are {', '.join(STEPS)}")
    return step.from_arguments([part.strip() for part in rest.split(",")] if given else [])


def apply_steps(
    steps: Sequence[Step],
    pictures: Sequence["Picture"],
    rngs: Sequence["Generator"],
    matte: tuple[int, int, int],
) -> None:
    """Apply all steps to the pictures of one frame, each with its own random stream.

    Each step is applied to all pictures before the next one, so that the geometry of every copy is
    known before the first decode. Raises DecodeError, StepError.
    """
    for picture in pictures:
        picture.matte = matte
    for step in steps:
        for picture, rng in zip(pictures, rngs, strict=True):
            step.apply(picture, rng)
