"""Estimates and benches: what is measured, and what follows from it."""

import tempfile
from dataclasses import replace

import pytest
from support.corpora import jpegs, write_parquet_dataset

from wdsremux.converting.bench import measure
from wdsremux.converting.bench.measure import Bench, Estimate, _parts, _TimeBudget, bench, estimate
from wdsremux.converting.bench.pace import Pace
from wdsremux.converting.bench.profile import STAGES, Profile
from wdsremux.core.errors import SourceError
from wdsremux.core.recipe import Recipe, Run
from wdsremux.dataset.shards.bounds import Bounds
from wdsremux.processing.opening import open_conversion


def estimate_of(
    rows_in_all=1000, *, samples=100, output_bytes=100 * 5000, copies=1, max_bytes=10**6, count=None
):
    """Return an estimate from 100 rows done in 2 s."""
    return Estimate(
        pace=Pace(100, samples, 100 - samples, 10**6, output_bytes, 2.0),
        rows_in_all=rows_in_all,
        copies=copies,
        series=1,
        bounds=Bounds(max_bytes, count),
        workers=2,
        engine="threads",
    )


def bench_of(source_per_s, shards_per_s):
    """Return a bench with a conversion of 50 images/s and these rates of loading."""
    profile = Profile(10, 10, 1000, (), dict.fromkeys(STAGES, 1.0))
    loads = [Pace(rate, rate, 0, 0, 0, 1.0) for rate in (source_per_s, shards_per_s)]
    return Bench(profile, estimate_of(), *loads)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    return str(write_parquet_dataset(folder, rows=60, row_group_size=20).folder)


def test_the_whole_is_projected_in_time_and_space():
    found = estimate_of()
    assert (found.seconds, found.size_bytes, found.shards) == (20.0, 5_000_000, 5)


def test_the_projection_includes_the_start_of_the_workers():
    found = estimate_of()
    started = replace(found, pace=replace(found.pace, start_s=5.0))
    assert started.seconds == found.seconds + 5


def test_shards_of_the_default_size_are_counted_by_rows_unless_they_are_small():
    small = replace(estimate_of(max_bytes=512 * 10**6), least_shards=16)
    large = replace(small, pace=replace(small.pace, output_bytes=5 * 10**6))
    assert (small.shards, large.shards) == (2, 16)


def test_a_fixed_number_of_shards_is_that_number_also_where_they_are_too_few():
    fixed = replace(estimate_of(), least_shards=7, is_fixed=True)
    assert (fixed.shards, fixed.are_shards_too_few) == (7, False)
    assert replace(fixed, least_shards=4).are_shards_too_few
    assert not estimate_of().are_shards_too_few


def test_only_steady_rows_are_in_the_rate():
    pace = replace(estimate_of().pace, steady_rows=60.0)
    assert (pace.rows, pace.rows_per_s) == (100, 30.0)
    assert pace.to_json()["written_mb_per_s"] == 0.15


def test_the_start_of_workers_counts_towards_the_requested_time(monkeypatch):
    now = iter([0.0, 5.0, 5.0, 19.0])
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(now))
    budget = _TimeBudget(20)
    assert budget.part(0.45, rest=0.3, starts_s=0.0) == pytest.approx(9.0)
    assert budget.part(0.45, rest=0.3, starts_s=5.0) == pytest.approx(6.0)
    assert budget.part(0.15, rest=0.0, starts_s=5.0) == pytest.approx(1.0)


def test_a_task_is_cut_into_even_parts(corpus, tmp_path):
    conversion = open_conversion(corpus, tmp_path / "out", Recipe(), Run(workers=0), None)
    (task,) = conversion.tasks(0, 0, 0, None)
    assert [(part.first, part.stop) for part in _parts(task, 13)] == [
        (0, 15), (15, 30), (30, 45), (45, 60)
    ]  # fmt: skip
    assert [(part.first, part.stop) for part in _parts(task, 61)] == [(0, 60)]


