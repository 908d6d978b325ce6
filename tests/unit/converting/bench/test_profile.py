"""Where a worker's time goes, and workers that only load."""

import pytest
from support.corpora import jpegs, write_parquet_dataset

from wdsremux.converting.bench.pace import LoadingWorker
from wdsremux.converting.bench.profile import (
    SLICE_ROWS,
    STAGES,
    Stopwatch,
    _timed,
    _TimedWorker,
    profile,
)
from wdsremux.core.recipe import Recipe, Run
from wdsremux.processing.opening import open_conversion
from wdsremux.processing.worker import Worker


class Clock:
    """A clock that advances on demand."""

    now = 0.0

    def __call__(self):
        return self.now


def conversion_of(folder, tmp_path, **options):
    return open_conversion(
        str(folder), tmp_path / "out", Recipe(**options), Run(workers=0), options.get("transform")
    )


def tasks_of(conversion):
    return conversion.tasks(0, 0, 0, conversion.stop)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    return write_parquet_dataset(folder, rows=70, row_group_size=35).folder


def test_each_instant_belongs_to_the_innermost_stage():
    clock = Clock()
    watch = Stopwatch(clock)
    clock.now = 1.0
    with watch.during("transform"):
        clock.now = 3.0
        with watch.during("decode"):
            clock.now = 7.0
        clock.now = 15.0
    clock.now = 31.0
    watch.switch("pack")
    spent = {stage: seconds for stage, seconds in watch.seconds.items() if seconds}
    assert spent == {"transform": 10.0, "decode": 4.0, "pack": 17.0}


def test_a_stage_is_left_when_an_image_fails_in_it():
    clock = Clock()
    watch = Stopwatch(clock)
    with pytest.raises(ValueError, match="broken"), watch.during("decode"):
        raise ValueError("broken")
    clock.now = 2.0
    watch.switch("pack")
    assert watch.seconds["decode"] == 0.0
    assert watch.seconds["pack"] == 2.0


def test_a_profile_of_steps_has_time_in_every_stage(corpus, tmp_path):
    steps = ("resize=24x24", "sharpen")
    conversion = conversion_of(corpus, tmp_path, steps=steps, kernel="portable")
    found = profile(conversion.job, tasks_of(conversion), 60)
    assert (found.rows, found.samples, found.rejected) == (70, 70, ())
    assert tuple(found.stages_ms) == STAGES
    assert all((ms > 0) == (stage != "kernel") for stage, ms in found.stages_ms.items())
    assert found.row_ms == pytest.approx(1000 / found.rows_per_s)


class Diary(Stopwatch):
    """Notes which stage follows which."""

    def __init__(self):
        self.switches = []
        super().__init__()

    def switch(self, stage):
        left = super().switch(stage)
        self.switches.append((left, stage))
        return left


def test_decoding_happens_within_transforming_and_encoding_within_packing(corpus, tmp_path):
    conversion = conversion_of(
        corpus, tmp_path, steps=("resize=24x24",), limit=1, kernel="portable"
    )
    diary = Diary()
    (task,) = tasks_of(conversion)
    list(_TimedWorker(conversion.job, diary)(_timed(task, diary)))
    entered = {("pack", "read"), ("pack", "transform"), ("transform", "decode"), ("pack", "encode")}
    left = {(inner, outer) for outer, inner in entered}
    assert set(diary.switches) == entered | left


def test_a_profile_ends_in_time(corpus, tmp_path):
    conversion = conversion_of(corpus, tmp_path, steps=("resize=24x24",))
    found = profile(conversion.job, tasks_of(conversion), 0.0)
    assert found.rows == SLICE_ROWS


def test_a_profile_of_nothing_is_empty(corpus, tmp_path):
    found = profile(conversion_of(corpus, tmp_path).job, iter(()), 1)
    assert (found.rows, found.rows_per_s) == (0, 0.0)


def test_a_profile_counts_what_was_rejected(tmp_path):
    images = [*jpegs(5), b"no image"]
    folder = write_parquet_dataset(tmp_path / "in", images=images).folder
    conversion = conversion_of(folder, tmp_path, steps=("resize=24x24",))
    found = profile(conversion.job, tasks_of(conversion), 60)
    assert (found.rows, found.samples) == (6, 5)
    assert [item.position for item in found.rejected] == [5]


def test_profiling_a_worker_changes_no_byte(corpus, tmp_path):
    conversion = conversion_of(corpus, tmp_path, steps=("random-resized-crop=24", "hflip"))
    watch = Stopwatch()
    watched = _TimedWorker(conversion.job, watch)
    payloads = [
        b"".join(
            bytes(batch.packed[0].payload)
            for task in tasks_of(conversion)
            for batch in worker(change(task))
        )
        for worker, change in (
            (Worker(conversion.job), lambda task: task),
            (watched, lambda task: _timed(task, watch)),
        )
    ]
    assert payloads[0] == payloads[1]
    assert watch.rows_read == 70


def test_the_time_of_a_function_is_that_of_transforming(corpus, tmp_path):
    function = tmp_path / "work.py"
    function.write_text(
        "import time\n"
        "def work(batch):\n"
        "    ends = time.perf_counter() + 0.05 * len(batch['image'])\n"
        "    while time.perf_counter() < ends:\n"
        "        pass\n"
        "    return batch\n"
    )
    conversion = conversion_of(corpus, tmp_path, transform=f"{function}:work", limit=8)
    found = profile(conversion.job, tasks_of(conversion), 60)
    assert found.stages_ms["transform"] >= 50


def test_loading_decodes_every_image_and_packs_none(tmp_path):
    images = [*jpegs(5), b"\xff\xd8\xff\xd9 not a picture", *jpegs(2)]
    folder = write_parquet_dataset(tmp_path / "in", images=images, files=1).folder
    for steps in ((), ("resize=24x24",)):
        conversion = conversion_of(folder, tmp_path, steps=steps)
        batches = [
            batch for task in tasks_of(conversion) for batch in LoadingWorker(conversion.job)(task)
        ]
        assert sum(batch.rows for batch in batches) == 8
        assert sum(batch.size_bytes for batch in batches) == 0
