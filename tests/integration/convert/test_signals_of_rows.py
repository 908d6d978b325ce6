"""Rows count as done when a worker has finished them: each once, before its batch is written."""

import numpy as np
import pytest

import wdsremux
from wdsremux.core.events import Advanced
from wdsremux.core.heartbeat import Worked

pytestmark = pytest.mark.integration


def drops_some(batch):
    keep = [image if number % 3 else None for number, image in enumerate(batch["image"])]
    return batch | {"image": keep}


@pytest.mark.parametrize(
    ("function", "engine", "workers"),
    [
        (None, "auto", 0),
        (None, "threads", 2),
        (None, "processes", 2),
        (drops_some, "auto", 0),
        (drops_some, "processes", 2),
    ],
)
def test_every_row_is_reported_once_and_before_its_batch(tmp_path, engine, workers, function):
    events = []
    wdsremux.convert(
        "demo:",
        tmp_path / "out",
        transform=function,
        engine=engine,
        workers=workers,
        batch_size=64,
        copies=2,
        steps=["resize=32x32"],
        observer=events.append,
    )
    worked = np.cumsum([event.rows if isinstance(event, Worked) else 0 for event in events])
    written = np.cumsum([event.rows if isinstance(event, Advanced) else 0 for event in events])
    assert worked[-1] == written[-1] == 270
    assert (worked >= written).all()