def test_copies_are_separate_series():
    # Of five copies each has a million bytes: one shard.
    assert estimate_of(copies=5).shards == 5
    assert estimate_of(copies=4).shards == 8


def test_a_bound_on_samples_counts_too():
    assert estimate_of(count=10).shards == 100
    assert estimate_of(samples=50, count=10).shards == 50


def test_nothing_is_projected_for_an_unknown_number_of_rows():
    found = estimate_of(rows_in_all=None)
    assert (found.seconds, found.size_bytes, found.shards) == (None, None, None)
    assert found.to_json()["bytes"] is None
    assert found.to_json()["measured"]["images_per_s"] == 50.0


def test_a_conversion_pays_when_enough_time_was_saved():
    found = bench_of(100, 400)
    assert found.gain == 4
    # 1/50 s an image were spent, 1/100 - 1/400 s are saved in every epoch.
    assert found.epochs_to_pay == pytest.approx(0.02 / 0.0075)
    assert found.to_json()["loading"]["epochs_to_pay"] == 2.67


def test_a_conversion_that_makes_loading_no_faster_never_pays():
    assert bench_of(100, 90).epochs_to_pay is None


@pytest.mark.parametrize("workers", [0, 2])
def test_an_estimate_knows_all_rows_and_writes_nothing(corpus, tmp_path, workers):
    out = tmp_path / "out"
    recipe = Recipe(steps=("resize=24x24",), copies=2)
    found = estimate(open_conversion(corpus, out, recipe, Run(workers=workers), None), seconds=60)
    assert found.pace.rows == found.rows_in_all == 60
    assert found.pace.samples == 120
    assert found.size_bytes == found.pace.output_bytes > 60 * 2 * 2048
    assert not out.exists()


def test_an_estimate_stops_at_the_limit(corpus, tmp_path):
    recipe = Recipe(split="train[10:50]", limit=30)
    found = estimate(open_conversion(corpus, tmp_path / "out", recipe, Run(), None), seconds=60)
    assert (found.pace.rows, found.rows_in_all) == (30, 30)


def test_an_estimate_ends_in_time(tmp_path):
    folder = write_parquet_dataset(tmp_path / "in", rows=700, row_group_size=70).folder
    found = estimate(
        open_conversion(str(folder), tmp_path / "out", Recipe(), Run(workers=0), None), seconds=0
    )
    assert 0 < found.pace.rows < found.rows_in_all == 700


def test_an_estimate_reports_what_was_rejected(tmp_path):
    images = [*jpegs(4), b"no image"]
    folder = write_parquet_dataset(tmp_path / "in", images=images).folder
    found = estimate(open_conversion(str(folder), tmp_path / "out", Recipe(), Run(), None), 60)
    assert (found.pace.samples, found.pace.rejected) == (4, 1)
    assert found.pace.first_rejected.position == 4


def test_a_source_that_turns_out_empty_cannot_be_measured(corpus, tmp_path):
    conversion = open_conversion(corpus, tmp_path / "out", Recipe(), Run(workers=0), None)
    empty = replace(conversion, units=lambda _split, _start: iter(()))
    with pytest.raises(SourceError, match="no rows"):
        estimate(empty)


@pytest.mark.parametrize("steps", [(), ("random-resized-crop=24", "hflip")])
def test_a_bench_measures_everything_and_leaves_nothing(corpus, tmp_path, monkeypatch, steps):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = bench(corpus, Recipe(steps=steps, copies=2), Run(workers=2), seconds=0.2)
    assert found.profile.rows > 0
    assert found.estimate.rows_in_all == 60
    assert found.estimate.pace.samples == 2 * found.estimate.pace.rows
    assert found.from_source.rows_per_s > 0
    assert found.from_shards.rows_per_s > 0
    assert list(tmp_path.iterdir()) == []
