"""Fingerprints of function objects: equal in every process, different when the function is."""

import functools
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import wdsremux
from wdsremux.transforms.fingerprint import sha256_of_callable

SCRIPT = """
    import functools, random
    import numpy as np
    from pathlib import Path
    from wdsremux.transforms.fingerprint import sha256_of_callable

    NAMES = {"b", "a", "c", "dd", "eee"}
    GENERATOR = random.Random()

    class Callable:
        def __init__(self):
            self.size = {"x", "y", "z"}
            self.other = object()
        def __call__(self, x):
            return x

    def helper(x):
        return by_name(x) if x else NAMES

    def by_name(x):
        return helper(x), GENERATOR, x in {"one", "two", "three"}

    captured = np.arange(5)
    FUNCTIONS = [
        by_name,
        lambda x: x + captured,
        functools.partial(by_name, {"p", "q"}, k=Path("a")),
        Callable(),
        Callable().__call__,
        print,
    ]
    print(*map(sha256_of_callable, FUNCTIONS))
"""


@pytest.mark.parametrize("has_text", [True, False])
def test_a_fingerprint_is_the_same_in_every_process(tmp_path, has_text):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    answers = set()
    for seed in ("1", "2", "3"):
        answer = subprocess.run(
            [sys.executable, str(script)] if has_text else [sys.executable, "-"],
            input=script.read_text(),
            env={
                **os.environ,
                "PYTHONPATH": str(Path(wdsremux.__file__).parents[1]),
                "PYTHONHASHSEED": seed,
            },
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        answers.add(answer.stdout)
    assert len(answers) == 1
    assert len(set(answers.pop().split())) == 6


FACTOR = 2


def scaled(value):
    return FACTOR * value


def calling(value):
    return scaled(value)


def sharper(value, amount=1):
    return value * amount


class Step:
    def __init__(self, size):
        self.size = size

    def __call__(self, value):
        return value * self.size


def capturing(value):
    return lambda x: x + value


class Foreign:
    """As an object of a library that a function captures."""

    def __init__(self, limit=1, inner=()):
        self.limit, self.inner = limit, inner


class Slotted:
    __slots__ = ("limit",)

    def __init__(self, limit):
        self.limit = limit


class Drawing:
    """Keeps generators and what its last call drew, as the transforms of albumentations do."""

    def __init__(self, limit=1, inner=()):
        self.limit, self.inner = limit, inner
        self.params = {}

    def set_random_seed(self, seed):
        self.params = {"seed": seed}


def test_functions_of_different_text_differ():
    assert sha256_of_callable(scaled) != sha256_of_callable(calling)


@pytest.mark.parametrize("function", [scaled, calling])
def test_a_constant_of_the_module_counts(function, monkeypatch):
    before = sha256_of_callable(function)
    monkeypatch.setitem(globals(), "FACTOR", 3)
    assert sha256_of_callable(function) != before


def test_defaults_count(monkeypatch):
    before = sha256_of_callable(sharper)
    monkeypatch.setattr(sharper, "__defaults__", (2,))
    assert sha256_of_callable(sharper) != before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (capturing(1), capturing(2)),
        (capturing([1, 2]), capturing((1, 2))),
        (capturing({"a": b"x"}), capturing({"a": b"y"})),
        (capturing(np.zeros(3)), capturing(np.ones(3))),
        (capturing(scaled), capturing(calling)),
        (Step(1), Step(2)),
        (Step(1).__call__, Step(2).__call__),
        (functools.partial(sharper, amount=1), functools.partial(sharper, amount=2)),
        (functools.partial(sharper, 1), functools.partial(sharper, 2)),
        (capturing(Foreign(1)), capturing(Foreign(2))),
        (capturing([Foreign(1)]), capturing([Foreign(2)])),
        (capturing(Foreign(inner=[Slotted(1)])), capturing(Foreign(inner=[Slotted(2)]))),
        (capturing(Foreign(scaled)), capturing(Foreign(calling))),
        (capturing(SimpleNamespace(a=1)), capturing(SimpleNamespace(a=2))),
        (capturing(Drawing(1)), capturing(Drawing(2))),
        (capturing(Drawing(inner=[Drawing(1)])), capturing(Drawing(inner=[Drawing(2)]))),
        (
            functools.partial(sharper, amount=Foreign(1)),
            functools.partial(sharper, amount=Foreign(2)),
        ),
        (Step(Foreign(1)), Step(Foreign(2))),
    ],
)
def test_what_is_captured_counts(one, other):
    assert sha256_of_callable(one) != sha256_of_callable(other)


def test_equal_functions_are_equal():
    assert sha256_of_callable(capturing(5)) == sha256_of_callable(capturing(5))
    assert sha256_of_callable(Step(5)) == sha256_of_callable(Step(5))


def test_things_that_hold_themselves_are_described_too():
    loop = []
    loop.append(loop)
    assert sha256_of_callable(capturing(loop)) == sha256_of_callable(capturing(loop))


def test_what_a_call_leaves_in_a_seeded_object_does_not_count():
    drawing = Drawing()
    before = sha256_of_callable(capturing(drawing))
    drawing.set_random_seed(7)
    assert sha256_of_callable(capturing(drawing)) == before


def test_objects_that_hold_one_another_in_many_ways_come_to_an_end():
    layer = [Foreign(number) for number in range(8)]
    for _ in range(8):
        layer = [Foreign(number, layer) for number in range(8)]
    layer[0].inner = layer
    assert sha256_of_callable(capturing(layer)) == sha256_of_callable(capturing(layer))
