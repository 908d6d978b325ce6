"""Columns that a function adds are packed by default; the first batch decides their types."""

import io

import pytest
from PIL import Image
from support.runs import convert, manifest, published

import wdsremux
from wdsremux.core.errors import TransformError
from wdsremux.core.events import Advanced, Note, ShardDone


def picture(shade):
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(data, "JPEG")
    return data.getvalue()


def rows(count=12):
    return [{"image": picture(i), "label": i % 3} for i in range(count)]


def run(out, function, *, source=None, notes=None, observer=None, **options):
    def observe(event):
        if isinstance(event, Note) and notes is not None:
            notes.append(event.text)
        if observer is not None:
            observer(event)

    given = {"workers": 0, "batch_size": 4, "label_column": "label", **options}
    made = wdsremux.convert(
        rows() if source is None else source, out, transform=function, observer=observe, **given
    )
    return made.head.features["json"]["struct"]


def column(out, name):
    return [row[name] for row in wdsremux.load(out, split="train")]


def measured(batch):
    numbers = range(len(batch["image"]))
    return {
        **batch,
        "score": [n + 0.5 for n in numbers],
        "tags": [["a", "b"]] * len(numbers),
        "box": [{"x": n, "y": 2} for n in numbers],
    }


def test_new_columns_are_packed_with_the_types_of_the_first_batch(tmp_path):
    notes = []
    types = run(tmp_path / "out", measured, notes=notes)
    assert types["score"] == "float64"
    assert types["tags"] == {"list": "string"}
    assert types["box"] == {"struct": {"x": "int64", "y": "int64"}}
    assert column(tmp_path / "out", "score") == [0.5, 1.5, 2.5, 3.5] * 3
    assert "3 columns of your function packed too: score (float64), tags (string[])" in notes[0]
    assert not wdsremux.verify(tmp_path / "out").findings


def test_a_source_that_can_be_read_once_loses_no_row(tmp_path):
    run(tmp_path / "out", measured, source=iter(rows(300)))
    assert column(tmp_path / "out", "position") == list(range(300))


def test_null_and_a_type_make_the_type_and_whole_numbers_beside_fractions_are_fractions(tmp_path):
    def mixed(batch):
        return {**batch, "a": [None, 1, None, 2], "b": [1, 2.5, None, 3]}

    types = run(tmp_path / "out", mixed)
    assert (types["a"], types["b"]) == ("int64", "float64")


def test_a_column_of_nulls_takes_its_type_from_a_later_batch(tmp_path):
    def late(batch):
        return {**batch, "score": [1.5 if n == 2 else None for n in batch["label"]]}

    def never(batch):
        return {**batch, "score": [None for _ in batch["label"]]}

    first_rows = [{"image": picture(0), "label": 0} for _ in range(4)]
    assert run(tmp_path / "a", late, source=first_rows + rows())["score"] == "float64"
    assert run(tmp_path / "b", never)["score"] == "string"


def test_a_column_that_a_later_batch_begins_to_return_is_named_and_counted(tmp_path):
    def later(batch):
        return batch if batch["label"][0] == 0 else {**batch, "extra": [1] * len(batch["label"])}

    events = []
    types = run(tmp_path / "out", later, observer=events.append)
    assert "extra" not in types
    notes = [event.text for event in events if isinstance(event, Note)]
    text = "column 'extra' of your function is not packed: the first batch did not have it"
    assert any(note.startswith(text) and note.endswith("(first in row 4)") for note in notes)
    remarks = [each for event in events if isinstance(event, Advanced) for each in event.remarks]
    assert sum(each.count for each in remarks if each.text.startswith(text)) == 8


def test_a_column_that_a_later_batch_does_not_return_is_null_there(tmp_path):
    def sometimes(batch):
        return {**batch, "n": [7] * len(batch["label"])} if batch["label"][0] == 0 else batch

    run(tmp_path / "out", sometimes)
    assert column(tmp_path / "out", "n") == [7] * 4 + [None] * 8


def test_extra_columns_restricts_what_is_packed_without_a_note(tmp_path):
    notes = []
    types = run(tmp_path / "out", measured, extra_columns=["score"], notes=notes)
    assert types["score"] == "float64"
    assert not {"tags", "box"} & types.keys()
    assert not any("function" in note for note in notes)


def test_a_named_column_that_the_function_does_not_return_ends_the_run_at_once(tmp_path):
    with pytest.raises(TransformError, match=r"column .scores. .*\(it adds: 'score', 'tags'"):
        run(tmp_path / "out", measured, extra_columns=["scores"])
    assert not list((tmp_path / "out").glob("*.tar"))


def test_images_and_names_of_our_own_are_named_and_not_packed(tmp_path):
    def odd(batch):
        thumbs = [image.resize((2, 2)) for image in batch["image"]]
        return {**batch, "thumb": thumbs, "width": [1] * len(thumbs)}

    notes = []
    types = run(tmp_path / "out", odd, notes=notes)
    assert "thumb" not in types
    assert column(tmp_path / "out", "width") == [8] * 12
    assert any("column 'thumb' of your function is not packed: an image" in n for n in notes)
    assert any("column 'width' of your function is not packed: every sample" in n for n in notes)


def test_the_bytes_do_not_depend_on_workers_or_an_interruption(tmp_path):
    class StoppedError(Exception):
        pass

    def stop(event):
        if isinstance(event, ShardDone):
            raise StoppedError

    source = tmp_path / "aug.py"
    source.write_text(
        "def aug(batch):\n"
        "    return {**batch, 'size': [list(image.size) for image in batch['image']]}\n"
    )
    options = {"batch_size": 3, "max_shard_samples": 4, "limit": 20, "label_column": None}
    made = []
    for name, workers in (("a", 0), ("b", 2), ("c", 0)):
        out = tmp_path / name
        given = {**options, "source": "demo:", "workers": workers}
        if name == "c":
            with pytest.raises(StoppedError):
                run(out, f"{source}:aug", observer=stop, **given)
        run(out, f"{source}:aug", **given)
        made.append(published(out))
    assert made[0] == made[1] == made[2]
    (tmp_path / "a/train-000001.tar").unlink()
    wdsremux.repair(tmp_path / "a", transform=f"{source}:aug", workers=0)
    assert published(tmp_path / "a") == made[1]


def test_the_command_line_packs_them_without_an_option(tmp_path):
    (tmp_path / "aug.py").write_text(
        "def aug(row):\n    return {**row, 'ratio': row['image'].width / row['image'].height}\n"
    )
    words = ("--transform", tmp_path / "aug.py:aug", "--transform-mode", "sample", "--limit", 8)
    convert("demo:", tmp_path / "out", *words)
    assert manifest(tmp_path / "out")["recipe"]["added_columns"] == {"ratio": "float64"}
    assert all(isinstance(ratio, float) for ratio in column(tmp_path / "out", "ratio"))
