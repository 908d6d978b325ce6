"""What a source is, by its name and files, before it is opened."""

from pathlib import Path

import pytest

from wdsremux.core.errors import SourceError, UsageError
from wdsremux.core.recipe import Recipe
from wdsremux.sources.kinds import dataset_name
from wdsremux.sources.registry import parse


def test_an_id_without_a_folder_of_that_name_is_a_guess(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ref = parse("data/imgs", Recipe())
    assert (ref.kind, ref.name, ref.is_guess) == ("hub", "imgs", True)
    Path("data/imgs").mkdir(parents=True)
    ref = parse("data/imgs", Recipe())
    assert (ref.kind, ref.is_guess) == ("folder", False)


@pytest.mark.parametrize(
    ("source", "kind", "location"),
    [
        ("hf://datasets/user/name", "hub", "hf://datasets/user/name"),
        ("demo:", "demo", "demo:"),
        ("a/b.parquet", "parquet", "a/b.parquet"),
        (Path("a/b"), "hub", "a/b"),
        ([], "object", None),
    ],
)
def test_a_source_that_is_named_clearly_is_not_a_guess(source, kind, location):
    ref = parse(source, Recipe())
    assert (ref.kind, ref.location, ref.is_guess) == (kind, location, False)


def test_a_source_of_a_chosen_kind_is_not_a_guess():
    assert not parse("user/name", Recipe(source_kind="hub")).is_guess


def test_a_parsed_source_is_parsed_only_once():
    ref = parse("demo:", Recipe())
    assert parse(ref, Recipe(source_kind="tars")) is ref


def test_the_revision_of_an_id_can_be_dropped():
    ref = parse("hf://datasets/user/name@main", Recipe()).without_revision()
    assert ref.location == "hf://datasets/user/name"
    assert parse("a@b.tar", Recipe()).without_revision().location == "a@b.tar"


@pytest.mark.parametrize(
    ("page", "location"),
    [
        ("https://huggingface.co/datasets/user/name", "hf://datasets/user/name"),
        ("https://huggingface.co/datasets/user/name/", "hf://datasets/user/name"),
        ("http://www.huggingface.co/datasets/user/name?row=3", "hf://datasets/user/name"),
        ("https://hf.co/datasets/user/name#data", "hf://datasets/user/name"),
        ("https://huggingface.co/datasets/user/name/tree/v1.0", "hf://datasets/user/name@v1.0"),
        (
            "https://huggingface.co/datasets/user/name/tree/refs%2Fconvert%2Fparquet",
            "hf://datasets/user/name@refs/convert/parquet",
        ),
    ],
)
def test_the_page_of_a_dataset_is_its_id(page, location):
    ref = parse(page, Recipe())
    assert (ref.kind, ref.location, ref.name) == ("hub", location, "name")
    assert not ref.is_guess


@pytest.mark.parametrize(
    "page", ["user/name/tree/main/data", "user/name/viewer/large/test", "user/name/resolve/main/x"]
)
def test_a_page_that_shows_a_part_of_a_dataset_is_refused(page):
    with pytest.raises(SourceError, match=r"this page shows a part of a dataset; write user/name$"):
        parse(f"https://huggingface.co/datasets/{page}", Recipe())


@pytest.mark.parametrize("location", ["/x/y/flowers/", "s3://bucket/flowers", "user/flowers@v1"])
def test_a_dataset_is_named_after_the_last_part_of_its_location(location):
    assert dataset_name(location) == "flowers"


def test_an_empty_source_is_refused():
    with pytest.raises(UsageError, match="SOURCE is empty"):
        parse("", Recipe())


def test_an_output_inside_the_source_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    ref = parse(tmp_path, Recipe())
    for out in (tmp_path, tmp_path / "images"):
        with pytest.raises(UsageError, match="OUT"):
            ref.refuse_output(out)
    parse(tmp_path / "images", Recipe()).refuse_output(tmp_path / "out")


@pytest.mark.parametrize(
    ("index", "opened"),
    [
        (
            '{"version": 2, "shards": [{"column_names": ["image"], "format": "mds"}]}',
            "convert(streaming.StreamingDataset(local={!r}, batch_size=1), OUT)",
        ),
        (
            '{"chunks": [{"chunk_bytes": 9, "filename": "chunk-0-0.bin"}], "config": {}}',
            "convert(litdata.StreamingDataset({!r}), OUT)",
        ),
    ],
)
def test_a_format_that_only_its_own_library_reads_is_named(tmp_path, index, opened):
    folder = tmp_path / "dataset" / "train"
    folder.mkdir(parents=True)
    (folder / "index.json").write_text(index)
    for source in (folder, folder.parent):
        with pytest.raises(SourceError) as refused:
            parse(str(source), Recipe())
        assert opened.format(str(folder)) in str(refused.value)
