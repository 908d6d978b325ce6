"""Folders of images as a source: rows and labels, units, links, and files that change."""

import os
import pickle
import time

import datasets
import pytest
from support.sources import all_columns, hugging_face_rows, our_rows, records, write_images

from wdsremux.core.errors import SourceError
from wdsremux.sources.folder.source import ROWS_PER_UNIT, open_folder

LAYOUTS = {
    "flat": ["b.png", "a.png", "10.png", "9.png", "Z.png"],
    "class folders": ["b/2.png", "a/1.png", "a-x/1.png", "b/10.png", "é/1.png", "a/ü.png"],
    "unequal depth": ["a/1.png", "b/c/1.png", "a.png"],
    "split folders": ["train/a/1.png", "train/b/2.png", "val/b/1.png", "testing/a/1.png"],
    "one class": ["train/a/1.png", "test/a/2.png"],
    "nested splits": ["train/dev/1.png", "train/b/1.png", "x/train/b/3.png"],
    "ranks": ["train-1/b/2.png", "train/a/1.png", "training/a/1.png"],
    "file names": ["a/train_1.png", "a/x-test.png", "b/other.png", "b/x-train.png"],
    "numbered": ["data/train-00000-of-00002.png", "data/my-00001-of-00002.png", "data/x.png"],
    "hidden": ["a/1.png", "b/2.png", ".h/3.png", "__MACOSX/4.png", "a/._1.png", "b/__x.png"],
    "upper case": ["Train/a/1.PNG", "Train/b/1.JPG", "Train/b/2.txt"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_and_labels_are_those_of_imagefolder(tmp_path, layout):
    root = write_images(tmp_path / "f", LAYOUTS[layout])
    source = open_folder(root)
    theirs = datasets.load_dataset("imagefolder", data_dir=str(root), streaming=True)

    assert list(source.splits()) == [str(split) for split in theirs]
    for split, count in source.splits().items():
        rows, features = hugging_face_rows(root, split)
        ours = our_rows(root, split)
        if "label" not in features:
            assert all(row["label"] is None for _, row in ours if "label" in row)
            ours = [(name, {}) for name, _ in ours]
        assert ours == rows
        assert count == len(rows)
    label = next((c for c in source.features() if c.name == "label"), None)
    assert (label is not None) == ("label" in features)
    if label:
        assert list(label.class_names) == features["label"].names


def test_folders_of_splits_are_found_in_upper_case_too(tmp_path):
    write_images(tmp_path, ["train/a/1.png", "train/b/2.png", "Test/a/3.png", "Test/b/4.png"])
    source = open_folder(tmp_path)
    assert dict(source.splits()) == {"train": 2, "test": 2}
    (label,) = [column for column in source.features() if column.name == "label"]
    assert list(label.class_names) == ["a", "b"]


def test_an_image_that_takes_the_labels_from_all_others_is_named(tmp_path, caplog):
    write_images(tmp_path, ["a/1.png", "a/2.png", "b/3.png"])
    open_folder(tmp_path)
    assert not caplog.messages
    write_images(tmp_path, ["stray.png"])
    assert [c.name for c in open_folder(tmp_path).features()] == ["image", "file_name"]
    (reported,) = caplog.messages
    assert (
        "1 of 4 images are outside the class folders or deeper in them, for example 'stray.png'"
        in reported
    )


@pytest.mark.parametrize("names", [["1.png", "2.png"], ["1.png", "2.png", "a/3.png"]])
def test_images_outside_class_folders_do_not_remove_the_labels_of_others(tmp_path, caplog, names):
    write_images(tmp_path, names)
    open_folder(tmp_path)
    assert not caplog.messages


def test_a_row_knows_its_file(tmp_path):
    write_images(tmp_path, ["a/1.png", "b/2.png"])
    assert [record.location for record in records(open_folder(tmp_path))] == [
        "'a/1.png'",
        "'b/2.png'",
    ]


def test_every_image_is_read_as_it_is_stored(tmp_path):
    root = write_images(tmp_path, ["a/1.png", "b/2.png"])
    assert [record.image for record in records(open_folder(root))] == [
        (root / "a/1.png").read_bytes(),
        (root / "b/2.png").read_bytes(),
    ]


def test_a_file_that_fits_two_keywords_of_a_split_is_one_row(tmp_path):
    root = write_images(tmp_path, ["train/train_a/1.png", "train/b/1.png"])
    assert [name for name, _ in our_rows(root, "train")] == ["train/b/1.png", "train/train_a/1.png"]


def test_folders_that_only_name_splits_are_not_labels(tmp_path):
    root = write_images(tmp_path, ["train/1.png", "test/1.png"])
    assert [c.name for c in open_folder(root).features()] == ["image", "file_name"]


@pytest.mark.parametrize("start", [0, 1, 255, 256, 300, 511, 512, 513])
def test_units_cover_every_row_once_from_any_start(tmp_path, start):
    root = write_images(tmp_path, [f"{'ab'[i % 2]}/{i:04}.png" for i in range(513)])
    source = open_folder(root)
    whole = records(source)
    units = list(source.units("train", all_columns(source), start))

    assert [record.position for record in whole] == list(range(513))
    assert all(unit.rows <= ROWS_PER_UNIT for unit in units)
    assert not units or units[0].first <= start < units[0].first + units[0].rows
    assert records(source, start=start) == whole[start:]


def test_a_unit_pickles_small_and_reads_any_part_of_itself(tmp_path):
    root = write_images(tmp_path, [f"a/{i:03}.png" for i in range(20)])
    source = open_folder(root)
    (unit,) = source.units("train", all_columns(source), 0)
    copy = pickle.loads(pickle.dumps(unit))

    assert len(pickle.dumps(unit)) < 2000
    assert list(copy.read(5, 8)) == list(unit.read(0, 20))[5:8]


def test_links_are_followed_only_inside_the_folder(tmp_path):
    root = write_images(tmp_path / "f", ["a/1.png"])
    write_images(tmp_path, ["secret.png"])
    (root / "a/2.png").symlink_to("1.png")
    (root / "a/3.png").symlink_to(tmp_path / "secret.png")
    (root / "a/4.png").symlink_to("nowhere.png")
    (root / "loop").symlink_to(root, target_is_directory=True)
    one, two, three, four = records(open_folder(root))

    assert one.image == two.image
    assert "outside" in three.problem
    assert "does not exist" in four.problem
    assert [r.fields["file_name"] for r in (one, four)] == ["a/1.png", "a/4.png"]


def test_a_link_to_another_folder_of_the_source_is_named(tmp_path):
    write_images(tmp_path, ["10/0.png", "11/0.png"])
    (tmp_path / "12").symlink_to(tmp_path / "10")
    source = open_folder(tmp_path)
    assert [record.fields["label"] for record in records(source)] == [0, 1]
    (note,) = source.notes()
    assert note.startswith("1 link to other folders of the source not followed, for example '12'")


def test_a_linked_folder_that_leaves_the_source_is_refused(tmp_path):
    root = write_images(tmp_path / "f", ["a/1.png"])
    write_images(tmp_path / "other", ["2.png"])
    (root / "b").symlink_to(tmp_path / "other", target_is_directory=True)
    with pytest.raises(SourceError, match=r"'b'.*folder outside"):
        open_folder(root)


def test_a_file_that_vanishes_after_listing_is_a_problem(tmp_path):
    root = write_images(tmp_path, ["1.png", "2.png"])
    source = open_folder(root)
    (unit,) = source.units("train", all_columns(source), 0)
    (root / "1.png").unlink()
    assert [bool(record.problem) for record in unit.read(0, 2)] == [True, False]


def changed_after(newest_ns, change, path):
    """Change a file until its file system says that this was later: its clock goes by ticks."""
    end = time.monotonic() + 60
    change()
    while path.stat().st_ctime_ns <= newest_ns:
        assert time.monotonic() < end, "the clock of the file system stands still"
        change()


def rewrite(path):
    """Write other bytes of the same number and date, as copying programs can."""
    times = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def replace_by_copy(path):
    copy = path.with_suffix(".part")
    copy.write_bytes(path.read_bytes() + b"longer")
    copy.replace(path)


@pytest.mark.parametrize("change", [rewrite, replace_by_copy])
@pytest.mark.parametrize("table", ["", "file_name\n1.png\n2.png\n"])
def test_a_file_that_changes_after_listing_ends_the_run_by_its_name(tmp_path, change, table):
    root = write_images(tmp_path, ["1.png", "2.png"])
    if table:
        (root / "metadata.csv").write_text(table)
    source = open_folder(root)
    (unit,) = source.units("train", all_columns(source), 0)
    changed_after(source.summary.newest_ns, lambda: change(root / "2.png"), root / "2.png")
    assert len(list(unit.read(0, 1))) == 1
    with pytest.raises(SourceError, match=r"'2\.png' has changed since the run began"):
        list(unit.read(0, 2))
    assert len(records(open_folder(root))) == 2


def test_a_server_whose_clock_is_ahead_changes_no_file(tmp_path, monkeypatch):
    root = write_images(tmp_path, ["1.png", "2.png"])
    monkeypatch.setattr("time.time_ns", lambda: 0)
    assert len(records(open_folder(root))) == 2


def test_a_hidden_file_that_only_metadata_names_is_read_though_it_is_the_newest(tmp_path):
    root = write_images(tmp_path, ["1.png"])
    (root / "metadata.csv").write_text("file_name\n1.png\n.more/2.png\n")
    newest_ns = max(path.stat().st_ctime_ns for path in root.iterdir())
    hidden = root / ".more/2.png"
    changed_after(newest_ns, lambda: write_images(root, [".more/2.png"]), hidden)
    assert [record.problem for record in records(open_folder(root))] == [None, None]


def test_a_pipe_with_the_name_of_an_image_does_not_hang(tmp_path):
    root = write_images(tmp_path, ["1.png"])
    os.mkfifo(root / "2.png")
    assert len(records(open_folder(root))) == 1


def test_a_folder_that_changes_between_listing_and_reading_is_an_error(tmp_path):
    root = write_images(tmp_path, ["1.png", "2.png"])
    source = open_folder(root)
    (root / "2.png").unlink()
    with pytest.raises(SourceError, match="changed during the run"):
        records(source)


def test_a_name_of_invalid_utf8_is_read_and_shown_with_escapes(tmp_path):
    root = write_images(tmp_path, ["1.png"])
    (root / "1.png").rename(os.fsdecode(os.fsencode(root) + b"/\xff.png"))
    (record,) = records(open_folder(root))
    assert record.image
    assert record.fields["file_name"] == "\\xff.png"


def test_the_identity_depends_on_names_sizes_and_metadata_not_on_the_folder(tmp_path):
    names = ["a/1.png", "b/2.png"]
    one = write_images(tmp_path / "one", names)
    two = write_images(tmp_path / "two", names, seed=1)
    (two / "notes.txt").write_text("no image")
    identity = open_folder(one).identity()

    assert open_folder(two).identity() == identity
    assert (identity["kind"], identity["files"]) == ("folder", 2)
    (two / "b/2.png").rename(two / "b/3.png")
    assert open_folder(two).identity() != identity
    (one / "metadata.csv").write_text("file_name\na/1.png\n")
    first = open_folder(one).identity()
    (one / "metadata.csv").write_text("file_name\nb/2.png\n")
    assert open_folder(one).identity() != first


def test_a_missing_folder_or_one_without_images_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(SourceError, match="does not hold image files"):
        open_folder(tmp_path)
    with pytest.raises(SourceError, match="does not exist"):
        open_folder(tmp_path / "nowhere")


def test_an_unknown_split_is_named_with_those_there_are(tmp_path):
    source = open_folder(write_images(tmp_path, ["train/1.png"]))
    with pytest.raises(SourceError, match=r"'test'.*train; name one"):
        next(source.units("test", all_columns(source), 0))


def test_a_folder_of_unsupported_images_is_refused_with_their_formats(tmp_path):
    write_images(tmp_path, ["a/1.ppm", "b/2.TGA"])
    with pytest.raises(SourceError, match=r"are \.ppm, \.tga, which cannot be read; convert"):
        open_folder(tmp_path)


def test_one_unsupported_image_is_a_row(tmp_path):
    write_images(tmp_path, ["1.ppm", "2.JPG"])
    assert len(records(open_folder(tmp_path))) == 2
