"""Which engine "auto" means, and what is refused."""

import pytest

from wdsremux.core.errors import UsageError
from wdsremux.core.recipe import Run
from wdsremux.processing.opening import THREADS_AT_MOST, open_engine


@pytest.mark.parametrize(
    ("run", "has_function", "after_death", "name"),
    [
        (Run(workers=2), False, False, "threads"),
        (Run(workers=THREADS_AT_MOST), False, False, "threads"),
        (Run(workers=THREADS_AT_MOST + 1), False, False, "processes"),
        (Run(workers=64, engine="threads"), False, False, "threads"),
        (Run(workers=2), True, False, "processes"),
        (Run(workers=2), False, True, "processes"),
        (Run(workers=2, engine="threads"), False, True, "threads"),
        (Run(workers=0), True, True, "serial"),
    ],
)
def test_the_engine_follows_from_workers_function_and_crashes(run, has_function, after_death, name):
    _, chosen, workers = open_engine(run, has_function=has_function, after_death=after_death)
    assert (chosen, workers) == (name, run.workers)


def test_a_function_is_refused_in_threads():
    with pytest.raises(UsageError, match="remove --engine threads"):
        open_engine(Run(workers=2, engine="threads"), has_function=True)
