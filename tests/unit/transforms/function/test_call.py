"""The user's function: its arguments, its results, and the errors about both."""

import random
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from wdsremux.core.errors import RejectSample, TransformError, UsageError
from wdsremux.core.records import Rejected
from wdsremux.transforms.base import sample_rng
from wdsremux.transforms.function.call import Row, UserFunction, function_from_callable


def pixels(value, height=4, width=6):
    return np.full((height, width, 3), value, np.uint8)


def rows(count, first=10):
    return [Row(first + n, pixels(n), {"label": n, "tags": ["a", f"t{n}"]}) for n in range(count)]


def user(function, mode="batch", input="numpy", **options):  # noqa: A002
    spec = function_from_callable(function)
    return UserFunction(spec, mode, input, "picture", options.pop("seed", 1), **options)


def run(function, mode="batch", input="numpy", count=3, copy=0, **options):  # noqa: A002
    return user(function, mode, input, **options).run(rows(count), copy)


def values(outcomes):
    return [int(row.image[0, 0, 0]) for row in outcomes]


# --- what it is given


def test_a_batch_function_gets_a_dict_of_lists_with_the_image_under_its_own_name():
    got = {}

    def look(batch):
        got.update(batch)
        return batch

    run(look)
    assert sorted(got) == ["label", "picture", "tags"]
    assert got["label"] == [0, 1, 2]
    assert [type(image) for image in got["picture"]] == [np.ndarray] * 3


def test_a_sample_function_gets_a_dict():
    got = []
    run(lambda sample: got.append(sample) or sample, "sample", count=1)
    assert sorted(got[-1]) == ["label", "picture", "tags"]


def test_an_image_function_gets_the_image():
    got = []
    run(lambda image: got.append(image) or image, "image", "pil", count=1)
    assert (got[-1].mode, got[-1].size) == ("RGB", (6, 4))


def test_bytes_are_passed_and_packed_unchanged():
    got = []
    row = Row(3, b"stored", {})
    (outcome,) = user(lambda data: got.append(data) or b"new", "image", "bytes").run([row], 0)
    assert got[-1] == b"stored"
    assert outcome.image == b"new"


@pytest.mark.parametrize("mode", ["batch", "sample", "image"])
@pytest.mark.parametrize("input", ["numpy", "pil"])
def test_a_function_may_modify_its_arguments(mode, input):  # noqa: A002
    def paint(image):
        if input == "numpy":
            image[:] = 200
        else:
            image.paste((200, 200, 200), (0, 0, *image.size))
        return image

    def batch(given):
        images = given["picture"] if mode == "batch" else [given["picture"]]
        given["tags"][0] = "changed"
        for image in images:
            paint(image)
        return given

    read_only = rows(2)
    for row in read_only:
        row.image.flags.writeable = False
    outcomes = user(paint if mode == "image" else batch, mode, input).run(read_only, 0)
    assert values(outcomes) == [200, 200]
    assert [row.fields["tags"] for row in read_only] == [["a", "t0"], ["a", "t1"]]
    assert values(read_only) == [0, 1]


# --- what becomes of what it returns


def test_returned_columns_replace_and_extend_the_others():
    def work(batch):
        return {
            "picture": [image + 100 for image in batch["picture"]],
            "label": np.arange(3) * 2,
            "new": ("x", "y", "z"),
        }

    outcomes = run(work)
    assert values(outcomes) == [100, 101, 102]
    assert [row.fields for row in outcomes] == [
        {"label": 2 * n, "tags": ["a", f"t{n}"], "new": "xyz"[n]} for n in range(3)
    ]
    assert [row.position for row in outcomes] == [10, 11, 12]


@pytest.mark.parametrize("mode", ["batch", "sample"])
def test_a_dict_without_the_image_is_an_error_that_lists_its_keys(mode):
    with pytest.raises(TransformError, match="'label' but not 'picture'; return the image too"):
        run(lambda _given: {"label": [7, 7, 7]}, mode)


def test_a_batch_may_come_back_as_one_array():
    assert values(run(lambda batch: {"picture": np.stack(batch["picture"]) + 5})) == [5, 6, 7]


def test_none_in_the_image_column_leaves_a_row_out():
    outcomes = run(lambda batch: {"picture": [batch["picture"][0], None, batch["picture"][2]]})
    assert outcomes[1] == Rejected(11, 0, "filter", "left out by the function")
    assert values([outcomes[0], outcomes[2]]) == [0, 2]


