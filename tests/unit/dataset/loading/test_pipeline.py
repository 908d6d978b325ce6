"""`pipeline` in one process: batches, columns, epochs, states; torch is not needed."""

import subprocess
import sys

import numpy as np
import pytest
import webdataset
from PIL import Image
from support.ranged_store import URL, RangedStore, named
from support.verified import SHARD, copied, flip, make_dataset, sample, write_tar

import wdsremux
from wdsremux.core.errors import CorruptDataError, UsageError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out")


def positions(batches):
    return [position for batch in batches for position in batch["position"].tolist()]


def test_batches_hold_arrays_and_lists_by_column(made):
    batches = list(wdsremux.pipeline(made, batch_size=16))
    assert [len(batch["key"]) for batch in batches] == [16, 16, 6]
    first = batches[0]
    assert (first["image"].shape, first["image"].dtype) == ((16, 20, 24, 3), np.uint8)
    assert first["label"].dtype == np.int64
    assert first["caption"][:2] == ["caption 0", "caption 1"]
    expected = wdsremux.load(made, decode="rgb")
    assert all(
        np.array_equal(image, expected[i]["image"]) for i, image in enumerate(first["image"])
    )


def test_the_length_is_exact(made):
    assert len(wdsremux.pipeline(made, batch_size=16)) == 3
    assert len(wdsremux.pipeline(made, batch_size=16, remainder="drop")) == 2
    assert len(wdsremux.pipeline(made)) == 38
    assert len(wdsremux.pipeline(made, rank=1, world_size=3, batch_size=4)) == 4


def test_without_a_batch_size_samples_come_one_by_one(made):
    samples = list(wdsremux.pipeline(made, decode="pil"))
    assert isinstance(samples[0]["image"], Image.Image)
    assert [one["key"] for one in samples] == [one["key"] for one in wdsremux.load(made)]


def test_columns_come_as_tuples_and_images_that_are_not_named_stay_encoded(made, monkeypatch):
    images, labels = next(iter(wdsremux.pipeline(made, batch_size=8, columns=("image", "label"))))
    assert (images.shape, labels.tolist()[:3]) == ((8, 20, 24, 3), [0, 1, 2])
    monkeypatch.setattr("simplejpeg.decode_jpeg", None)
    ((keys, labels),) = wdsremux.pipeline(made, batch_size=99, columns=("key", "label"))
    assert (len(keys), labels.sum()) == (38, sum(wdsremux.load(made).column("label")))


def test_stages_of_webdataset_can_be_added(made):
    halves = wdsremux.pipeline(made, columns=("image", "label")).compose(
        webdataset.map_tuple(lambda image: image[::2, ::2], None),
        webdataset.batched(10, collation_fn=wdsremux.collate),
    )
    batches = list(halves)
    assert [images.shape for images, _ in batches] == [(10, 10, 12, 3)] * 3 + [(8, 10, 12, 3)]


def test_every_epoch_has_an_order_fixed_by_the_seed(made):
    def epochs(seed):
        batches = wdsremux.pipeline(made, batch_size=16, shuffle=True, seed=seed)
        return [positions(batches) for _ in range(3)]

    one = epochs(5)
    assert one == epochs(5)
    assert len({tuple(order) for order in [*one, *epochs(6)]}) == 6
    assert len({tuple(sorted(order)) for order in one}) == 1


def test_an_epoch_reads_the_copy_of_its_number(tmp_path):
    out = make_dataset(tmp_path / "out", rows=6, broken=(), copies=3)
    batches = wdsremux.pipeline(out, batch_size=4, epoch=1)
    copies = [{copy for batch in batches for copy in batch["copy"].tolist()} for _ in range(4)]
    assert copies == [{1}, {2}, {0}, {1}]
    batches.set_epoch(2)
    assert {copy for batch in batches for copy in batch["copy"].tolist()} == {2}


def test_a_state_continues_in_another_pipeline(made):
    arguments = {"batch_size": 5, "shuffle": True, "seed": 1, "epoch": 4}
    whole = positions(wdsremux.pipeline(made, **arguments))
    first = wdsremux.pipeline(made, **arguments)
    batches = iter(first)
    seen = positions([next(batches) for _ in range(3)])
    second = wdsremux.pipeline(made, **arguments | {"epoch": 0})
    second.load_state_dict(first.state_dict())
    assert seen + positions(second) == whole
    # At the end, both are at the start of the next epoch.
    assert positions(batches) == whole[15:]
    assert first.state_dict() == second.state_dict()
    assert (first.state_dict()["epoch"], first.state_dict()["batches"]) == (5, 0)


