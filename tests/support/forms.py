"""The same few pictures in every form that a source can have, on disk or in a Hub repo."""

import csv
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from support.corpora import jpeg, write_table

NAMES = ("cat", "dog")


@dataclass(frozen=True)
class Form:
    """What a source holds, in row order."""

    folder: Path
    images: list
    labels: list
    texts: list


def pictures(rows):
    """Return a form without a folder: JPEGs that are all different, with labels and strings."""
    labels = [i * len(NAMES) // rows for i in range(rows)]
    return Form(None, [jpeg(i) for i in range(rows)], labels, [f"picture {i}" for i in range(rows)])


def _put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_class_folders(folder, rows=8, split="train"):
    """Write `{split}/{class}/NNN.jpg`."""
    form = pictures(rows)
    for i, (image, label) in enumerate(zip(form.images, form.labels, strict=True)):
        _put(Path(folder, split, NAMES[label], f"{i:03}.jpg"), image)
    return Form(Path(folder), form.images, form.labels, form.texts)


def write_with_metadata(folder, rows=8, kind="csv", split="train"):
    """Write `{split}/NNN.jpg` and a metadata file with label and text."""
    form = pictures(rows)
    lines = [
        {"file_name": f"{i:03}.jpg", "label": form.labels[i], "text": form.texts[i]}
        for i in range(rows)
    ]
    for line, image in zip(lines, form.images, strict=True):
        _put(Path(folder, split, line["file_name"]), image)
    _write_lines(Path(folder, split, f"metadata.{kind}"), lines)
    return Form(Path(folder), form.images, form.labels, form.texts)


def write_table_beside_images(folder, rows=8, kind="csv"):
    """Write `images/NNN.jpg` and a table `train.csv` or `train.jsonl` whose column names them."""
    form = pictures(rows)
    lines = [
        {"image": f"images/{i:03}.jpg", "label": form.labels[i], "text": form.texts[i]}
        for i in range(rows)
    ]
    for line, image in zip(lines, form.images, strict=True):
        _put(Path(folder, line["image"]), image)
    _write_lines(Path(folder, f"train.{kind}"), lines)
    return Form(Path(folder), form.images, form.labels, form.texts)


def _write_lines(path, lines):
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, lines[0])
            writer.writeheader()
            writer.writerows(lines)
    else:
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_zip(folder, rows=8):
    """Write `data.zip` with class folders."""
    form = pictures(rows)
    Path(folder).mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(Path(folder, "data.zip"), "w") as archive:
        for i, (image, label) in enumerate(zip(form.images, form.labels, strict=True)):
            archive.writestr(f"{NAMES[label]}/{i:03}.jpg", image)
    return Form(Path(folder), form.images, form.labels, form.texts)


def write_tars(folder, rows=8, shards=2):
    """Write `train-NNNNNN.tar` of jpg, json and txt, as other programs write WebDataset."""
    form = pictures(rows)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number in range(shards):
        with tarfile.open(Path(folder, f"train-{number:06}.tar"), "w") as tar:
            for i in range(rows * number // shards, rows * (number + 1) // shards):
                entry = json.dumps({"label": form.labels[i]}).encode()
                for extension, data in (
                    ("jpg", form.images[i]),
                    ("json", entry),
                    ("txt", form.texts[i].encode()),
                ):
                    info = tarfile.TarInfo(f"sample{i:03}.{extension}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return Form(Path(folder), form.images, form.labels, form.texts)


def write_plain_parquet(folder, rows=8):
    """Write Parquet with the image's bytes in a plain column."""
    form = pictures(rows)
    columns = {"image": form.images, "label": form.labels, "text": form.texts}
    write_table(Path(folder, "train.parquet"), columns)
    return Form(Path(folder), form.images, form.labels, form.texts)


def write_path_parquet(folder, images, rows=8):
    """Write Parquet that names its images, relative to the folder `images`."""
    form = pictures(rows)
    names = [f"{i:03}.jpg" for i in range(rows)]
    for name, image in zip(names, form.images, strict=True):
        _put(Path(images, name), image)
    columns = {"image": names, "label": form.labels, "text": form.texts}
    write_table(Path(folder, "train.parquet"), columns)
    return Form(Path(folder), form.images, form.labels, form.texts)
