"""Held-out splits get a chain of their own, or a note that they are augmented, too."""

import io

import pytest
from datasets import Dataset, DatasetDict
from datasets import Image as ImageFeature
from PIL import Image
from support.runs import published

import wdsremux
from wdsremux.core.errors import RecipeMismatchError, UsageError
from wdsremux.core.events import Note, ShardDone
from wdsremux.processing.tasks import HELD_OUT
from wdsremux.transforms.steps.catalogue import STEPS, is_random, steps_from_text

FUNCTIONS = """
def marked(batch, rng):
    return {**batch, "draw": [float(rng.random())] * len(batch["image"])}

def halved(batch):
    return {**batch, "image": [i.resize((i.width // 2, i.height // 2)) for i in batch["image"]]}
"""
STEPS_GIVEN = ["resize=24x24", "hflip", "color-jitter=0.2"]


class StoppedError(Exception):
    pass


def split(count):
    images = []
    for shade in range(count):
        data = io.BytesIO()
        Image.new("RGB", (32, 32), (shade, 0, 0)).save(data, "PNG")
        images.append({"bytes": data.getvalue(), "path": None})
    rows = Dataset.from_dict({"image": images, "label": list(range(count))})
    return rows.cast_column("image", ImageFeature())


@pytest.fixture(scope="module")
def source():
    return DatasetDict(train=split(10), validation=split(7))


@pytest.fixture
def functions(tmp_path):
    path = tmp_path / "aug.py"
    path.write_text(FUNCTIONS)
    return path


def run(source, out, *, notes=None, observer=None, **options):
    def observe(event):
        if notes is not None and isinstance(event, Note):
            notes.append(event.text)
        if observer is not None:
            observer(event)

    given = {"split": "all", "workers": 0, "steps": STEPS_GIVEN, "batch_size": 4, **options}
    return wdsremux.convert(source, out, observer=observe, **given)


def widths(out, name):
    return {row["width"] for row in wdsremux.load(out, split=name)}


def test_held_out_splits_get_the_steps_of_eval_step_only(source, tmp_path):
    notes = []
    made = run(source, tmp_path / "out", eval_steps=["resize=16x16"], notes=notes)
    assert widths(tmp_path / "out", "train") == {24}
    assert widths(tmp_path / "out", "validation") == {16}
    assert made.head.options["eval_steps"] == ["resize=16x16"]
    assert not any("held out" in note for note in notes)
    assert not wdsremux.verify(tmp_path / "out", depth="samples").findings


def test_held_out_splits_get_the_function_of_eval_transform_only(source, tmp_path, functions):
    out = tmp_path / "out"
    options = {"transform": f"{functions}:marked", "eval_transform": f"{functions}:halved"}
    run(source, out, eval_steps=["resize=20x20"], **options)
    assert widths(out, "validation") == {10}
    assert all(row["draw"] is None for row in wdsremux.load(out, split="validation"))
    assert all(row["draw"] is not None for row in wdsremux.load(out, split="train"))


def test_workers_an_interruption_and_repair_make_the_same_bytes(source, tmp_path, functions):
    def stop(event):
        if isinstance(event, ShardDone) and event.shard.split == "validation":
            raise StoppedError

    options = {
        "transform": f"{functions}:marked",
        "eval_transform": f"{functions}:halved",
        "eval_steps": ["resize=20x20"],
        "max_shard_samples": 3,
    }
    whole, cut, many = tmp_path / "whole", tmp_path / "cut", tmp_path / "many"
    run(source, whole, **options)
    expected = published(whole)
    with pytest.raises(StoppedError):
        run(source, cut, observer=stop, **options)
    run(source, cut, **options)
    run(source, many, **(options | {"workers": 2}))
    assert published(cut) == published(many) == expected
    for name in ("validation-000001.tar", "train-000001.tar"):
        (whole / name).unlink()
    given = {"source": source, "transform": f"{functions}:marked", "workers": 0}
    with pytest.raises(UsageError, match=r"not run without your consent(.|\n)*--eval-transform"):
        wdsremux.repair(whole, **given)
    wdsremux.repair(whole, eval_transform=f"{functions}:halved", **given)
    assert published(whole) == expected


