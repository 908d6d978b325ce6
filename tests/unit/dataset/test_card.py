"""The dataset card: its YAML describes the shards in the terms of `datasets`."""

import pytest
import yaml
from datasets import ClassLabel, Features, Image, List, Value
from huggingface_hub import DatasetCard
from hypothesis import given, settings
from hypothesis import strategies as st
from support.summaries import manifest_of, summary_of

from wdsremux.dataset.card import CARD_MARK, card_bytes, is_ours

ODD_NAMES = (
    "0", "1", "01", "1e3", "yes", "No", "null", "~", "", " ", " padded ", "a: b", "- item", "# no",
    "{x}", "[y]", "a,b", "'", '"', "%", "@", "`", "&a", "*a", "!tag", "|", ">", "---", "...", "=",
    "two\nlines", "\n---\n", "tab\t", "back\\slash", "🐈", "ß", "猫", "e\u0301", "\u202e", "\ufeff", "\x85", "\u2028", "\0",
    "2024-01-01", "0x1F", "1_000", ".inf", "x" * 300, "many words " * 30, "true", "<<",
)  # fmt: skip

arguments = st.sampled_from(["int64", "uint8", "float64", "bool", "string"])
names = st.text(st.characters(codec="utf-8"), max_size=12)
class_names = st.lists(names, min_size=1, max_size=5, unique=True)
dtypes = st.recursive(
    arguments | class_names.map(lambda found: {"class_label": found}),
    lambda inner: (
        st.builds(lambda d: {"list": d}, inner)
        | st.builds(
            lambda d: {"struct": d},
            st.dictionaries(
                st.from_regex(r"[a-z][a-z:. ]{0,5}", fullmatch=True), inner, min_size=1
            ),
        )
    ),
    max_leaves=5,
)


def metadata(manifest):
    """Return the card's metadata as the Hub's own library reads it."""
    return DatasetCard(card_bytes(manifest).decode()).data.to_dict()


def declared(dtype):
    """Return the feature of `datasets` that a dtype stands for."""
    if isinstance(dtype, str):
        return Value(dtype)
    if "class_label" in dtype:
        return ClassLabel(names=dtype["class_label"])
    if "list" in dtype:
        return List(declared(dtype["list"]))
    return {name: declared(inner) for name, inner in dtype["struct"].items()}


def features_of(manifest):
    """Return the features of the card's first configuration."""
    infos = metadata(manifest)["dataset_info"]
    info = infos[0] if isinstance(infos, list) else infos
    return Features._from_yaml_list(info["features"])


def test_image_and_json_are_declared_by_their_members():
    manifest = manifest_of(
        features={
            "webp": "image",
            "json": {
                "struct": {"label": {"class_label": ["cat", "dog"]}, "tags": {"list": "string"}}
            },
        }
    )
    assert features_of(manifest) == Features(
        {
            "webp": Image(),
            "json": {"label": ClassLabel(names=["cat", "dog"]), "tags": List(Value("string"))},
            "__key__": Value("string"),
        }
    )


@settings(max_examples=40)
@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), dtypes, min_size=1))
def test_every_dtype_is_declared_as_datasets_reads_it(fields):
    fields.pop("_type", None)
    manifest = manifest_of(features={"jpg": "image", "json": {"struct": fields}})
    assert features_of(manifest)["json"] == declared({"struct": fields})


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_class_of_an_odd_name_keeps_it(name):
    found = ["plain", name]
    manifest = manifest_of(
        features={"jpg": "image", "json": {"struct": {"label": {"class_label": found}}}}
    )
    assert features_of(manifest)["json"]["label"].names == found


@given(class_names, names)
def test_no_name_breaks_the_card(found, name):
    manifest = manifest_of(
        name=name,
        features={"jpg": "image", "json": {"struct": {"label": {"class_label": found}}}},
    )
    assert metadata(manifest)["pretty_name"] == name
    assert features_of(manifest)["json"]["label"].names == found


def test_letters_of_other_languages_stay_as_they_are():
    dtype = {"class_label": ["grün", "猫"]}
    card = card_bytes(manifest_of(features={"jpg": "image", "json": {"struct": {"label": dtype}}}))
    assert "grün" in card.decode()
    assert "猫" in card.decode()