@pytest.mark.parametrize(
    ("mode", "function"),
    [
        ("sample", lambda _: None),
        ("sample", lambda sample: sample | {"picture": None}),
        ("image", lambda _: None),
    ],
)
def test_none_leaves_a_sample_out(mode, function):
    assert run(function, mode, count=1, copy=2) == [
        Rejected(10, 2, "filter", "left out by the function")
    ]


@pytest.mark.parametrize("mode", ["sample", "image"])
def test_a_sample_can_be_left_out_with_a_reason(mode):
    def work(_):
        raise RejectSample("too\ndark")

    assert run(work, mode, count=1) == [Rejected(10, 0, "filter", "too dark")]


def test_sample_columns_replace_and_extend_the_others():
    outcomes = run(
        lambda sample: {"picture": sample["picture"], "label": sample["label"] + 1, "new": 5},
        "sample",
    )
    assert values(outcomes) == [0, 1, 2]
    assert [row.fields for row in outcomes] == [
        {"label": n + 1, "tags": ["a", f"t{n}"], "new": 5} for n in range(3)
    ]


def test_an_empty_image_rejects_its_row_only():
    def crop(batch):
        return {"picture": [i[:0] if n == 1 else i for n, i in enumerate(batch["picture"])]}

    outcomes = run(crop)
    reason = "the function returned an empty image (6×0)"
    assert outcomes[1] == Rejected(11, 0, "transform", reason)
    assert isinstance(outcomes[2], Row)


@pytest.mark.parametrize("mode", ["sample", "image"])
def test_one_reused_array_does_not_mix_up_the_rows(mode):
    shared = pixels(0)

    def work(given):
        shared[:] = given["picture"] if mode == "sample" else given
        return {"picture": shared} if mode == "sample" else shared

    assert values(run(work, mode)) == [0, 1, 2]


def test_without_rows_the_function_is_not_called():
    def work(_):
        raise AssertionError

    assert user(work).run([], 0) == []


# --- exceptions


def failing(_):
    raise ValueError("bad\nvalue")


def test_an_exception_rejects_the_sample_with_its_location():
    for mode in ("sample", "image"):
        (rejected,) = run(failing, mode, count=1)
        line = failing.__code__.co_firstlineno + 1
        reason = f"ValueError: bad value (test_call.py:{line})"
        assert rejected == Rejected(10, 0, "transform", reason)


def test_an_exception_over_a_signed_url_does_not_pass_it_on():
    def fetching(_):
        raise ConnectionError("403 for url https://cdn/x.jpg?Signature=SECRET")

    (rejected,) = run(fetching, "image", count=1)
    assert rejected.reason.startswith("ConnectionError: 403 for url [hidden] (test_call.py:")


def test_an_exception_deep_in_a_library_names_the_line_of_the_user_s_file():
    def work(image):
        return Image.fromarray(image).resize((0, -1))

    (rejected,) = run(work, "image", count=1)
    assert f"(test_call.py:{work.__code__.co_firstlineno + 1})" in rejected.reason


@pytest.mark.parametrize("mode", ["batch", "sample", "image"])
def test_sys_exit_does_not_end_a_run(mode):
    def work(_):
        raise SystemExit(0)

    with pytest.raises(TransformError, match=r"called sys\.exit"):
        run(work, mode)


class Stop(BaseException):
    pass


@pytest.mark.parametrize("mode", ["batch", "sample", "image"])
@pytest.mark.parametrize("error", [Stop, GeneratorExit])
def test_raising_another_object_is_an_error_of_the_function(mode, error):
    def work(_):
        raise error

    with pytest.raises(TransformError, match=rf"it raised {error.__name__}; raise an Exception"):
        run(work, mode)


def interrupting(_):
    raise KeyboardInterrupt


def test_an_interrupt_stops_the_run_only_from_the_main_thread(monkeypatch):
    # A shell may have started the tests with the signal ignored.
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        run(interrupting)
    with ThreadPoolExecutor(1) as thread, pytest.raises(TransformError, match="KeyboardInterrupt"):
        thread.submit(run, interrupting).result()
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_IGN)  # as in a worker process
    with pytest.raises(TransformError, match="KeyboardInterrupt"):
        run(interrupting)


class MuteError(ValueError):
    def __str__(self):
        raise RuntimeError("no words")


class MuteRejectError(RejectSample, MuteError):
    pass


