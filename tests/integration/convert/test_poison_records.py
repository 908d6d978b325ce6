"""A record that kills its worker: found, rejected with how it died, and no other lost or doubled."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.corpora import write_parquet_dataset
from support.runs import convert, entries, manifest, rejected, tree

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROWS, BATCH = 24, 8

FUNCTIONS = """
import ctypes, os, signal, sys
import numpy as np

POISON = dict(item.split(":") for item in os.environ["POISON"].split(","))

def die(how):
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "loop":
        with open(os.path.join(os.path.dirname(__file__), "hangs"), "a") as file:
            file.write("x")
        while True:
            pass
    elif how == "memory":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "abort":
        os.abort()
    else:
        os._exit(int(how.removeprefix("exit")))

def one(sample):
    if str(sample["label"]) in POISON:
        die(POISON[str(sample["label"])])
    return sample

def together(batch):
    # Depends on which rows came together.
    for label in batch["label"]:
        if str(label) in POISON:
            die(POISON[str(label)])
    pixels = [np.asarray(image.resize((16, 16))).astype(int) for image in batch["image"]]
    mean = np.mean(pixels, axis=0)
    batch["image"] = [((p + mean) / 2).astype(np.uint8) for p in pixels]
    return batch

def in_company(batch):
    # Fails on a single row, as a function may that mixes images.
    assert len(batch["image"]) > 1, "nothing to mix with"
    return together(batch)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Return a dataset whose labels are the row numbers."""
    folder = tmp_path_factory.mktemp("corpus")
    names = [str(i) for i in range(ROWS)]
    corpus = write_parquet_dataset(folder, rows=ROWS, files=1, class_names=names)
    path = folder / corpus.files[0]
    table = pq.read_table(path)
    table = table.set_column(1, table.schema.field(1), pa.array(range(ROWS), pa.int64()))
    pq.write_table(table, path, row_group_size=10)
    return folder


class Poisoned:
    """Conversions of a source some rows of which kill."""

    def __init__(self, source, folder):
        self.source, self.folder = source, folder
        (folder / "functions.py").write_text(FUNCTIONS)

    def convert(self, name, poison, *arguments, workers=2, out="out"):
        """Convert and return the output folder; `poison` is how rows kill, by row."""
        mode = "sample" if name == "one" else "batch"
        function = ("--transform", f"{self.folder}/functions.py:{name}", "--transform-mode", mode)
        limits = ("--batch-size", BATCH, "--max-errors", "100%", "--max-shard-samples", 5)
        poison = ",".join(f"{row}:{how}" for row, how in poison.items())
        convert(
            self.source, self.folder / out, *function, *limits, *arguments, "--workers", workers,
            env={"POISON": poison},
        )  # fmt: skip
        return self.folder / out


@pytest.fixture
def poisoned(source, tmp_path):
    return Poisoned(source, tmp_path)


def assert_all_but(out, poison, copies=1):
    """Check that of all rows just the poisonous were rejected, each for how it killed."""
    items = rejected(out)
    assert [item["position"] for item in items] == sorted(poison) * copies
    for item in items:
        assert item["stage"] == "transform"
        assert item["reason"] == f"the worker died on this record: {poison[item['position']]}"
    totals = manifest(out)["totals"]
    assert totals["samples"] + totals["rejected"] == ROWS * copies
    if copies == 1:
        kept = [entry["position"] for entry in entries(out)]
        assert kept == [row for row in range(ROWS) if row not in poison]


KILLED = "killed by SIGKILL (out of memory?)"
SEGFAULT = "killed by SIGSEGV"


@pytest.mark.parametrize("row", [BATCH, BATCH + 3, 2 * BATCH - 1], ids=["first", "middle", "last"])
@pytest.mark.parametrize("name", ["one", "together"])
def test_a_killer_is_found_at_any_position_of_its_batch(poisoned, name, row):
    out = poisoned.convert(name, {row: "memory"})
    assert_all_but(out, {row: KILLED})


@pytest.mark.parametrize("name", ["one", "together"])
def test_two_killers_in_one_batch_are_found(poisoned, name):
    out = poisoned.convert(name, {9: "segfault", 14: "memory"})
    assert_all_but(out, {9: SEGFAULT, 14: KILLED})


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("segfault", SEGFAULT),
        ("abort", "killed by SIGABRT"),
        ("exit0", "exited with status 0"),
        ("exit3", "exited with status 3"),
    ],
)
def test_the_record_is_rejected_for_any_end_of_the_worker(poisoned, how, reason):
    assert_all_but(poisoned.convert("together", {12: how}), {12: reason})


@pytest.mark.parametrize("name", ["one", "together"])
def test_an_endless_loop_is_ended_by_record_timeout(poisoned, name):
    out = poisoned.convert(name, {12: "loop"}, "--record-timeout", 1, "--batch-size", 3)
    assert_all_but(out, {12: "no progress for 1 s"})


@pytest.mark.parametrize(("name", "tries"), [("one", 1), ("together", 2)])
def test_a_hanging_row_is_tried_once_or_with_its_batch_and_alone(poisoned, tmp_path, name, tries):
    out = poisoned.convert(name, {12: "loop"}, "--record-timeout", 2, workers=1)
    assert_all_but(out, {12: "no progress for 2 s"})
    assert (tmp_path / "hangs").read_text() == "x" * tries


def test_every_copy_of_a_killer_is_rejected(poisoned):
    out = poisoned.convert("together", {11: "segfault"}, "--copies", 2)
    assert_all_but(out, {11: SEGFAULT}, copies=2)


def test_a_batch_function_gets_whole_batches_during_the_search(poisoned):
    # Alone the function fails before the killer kills: that is not a death, and the row is unknown.
    function = ("--transform", f"{poisoned.folder}/functions.py:in_company")
    done = convert(
        poisoned.source, poisoned.folder / "out", *function, "--batch-size", BATCH,
        "--workers", 1, code=4, env={"POISON": "12:segfault"},
    )  # fmt: skip
    assert (
        "workers crash on rows 8 to 23 (killed by SIGSEGV), but on none of them alone"
        in done.stderr
    )


def test_the_bytes_are_the_same_for_any_number_of_workers(poisoned):
    poison = {9: "segfault", 10: "exit3"}
    trees = [
        tree(poisoned.convert("together", poison, workers=workers, out=f"out{workers}"))
        for workers in (1, 3)
    ]
    assert trees[0] == trees[1]
