"""Which columns a recipe takes, and what is said when that is not clear."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsremux.core.column_choice import ColumnOptions, choose_columns, remarks_on
from wdsremux.core.columns import RESERVED, Column, of_our_output
from wdsremux.core.errors import UsageError

LABELS = {"class_label": ["cat", "dog"]}
names = st.sampled_from(
    [prefix + name for name in (*RESERVED, "caption") for prefix in ("", "source_", "source_" * 2)]
)
PETS = (
    Column("image", "image"),
    Column("label", LABELS),
    Column("caption", "string"),
    Column("thumbnail", "binary"),
    Column("boxes", {"list": {"list": "float32"}}),
)


def chosen(features=PETS, *, has_function=False, **options):
    return choose_columns(features, ColumnOptions(**options), has_function=has_function)


def refusal(features=PETS, *, has_function=False, **options):
    with pytest.raises(UsageError) as caught:
        chosen(features, has_function=has_function, **options)
    return str(caught.value)


def test_image_label_and_extras_are_found_from_the_features():
    columns = chosen()
    assert columns.image == "image"
    assert columns.label == Column("label", LABELS)
    assert [column.name for column in columns.extras] == ["caption", "boxes"]
    assert columns.key is None


def test_the_fields_to_read_are_unique_and_exclude_the_image():
    columns = chosen(key="caption")
    assert columns.fields == ("label", "caption", "boxes")
    assert chosen(key="thumbnail").fields == ("label", "caption", "boxes", "thumbnail")


def test_a_source_without_an_image_lists_its_columns():
    text = refusal([Column("path", "string"), Column("boxes", {"list": "int64"})])
    assert "no image column found; name one with --image-column" in text
    assert "The source has path (string), boxes (list)" in text


def test_a_source_without_columns_says_so():
    assert "The source has no columns" in refusal([])


def test_several_image_columns_are_an_error_that_lists_them():
    features = [Column("left", "image"), Column("right", "image")]
    text = refusal(features)
    assert "2 image columns: left, right; choose one with --image-column" in text
    assert chosen(features, image="right").image == "right"


@pytest.mark.parametrize("dtype", ["image", "binary", "string"])
def test_bytes_and_paths_may_be_images_when_they_are_named(dtype):
    assert chosen([Column("x", dtype)], image="x").image == "x"


def test_a_column_that_cannot_hold_images_is_refused():
    assert "--image-column 'boxes' holds list, not images" in refusal(image="boxes")


@pytest.mark.parametrize(
    ("wanted", "flag"),
    [
        ({"image": "nothing"}, "--image-column"),
        ({"label": "nothing"}, "--label-column"),
        ({"key": "nothing"}, "--key-column"),
        ({"extras": ("nothing",)}, "--extra-columns"),
    ],
)
def test_a_missing_column_is_refused_with_the_existing_ones(wanted, flag):
    text = refusal(**wanted)
    assert text.startswith(f"{flag} 'nothing': not a column of the source; it has image (image)")
    assert "label (class_label)" in text


def test_a_similar_column_is_suggested():
    assert "'lable': not a column of the source; did you mean label?" in refusal(label="lable")


def test_an_empty_string_leaves_out_the_label():
    columns = chosen(label="")
    assert columns.label is None
    assert [column.name for column in columns.extras] == ["label", "caption", "boxes"]


def test_a_named_label_of_any_type_is_used():
    assert chosen(label="caption").label == Column("caption", "string")


def test_the_image_cannot_be_its_own_label():
    assert "--label-column 'image' is the image" in refusal(label="image")


@pytest.mark.parametrize(
    ("features", "label"),
    [
        # A class label by its type comes before a column that is only called so.
        ([Column("label", "int64"), Column("kind", LABELS)], "kind"),
        # Of several class labels that one whose name says it, else the first.
        ([Column("kind", LABELS), Column("label", LABELS)], "label"),
        ([Column("kind", LABELS), Column("breed", LABELS)], "kind"),
        ([Column("target", "int64"), Column("cls", "string")], "cls"),
        ([Column("labels", {"list": "int64"})], "labels"),
        ([Column("label", "binary")], None),
        ([Column("caption", "string")], None),
    ],
)
def test_a_label_is_found_by_its_type_then_by_its_name(features, label):
    columns = chosen([Column("image", "image"), *features])
    assert (columns.label.name if columns.label else None) == label


def test_an_image_column_called_label_is_not_a_label():
    assert chosen([Column("label", "image")]).label is None


@pytest.mark.parametrize(
    "dtype",
    ["binary", "image", "unsupported", {"list": "image"}, {"struct": {"a": {"list": "binary"}}}],
)
def test_what_json_cannot_hold_is_packed_only_when_it_is_named(dtype):
    features = [Column("image", "image"), Column("x", dtype)]
    assert chosen(features, image="image").extras == ()
    assert chosen(features, image="image", extras=("x",)).extras == (Column("x", dtype),)


def test_extras_that_are_named_come_in_the_order_they_were_named_in():
    columns = chosen(extras=("boxes", "caption"))
    assert [column.name for column in columns.extras] == ["boxes", "caption"]


def test_an_empty_list_of_extras_selects_none():
    assert chosen(extras=()).extras == ()


def test_image_and_label_are_not_extras_even_when_they_are_named():
    assert chosen(extras=("image", "label", "caption")).extras == (Column("caption", "string"),)


def test_an_extra_named_twice_is_taken_once():
    assert chosen(extras=("caption", "caption")).extras == (Column("caption", "string"),)
    assert chosen(extras=("new", "new"), has_function=True).added == (Column("new", "inferred"),)


def test_extras_that_a_function_adds_are_kept_apart():
    columns = chosen(extras=("caption", "hash"), has_function=True)
    assert columns.extras == (Column("caption", "string"),)
    assert columns.added == (Column("hash", "inferred"),)
    assert "hash" not in columns.fields


def test_a_column_that_is_called_like_a_field_of_ours_is_renamed():
    assert {Column(name, "string").json_name for name in RESERVED} == {
        f"source_{name}" for name in RESERVED
    }
    assert Column("caption", "string").json_name == "caption"


@given(st.lists(names, unique=True))
def test_no_two_columns_have_one_name_in_the_json(found):
    assert len({Column(name, "string").json_name for name in found}) == len(found)
    assert not {Column(name, "string").json_name for name in found} & set(RESERVED)


def test_a_function_cannot_add_what_a_column_is_called_in_the_json():
    features = [Column("image", "image"), Column("position", "int64")]
    text = refusal(features, extras=("position", "source_position"), has_function=True)
    assert "column 'position' has this name in the JSON" in text


@pytest.mark.parametrize("name", [name for name in RESERVED if name != "label"])
def test_a_function_cannot_add_a_field_of_ours(name):
    text = refusal(extras=(name,), has_function=True)
    assert f"--extra-columns {name!r}: this name is reserved for a field of every sample" in text


def test_a_function_may_add_the_label_where_the_source_has_none():
    columns = chosen([Column("image", "image")], extras=("label", "label_name"), has_function=True)
    assert [column.name for column in columns.added] == ["label", "label_name"]


def test_class_names_come_in_label_order():
    assert Column("label", LABELS).class_names == ("cat", "dog")
    assert Column("label", "int64").class_names is None
    assert Column("label", {"list": LABELS}).class_names is None


@pytest.mark.parametrize(
    ("text", "dtype"),
    [("new:int64", "int64"), ("new:float64[]", {"list": "float64"}), ("new", "inferred")],
)
def test_what_the_function_adds_has_the_type_it_is_given(text, dtype):
    assert chosen(extras=(text,), has_function=True).added == (Column("new", dtype),)


def test_an_unknown_type_of_an_added_column_is_refused():
    with pytest.raises(UsageError, match="int64"):
        chosen(extras=("new:tensor",), has_function=True)


def test_fields_of_an_earlier_conversion_are_recomputed():
    own = [Column(name, "int64") for name in ("width", "height", "position", "copy")]
    every = (Column("image", "image"), *own, Column("caption", "string"))
    found = choose_columns(of_our_output(every), ColumnOptions(), has_function=False)
    assert [column.name for column in found.extras] == ["caption"]


def test_columns_that_only_have_the_names_of_our_fields_are_packed_under_others():
    own = [Column(name, "int64") for name in ("width", "height", "position", "label_name")]
    every = (Column("image", "image"), *own)
    found = choose_columns(every, ColumnOptions(), has_function=False)
    assert [column.json_name for column in found.extras] == [
        "source_width",
        "source_height",
        "source_position",
        "source_label_name",
    ]


def remarks(features=PETS, **options):
    wanted = ColumnOptions(**options)
    return remarks_on(features, wanted, choose_columns(features, wanted, has_function=False))


def test_columns_left_out_by_default_are_reported():
    (remark,) = remarks()
    assert "thumbnail (binary)" in remark
    assert "caption" not in remark
    assert "--extra-columns" in remark


def test_a_missing_label_is_reported():
    (remark,) = remarks(PETS[:1])
    assert "no label" in remark
    assert "--label-column" in remark


def test_explicit_columns_cause_no_note():
    assert remarks(extras=("caption",)) == ()
    assert remarks(PETS[:1], label="") == ()
    assert remarks(extras=(), label="caption") == ()


def test_an_option_is_recommended_only_where_a_column_can_be_named():
    text = refusal([Column("image", "null"), Column("boxes", {"list": "int64"})])
    assert text == "no image column found. The source has image (null), boxes (list)"


def test_a_message_lists_some_of_many_columns():
    many = [Column(f"feature_{number}", "float64") for number in range(785)]
    message = refusal(many)
    assert "feature_19 (float64) and 765 more" in message
    assert len(message) < 1000