def test_another_chain_for_held_out_splits_is_another_recipe(source, tmp_path, functions):
    out, options = tmp_path / "out", {"eval_transform": f"{functions}:halved"}
    run(source, out, eval_steps=["resize=16x16"], **options)
    with pytest.raises(RecipeMismatchError, match="eval_steps number 1 was"):
        run(source, out, eval_steps=["resize=20x20"], **options)
    functions.write_text(FUNCTIONS.replace("// 2", "// 4"))
    with pytest.raises(RecipeMismatchError, match="the function of eval_transform has changed"):
        run(source, out, eval_steps=["resize=16x16"], **options)


def test_an_augmented_held_out_split_is_noted_once_with_the_options_that_avoid_it(source, tmp_path):
    notes = []
    run(source, tmp_path / "out", notes=notes)
    (note,) = [note for note in notes if "held out" in note]
    assert "'validation', by random steps (hflip=0.5, color-jitter=0.2" in note
    assert 'eval_steps="resize=24x24"' in note
    again = []
    run(source, tmp_path / "out", notes=again)
    assert again == []
    run(source, tmp_path / "copies", copies=2, steps=["resize=24x24"], notes=again)
    (note,) = [note for note in again if "held out" in note]
    assert "by copies=2; convert them into another OUT" in note


def test_a_fixed_chain_and_a_split_to_train_on_are_not_noted(source, tmp_path):
    notes = []
    run(source, tmp_path / "a", steps=["resize=24x24"], notes=notes)
    run(source, tmp_path / "b", split="train", notes=notes)
    assert not any("held out" in note for note in notes)


def test_options_for_held_out_splits_without_one_are_noted(source, tmp_path):
    notes = []
    made = run(source, tmp_path / "out", split="train", eval_steps=["resize=16x16"], notes=notes)
    assert any("have no effect" in note for note in notes)
    assert "eval_steps" not in made.head.options


def test_a_random_step_and_copies_are_refused(source, tmp_path):
    with pytest.raises(UsageError, match="this step is random"):
        run(source, tmp_path / "out", eval_steps=["hflip"])
    with pytest.raises(UsageError, match="copies of 'validation' would be the same"):
        run(source, tmp_path / "out", eval_steps=["resize=16x16"], copies=2)


@pytest.mark.parametrize(
    ("name", "is_held_out"),
    [
        *((name, True) for name in ("validation", "val", "valid", "dev", "test", "Test", "eval")),
        *((name, True) for name in ("heldout", "held_out", "test-unseen", "validation_matched")),
        *((name, False) for name in ("train", "training", "all", "testify", "values", "devices")),
    ],
)
def test_names_of_held_out_splits_are_recognized(name, is_held_out):
    assert bool(HELD_OUT.fullmatch(name)) == is_held_out


def test_steps_that_draw_are_the_random_ones():
    always = {"hflip=1", "vflip=1", "grayscale=1", "sharpen=1", "resize=8", "resize-max=8"}
    always |= {"center-crop=8", "pad=8", "blur", "autocontrast", "equalize", "posterize=4"}
    always |= {"solarize=128"}
    chance = {"hflip", "vflip=0.1", "grayscale=0.2", "sharpen=0.5", "rotate=5", "color-jitter=0.1"}
    chance |= {
        "random-crop=8",
        "random-resized-crop=8",
        "center-crop-scale=0.7,1",
        "random-erasing",
    }
    assert [str(step) for step in steps_from_text([*always]) if is_random(step)] == []
    assert [str(step) for step in steps_from_text([*chance]) if not is_random(step)] == []
    assert {each.partition("=")[0] for each in always | chance} == {*STEPS}
