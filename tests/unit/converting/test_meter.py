"""The sums of a run: rows, rates, remaining time, shards."""

from support.samples import rejected
from support.summaries import summary_of

from wdsremux.converting.meter import Meter
from wdsremux.core.events import Advanced, Begun, Note, ShardDone
from wdsremux.core.heartbeat import Worked


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def begun(rows=1000, done_rows=0, workers=4, engine="threads"):
    return Begun(rows, done_rows, workers, engine)


def advanced(rows=100, samples=98, rejections=2, output_bytes=3_000_000):
    items = tuple(rejected(i) for i in range(rejections))
    return Advanced(rows, samples, items, 5_000_000, output_bytes)


def test_filtered_rows_are_counted_apart_from_errors():
    meter = Meter(Clock())
    meter.note(begun(rows=10))
    items = (rejected(1), rejected(2, stage="filter"), rejected(3, stage="filter"))
    meter.note(Advanced(10, 7, items, 0, 0))
    assert (meter.to_json()["rejected"], meter.to_json()["filtered"]) == (1, 2)
    assert "1 rejected, 2 filtered" in meter.line()


def test_a_slow_run_does_not_show_a_rate_of_zero():
    clock = Clock()
    meter = Meter(clock)
    meter.note(begun(rows=100))
    clock.now += 500
    meter.note(advanced(rows=100))
    assert ", 0.2 images/s, " in meter.line()


def test_no_time_remains_at_the_end():
    clock = Clock()
    meter = Meter(clock)
    meter.note(begun(rows=300))
    clock.now += 10
    meter.note(advanced(rows=100))
    assert "left" not in meter.line()  # the start of the workers may be a part of these 10 s
    clock.now += 10
    meter.note(advanced(rows=100))
    assert meter.line().endswith("10 s left")
    meter.note(advanced(rows=100))
    assert "left" not in meter.line()


def test_a_meter_sums_up_what_was_done():
    meter = Meter(Clock())
    for event in (begun(), advanced(), ShardDone(summary_of()), advanced(), Note("by the way")):
        meter.note(event)
    assert (meter.rows, meter.samples, meter.rejected) == (200, 196, 4)
    assert (meter.shards, meter.output_bytes) == (1, 6_000_000)


def test_rates_are_those_of_this_run_alone():
    clock = Clock()
    meter = Meter(clock)
    clock.now += 100  # opening the source is not work on rows
    meter.note(begun(rows=1000, done_rows=500))
    clock.now += 2
    meter.note(advanced(rows=100))
    assert meter.rows == 600
    assert meter.rows_per_s == 50
    assert meter.to_json()["mb_per_s"] == 1.5
    clock.now += 1
    meter.note(advanced(rows=100))
    assert meter.eta_s == 3


def test_the_remaining_time_is_shown_only_where_it_is_known():
    clock = Clock()
    meter = Meter(clock)
    meter.note(begun(rows=None))
    assert meter.eta_s is None
    clock.now += 1
    meter.note(advanced())
    assert meter.eta_s is None
    meter.note(begun(rows=100))
    assert meter.eta_s is None


def test_more_rows_than_expected_leave_no_remaining_time():
    clock = Clock()
    meter = Meter(clock)
    meter.note(begun(rows=50))
    meter.note(advanced(rows=10))
    clock.now += 1
    meter.note(advanced(rows=90))
    assert meter.eta_s == 0


def test_a_meter_without_events_does_not_divide_by_zero():
    assert Meter(Clock()).to_json()["images_per_s"] == 0


def test_a_line_shows_rows_rates_shards_rejected_and_remaining_time():
    clock = Clock()
    meter = Meter(clock)
    meter.note(begun())
    clock.now += 10
    meter.note(advanced())
    clock.now += 10
    meter.note(advanced())
    assert meter.line() == ("200 of 1,000 rows, 10 images/s, shard 1, 4 rejected, 1 min 20 s left")


def test_rows_count_when_workers_have_finished_them():
    clock = Clock()
    meter = Meter(clock)
    meter.note(begun(rows=1000))
    clock.now += 60  # importing a function
    meter.note(Worked(50))
    clock.now += 1
    meter.note(Worked(50))
    assert (meter.done, meter.rows, meter.start_s) == (100, 0, 60)
    assert meter.rows_per_s == 50
    assert meter.eta_s == 18
    meter.note(advanced(rows=60))
    assert (meter.done, meter.rows) == (100, 60)
    meter.note(Worked(5000))  # a worker that died began again
    assert meter.done == 1000


def test_a_line_of_a_source_of_unknown_length_shows_no_end():
    clock = Clock()
    meter = Meter(clock)
    meter.note(begun(rows=None))
    clock.now += 10
    meter.note(advanced())
    assert meter.line() == "100 rows, 10 images/s, shard 1, 2 rejected"


def test_the_number_of_shards_is_estimated_by_rows_unless_they_are_small():
    meter = Meter(Clock())
    meter.note(Begun(1000, 0, 4, "threads", max_shard_bytes=512_000_000, least_shards=16))
    meter.note(advanced(rows=100, output_bytes=500_000))
    assert meter.shards_in_all == 2
    meter.note(advanced(rows=100, output_bytes=19_500_000))
    assert meter.shards_in_all == 16


def test_the_number_of_shards_is_estimated_by_bytes_and_then_by_shards():
    clock = Clock()
    meter = Meter(clock)
    meter.note(Begun(1000, 0, 4, "threads", max_shard_bytes=1_000_000))
    assert meter.shards_in_all is None
    meter.note(advanced(rows=100, output_bytes=500_000))
    assert meter.shards_in_all == 5
    meter.note(ShardDone(summary_of(0, 0, 100)))
    assert meter.shards_in_all == 10
    assert (meter.kept_rows, meter.kept_shards) == (100, 1)


def test_the_kept_rows_are_those_of_the_slowest_copy():
    meter = Meter(Clock())
    meter.note(Begun(1000, 50, 4, "threads", done_shards=2, copies=2))
    meter.note(ShardDone(summary_of(0, 50, 150, copy=0)))
    assert (meter.kept_rows, meter.kept_shards) == (50, 3)
    meter.note(ShardDone(summary_of(0, 50, 90, copy=1)))
    assert (meter.kept_rows, meter.kept_shards) == (90, 4)


def test_the_start_of_the_workers_is_excluded_from_rates():
    clock = Clock()
    meter = Meter(clock)
    meter.note(begun(rows=1000))
    clock.now += 60  # importing a function
    meter.note(advanced(rows=100))
    clock.now += 2
    meter.note(advanced(rows=100))
    assert meter.rows_per_s == 50