@pytest.mark.parametrize(
    ("error", "stage", "start"),
    [(MuteError, "transform", "MuteError: "), (MuteRejectError, "filter", "")],
)
def test_an_exception_without_a_printable_message_rejects_the_sample(error, stage, start):
    def work(_):
        raise error

    (rejected,) = run(work, "image", count=1)
    assert rejected.stage == stage
    assert rejected.reason.startswith(f"{start}its __str__ raised RuntimeError")


# --- broken contracts


@dataclass
class Odd:
    length: int = 3


@pytest.mark.parametrize(
    ("mode", "returned", "text"),
    [
        ("batch", None, r"rows 10 to 12: it returned None, not a dict of lists; is a `return`"),
        ("batch", [1, 2, 3], "returned a value of type 'list', not a dict of lists"),
        (
            "batch",
            {"picture": [None]},
            r"1 values in column 'picture' for 3 rows, but not column 'label'; return one",
        ),
        (
            "batch",
            {"picture": [None] * 3, "label": np.zeros(4)},
            "4 values in column 'label' for 3 rows; return one for each row",
        ),
        ("batch", {"label": "abc"}, "a value of type 'str' as column 'label', not a list"),
        ("batch", {"label": Odd()}, "a value of type 'Odd' as column 'label', not a list"),
        ("batch", {"picture": [None, 3, None]}, "row 11: it returned an int as image; return a"),
        ("sample", 5, "mode 'sample', row 10: it returned a value of type 'int'; return a dict"),
        ("sample", {"picture": "x.jpg"}, "row 10: it returned a str as image"),
        ("image", np.zeros((4, 4, 3)), r"row 10: it returned an array of float64; scale to 0..255"),
        ("image", np.zeros((4, 4, 3), np.int64), r"an array of int64; convert with .astype"),
        ("image", np.zeros((3, 4, 5), np.uint8), "an array of shape 3×4×5; return a PIL image"),
    ],
)
def test_a_wrong_return_value_ends_the_run_at_once(mode, returned, text):
    with pytest.raises(TransformError, match=text):
        run(lambda _: returned, mode)


@pytest.mark.parametrize("mode", ["batch", "sample", "image"])
@pytest.mark.parametrize("function", [lambda: None, lambda a, b: None, lambda *, a: None])  # noqa: ARG005
def test_a_function_that_cannot_take_one_argument_is_refused_when_it_is_loaded(mode, function):
    with pytest.raises(UsageError, match="cannot be called with the"):
        user(function, mode)


@pytest.mark.parametrize(("mode", "input"), [("rows", "pil"), ("batch", "torch")])
def test_unknown_ways_to_call_are_refused(mode, input):  # noqa: A002
    with pytest.raises(UsageError, match="does not exist"):
        user(failing, mode, input)


# --- randomness


def test_a_function_that_asks_for_it_gets_the_stream_of_the_sample():
    drawn = []

    def work(image, rng):
        drawn.append(rng.random())
        return image

    function = user(work, "image", seed=5)
    function.run(rows(1), 0)
    drawn.clear()
    function.run(rows(3), 1)
    assert drawn == [sample_rng(5, 1, position).random() for position in (10, 11, 12)]


def test_a_batch_function_may_ask_for_one_stream_or_for_one_per_row():
    drawn = {}

    def work(batch, *, rng, rngs):
        drawn["one"] = rng.random()
        drawn["each"] = [each.random() for each in rngs]
        return batch

    run(work, seed=5, copy=2)
    assert drawn["one"] == sample_rng(5, 2, 10).random()
    assert drawn["each"] == [sample_rng(5, 2, position).random() for position in (10, 11, 12)]


def test_the_global_generators_depend_on_the_row_only():
    def work(_):
        return np.full((1, 1, 3), int(random.random() * 128 + np.random.random() * 127), np.uint8)  # noqa: S311, NPY002

    everything = values(run(work, "image", count=20))
    assert len(set(everything)) > 5
    function = user(work, "image")
    backwards = [value for row in reversed(rows(20)) for value in values(function.run([row], 0))]
    assert backwards[::-1] == everything
    assert values(run(work, "image", count=20, copy=1)) != everything
    assert values(run(work, "image", count=20, seed=2)) != everything


def test_transparent_parts_are_put_on_the_matte():
    image = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    (outcome,) = run(lambda _: image, "image", count=1, matte=(1, 2, 3))
    assert outcome.image[0, 0].tolist() == [1, 2, 3]
