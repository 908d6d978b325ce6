import pyarrow as pa
import pytest
from support.corpora import hf_schema, jpeg

from wdsremux.core.columns import Column
from wdsremux.core.errors import SourceError
from wdsremux.sources.parquet.schema import (
    columns_from_schema,
    dtype_from_arrow,
    guessable,
    with_guessed_images,
)

NO_FILES = {}.__contains__


def test_hugging_face_metadata_gives_images_and_class_names():
    image, label, caption = columns_from_schema(hf_schema(("cat", "dog")))
    assert image == Column("image", "image")
    assert label.class_names == ("cat", "dog")
    assert caption.dtype == "string"


def test_the_card_wins_over_the_metadata_of_the_file():
    declared = {"label": {"class_label": ["a", "b"]}}
    columns = columns_from_schema(hf_schema(("cat", "dog")), declared)
    assert columns[1].class_names == ("a", "b")


def test_two_columns_of_one_name_are_refused():
    schema = pa.schema([("image", pa.binary()), ("x", pa.int32()), ("x", pa.int64())])
    with pytest.raises(SourceError, match="two columns are named 'x'; write the file again"):
        columns_from_schema(schema)


def test_unreadable_metadata_is_ignored():
    schema = pa.schema([("x", pa.int32())], metadata={"huggingface": "{broken"})
    assert columns_from_schema(schema) == (Column("x", "int32"),)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (pa.int16(), "int16"),
        (pa.uint64(), "uint64"),
        (pa.float32(), "float32"),
        (pa.float64(), "float64"),
        (pa.bool_(), "bool"),
        (pa.null(), "null"),
        (pa.large_string(), "string"),
        (pa.decimal128(9, 2), "string"),
        (pa.timestamp("ns", "UTC"), "timestamp"),
        (pa.date32(), "timestamp"),
        (pa.duration("s"), "timestamp"),
        (pa.binary(4), "binary"),
        (pa.large_binary(), "binary"),
        (pa.dictionary(pa.int8(), pa.string()), "string"),
        (pa.list_(pa.float32()), {"list": "float32"}),
        (pa.list_(pa.int8(), 3), {"list": "int8"}),
        (pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))]),
         {"struct": {"a": "int64", "b": {"list": "string"}}}),
        (
            pa.map_(pa.string(), pa.int64()),
            {"list": {"struct": {"key": "string", "value": "int64"}}},
        ),
        (pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "image"),
        (pa.struct([("bytes", pa.null()), ("path", pa.string())]), "image"),
    ],
)  # fmt: skip
def test_arrow_types_have_their_dtype(kind, dtype):
    assert dtype_from_arrow(kind) == dtype


def test_bytes_with_an_image_signature_make_an_image_column():
    columns = (Column("blob", "binary"), Column("other", "binary"))
    found = with_guessed_images(columns, {"blob": jpeg(0), "other": b"text"}, NO_FILES)
    assert [c.dtype for c in found] == ["image", "binary"]


def test_paths_make_an_image_column_by_its_name_or_by_the_file():
    columns = [Column(n, "string") for n in ("file_name", "where", "title", "caption")]
    values = {"file_name": "a.JPG", "where": "b.png", "title": "c.png", "caption": "a dog"}
    found = with_guessed_images(columns, values, {"b.png"}.__contains__)
    assert [c.name for c in found if c.dtype == "image"] == ["file_name", "where"]


def test_a_declared_image_column_prevents_guessing():
    columns = (Column("image", "image"), Column("mask", "binary"))
    assert guessable(columns) == []
    assert with_guessed_images(columns, {"mask": jpeg(0)}, NO_FILES) == columns
