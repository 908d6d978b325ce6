"""The randomness of a user's function belongs to (seed, copy, position)."""

import functools
import random
import sys
import types

import numpy as np
import pytest

from wdsremux.transforms.function.randomness import Randomness


class Compose:
    """Draws as the transforms of albumentations do: from generators of its own, unknown at first."""

    def __init__(self):
        self.np_random, self.py_random = np.random.default_rng(), random.Random()  # noqa: S311

    def set_random_state(self, generator, python_random):
        self.np_random, self.py_random = generator, python_random

    def set_random_seed(self, _seed):
        raise AssertionError("all of its parts would get the same seed")

    def draw(self):
        return self.np_random.random(), self.py_random.random()


class Older:
    """Can only be seeded."""

    def __init__(self):
        self.random = random.Random()  # noqa: S311

    def set_random_seed(self, seed):
        self.random = random.Random(seed)  # noqa: S311

    def draw(self):
        return self.random.random()


AUG = Compose()
OLDER = Older()


class Pipeline:
    def __init__(self):
        self.steps = [{"aug": Compose()}]

    def __call__(self, _=None):
        return self.steps[0]["aug"].draw()

    def method(self):
        return self()


PIPELINE = Pipeline()


def by_global():
    return AUG.draw(), OLDER.draw()


def helper():
    return AUG.draw()


def by_helper():
    return helper()


def by_object():
    return PIPELINE()


def by_default(aug=Compose()):  # noqa: B008
    return aug.draw()


def by_closure():
    aug = Compose()
    return lambda: (aug.draw(),)


def by_libraries():
    return random.random(), np.random.random()  # noqa: S311, NPY002


REACHED = {
    "libraries": by_libraries,
    "global": by_global,
    "helper": by_helper,
    "object of the module": by_object,
    "default": by_default,
    "closure": by_closure(),
    "partial": functools.partial(lambda aug: aug.draw(), Compose()),
    "partial keyword": functools.partial(lambda *, aug: aug.draw(), aug=[Compose()][0]),
    "callable object": Pipeline(),
    "bound method": Pipeline().method,
}


@pytest.mark.parametrize("function", REACHED.values(), ids=REACHED)
def test_reachable_generators_draw_the_same_for_the_same_key(function):
    randomness = Randomness(function)
    first = randomness.run(function, 1, 0, 5)
    other = randomness.run(function, 1, 0, 6)
    assert randomness.run(function, 1, 0, 5) == first
    assert Randomness(function).run(function, 1, 0, 5) == first
    assert other != first
    assert randomness.run(function, 1, 1, 5) != first
    assert randomness.run(function, 2, 0, 5) != first


def test_the_largest_seed_and_position_are_fine():
    assert Randomness(by_libraries).run(by_libraries, 2**64 - 1, 0, 2**63)


def fake_torch():
    torch = types.ModuleType("torch")
    torch.generator = random.Random()  # noqa: S311
    torch.manual_seed = torch.generator.seed
    return torch


def test_torch_is_seeded_when_it_is_imported(monkeypatch):
    torch = fake_torch()
    monkeypatch.setitem(sys.modules, "torch", torch)
    randomness = Randomness(by_libraries)
    assert randomness.run(torch.generator.random, 1, 0, 5) == randomness.run(
        torch.generator.random, 1, 0, 5
    )


def test_torch_imported_within_the_function_is_seeded_in_the_first_call_already(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    calls = []

    def work():
        calls.append("call")
        if "torch" not in sys.modules:
            monkeypatch.setitem(sys.modules, "torch", fake_torch())
        return sys.modules["torch"].generator.random()

    randomness = Randomness(work)
    first = randomness.run(work, 1, 0, 5)
    assert len(calls) == 2
    assert randomness.run(work, 1, 0, 5) == first
    assert len(calls) == 3
    sys.modules.pop("torch")


def test_a_transform_made_in_the_first_call_is_seeded_in_it_already():
    made = {}

    def work():
        if "aug" not in made:
            made["aug"] = Compose()
        return made["aug"].draw()

    randomness = Randomness(work)
    assert randomness.run(work, 1, 0, 5) == randomness.run(work, 1, 0, 5)


def test_a_function_that_creates_generators_is_called_a_bounded_number_of_times():
    made = []
    randomness = Randomness(lambda: made)
    randomness.run(lambda: made.append(Compose()), 1, 0, 5)
    assert len(made) == 3
    randomness.run(lambda: made.append(Compose()), 1, 0, 6)
    assert len(made) == 4
