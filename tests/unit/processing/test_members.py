"""Members beside image and JSON: captions and class numbers, as other loaders decode them."""

import json
import tarfile

import pytest
from datasets import ClassLabel, load_dataset
from support.corpora import jpeg
from support.runs import rejected

import wdsremux
from wdsremux.core.errors import UsageError

CAPTIONS = ["a cat", "", None, "zwei Hunde – über 日本"]
LABELS = [1, 0, None, 1]


def rows():
    return [
        {"image": jpeg(number), "caption": caption, "label": label}
        for number, (caption, label) in enumerate(zip(CAPTIONS, LABELS, strict=True))
    ]


def samples(out):
    """Return the members of each sample by extension, in order."""
    found = {}
    with tarfile.open(out / "train-000000.tar") as tar:
        for one in tar:
            key, _, extension = one.name.partition(".")
            found.setdefault(key, {})[extension] = tar.extractfile(one).read()
    return [*found.values()]


def convert(out, source=None, **options):
    options = {"workers": 0, "progress": "none", "max_errors": "100%"} | options
    return wdsremux.convert(rows() if source is None else source, out, **options)


def test_captions_and_class_numbers_are_members_after_the_json(tmp_path):
    convert(tmp_path / "out", with_text="caption", cls=True)
    found = samples(tmp_path / "out")
    assert [*found[0]] == ["jpg", "json", "txt", "cls"]
    assert [one["txt"].decode() for one in found] == [text or "" for text in CAPTIONS]
    assert [one["cls"] for one in found] == [b"1", b"0", b"-1", b"1"]
    assert [json.loads(one["json"])["caption"] for one in found] == CAPTIONS
    assert wdsremux.verify(tmp_path / "out", "pixels").findings == ()


def test_captions_need_not_be_in_the_json(tmp_path):
    convert(tmp_path / "out", with_text="caption", extra_columns="")
    one = samples(tmp_path / "out")[0]
    assert one["txt"] == b"a cat"
    assert "caption" not in json.loads(one["json"])


def test_a_class_label_gives_the_name_of_its_class_and_a_column_of_classes(tmp_path):
    convert(tmp_path / "out", "demo:", limit=60, with_text="label", cls=True)
    rows = load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    names = rows.features["cls"].names
    assert isinstance(rows.features["cls"], ClassLabel)
    assert rows["txt"] == [names[number] for number in rows["cls"]]
    assert rows["cls"] == [row["label"] for row in rows["json"]]


def test_a_function_may_make_the_captions_and_the_label(tmp_path):
    def described(sample):
        return {**sample, "prompt": f"row of {sample['caption']}", "label": 7}

    source = [{"image": row["image"], "caption": row["caption"]} for row in rows()]
    convert(
        tmp_path / "out", source, transform=described, transform_mode="sample", with_text="prompt",
        cls=True,
    )  # fmt: skip
    found = samples(tmp_path / "out")
    assert [one["txt"].decode() for one in found] == [f"row of {text}" for text in CAPTIONS]
    assert {one["cls"] for one in found} == {b"7"}


def test_a_caption_of_the_function_that_is_not_a_string_rejects_its_row(tmp_path):
    def described(sample):
        return {**sample, "prompt": 3 if sample["caption"] == "a cat" else "x"}

    convert(
        tmp_path / "out", transform=described, transform_mode="sample", with_text="prompt",
        extra_columns="caption",
    )  # fmt: skip
    (only,) = rejected(tmp_path / "out")
    assert (only["position"], only["stage"]) == (0, "pack")
    assert only["reason"].startswith("column 'prompt': a caption cannot be int 3")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"with_text": "captoin"}, "with_text='captoin': not a column.*did you mean caption"),
        ({"with_text": "image"}, "with_text='image' holds (image|binary), not strings"),
        ({"cls": True, "label_column": ""}, "cls(=True)? packs the label, and there is none"),
        ({"cls": True, "label_column": "caption"}, "the label 'caption' holds string"),
    ],
)
def test_columns_that_such_members_cannot_hold_are_refused(tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        convert(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_the_members_are_loaded_as_a_string_and_a_number(tmp_path):
    convert(tmp_path / "out", with_text="caption", cls=True)
    dataset = wdsremux.load(tmp_path / "out", columns=("txt", "cls"))
    expected = zip((text or "" for text in CAPTIONS), (1, 0, -1, 1), strict=True)
    assert [*dataset] == [*expected]


def test_intact_shards_with_such_members_stay_and_a_lost_one_is_repaired(tmp_path):
    manifest = convert(tmp_path / "out", "demo:", limit=30, with_text="label", cls=True)
    assert wdsremux.repair(tmp_path / "out", workers=0).remade == ()
    (tmp_path / "out/train-000000.tar").unlink()
    report = wdsremux.repair(tmp_path / "out", workers=0)
    assert report.remade == ("train-000000.tar",)
    assert convert(tmp_path / "out", "demo:", limit=30, with_text="label", cls=True) == manifest


def test_without_these_options_a_recipe_is_as_before(tmp_path):
    head = convert(tmp_path / "out").head
    assert not {"with_text", "cls"} & head.options.keys()
