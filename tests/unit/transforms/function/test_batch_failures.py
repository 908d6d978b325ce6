"""A batch function that raises: its rows run one by one, and only bad records are rejected."""

import numpy as np
import pytest

from wdsremux.core.errors import RejectSample, TransformError
from wdsremux.core.heartbeat import listen
from wdsremux.core.records import Rejected
from wdsremux.transforms.function.call import Row, UserFunction
from wdsremux.transforms.function.spec import function_from_callable


def rows(count):
    return [
        Row(10 + i, np.full((4, 6, 3), i, np.uint8), {"label": i, "size": 100})
        for i in range(count)
    ]


def run(function, count=6, copy=0):
    made = UserFunction(function_from_callable(function), "batch", "numpy", "image", 42)
    return made.run(rows(count), copy)


def fails_on(*labels):
    def work(batch):
        for label in batch["label"]:
            if label in labels:
                raise ValueError(f"cannot use {label}")
        return batch | {"size": [len(batch["label"])] * len(batch["label"])}

    return work


def test_only_the_row_that_fails_alone_is_rejected():
    outcomes = run(fails_on(2), copy=3)
    rejected = [each for each in outcomes if isinstance(each, Rejected)]
    assert [(each.position, each.copy, each.stage) for each in rejected] == [(12, 3, "transform")]
    assert rejected[0].reason.startswith("ValueError: cannot use 2 (test_batch_failures.py:")
    assert rejected[0].reason.endswith(
        "rows 10 to 15, copy 3 were run one by one because the batch failed"
    )


def test_a_batch_that_fails_while_no_row_does_is_reported_once_with_its_first_row():
    def work(batch):
        if len(batch["label"]) > 1:
            raise ValueError("only one")
        return batch

    made = UserFunction(function_from_callable(work), "batch", "numpy", "image", 42)
    assert all(isinstance(each, Row) for each in made.run(rows(6), 0))
    ((row, text),) = made.taken_remarks()
    assert row == 10
    assert text.startswith("your function failed on a batch, but on none of its rows alone")
    assert "(ValueError: only one (test_batch_failures.py:" in text
    assert made.taken_remarks() == []


def test_the_other_rows_keep_their_pixels_and_get_what_the_function_returns_for_one():
    kept = [each for each in run(fails_on(2)) if isinstance(each, Row)]
    assert [each.position for each in kept] == [10, 11, 13, 14, 15]
    assert [int(each.image[0, 0, 0]) for each in kept] == [0, 1, 3, 4, 5]
    assert {each.fields["size"] for each in kept} == {1}


def test_one_reused_array_does_not_mix_up_rows_that_run_alone():
    shared = np.zeros((1, 4, 6, 3), np.uint8)

    def work(batch):
        if len(batch["label"]) > 1:
            raise MemoryError
        shared[:] = batch["image"][0]
        return {"image": shared}

    assert [int(each.image[0, 0, 0]) for each in run(work)] == [0, 1, 2, 3, 4, 5]


def test_randomness_of_a_row_run_alone_depends_on_the_row_only():
    def work(batch, rng):
        if len(batch["label"]) > 1:
            raise ValueError
        return batch | {"draw": [rng.random()]}

    draws = [each.fields["draw"] for each in run(work)]
    assert draws == [each.fields["draw"] for each in run(work)]
    assert len(set(draws)) == 6


def test_a_row_can_be_left_out_by_reject_sample():
    def work(batch):
        if 1 in batch["label"]:
            raise RejectSample("too dark")
        return batch

    rejected = [each for each in run(work) if isinstance(each, Rejected)]
    assert [(r.position, r.stage, r.reason) for r in rejected] == [(11, "filter", "too dark")]


def test_a_single_row_that_fails_is_rejected_without_a_second_call():
    calls = []

    def work(batch):
        calls.append(batch)
        raise ValueError("bad")

    (rejected,) = run(work, count=1)
    assert rejected.reason.startswith("ValueError: bad (test_batch_failures.py:")
    assert len(calls) == 1


def test_a_function_that_fails_on_every_row_alone_ends_the_run_with_one_error():
    match = (
        r"fails_on.* failed on rows 10 to 15, copy 1, together and one by one: "
        r"ValueError: cannot use 0 \(test_batch_failures.py:\d+\); fix it"
    )
    with pytest.raises(TransformError, match=match):
        run(fails_on(*range(6)), copy=1)


def test_a_short_batch_of_bad_records_does_not_end_the_run():
    assert all(isinstance(each, Rejected) for each in run(fails_on(0, 1, 2), count=3))


def test_a_broken_contract_still_ends_the_run():
    with pytest.raises(TransformError, match="row 10: it returned None"):
        run(lambda batch: 1 // 0 if len(batch["label"]) > 1 else None)


def test_progress_is_reported_for_each_row():
    beats = []
    listen(beats.append)
    try:
        run(fails_on(2))
    finally:
        listen(None)
    assert len(beats) == 6
