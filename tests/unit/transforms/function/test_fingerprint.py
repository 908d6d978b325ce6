"""Fingerprints of function objects: equal in every process, different when the function is."""

import array
import copy
import datetime as dt
import functools
import io
import math
import operator
import os
import random
import re
import subprocess
import sys
import textwrap
from collections import deque
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import wdsremux
from wdsremux.transforms.function.fingerprint import fingerprint_of_callable

SCRIPT = """
    import functools, random, re
    from decimal import Decimal
    import numpy as np
    from pathlib import Path
    from wdsremux.transforms.function.fingerprint import fingerprint_of_callable

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

    captured = np.arange(5), np.float32(1), Decimal(1), re.compile("a"), range(3), np.max
    FUNCTIONS = [
        by_name,
        lambda x: x + captured[0],
        functools.partial(by_name, {"p", "q"}, k=Path("a")),
        Callable(),
        Callable().__call__,
        print,
    ]
    print(*(fingerprint_of_callable(f).sha256 for f in FUNCTIONS))
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


def sha256_of(function):
    return fingerprint_of_callable(function).sha256


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


def test_functions_of_different_code_differ():
    assert sha256_of(scaled) != sha256_of(calling)


@pytest.mark.parametrize("function", [scaled, calling])
def test_a_constant_of_the_module_counts(function, monkeypatch):
    before = sha256_of(function)
    monkeypatch.setitem(globals(), "FACTOR", 3)
    assert sha256_of(function) != before


def test_defaults_count(monkeypatch):
    before = sha256_of(sharper)
    monkeypatch.setattr(sharper, "__defaults__", (2,))
    assert sha256_of(sharper) != before


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
    assert sha256_of(one) != sha256_of(other)


def picture(mode="L", value=0, colour=0):
    image = Image.new(mode, (4, 4), value)
    if mode == "P":
        image.putpalette([colour] * 3)
    return image


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.float32(0.5), np.float32(0.9)),
        (np.int64(1), np.int64(2)),
        (np.int64(1), np.int32(1)),
        (np.bool_(1), np.bool_(0)),
        (np.array([1, "a"], object), np.array([1, "b"], object)),
        (picture(value=1), picture(value=2)),
        (picture("L"), picture("P")),
        (picture("P", colour=1), picture("P", colour=2)),
        (range(3), range(9)),
        (slice(0, 3), slice(0, 9)),
        (deque([1]), deque([2])),
        (Decimal("0.5"), Decimal("0.9")),
        (Fraction(1, 2), Fraction(1, 3)),
        (dt.timedelta(1), dt.timedelta(2)),
        (re.compile("a" * 300 + "b"), re.compile("a" * 300 + "c")),
        (re.compile("a"), re.compile("a", re.IGNORECASE)),
        (1 + 2j, 5j),
        (bytearray(b"a"), bytearray(b"b")),
        (array.array("i", [1]), array.array("i", [2])),
        (operator.itemgetter(1), operator.itemgetter(2)),
        (math.sin, math.cos),
        (np.minimum, np.maximum),
        (np.min, np.max),
    ],
)
def test_values_without_attributes_count_by_their_content(one, other):
    prints = [fingerprint_of_callable(capturing(value)) for value in (one, copy.copy(one), other)]
    assert prints[0] == prints[1]
    assert prints[0].sha256 != prints[2].sha256
    assert prints[0].by_name == ()


def test_views_count_by_their_visible_content():
    one, other = (capturing([memoryview(b), MappingProxyType({1: b})]) for b in (b"a", b"b"))
    assert sha256_of(one) != sha256_of(other)
    assert fingerprint_of_callable(one).by_name == ()


def test_tensors_count_by_their_content(monkeypatch):
    class Tensor:
        """As much of PyTorch's as is asked for."""

        dtype, shape = "torch.bfloat16", (2,)

        def __init__(self, data):
            self._data = data

        def __getattr__(self, name):
            if name in ("detach", "cpu", "contiguous"):
                return lambda: self
            raise AttributeError(name)

        def reshape(self, _):
            return self

        def view(self, _):
            if self._data is None:
                raise NotImplementedError("sparse")
            return self

        def numpy(self):
            return np.array(self._data)

    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(Tensor=Tensor, uint8="uint8"))
    one, same, other = (sha256_of(capturing(Tensor(data))) for data in ([1, 2], [1, 2], [1, 3]))
    assert one == same != other
    assert isinstance(sha256_of(capturing(Tensor(None))), str)


class Sealed:
    """As an object of C without any attributes."""

    __slots__ = ()

    def __reduce__(self):
        raise TypeError("cannot be pickled")


def test_objects_known_only_by_their_class_are_named():
    name = f"{__name__}.Sealed"
    assert fingerprint_of_callable(capturing([Sealed(), Sealed()])).by_name == (name,)
    deep = functools.reduce(lambda inner, number: Foreign(number, inner), range(9), 0)
    assert fingerprint_of_callable(capturing(deep)).by_name == (f"{__name__}.Foreign",)


@pytest.mark.parametrize(
    "make", [np.random.default_rng, np.random.PCG64, random.Random, lambda: iter([1, 2, 3])]
)
def test_the_state_of_a_used_generator_does_not_count(make):
    held = make()
    before = fingerprint_of_callable(capturing(held))
    for draw in ("random", "random_raw", "__next__"):
        if hasattr(held, draw):
            getattr(held, draw)()
    assert fingerprint_of_callable(capturing(held)) == before
    assert before.by_name == ()


def test_a_lazy_image_without_its_file_is_not_an_error():
    file = io.BytesIO()
    picture().save(file, "PNG")
    image = Image.open(file)
    file.close()
    assert isinstance(sha256_of(capturing(image)), str)


def test_equal_functions_are_equal():
    assert sha256_of(capturing(5)) == sha256_of(capturing(5))
    assert sha256_of(Step(5)) == sha256_of(Step(5))


def test_self_referencing_objects_have_a_fingerprint():
    loop = []
    loop.append(loop)
    assert sha256_of(capturing(loop)) == sha256_of(capturing(loop))


def test_the_state_of_a_seeded_object_after_a_call_does_not_count():
    drawing = Drawing()
    before = sha256_of(capturing(drawing))
    drawing.set_random_seed(7)
    assert sha256_of(capturing(drawing)) == before


def test_objects_with_many_shared_references_have_a_fingerprint():
    layer = [Foreign(number) for number in range(8)]
    for _ in range(8):
        layer = [Foreign(number, layer) for number in range(8)]
    layer[0].inner = layer
    assert sha256_of(capturing(layer)) == sha256_of(capturing(layer))
