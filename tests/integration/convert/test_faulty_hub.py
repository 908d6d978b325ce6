"""Converting by ID while the network fails: the same shards as undisturbed, or a clear end in time."""

import time

import pytest
from support.corpora import jpegs, write_parquet_dataset
from support.forked_runs import convert
from support.forms import write_class_folders, write_table_beside_images, write_tars, write_zip
from support.runs import entries, manifest, rejected, samples, shards, step_options

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

KINDS = ("cut", "503", "429", "500", "short", "reset", "stall")
WORDS = (*step_options("random-resized-crop=24", "hflip"), "--max-shard-size", "40KB")


def disturb(hub, kinds, *, most, rate=0.5, **changes):
    """Let file contents fail from now on, at most that number of times."""
    hub.configure(fault_rate=rate, fault_kinds=kinds, fault_max=most, retry_after=0, **changes)
    hub.reset()


@pytest.fixture
def parquet(hub):
    """Return (repo id, corpus) of files that take many requests."""
    repo, folder = hub.new_repo()
    return repo, write_parquet_dataset(folder, rows=150, row_group_size=17, files=3)


@pytest.fixture
def undisturbed(parquet, tmp_path):
    convert(parquet[0], tmp_path / "undisturbed", *WORDS)
    found = shards(tmp_path / "undisturbed")
    assert len(found) > 3
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_all_rows_arrive_in_order_and_once(hub, parquet, undisturbed, tmp_path, kind):
    repo, _ = parquet
    most = 3 if kind == "stall" else 12
    # So often that all faults come before the last of the few answers that the run needs.
    disturb(hub, (kind,), most=most, rate=0.75, stall_s=60)
    arguments = ("--workers", 2, "--give-up-after", 3) if kind == "stall" else ("--workers", 2)
    convert(repo, tmp_path / "out", *WORDS, *arguments)
    assert hub.faults == most
    assert [entry["position"] for entry in entries(tmp_path / "out")] == list(range(150))
    assert rejected(tmp_path / "out") == []
    assert shards(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("arguments", [("--workers", 0), ("--workers", 2, "--engine", "processes")])
def test_every_engine_survives_mixed_faults(hub, parquet, undisturbed, tmp_path, arguments):
    disturb(hub, ("cut", "503", "429", "short", "reset"), most=20)
    convert(parquet[0], tmp_path / "out", *WORDS, *arguments)
    assert hub.faults >= 10
    assert shards(tmp_path / "out") == undisturbed


def test_the_first_requests_may_fail(hub, parquet, undisturbed, tmp_path):
    disturb(
        hub, ("503", "429", "reset"), most=4, fault_match="/api/", fault_methods=("GET", "POST")
    )
    convert(parquet[0], tmp_path / "out", *WORDS)
    assert hub.faults == 4
    assert shards(tmp_path / "out") == undisturbed


def test_a_pause_requested_by_the_server_is_respected(hub, parquet, tmp_path):
    disturb(hub, ("429",), most=1, rate=1)
    hub.configure(retry_after=3)
    began = time.monotonic()
    convert(parquet[0], tmp_path / "out", *WORDS)
    assert time.monotonic() - began > 3


@pytest.mark.parametrize("kinds", [("cut", "short"), ("503", "429", "500"), ("reset",), ("stall",)])
@pytest.mark.parametrize(
    "write", [write_class_folders, write_table_beside_images, write_tars, write_zip]
)
def test_streamed_repositories_survive_faults(hub, tmp_path, kinds, write):
    repo, folder = hub.new_repo()
    form = write(folder, rows=24)
    disturb(hub, kinds, most=1 if kinds == ("stall",) else 3, stall_s=60)
    convert(repo, tmp_path / "out", "--give-up-after", 9, "--workers", 2)
    assert hub.faults >= 1
    assert [sample["jpg"] for sample in samples(tmp_path / "out")] == form.images
    assert [entry["label"] for entry in entries(tmp_path / "out")] == form.labels


class TestDisappearing:
    """A server that has gone for good, half way."""

    WORDS = (*WORDS, "--workers", 1, "--give-up-after", 2)

    @pytest.fixture
    def parquet(self, hub):
        repo, folder = hub.new_repo()
        return repo, write_parquet_dataset(folder, rows=900, row_group_size=60, files=3)

    @pytest.fixture
    def expected(self, hub, parquet, tmp_path):
        """Return (the shards, answers with contents) of an undisturbed run."""
        hub.reset()
        convert(parquet[0], tmp_path / "expected", *self.WORDS)
        return shards(tmp_path / "expected"), hub.contents

    @pytest.fixture
    def interrupted(self, hub, parquet, expected, tmp_path):
        """Return (finished process, its seconds) of a run whose server went half way."""
        hub.reset()
        hub.configure(dead_after=expected[1] * 3 // 4)
        began = time.monotonic()
        done = convert(parquet[0], tmp_path / "out", *self.WORDS, code=3)
        return done, time.monotonic() - began

    def test_it_ends_in_time_with_a_clear_message(self, interrupted):
        done, seconds = interrupted
        assert seconds < 30
        assert done.stderr.startswith("wdsremux: cannot read u/set")
        assert "finished shards are kept, and the same command resumes" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Signature" not in done.stderr

    @pytest.mark.usefixtures("interrupted")
    def test_finished_shards_are_kept_and_the_same_command_resumes(
        self, hub, parquet, expected, tmp_path
    ):
        out = tmp_path / "out"
        kept = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
        assert 0 < len(kept) < len(expected[0])
        assert shards(out).items() < expected[0].items()
        assert not (out / "index.json").exists()
        hub.configure(dead_after=None)
        convert(parquet[0], out, *self.WORDS)
        assert shards(out) == expected[0]
        assert manifest(out)["totals"]["rows"] == 900
        assert {path: path.stat().st_mtime_ns for path in kept} == kept

    @pytest.mark.parametrize("write", [write_table_beside_images])
    def test_a_streamed_repository_ends_in_time(self, hub, tmp_path, write):
        repo, folder = hub.new_repo()
        form = write(folder, rows=300)
        hub.reset()
        convert(repo, tmp_path / "whole")
        hub.configure(dead_after=hub.contents // 2)
        hub.reset()
        began = time.monotonic()
        done = convert(repo, tmp_path / "out", "--give-up-after", 2, code=3)
        assert time.monotonic() - began < 90
        assert "cannot" in done.stderr or "failed" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Signature" not in done.stderr
        hub.configure(dead_after=None)
        convert(repo, tmp_path / "out")
        assert [sample["jpg"] for sample in samples(tmp_path / "out")] == form.images


@pytest.mark.parametrize(
    ("match", "methods"),
    [
        ("/api/datasets/[^/]+/[^/]+$", ("GET",)),
        ("paths-info", ("POST",)),
    ],
)
def test_a_silent_hub_ends_the_run_in_time(hub, parquet, tmp_path, match, methods):
    hub.configure(
        fault_rate=1, fault_kinds=("stall",), fault_match=match, fault_methods=methods, stall_s=300
    )
    done = convert(parquet[0], tmp_path / "out", "--give-up-after", 1, code=3)
    assert "no connection to the Hub" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_bytes_do_not_depend_on_the_speed_of_the_hub(hub, parquet, undisturbed, tmp_path):
    hub.configure(latency_s=0.05, bandwidth=2_000_000)
    convert(parquet[0], tmp_path / "out", *WORDS, "--workers", 3)
    assert shards(tmp_path / "out") == undisturbed


def test_a_broken_image_is_not_taken_for_a_broken_network(hub, tmp_path):
    repo, folder = hub.new_repo()
    images = jpegs(30)
    images[7] = images[7][:100]
    write_parquet_dataset(folder, images=images)
    disturb(hub, ("cut", "503"), most=5)
    convert(repo, tmp_path / "out", "--max-errors", 1)
    assert [item["position"] for item in rejected(tmp_path / "out")] == [7]
