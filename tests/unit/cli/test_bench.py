"""What bench, doctor and convert --dry-run print."""

from dataclasses import replace

from wdsremux.cli.bench import _room_lines, bench_lines, estimate_lines, verdict_lines
from wdsremux.converting.bench.measure import Bench, Estimate
from wdsremux.converting.bench.pace import Pace
from wdsremux.converting.bench.profile import Profile
from wdsremux.converting.disk_space import free_at
from wdsremux.core.records import Rejected
from wdsremux.dataset.shards.bounds import Bounds


def estimate_of(rows_in_all=50_000, rejected=None):
    return Estimate(
        pace=Pace(1000, 999, 1, 10**8, 2 * 10**7, 2.0, rejected),
        rows_in_all=rows_in_all,
        copies=1,
        series=1,
        bounds=Bounds(512 * 10**6),
        workers=2,
        engine="threads",
    )


def bench_of(source_per_s, shards_per_s):
    stages = {"read": 0.1, "decode": 1.0, "transform": 0.5, "encode": 0.3, "pack": 0.1}
    loads = [Pace(rate, rate, 0, 0, 0, 1.0) for rate in (source_per_s, shards_per_s)]
    return Bench(Profile(10, 10, 1000, (), stages), estimate_of(), *loads)


def test_an_estimate_reads_well():
    assert estimate_lines(estimate_of()) == [
        "50000 rows; measured on the first 1000 in 2.0 s with 2 threads",
        "500 images/s, 20.0 kB per row",
        "whole dataset: about 1 min 40 s, 1.0 GB in 2 shards",
    ]


def test_an_estimate_shows_the_start_of_the_workers_separately():
    found = estimate_of()
    slow = replace(found, workers=1, engine="processes", pace=replace(found.pace, start_s=5.25))
    assert estimate_lines(slow)[0].endswith(" in 2.0 s with 1 process, after 5.2 s to start")


def test_an_estimate_without_known_rows_projects_nothing():
    assert estimate_lines(estimate_of(rows_in_all=None)) == [
        "an unknown number of rows; measured on the first 1000 in 2.0 s with 2 threads",
        "500 images/s, 20.0 kB per row",
    ]


def test_an_estimate_shows_the_first_rejected_row():
    lines = estimate_lines(estimate_of(rejected=Rejected(7, 0, "decode", "truncated JPEG")))
    assert lines[-1] == "note: 1 rejected; the first was row 7 (decode): truncated JPEG"


def test_too_little_disk_space_is_reported():
    assert _room_lines(3000, 2000, "out") == [
        "2.0 kB free at out; nothing was written",
        "note: 1.0 kB more is needed",
    ]
    assert len(_room_lines(2000, 2000, "out")) == 1
    assert len(_room_lines(None, 0, "out")) == 1


def test_the_free_space_of_a_new_folder_is_that_of_its_parent(tmp_path):
    assert free_at(str(tmp_path / "not" / "there")) > 0


def test_an_impossible_folder_has_no_free_space():
    assert free_at("a" * 300) is None


def test_a_folder_name_may_contain_what_a_url_cannot(tmp_path):
    assert free_at(f"{tmp_path}/a://b") > 0


def test_the_free_space_behind_a_url_is_unknown():
    assert free_at("s3://bucket/folder") is None
    assert _room_lines(10**12, None, "s3://bucket/folder") == ["nothing was written"]


def test_a_bench_shows_where_the_time_goes_and_what_is_gained():
    lines = bench_lines(bench_of(100, 400))
    assert lines[0] == "one core: 500 images/s, 2.00 ms per image"
    assert lines[2] == "  decode        1.000 ms    50%"
    assert any(
        line.endswith("400 from the shards: 4.0 times as fast from the shards") for line in lines
    )
    assert any("pays for itself after 0.3 epochs" in line for line in lines)


def test_a_bench_does_not_promise_what_was_not_measured():
    text = "\n".join(bench_lines(bench_of(400, 100)))
    assert "not faster from the shards" in text
    assert "paid for itself" not in text


def test_doctor_ends_with_the_verdict():
    assert verdict_lines(()) == ["nothing is missing"]
    assert verdict_lines(("x is missing",)) == ["problem: x is missing"]
