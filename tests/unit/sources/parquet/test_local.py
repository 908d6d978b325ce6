import pickle
import subprocess
import sys

import pyarrow as pa
import pytest
from support.corpora import jpeg, jpegs, write_parquet_dataset, write_table

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError
from wdsremux.sources.parquet.local import open_parquet

COLUMNS = Columns("image", Column("label", "int64"), (Column("caption", "string"),), None)
IMAGE_ONLY = Columns("image", None, (), None)


def opened(location, **options):
    return open_parquet(str(location), **{"subset": None, "image_root": None, **options})


def read(source, start=0, split="train", columns=COLUMNS):
    """Read from row `start` on, as a worker does: from pickled units."""
    for unit in source.units(split, columns, start):
        travelled = pickle.loads(pickle.dumps(unit))
        yield from travelled.read(max(0, start - unit.first), unit.rows)


def test_all_rows_come_once_and_in_order_from_any_start(tmp_path):
    corpus = write_parquet_dataset(tmp_path, rows=30, row_group_size=7, files=2)
    source = opened(tmp_path)
    for start in range(31):
        records = list(read(source, start))
        assert [r.position for r in records] == list(range(start, 30))
        assert [r.image for r in records] == corpus.images[start:]
        assert [r.fields["label"] for r in records] == corpus.labels[start:]
        assert [r.fields["caption"] for r in records] == corpus.captions[start:]


def test_a_row_knows_its_file_and_its_number_in_it(tmp_path):
    corpus = write_parquet_dataset(tmp_path, rows=30, row_group_size=7, files=2)
    places = [record.location for record in read(opened(tmp_path))]
    assert places == [f"{name!r}, row {row}" for name in corpus.files for row in range(15)]


def test_units_are_row_groups_with_small_pickles(tmp_path):
    write_parquet_dataset(tmp_path, rows=30, row_group_size=7, files=2)
    units = list(opened(tmp_path).units("train", COLUMNS, 0))
    assert [(u.first, u.rows) for u in units] == [
        (0, 7),
        (7, 7),
        (14, 1),
        (15, 7),
        (22, 7),
        (29, 1),
    ]
    assert all(len(pickle.dumps(u)) < 2000 for u in units)
    assert units[3].name == "data/train-00001-of-00002.parquet row group 0"


def test_part_of_a_unit_is_read_alone(tmp_path):
    corpus = write_parquet_dataset(tmp_path, rows=200, row_group_size=200, files=1)
    unit = next(opened(tmp_path).units("train", COLUMNS, 0))
    for start, stop in [(0, 1), (63, 65), (64, 64), (190, 200)]:
        records = list(unit.read(start, stop))
        assert [r.position for r in records] == list(range(start, stop))
        assert [r.image for r in records] == corpus.images[start:stop]


def test_the_identity_names_every_file_with_bytes_and_rows(tmp_path):
    corpus = write_parquet_dataset(tmp_path, rows=10, files=2)
    files = opened(tmp_path).identity()["files"]
    assert [f["name"] for f in files] == corpus.files
    assert [f["rows"] for f in files] == [5, 5]
    assert [f["bytes"] for f in files] == [(tmp_path / n).stat().st_size for n in corpus.files]
    assert str(tmp_path) not in str(files)


def test_splits_know_their_rows_and_count_from_zero(tmp_path):
    write_parquet_dataset(tmp_path, rows=10)
    corpus = write_parquet_dataset(tmp_path, rows=6, split="test", seed=1)
    source = opened(tmp_path)
    assert source.splits() == {"train": 10, "test": 6}
    records = list(read(source, split="test"))
    assert [r.position for r in records] == list(range(6))
    assert [r.image for r in records] == corpus.images


def test_a_glob_and_a_file_are_sources_too(tmp_path):
    corpus = write_parquet_dataset(tmp_path, rows=10, files=2)
    assert opened(tmp_path / "data" / "*.parquet").splits() == {"train": 10}
    one = opened(tmp_path / corpus.files[1])
    assert [r.image for r in read(one)] == corpus.images[5:]


def test_files_that_a_glob_calls_test_are_not_train(tmp_path):
    write_table(tmp_path / "test-1.parquet", {"image": [jpeg(0)]})
    assert opened(tmp_path / "*.parquet").splits() == {"test": 1}


