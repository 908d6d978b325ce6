import gc
import io
import json
import tarfile
import traceback
import zipfile

import datasets
import pytest

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError, UsageError
from wdsremux.sources.hf_datasets.loadable import open_loadable
from wdsremux.sources.hf_datasets.stream import RowStream
from wdsremux.sources.hub.errors import with_retries
from wdsremux.sources.rows.links import AllowedFiles
from wdsremux.stores.hub.answers import HttpError
from wdsremux.stores.hub.ranges import HubAccess

PNG = b"\x89PNG\r\n\x1a\n"

# `datasets` leaves handles of csv and tar files to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(autouse=True)
def caches(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    yield
    gc.collect()  # here, where the warning is expected


def all_columns(source):
    return Columns("image", None, tuple(c for c in source.features() if c.dtype != "image"), None)


def records(source, split="train", start=0):
    units = list(source.units(split, all_columns(source), start))
    return [record for unit in units for record in unit.read(0, unit.rows)]


def write_images(root, names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PNG + name.encode())


def test_a_csv_that_names_images_beside_it(tmp_path):
    write_images(tmp_path, ["i/1.png", "i/2.png"])
    (tmp_path / "train.csv").write_text("image,text\ni/1.png,one\ni/2.png,two\ni/3.png,gone\n")
    (tmp_path / "test.csv").write_text("image,text\n../x.png,out\n")
    source = open_loadable(tmp_path)

    assert list(source.splits()) == ["train", "test"]
    assert source.features() == (Column("image", "image"), Column("text", "string"))
    one, two, gone = records(source)
    assert (one.image, one.fields) == (PNG + b"i/1.png", {"text": "one"})
    assert two.image == PNG + b"i/2.png"
    assert "does not exist" in gone.problem
    assert "outside" in records(source, "test")[0].problem
    assert [record.position for record in records(source, start=2)] == [2]


def test_a_file_alone_is_loaded(tmp_path):
    write_images(tmp_path, ["1.png"])
    (tmp_path / "rows.jsonl").write_text('{"image": "1.png", "label": 4}\n')
    (tmp_path / "other.csv").write_text("a\n1\n")
    (record,) = records(open_loadable(tmp_path / "rows.jsonl"))
    assert (record.image, record.fields) == (PNG + b"1.png", {"label": 4})


def test_a_zip_of_class_folders_has_labels(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for name in ("b/2.png", "a/1.png", "b/1.png", "__MACOSX/b/._1.png", "a/.h.png", "a/t.txt"):
            archive.writestr(name, PNG + name.encode())
    source = open_loadable(tmp_path)

    assert source.features()[1].class_names == ("a", "b")
    assert [(r.image, r.fields["label"]) for r in records(source)] == [
        (PNG + b"a/1.png", 0),
        (PNG + b"b/1.png", 1),
        (PNG + b"b/2.png", 1),
    ]


def test_a_zip_without_class_folders_has_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("1.png", PNG)
    source = open_loadable(tmp_path)
    assert source.features() == (Column("image", "image"),)
    assert records(source)[0].image == PNG


def test_metadata_inside_a_zip_gives_its_columns(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("d/1.png", PNG)
        archive.writestr("d/metadata.jsonl", '{"file_name": "1.png", "text": "x"}\n')
    (record,) = records(open_loadable(tmp_path))
    assert (record.image, record.fields) == (PNG, {"text": "x"})


def test_webdataset_tars_have_the_columns_our_own_reader_gives(tmp_path):
    with tarfile.open(tmp_path / "train-0.tar", "w") as tar:
        for number in range(7):
            members = {"png": PNG, "json": json.dumps({"label": number}).encode(), "txt": b"t"}
            for field, content in members.items():
                info = tarfile.TarInfo(f"{number}.{field}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    source = open_loadable(tmp_path)

    assert source.features() == (
        Column("image", "image"),
        Column("txt", "string"),
        Column("key", "string"),
        Column("label", "int64"),
    )
    assert records(source)[6].fields == {"txt": "t", "key": "6", "label": 6}
    assert records(source)[6].image == PNG


def test_the_identity_is_a_digest_of_the_files_not_of_the_folder(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.csv").write_text("a\n1\n2\n")
    one, two = (open_loadable(tmp_path / name).identity() for name in ("one", "two"))
    assert one == two
    assert (one["kind"], one["format"], one["files"]) == ("loadable", "csv", 1)
    (tmp_path / "two/train.csv").write_text("a\n1\n2\n3\n")
    assert open_loadable(tmp_path / "two").identity() != one


def test_retries_of_datasets_are_bounded_while_it_reads_and_as_before_after(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "STREAMING_READ_MAX_RETRIES", 77)
    write_images(tmp_path, ["1.png"])
    (tmp_path / "train.csv").write_text("image\n1.png\n")
    source = open_loadable(tmp_path, give_up_after_s=280)
    assert datasets.config.STREAMING_READ_MAX_RETRIES == 77
    found = source.units("train", all_columns(source), 0)
    rows = source._rows(source._streams["train"])
    next(rows)
    assert datasets.config.STREAMING_READ_MAX_RETRIES == 10
    rows.close()
    assert datasets.config.STREAMING_READ_MAX_RETRIES == 77
    assert next(found).rows == 1


@pytest.mark.parametrize("name", ["empty", "none"])
def test_a_folder_where_nothing_is_found_is_an_error(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=name):
        open_loadable(tmp_path / name)


def test_a_file_of_a_kind_that_is_not_read_is_reported_without_a_list_of_all_kinds(tmp_path):
    (tmp_path / "make.py").write_text("x = 1")
    with pytest.raises(SourceError) as caught:
        open_loadable(tmp_path / "make.py")
    text = str(caught.value)
    assert text.startswith(f"`datasets` finds no data in '{tmp_path}/make.py': ")
    assert text.endswith("; pass Parquet, CSV, JSON, WebDataset tars or a folder of images")
    assert len(text) < 300 + len(str(tmp_path)) * 2


def test_a_missing_subset_is_named(tmp_path):
    (tmp_path / "train.csv").write_text("a\n1\n")
    with pytest.raises(UsageError, match="nope"):
        open_loadable(tmp_path, subset="nope")


def test_a_file_of_strange_content_is_an_error_that_names_the_row(tmp_path):
    write_images(tmp_path, ["1.png"])
    (tmp_path / "train.jsonl").write_text('{"image": "1.png"}\n{broken\n')
    with pytest.raises(SourceError, match="row 0"):
        open_loadable(tmp_path)


SIGNED = "403 for url https://cdn/x.tar?X-Amz-Signature=SECRET"


def failing(error):
    """Return a function that raises an error whatever it is given."""

    def fail(*_, **__):
        raise error

    return fail


def assert_tells_no_secret(caught):
    assert "403 for url [hidden]" in str(caught.value)
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


def test_a_stream_that_fails_over_a_signed_url_does_not_pass_it_on():
    features = datasets.Features({"image": datasets.Value("binary")})
    stream = datasets.IterableDataset.from_generator(failing(HttpError(SIGNED)), features=features)
    with pytest.raises(SourceError) as caught:
        RowStream({"train": stream}, {}, AllowedFiles(None))
    assert_tells_no_secret(caught)


def test_messages_of_datasets_are_reported_without_signed_urls(tmp_path, monkeypatch):
    (tmp_path / "train.csv").write_text("a\n1\n")
    for error in (OSError(SIGNED), ValueError(SIGNED)):
        with monkeypatch.context() as patch:
            patch.setattr(datasets, "load_dataset_builder", failing(error))
            with pytest.raises(SourceError) as caught:
                open_loadable(tmp_path)
        assert_tells_no_secret(caught)
    monkeypatch.setattr(datasets.DatasetBuilder, "as_streaming_dataset", failing(HttpError(SIGNED)))
    with pytest.raises(SourceError) as caught:
        open_loadable(tmp_path)
    assert_tells_no_secret(caught)


def test_messages_of_the_hub_are_reported_without_signed_urls():
    with pytest.raises(SourceError) as caught:
        with_retries(failing(OSError(SIGNED)), "u/n", HubAccess())
    assert_tells_no_secret(caught)
