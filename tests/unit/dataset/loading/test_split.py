"""`load`: an output as an indexed dataset, in this process and in others."""

import io
import json
import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageChops
from support.ranged_store import URL, RangedStore, named
from support.readers import webdataset_samples
from support.verified import SHARD, copied, flip, make_dataset, sample, write_tar

import wdsremux
from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.dataset.browsing import samples_of
from wdsremux.dataset.reader import open_output
from wdsremux.verifying.index import index


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out")


@pytest.fixture
def store(made, monkeypatch):
    return named(RangedStore(made), monkeypatch)


def keys(dataset):
    return [sample["key"] for sample in dataset]


def test_samples_are_those_that_webdataset_reads(made):
    dataset = wdsremux.load(made)
    real = webdataset_samples(made, "train-{000000..000004}.tar")
    assert len(dataset) == len(real) == 38
    for sample_, one in zip(dataset, real, strict=True):
        image = Image.open(io.BytesIO(one["jpg"]))
        assert ImageChops.difference(sample_.pop("image"), image).getbbox() is None
        assert sample_ == json.loads(one["json"]) | {"key": one["__key__"]}


def test_any_index_gives_its_sample(made):
    dataset = wdsremux.load(str(made), "train")
    order = keys(dataset)
    assert [dataset[i]["key"] for i in (37, 0, 20, -1, -38)] == [
        order[i] for i in (37, 0, 20, -1, -38)
    ]
    for i in (38, -39):
        with pytest.raises(IndexError, match="there are 38"):
            dataset[i]


def test_an_epoch_reads_the_copy_of_its_number(tmp_path):
    out = make_dataset(tmp_path / "out", rows=6, broken=(), copies=3)
    for epoch in range(7):
        dataset = wdsremux.load(out, epoch=epoch)
        assert len(dataset) == 6
        assert {sample["copy"] for sample in dataset} == {epoch % 3}
    assert {sample["copy"] for sample in wdsremux.load(out, copy=2)} == {2}
    assert keys(wdsremux.load(out)) == keys(wdsremux.load(out, copy=0))
    with pytest.raises(UsageError, match="no copy 3; it has 3"):
        wdsremux.load(out, copy=3)
    with pytest.raises(UsageError, match="pass one of them"):
        wdsremux.load(out, copy=1, epoch=1)


def test_a_split_is_named_where_there_are_several(tmp_path):
    for split, names in (("train", "ab"), ("test", "c")):
        write_tar(tmp_path / f"out/{split}-0.tar", [p for n in names for p in sample(n, ord(n))])
    index(tmp_path / "out")
    assert keys(wdsremux.load(tmp_path / "out", "train")) == ["a", "b"]
    assert keys(wdsremux.load(tmp_path / "out", "test")) == ["c"]
    with pytest.raises(UsageError, match="'train', 'test'; name one"):
        wdsremux.load(tmp_path / "out")
    with pytest.raises(UsageError, match="no split 'val'"):
        wdsremux.load(tmp_path / "out", "val")


def test_other_members_come_as_bytes_and_the_image_stays_the_image(tmp_path):
    own = {"json": b'{"image": "a text", "key": "own"}', "seg.png": b"mask", "cls": b"3"}
    write_tar(tmp_path / "out/a.tar", sample("k", **own))
    index(tmp_path / "out")
    (got,) = wdsremux.load(tmp_path / "out")
    assert got.pop("image").size == (16, 16)
    assert got == {"key": "k", "key_text": "own", "seg.png": b"mask", "cls": 3}


def test_the_key_is_that_of_ls_and_its_original_string_is_kept(tmp_path):
    out = make_dataset(tmp_path / "out", rows=4, broken=(), key_column="caption")
    with open_output(out) as output:
        listed = [found.sample.key for found in samples_of(output.shards(), output)]
    dataset = wdsremux.load(out)
    assert keys(dataset) == listed
    assert [sample["key_text"] for sample in dataset] == [f"caption {i}" for i in range(4)]
    assert not set(listed) & {f"caption {i}" for i in range(4)}


def test_the_json_field_of_the_original_key_is_unchanged(tmp_path):
    own = {"json": b'{"key": "own", "key_text": "mine"}'}
    write_tar(tmp_path / "out/a.tar", sample("k", **own))
    index(tmp_path / "out")
    (got,) = wdsremux.load(tmp_path / "out")
    assert (got["key"], got["key_text"]) == ("k", "mine")


def test_behind_a_url_a_sample_is_one_small_request(store, made):
    dataset = wdsremux.load(URL)
    assert store.shards_asked() == set()
    expected = wdsremux.load(made)
    for number in (12, 10, 13):
        store.asked.clear()
        assert dataset[number]["caption"] == expected[number]["caption"]
        ((name, _, size),) = [asked for asked in store.asked if asked[0].endswith(".tar")]
        assert (name, size < 8000) == (SHARD, True)
    # By now nothing but the sample itself is asked for.
    assert len(store.asked) == 1