def test_only_wanted_columns_are_read_and_counted(tmp_path):
    images = jpegs(4)
    write_table(tmp_path / "a.parquet", {"image": images, "big": [b"x" * 10**5] * 4})
    unit = next(opened(tmp_path).units("train", IMAGE_ONLY, 0))
    assert unit.size_bytes < 50_000
    assert [dict(r.fields) for r in unit.read(0, 4)] == [{}] * 4


def test_a_null_image_is_a_row_without_an_image(tmp_path):
    write_parquet_dataset(tmp_path, images=[jpeg(0), None, jpeg(1)], files=1)
    records = list(read(opened(tmp_path)))
    assert [r.image is None for r in records] == [False, True, False]
    # A struct of null bytes still has a path, which is not there.
    assert "no image file" in records[1].problem
    schema = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
    write_table(tmp_path / "b" / "n.parquet", {"image": [None]}, schema)
    (record,) = read(opened(tmp_path / "b"), columns=IMAGE_ONLY)
    assert (record.image, record.problem) == (None, None)


def test_paths_are_read_beside_the_files_or_below_the_image_root(tmp_path):
    (tmp_path / "set" / "pics").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "set" / "pics" / name).write_bytes(name.encode())
    columns = {"file_name": ["a.jpg", "b.jpg", "../x.jpg", "gone.jpg"], "label": [1, 2, 3, 4]}
    write_table(tmp_path / "set" / "t.parquet", columns)
    source = opened(tmp_path / "set", image_root=tmp_path / "set" / "pics")
    assert source.features()[0] == Column("file_name", "image")
    records = list(read(source, columns=Columns("file_name", None, (), None)))
    assert [r.image for r in records] == [b"a.jpg", b"b.jpg", None, None]
    assert [bool(r.problem) for r in records] == [False, False, True, True]
    assert "--image-root" in records[2].problem


def test_a_file_that_is_not_parquet_is_named(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 this is not so PAR1")
    with pytest.raises(SourceError, match=r"cannot read x\.parquet"):
        opened(tmp_path)


def test_damage_inside_a_file_is_named(tmp_path):
    corpus = write_parquet_dataset(tmp_path, rows=20, row_group_size=10, files=1)
    source = opened(tmp_path)
    path = tmp_path / corpus.files[0]
    data = bytearray(path.read_bytes())
    data[4:2000] = b"\xff" * 1996
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"train-00000-of-00001\.parquet row group 0"):
        list(read(source))


def test_a_removed_file_is_named(tmp_path):
    corpus = write_parquet_dataset(tmp_path, rows=4, files=1)
    source = opened(tmp_path)
    (tmp_path / corpus.files[0]).unlink()
    with pytest.raises(SourceError, match="cannot read data/train-00000"):
        list(read(source))


@pytest.mark.parametrize("name", ["nowhere", "empty", "*.parquet"])
def test_a_folder_without_parquet_is_an_error(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"no \.parquet file"):
        opened(tmp_path / name)


def test_files_that_belong_to_no_split_are_counted(tmp_path):
    for name in ("train-1", "test-1", "extra"):
        write_table(tmp_path / f"{name}.parquet", {"image": [jpeg(0)]})
    source = opened(tmp_path)
    assert source.splits() == {"train": 1, "test": 1}
    assert source.notes() == (
        "1 .parquet file left out: not in a split, for example 'extra.parquet'",
    )


def test_empty_row_groups_make_no_unit(tmp_path):
    write_table(tmp_path / "a.parquet", {"image": pa.array([], pa.binary())})
    write_table(tmp_path / "b.parquet", {"image": [jpeg(0)]})
    source = opened(tmp_path)
    assert source.splits() == {"train": 1}
    assert [u.rows for u in source.units("train", IMAGE_ONLY, 0)] == [1]


def test_reading_imports_no_heavy_library(tmp_path):
    write_parquet_dataset(tmp_path, rows=4)
    code = (
        "import sys\n"
        "from wdsremux.core.columns import Column, Columns\n"
        "from wdsremux.sources.parquet.local import open_parquet\n"
        "source = open_parquet(sys.argv[1], subset=None, image_root=None)\n"
        "columns = Columns('image', None, tuple(source.features()[1:]), None)\n"
        "rows = [r for u in source.units('train', columns, 0) for r in u.read(0, u.rows)]\n"
        "assert len(rows) == 4\n"
        "heavy = {'datasets', 'pandas', 'torch', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
