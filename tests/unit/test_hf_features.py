import datasets
import pytest

from wdsremux.sources.hf_features import columns_from_features, dtype_from_feature


@pytest.mark.parametrize(
    ("feature", "dtype"),
    [
        (datasets.Value("int32"), "int32"),
        (datasets.Value("uint8"), "uint8"),
        (datasets.Value("float32"), "float32"),
        (datasets.Value("bool"), "bool"),
        (datasets.Value("string"), "string"),
        (datasets.Value("large_string"), "string"),
        (datasets.Value("binary"), "binary"),
        (datasets.Value("timestamp[ms]"), "timestamp"),
        (datasets.Value("date32"), "timestamp"),
        (datasets.Value("duration[s]"), "string"),
        (datasets.Value("decimal128(10, 2)"), "float64"),
        (datasets.ClassLabel(names=["b", "a"]), {"class_label": ["b", "a"]}),
        (datasets.ClassLabel(num_classes=2), {"class_label": ["0", "1"]}),
        (datasets.Image(), "image"),
        (datasets.List(datasets.Value("int64")), {"list": "int64"}),
        ({"_type": datasets.Value("string")}, {"struct": {"_type": "string"}}),
        (datasets.Array2D((2, 2), "int32"), "unsupported"),
    ],
)
def test_every_feature_of_datasets_has_a_dtype(feature, dtype):
    features = datasets.Features({"x": feature}).to_dict()
    (column,) = columns_from_features(features)
    assert (column.name, column.dtype) == ("x", dtype)


def test_an_old_sequence_of_structs_is_a_struct_of_lists():
    old = {"_type": "Sequence", "feature": {"a": {"_type": "Value", "dtype": "int32"}}}
    assert dtype_from_feature(old) == {"struct": {"a": {"list": "int32"}}}


@pytest.mark.parametrize("feature", [None, 3, [], {"_type": "Audio"}])
def test_what_is_no_plain_value_is_unsupported(feature):
    assert dtype_from_feature(feature) == "unsupported"


def test_a_class_label_without_names_is_a_number():
    assert dtype_from_feature({"_type": "ClassLabel", "names": None}) == "int64"