def test_damaged_samples_are_named_and_others_are_read(made, tmp_path):
    out = copied(made, tmp_path / "out")
    flip(out / SHARD, 700)
    dataset = wdsremux.load(out)
    first = next(i for i, one in enumerate(wdsremux.load(made)) if one["position"] == 10)
    with pytest.raises(
        CorruptDataError, match=f"'{SHARD}'.*byte 0 differs from its recorded CRC-32"
    ):
        dataset[first]
    assert dataset[first + 1]["position"] == 11


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        ({"jpg": b"\xff\xd8broken"}, "the image of sample 'k' cannot be decoded"),
        ({"json": b"[1"}, "the JSON of sample 'k' cannot be parsed"),
        ({"json": b"[1]"}, "the JSON of sample 'k' is not an object"),
    ],
    ids=str,
)
def test_an_undecodable_member_is_named(tmp_path, contents, problem):
    write_tar(tmp_path / "out/a.tar", sample("k", **contents))
    index(tmp_path / "out")
    with pytest.raises(CorruptDataError, match=problem):
        wdsremux.load(tmp_path / "out")[0]


def test_it_works_in_a_pool_of_spawned_processes(made):
    dataset = wdsremux.load(made)
    expected = [sample["caption"] for sample in dataset]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        got = pool.map(dataset.__getitem__, range(38), 5)
    assert [sample["caption"] for sample in got] == expected
    assert got[3]["image"].tobytes() == dataset[3]["image"].tobytes()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_it_works_in_forked_processes_that_read_at_once(made):
    dataset = wdsremux.load(made)
    expected = [sample["caption"] for sample in dataset]  # files are open now
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def read(start):
        captions = [dataset[i]["caption"] for i in range(start, 38, 2)]
        # Who shares a file shares the place in it.
        answers.put((start, captions if dataset._reader._own.process == os.getpid() else []))

    workers = [context.Process(target=read, args=(start,)) for start in (0, 1)]
    for worker in workers:
        worker.start()
    got = dict(answers.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    assert got == {0: expected[::2], 1: expected[1::2]}
    assert dataset[5]["caption"] == expected[5]


def test_it_works_in_threads(made):
    dataset = wdsremux.load(made)
    begin = threading.Barrier(4)

    def read(_):
        begin.wait()
        return keys(dataset)

    with ThreadPoolExecutor(4) as pool:
        assert {tuple(found) for found in pool.map(read, range(4))} == {tuple(keys(dataset))}


def test_a_pickled_dataset_takes_no_open_file_with_it(made):
    dataset = wdsremux.load(made)
    before = len(pickle.dumps(dataset))
    keys(dataset)
    assert len(pickle.dumps(dataset)) == before
    assert keys(pickle.loads(pickle.dumps(dataset))) == keys(dataset)


def test_the_number_of_open_shards_is_bounded(made, monkeypatch):
    monkeypatch.setattr("wdsremux.dataset.loading.reader.MAX_OPEN_SHARDS", 2)
    dataset = wdsremux.load(made)
    keys(dataset)
    assert len(dataset._reader._own._idle) == 2


def test_a_column_is_read_without_decoding_an_image(made, monkeypatch):
    expected = [sample["label"] for sample in wdsremux.load(made)]
    monkeypatch.setattr("PIL.Image.open", None)
    dataset = wdsremux.load(made)
    assert dataset.column("label") == expected
    assert dataset.column("key")[5] == "000000005"


def test_several_samples_are_read_together(made):
    dataset = wdsremux.load(made, decode="rgb", columns=("position", "image"))
    found = dataset.__getitems__([30, 2, 30])
    assert [position for position, _ in found] == [dataset[i][0] for i in (30, 2, 30)]
    assert found[0][1].shape == (20, 24, 3)


def test_a_slice_is_a_split_of_these_samples(made):
    dataset = wdsremux.load(made, columns=("key", "position"))
    part = dataset[30:2:-7]
    assert len(part) == 4
    assert list(part) == [dataset[i] for i in (30, 23, 16, 9)]
    assert part[-1] == dataset[9]
    assert part.column("key") == [dataset[i][0] for i in (30, 23, 16, 9)]
    assert list(pickle.loads(pickle.dumps(part))[1:3]) == [dataset[23], dataset[16]]
    assert len(dataset[38:]) == 0
    with pytest.raises(IndexError, match="there are 4"):
        part[4]
    with pytest.raises(TypeError, match="'first' is neither a number nor a slice"):
        dataset["first"]


def test_its_repr_is_one_line_that_says_what_is_read(made):
    dataset = wdsremux.load(made, decode="rgb", columns=("image",))
    assert repr(dataset) == (
        f"<LoadedSplit 'train' of {str(made)!r}: 38 samples, decode='rgb', columns=('image',)>"
    )
    assert "5 of 38 samples, decode='pil'>" in repr(wdsremux.load(made)[:5])
