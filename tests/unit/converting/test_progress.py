"""What people and programs read of a run: sums, lines, JSON, the bar, the closing report."""

import io
import json
from types import SimpleNamespace

import pytest
from support.samples import rejected
from support.summaries import manifest_of, summary_of

from wdsremux.cli.report import RunRecord, report
from wdsremux.cli.snippets import snippet
from wdsremux.converting import views
from wdsremux.converting.meter import Meter
from wdsremux.converting.progress import LatePhase, observer
from wdsremux.core.events import Advanced, Begun, Done, Note, ShardDone, ignore_event
from wdsremux.core.heartbeat import Waiting
from wdsremux.core.option_values import duration, size
from wdsremux.core.records import Rejected


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Return the clock that lines are spaced by."""
    clock = Clock()
    monkeypatch.setattr(views, "time", SimpleNamespace(monotonic=clock))
    return clock


def begun(rows=1000, done_rows=0, workers=4, engine="threads"):
    return Begun(rows, done_rows, workers, engine)


def advanced(rows=100, samples=98, rejections=2, output_bytes=3_000_000):
    items = tuple(rejected(i) for i in range(rejections))
    return Advanced(rows, samples, items, 5_000_000, output_bytes)


def lines_of(events, progress, out=None):
    """Return what an observer writes of events."""
    out = out or io.StringIO()
    tell = observer(progress, out)
    for event in events:
        tell(event)
    return out.getvalue().splitlines()


def test_the_rate_of_a_finished_run_stays():
    clock = Clock()
    meter = Meter(clock)
    meter.note(begun(rows=200))
    meter.note(advanced(rows=100))
    clock.now += 1
    meter.note(advanced(rows=100))
    clock.now += 100
    assert meter.rows_per_s == 100
    lines = report(Done(manifest_of(), 200), "out", 101.0, None, meter).splitlines()
    assert lines[0] == "200 rows in 1 min 41 s, 100 images/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (41.6, "42 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3599.9, "1 h 0 min"),
        (7800, "2 h 10 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_a_duration_is_shown_in_human_units(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_999, "1.0 MB"),
        (512_000_000, "512.0 MB"),
        (1_234_567_890, "1.2 GB"),
        (5_000_000_000_000, "5.00 TB"),
        (12_345_000_000_000_000, "12345.00 TB"),
    ],
)
def test_a_size_is_shown_in_decimal_units(size_bytes, text):
    assert size(size_bytes) == text


def test_no_progress_has_no_observer():
    assert observer("none") is ignore_event


@pytest.mark.parametrize(("out", "kind"), [(io.StringIO(), "LogLines"), (Terminal(), "Bar")])
def test_auto_is_a_bar_on_a_terminal_and_lines_elsewhere(out, kind):
    assert type(observer("auto", out)).__name__ == kind


def test_lines_are_ten_seconds_apart(clock):
    out = io.StringIO()
    tell = observer("log", out)
    tell(begun())
    for _ in range(25):
        clock.now += 1
        tell(advanced(rows=10))
    lines = out.getvalue().splitlines()
    assert [line.split(" rows")[0] for line in lines[1:]] == ["100 of 1,000", "200 of 1,000"]


def test_a_note_is_printed_at_once(clock):
    lines = lines_of([Note("README.md was not written by wdsremux"), begun()], "log")
    assert lines[0] == "README.md was not written by wdsremux"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (begun(), "converting 1,000 rows with 4 threads"),
        (begun(rows=None), "converting rows with 4 threads"),
        (begun(workers=0, engine="serial"), "converting 1,000 rows in this process"),
        (begun(workers=1), "converting 1,000 rows with 1 thread"),
        (begun(workers=1, engine="processes"), "converting 1,000 rows with 1 process"),
        (
            begun(done_rows=300, engine="processes"),
            "converting 1,000 rows with 4 processes; 300 already done, resuming",
        ),
    ],
)
def test_the_first_line_shows_what_will_be_done(event, text):
    assert lines_of([event], "log") == [text]


def test_json_is_one_object_a_line(clock):
    out = io.StringIO()
    tell = observer("json", out)
    tell(Note("by the way"))
    tell(begun())
    for _ in range(5):
        clock.now += 0.5
        tell(advanced())
    tell(ShardDone(summary_of(size_bytes=20_480)))
    tell(Done(manifest_of(), 500))
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "note"
    assert kinds[-2:] == ["shard", "done"]
    assert kinds.count("progress") == 3
    assert events[-2] == {"event": "shard", "name": "train-000000.tar", "bytes": 20_480}
    done = events[-1]
    assert (done["rows"], done["samples"], done["rejected"], done["shards"]) == (500, 490, 10, 1)
    assert done["seconds"] >= 0


def test_progress_in_json_is_at_most_one_line_a_second(clock):
    out = io.StringIO()
    tell = observer("json", out)
    tell(begun())
    for _ in range(100):
        clock.now += 0.125
        tell(advanced())
    assert len(out.getvalue().splitlines()) == 13


def test_json_has_only_ascii_so_that_any_program_reads_it():
    [line] = lines_of([Note("ü🐈\nnext")], "json")
    assert line.isascii()
    assert json.loads(line)["text"] == "ü🐈\nnext"


def test_a_bar_counts_rows_from_where_the_run_resumes():
    out = Terminal()
    events = [begun(rows=1000, done_rows=500), advanced(rows=500), Done(manifest_of(), 500)]
    text = "\n".join(lines_of(events, "bar", out))
    assert " 50%|" in text
    assert "1,000 of 1,000 rows" in text
    assert "0 shards, 2 rejected" in text


def test_a_note_beside_a_bar_has_a_line_of_its_own():
    lines = lines_of([Note("early"), begun(), Note("late"), Done(manifest_of(), 0)], "bar")
    assert "early" in lines
    assert any(line.split("\r")[-1] == "late" for line in lines)


def test_the_report_shows_what_was_written_and_how_to_read_it():
    shards = [summary_of(i, i * 10, i * 10 + 10, rejected=1) for i in range(2)]
    text = report(Done(manifest_of(shards), 20), "out/pets", 4.0)
    assert text.splitlines() == [
        "20 rows in 4 s, 5 images/s",
        "18 samples of 20 rows in 2 shards, 20.5 kB, 2 rejected",
        "  all rejected rows: out/pets/.wdsremux/rejected.jsonl",
        "note: packed as stored",
        "  train: out/pets/train-{000000..000001}.tar",
        "  train: 18 samples",
        (
            "  train: 2 shards: most WebDataset loaders can use 2 workers (wdsremux.pipeline any "
            "number); a smaller --max-shard-size makes more shards"
        ),
        "train with:",
        *(f"  {line}" for line in snippet("pytorch", manifest_of(shards), "out/pets").splitlines()),
        "for other loaders: wdsremux show out/pets --snippet wids (or datasets, dali, jax, energon)",
        "check it with: wdsremux verify out/pets",
    ]


def test_the_report_shows_the_samples_of_each_class_and_whether_they_are_all():
    shards = [summary_of(i, i * 10, i * 10 + 10) for i in range(2)]
    classes = {"train": {"cats": 4, "dogs": 6}}
    whole = report(Done(manifest_of(shards), 20, classes), "out", 1.0)
    assert "  train, samples per class: cats 4, dogs 6" in whole.splitlines()
    part = report(Done(manifest_of(shards), 10, classes), "out", 1.0)
    assert "  train, samples per class in the 10 rows of this run: cats 4, dogs 6" in part


def test_the_report_says_where_a_fixed_number_of_shards_differ():
    shards = [summary_of(0, 0, 10), summary_of(1, 10, 20, rejected=3)]
    manifest = manifest_of(shards, options={"shards": 2})
    lines = report(Done(manifest, 20), "out", 4.0).splitlines()
    assert any(line.startswith("  train: shards have 7 to 10 samples:") for line in lines)
    assert any("a larger --shards makes more shards" in line for line in lines)


def test_the_report_counts_filtered_rows_apart_from_errors():
    text = report(Done(manifest_of([summary_of(filtered=3)]), 10), "out", 4.0)
    assert "7 samples of 10 rows in 1 shard, 10.2 kB, 0 rejected, 3 filtered\n" in text
    assert "  all filtered rows: out/.wdsremux/rejected.jsonl\n" in text


def test_the_report_of_a_finished_output_says_that_there_was_nothing_to_do():
    first = report(Done(manifest_of(), 0), "out", 0.1).splitlines()[0]
    assert first == "nothing to do: out is finished with this recipe"


def test_the_report_names_every_series_of_a_split():
    shards = [summary_of(0, copy=copy, prefix=f"train-c{copy}") for copy in range(2)]
    text = report(Done(manifest_of(shards, copies=2), 10), "out", 1.0)
    for copy, shard in enumerate(shards):
        assert f"  train, copy {copy}: out/train-c{copy}-000000.tar\n" in text
        assert f"  train, copy {copy}: {shard.samples} samples\n" in text


def test_rejected_rows_are_summed_up_by_reason_with_an_example():
    found = RunRecord()
    reasons = ["width 17 (in 'a.jpg')", "width 18 (in 'b.jpg')", "truncated (in 'c.jpg')"]
    items = tuple(
        Rejected(position, 0, "decode", reason, None) for position, reason in enumerate(reasons)
    )
    found.note(Advanced(3, 0, items, 0, 0))
    assert found.lines() == [
        "  2 × decode: width 17 (in 'a.jpg') (row 0)",
        "  1 × decode: truncated (in 'c.jpg') (row 2)",
    ]


def test_many_kinds_of_reasons_are_cut_short():
    found = RunRecord()
    items = tuple(Rejected(i, 0, "decode", "x" * i, None) for i in range(9))
    found.note(Advanced(9, 0, items, 0, 0))
    assert len(found.lines()) == 6
    assert found.lines()[-1] == "  ..."


def test_a_server_that_does_not_answer_is_a_line_and_the_status(clock):
    out = io.StringIO()
    show = observer("log", out)
    show(begun(rows=1000))
    clock.now += 1
    show(Waiting("user/name", "cannot read user/name; trying again for 1796 s", 4.0, 1800.0))
    show(Waiting("user/name", "cannot read user/name; trying again for 1791 s", 9.0, 1800.0))
    clock.now += 25
    assert show.status() == "user/name unreachable, retrying, 34 s of 30 min"
    assert out.getvalue().splitlines()[1:] == ["cannot read user/name; trying again for 1796 s"]
    show(advanced())
    assert "100 of 1,000 rows" in show.status()


def test_a_phase_that_ends_early_is_not_shown_and_its_lines_pass(capsys):
    with LatePhase("reading out") as phase:
        assert list(phase.lines(["a", "b"])) == ["a", "b"]
        phase.end()
    assert capsys.readouterr() == ("", "")
