import pytest
import yaml

from wdsremux.sources.dtypes import dtype_from_feature, dtypes_from_card

STRING = {"dtype": "string", "_type": "Value"}


@pytest.mark.parametrize(
    ("feature", "dtype"),
    [
        ({"_type": "Image"}, "image"),
        ({"_type": "ClassLabel", "names": ["a", "b"]}, {"class_label": ["a", "b"]}),
        ({"_type": "ClassLabel", "num_classes": 2}, {"class_label": ["0", "1"]}),
        ({"dtype": "timestamp[s]", "_type": "Value"}, "timestamp"),
        ({"dtype": "float32", "_type": "Value"}, "float32"),
        ({"feature": STRING, "_type": "List"}, {"list": "string"}),
        ({"feature": STRING, "length": -1, "_type": "Sequence"}, {"list": "string"}),
        ({"feature": {"a": STRING}, "_type": "Sequence"}, {"struct": {"a": {"list": "string"}}}),
        ([STRING], {"list": "string"}),
        ({"a": STRING, "b": {"_type": "Image"}}, {"struct": {"a": "string", "b": "image"}}),
        ({"shape": [2, 3], "dtype": "int8", "_type": "Array2D"}, {"list": {"list": "int8"}}),
        ({"sampling_rate": 16000, "_type": "Audio"}, "unsupported"),
        ("nonsense", "unsupported"),
    ],
)
def test_features_in_json_form_have_their_dtype(feature, dtype):
    assert dtype_from_feature(feature) == dtype


def test_a_card_declares_dtypes():
    features = yaml.safe_load("""
    - {name: image, dtype: image}
    - name: label
      dtype: {class_label: {names: {'0': cat, '1': dog, '10': k, '2': bird, '3': d, '4': e, '5': f, '6': g, '7': h, '8': i, '9': j}}}
    - {name: tags, list: string}
    - {name: boxes, sequence: {dtype: float32}}
    - name: faces
      sequence: [{name: x, dtype: int64}]
    - name: meta
      struct: [{name: lat, dtype: float64}, {name: ok, dtype: bool}]
    - {name: sound, dtype: audio}
    """)
    assert dtypes_from_card(features) == {
        "image": "image",
        "label": {"class_label": ["cat", "dog", "bird", *"defghijk"]},
        "tags": {"list": "string"},
        "boxes": {"list": "float32"},
        "faces": {"struct": {"x": {"list": "int64"}}},
        "meta": {"struct": {"lat": "float64", "ok": "bool"}},
        "sound": "unsupported",
    }


@pytest.mark.parametrize("features", [None, "text", [None, {"dtype": "int8"}]])
def test_a_card_that_declares_nothing_gives_nothing(features):
    assert dtypes_from_card(features) == {}