def test_a_class_of_a_thousand_keeps_its_number():
    found = [f"class {i}" for i in range(1000)]
    manifest = manifest_of(
        features={"jpg": "image", "json": {"struct": {"label": {"class_label": found}}}}
    )
    assert features_of(manifest)["json"]["label"].names == found


def test_a_name_of_invalid_unicode_does_not_stop_the_card():
    manifest = manifest_of(
        name="a\udcff",
        notes=("about \udcff",),
        features={"jpg": "image", "json": {"struct": {"label": {"class_label": ["\udcff"]}}}},
    )
    assert features_of(manifest)["json"]["label"].names == ["\udcff"]
    assert "* about ?" in card_bytes(manifest).decode()


def test_splits_are_counted_exactly():
    shards = [
        summary_of(0, 0, 10, rejected=3),
        summary_of(1, 10, 15),
        summary_of(0, 15, 17, split="test", size_bytes=20_480),
    ]
    info = metadata(manifest_of(shards))["dataset_info"]
    assert info["splits"] == [
        {"name": "train", "num_bytes": 20_480, "num_examples": 12},
        {"name": "test", "num_bytes": 20_480, "num_examples": 2},
    ]


def test_every_split_names_its_files():
    shards = [summary_of(0), summary_of(0, split="test")]
    assert metadata(manifest_of(shards))["configs"] == [
        {
            "config_name": "default",
            "data_files": [
                {"split": "train", "path": "train-[0-9]*.tar"},
                {"split": "test", "path": "test-[0-9]*.tar"},
            ],
        }
    ]


def test_every_copy_is_a_configuration_of_its_own():
    shards = [summary_of(0, copy=copy, prefix=f"train-c{copy}") for copy in range(2)]
    found = metadata(manifest_of(shards, copies=2))
    assert [(c["config_name"], c["data_files"][0]["path"]) for c in found["configs"]] == [
        ("default", "train-c[0-9]*-[0-9]*.tar"),
        ("copy0", "train-c0-[0-9]*.tar"),
        ("copy1", "train-c1-[0-9]*.tar"),
    ]
    assert [
        (info["config_name"], info["splits"][0]["num_examples"]) for info in found["dataset_info"]
    ] == [("default", 20), ("copy0", 10), ("copy1", 10)]


@pytest.mark.parametrize(
    ("samples", "category"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (1_281_167, "1M<n<10M"),
        (999_999_999, "100M<n<1B"),
        (10**9, "1B<n<10B"),
        (10**11, "100B<n<1T"),
        (10**12, "n>1T"),
    ],
)
def test_the_size_is_one_of_the_hubs_categories(samples, category):
    manifest = manifest_of([summary_of(0, 0, samples)])
    assert metadata(manifest)["size_categories"] == [category]


def test_the_card_shows_the_totals_and_how_to_read():
    shards = [summary_of(i, i * 10, i * 10 + 10) for i in range(2)]
    text = card_bytes(manifest_of(shards)).decode()
    assert "20 preprocessed images in 2 WebDataset shards" in text
    assert "| train | 20 | 0 | 2 | 20480 |" in text
    assert 'wds.WebDataset("train-{000000..000001}.tar", shardshuffle=False)' in text
    assert '.to_tuple("jpg", "json")' in text
    assert 'split="train"' in text
    assert "without it, the cache gets a second copy of the data" in text
    assert "* packed as stored" in text


def test_a_card_of_the_same_content_is_the_same_file():
    assert card_bytes(manifest_of()) == card_bytes(manifest_of())


def test_a_card_begins_with_its_metadata():
    head, yaml_text, _ = card_bytes(manifest_of()).decode().split("---\n", 2)
    assert head == ""
    assert yaml.safe_load(yaml_text)["tags"] == ["webdataset", "wdsremux"]


def test_an_own_card_is_recognised_until_its_mark_is_removed():
    card = card_bytes(manifest_of())
    assert is_ours(card)
    assert not is_ours(card.replace(CARD_MARK.encode(), b""))
    assert not is_ours(b"# somebody's README")
    assert not is_ours(b"")