@pytest.mark.parametrize(
    "arguments", [{"batch_size": 6}, {"seed": 2}, {"shuffle": 7}, {"remainder": "pad"}], ids=str
)
def test_a_state_of_other_batches_is_refused(made, arguments):
    own = {"batch_size": 5, "shuffle": True}
    state = wdsremux.pipeline(made, **own).state_dict()
    (name,) = arguments
    with pytest.raises(UsageError, match=f"the state was saved with {name}="):
        wdsremux.pipeline(made, **own | arguments).load_state_dict(state)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"decode": "jpeg"}, "decode='jpeg' is not one of 'pil', 'rgb', 'torch'"),
        ({"columns": "image"}, "columns='image': pass a sequence of names"),
        ({"columns": ()}, "pass a sequence of names"),
        ({"shuffle": -1}, "shuffle=-1"),
        ({"rank": 1}, "pass rank and world_size together"),
        ({"rank": 4, "world_size": 4}, "rank=4 is not in range"),
        ({"split": "val"}, "no split 'val'"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": "64"}, "batch_size='64': pass a whole number"),
        ({"batch_size": 2.5}, "batch_size=2.5: pass a whole number"),
        ({"epoch": -1}, "epoch=-1: pass a whole number"),
        ({"epoch": 1.5}, "epoch=1.5: pass a whole number"),
        ({"shuffle": "yes"}, "shuffle='yes': pass a whole number"),
        ({"rank": "0", "world_size": "2"}, "rank='0': pass a whole number"),
    ],
    ids=str,
)
def test_wrong_options_are_refused_before_a_worker_starts(made, arguments, problem):
    with pytest.raises(UsageError, match=problem):
        wdsremux.pipeline(made, **arguments)


def test_a_column_that_is_missing_is_named_with_those_that_exist(made):
    batches = wdsremux.pipeline(made, columns=("lable",))
    with pytest.raises(UsageError, match=r"no column 'lable'; it has 'image', 'key', .*'label'"):
        next(iter(batches))


def test_images_of_different_sizes_do_not_make_a_batch(tmp_path):
    from support.corpora import jpeg

    parts = [*sample("a", jpg=jpeg(1, 16, 16)), *sample("b", jpg=jpeg(2, 24, 16))]
    write_tar(tmp_path / "out/a.tar", parts)
    wdsremux.index(tmp_path / "out")
    with pytest.raises(UsageError, match="differ in shape, 16×16×3 and 16×24×3"):
        list(wdsremux.pipeline(tmp_path / "out", batch_size=2))
    assert len(list(wdsremux.pipeline(tmp_path / "out"))) == 2


def test_a_damaged_sample_ends_the_epoch_with_its_location(made, tmp_path):
    out = copied(made, tmp_path / "out")
    flip(out / SHARD, 700)
    with pytest.raises(
        CorruptDataError, match=f"'{SHARD}'.*byte 0 differs from its recorded CRC-32"
    ):
        list(wdsremux.pipeline(out, batch_size=8))


@pytest.mark.parametrize("cache", [False, True])
def test_behind_a_url_the_same_batches_come(made, tmp_path, monkeypatch, cache):
    store = named(RangedStore(made), monkeypatch)
    arguments = {"batch_size": 8, "shuffle": True}
    if cache:
        arguments["cache_dir"] = tmp_path / "cache"
    expected = positions(wdsremux.pipeline(made, batch_size=8, shuffle=True))
    assert positions(wdsremux.pipeline(URL, **arguments)) == expected
    store.asked.clear()
    assert positions(wdsremux.pipeline(URL, **arguments)) == expected
    assert (store.shards_asked() == set()) is cache


def test_in_stored_order_neighbours_are_one_request(made, monkeypatch):
    store = named(RangedStore(made), monkeypatch)
    (batch,) = wdsremux.pipeline(URL, batch_size=38)
    assert len(batch["key"]) == 38
    shards = [name for name, _, _ in store.asked if name.endswith(".tar")]
    assert len(shards) == len(set(shards)) == 5


def test_it_works_without_torch(made):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import wdsremux\n"
        f"p = wdsremux.pipeline({str(made)!r}, shuffle=True, batch_size=16)\n"
        "print(sum(len(b['key']) for b in p), p.state_dict()['epoch'])\n"
        "for words in ({'decode': 'torch'},):\n"
        "    try: wdsremux.pipeline('.', **words)\n"
        "    except wdsremux.WdsremuxError as exc: print(exc)\n"
        "try: p.loader(2)\n"
        "except wdsremux.WdsremuxError as exc: print(exc)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines() == [
        "38 1",
        "decode='torch' needs PyTorch; pip install torch",
        "loader() needs PyTorch; pip install torch, or iterate the pipeline itself",
    ]
