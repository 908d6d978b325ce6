"""The user's functions in worker processes: whatever they are, the result is that of one process."""

import functools
import sys

import pytest

from wdsremux.core.errors import TransformError, UsageError
from wdsremux.processing.engines.processes import ProcessEngine
from wdsremux.processing.engines.serial import SerialEngine
from wdsremux.transforms.function.spec import function_from_callable, function_from_text

pytestmark = pytest.mark.integration

SOURCE = """
import random
import numpy as np
from beside import LEVELS

print("the file is imported")

class Aug:  # draws from a generator of its own, as albumentations does
    def __init__(self):
        self.random = random.Random()

    def set_random_state(self, generator, python_random):
        self.random = python_random

    def __call__(self, image):
        return image + self.random.randrange(LEVELS)

AUG = Aug()

def augment(batch, rngs):
    print("a batch")
    noise = [int(rng.integers(20)) for rng in rngs]
    shift = random.randrange(20) + np.random.randint(20)
    return {"image": [AUG(image) + n + shift for image, n in zip(batch["image"], noise)]}

def crash(batch):
    return {"image": [1 // 0 for _ in batch["image"]]}
"""


def worker_of(spec):
    def make_work():
        import numpy as np

        from wdsremux.core.records import Batch, PackedSamples
        from wdsremux.transforms.function.call import Row, UserFunction

        function = UserFunction(spec, "batch", "numpy", "image", 42)

        def work(first):
            rows = [Row(first + n, np.zeros((2, 2, 3), np.uint8)) for n in range(4)]
            payload = b"".join(row.image.tobytes() for row in function.run(rows, 0))
            yield Batch(first, 4, (PackedSamples(payload, [], [], [], [], []),))

        return work

    return make_work


def results(engine, spec):
    batches = engine.map(worker_of(spec), range(0, 40, 4))
    return [bytes(batch.packed[0].payload) for batch in batches]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "aug.py").write_text(SOURCE)
    (tmp_path / "beside.py").write_text("LEVELS = 50\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    return tmp_path


def by_two(batch, rng, factor=2):
    return {"image": [image + factor * int(rng.integers(50)) for image in batch["image"]]}


def closure():
    levels = 50
    return lambda batch, rng: {"image": [i + int(rng.integers(levels)) for i in batch["image"]]}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("text", ["aug.py:augment", "aug:augment"])
def test_a_named_function_gives_the_same_in_any_number_of_processes(text):
    spec = function_from_text(text)
    alone = results(SerialEngine(), spec)
    assert len(set(alone)) == 10
    assert results(ProcessEngine(1), spec) == results(ProcessEngine(3), spec) == alone


@pytest.mark.parametrize(
    "function",
    [by_two, closure(), functools.partial(by_two, factor=3), lambda batch: batch],
    ids=["function", "closure", "partial", "lambda"],
)
def test_a_function_object_gives_the_same_in_processes(function):
    spec = function_from_callable(function)
    assert results(ProcessEngine(2), spec) == results(SerialEngine(), spec)


@pytest.mark.usefixtures("folder")
def test_errors_of_the_function_reach_the_caller_unchanged():
    with pytest.raises(UsageError, match=r"aug\.py has no 'augmnt'; it has AUG, augment, crash"):
        results(ProcessEngine(2), function_from_text("aug.py:augmnt"))
    with pytest.raises(
        TransformError,
        match=r"rows 0 to 3, together and one by one: ZeroDivisionError.*\(aug\.py:\d+\)",
    ):
        results(ProcessEngine(2), function_from_text("aug.py:crash"))
