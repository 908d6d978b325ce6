"""Every place that reads an output or a source is fed a harmless bomb: none goes off.

The page `security` lists the places. Recorded functions have a file of tests of their own.
"""

import contextlib
import io
import json
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Image
from support.corpora import jpeg, write_parquet_dataset
from support.repairable import Made, entry, images, state
from support.runs import wdsremux as command
from support.verified import flip, sample, write_tar

import wdsremux
from wdsremux.cli.main import main
from wdsremux.core.errors import CorruptDataError

pytestmark = pytest.mark.integration

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(bomb) run\n%%EOF\n"


@pytest.fixture
def mark(tmp_path):
    """Return the file that a bomb makes; it is not there at the end."""
    path = tmp_path / "went off"
    yield path
    assert not path.exists()


@pytest.fixture
def code(mark):
    """Return Python code that creates the file."""
    return f"open({str(mark)!r}, 'w').close()\n"


@pytest.fixture
def pickled(mark):
    """Return a pickle that makes the file: as a call of `open`."""
    data = f"cbuiltins\nopen\n(V{mark}\nVw\ntR.".encode()
    pickle.loads(data).close()
    assert mark.exists()  # it is a bomb
    mark.unlink()
    return data


def used(source, folder, *arguments):
    """Convert a source, look into what came of it, and demand that no bug was met."""
    out = folder / "converted"
    options = ("--progress", "none", "--max-errors", "100%", "--workers", 0)
    code = run("convert", source, out, *options, *arguments)
    for name in ("verify", "show", "ls", "index", "repair"):
        for place in (out, source):
            run(name, place)
    return code


def run(*arguments):
    """Run the command line in this process, demand that no bug is met, and return its exit code."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = main([*map(str, arguments)])
    assert code != 70, said.getvalue()
    return code


def test_tags_of_yaml_are_not_executed(tmp_path, mark):
    tags = (
        f"!!python/object/apply:os.system ['touch \"{mark}\"']",
        f"!!python/object/new:subprocess.check_output [['touch', '{mark}']]",
        f"!!python/object/apply:builtins.open ['{mark}', w]",
    )
    for number, tag in enumerate(tags):
        folder = tmp_path / str(number)
        write_parquet_dataset(folder / "in")
        (folder / "in" / "README.md").write_text(f"---\nconfigs: {tag}\n---\n")
        used(folder / "in", folder)
        (folder / "images" / "a").mkdir(parents=True)
        (folder / "images" / "a" / "1.jpg").write_bytes(jpeg(1))
        (folder / "images" / "data.csv").write_text("file_name,label\na/1.jpg,1\n")
        (folder / "images" / "README.md").write_text(f"---\nconfigs: {tag}\n---\n")
        used(folder / "images", folder / "2")
        out = folder / "demo"
        wdsremux.convert("demo:", out, limit=4, workers=0)
        (out / "README.md").write_text(f"---\ndataset_info: {tag}\n---\n")
        assert wdsremux.verify(out).counts


def test_a_script_beside_the_data_is_not_run(tmp_path, code):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("mine.py", "dataset.py", "__init__.py", "conftest.py", "setup.py"):
        (folder / name).write_text(code)
    used(folder, tmp_path)
    used(folder / "mine.py", tmp_path / "file", "--source-kind", "loadable")
    (folder / "1.jpg").write_bytes(jpeg(1))
    (folder / "metadata.csv").write_text("file_name,label\n1.jpg,1\n")
    used(folder, tmp_path / "both")
    used(folder, tmp_path / "loadable", "--source-kind", "loadable")


@pytest.mark.parametrize("name", ["data.pkl", "data.pickle", "data.pt", "data.npy", "train.pandas"])
def test_a_pickle_is_not_loaded(tmp_path, pickled, name):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / name).write_bytes(pickled)
    used(folder, tmp_path)
    used(folder / name, tmp_path / "file", "--source-kind", "loadable")


def objects(pickled):
    """Return an array file of objects, whose pickle is a bomb."""
    data = io.BytesIO()
    np.save(data, np.array([None], dtype=object), allow_pickle=True)
    return data.getvalue().split(b"\x80", 1)[0] + pickled


@pytest.mark.parametrize("arguments", [(), ("--source-kind", "loadable")])
def test_members_of_tars_are_not_unpickled(tmp_path, pickled, arguments):
    array = objects(pickled)
    contents = {"pkl": pickled, "pickle": pickled, "pyd": pickled, "pth": pickled, "npy": array}
    samples = [sample(f"{number:04}", **contents) for number in range(3)]
    write_tar(tmp_path / "in" / "train-0000.tar", [member for each in samples for member in each])
    used(tmp_path / "in", tmp_path, *arguments)
    loaded = wdsremux.load(tmp_path / "in") if (tmp_path / "in" / "index.json").exists() else []
    assert [one["pkl"] for one in loaded] == [pickled] * len(loaded)


def with_extension(pickled):
    """Return a table with a column whose type contains a pickle, as old releases of Arrow had it."""
    mark = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickled,
    }
    image = pa.array([{"bytes": jpeg(i), "path": None} for i in range(3)])
    schema = pa.schema([pa.field("image", image.type), pa.field("more", pa.int64(), metadata=mark)])
    return pa.table([image, pa.array([1, 2, 3])], schema)


def test_types_of_arrow_are_not_unpickled(tmp_path, pickled):
    table = with_extension(pickled)
    (tmp_path / "in").mkdir()
    pq.write_table(table, tmp_path / "in" / "train.parquet")
    assert used(tmp_path / "in", tmp_path) == 0
    rows = [{"image": {"bytes": jpeg(i), "path": None}} for i in range(3)]
    Dataset.from_list(rows).cast_column("image", Image()).save_to_disk(tmp_path / "saved")
    [file] = (tmp_path / "saved").glob("*.arrow")
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    used(tmp_path / "saved", tmp_path / "2")


def test_no_shell_is_started_for_a_pipe(tmp_path, mark):
    pipe = f"pipe:touch '{mark}'; cat a.tar"
    write_tar(tmp_path / "in" / "a.tar", sample("0001"))
    index = {"wids_version": 1, "shardlist": [{"url": pipe, "nsamples": 1}]}
    (tmp_path / "in" / "index.json").write_text(json.dumps(index))
    used(tmp_path / "in", tmp_path)
    for arguments in (pipe, f"{pipe}|", f"|touch '{mark}'", f"file:{pipe}", f"simplecache::{pipe}"):
        run("convert", arguments, tmp_path / "other", "--give-up-after", "1s")
        run("sync", arguments, tmp_path / "other")
        run("verify", arguments)
    made = Made(tmp_path / "made")
    write_parquet_dataset(made.source, images=images(8, ()))
    made.convert()
    raw = json.loads((made.out / "index.json").read_text())
    raw["shardlist"][0]["url"] = raw["shardlist"][0]["name"] = pipe
    (made.out / "index.json").write_text(json.dumps(raw))
    with pytest.raises(CorruptDataError):
        list(wdsremux.load(made.out))
    run("sync", made.out, tmp_path / "copy")
    used(made.out, made.folder)


def test_an_image_starts_no_program(tmp_path, mark, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("gs", "convert", "magick", "rsvg-convert", "ffmpeg", "curl", "sh"):
        (programs / name).write_text(f"#!/bin/bash\ntouch '{mark}'\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    members = [*sample("0001"), *sample("0002", jpg=EPS), *sample("0003", png=EPS)]
    write_tar(tmp_path / "in" / "a.tar", members)
    used(tmp_path / "in", tmp_path)
    run("verify", tmp_path / "in", "--depth", "pixels")
    run("show", tmp_path / "in", "0002")
    with pytest.raises(CorruptDataError, match="cannot be decoded"):
        list(wdsremux.load(tmp_path / "in"))


def test_files_of_the_state_are_not_unpickled(tmp_path, pickled):
    made = Made(tmp_path / "made")
    write_parquet_dataset(made.source, images=images(30, ()))
    made.convert()
    names = ("recipe.json", "rejected.jsonl", "moved.jsonl", "lock")
    for place in (made.out / "index.json", entry(made.out), *(state(made.out, n) for n in names)):
        out = made.copy(tmp_path / f"copy of {place.name}")
        (out / place.relative_to(made.out)).write_bytes(pickled)
        for arguments in (("repair", out), ("sync", out, tmp_path / "there"), ("verify", out)):
            run(*arguments)


def test_modules_in_the_folder_are_not_imported(tmp_path, code):
    made = Made(tmp_path / "made")
    write_parquet_dataset(made.source, images=images(30, ()))
    made.convert()
    for name in (
        "json", "argparse", "numpy", "datasets", "webdataset", "msgpack", "PIL", "wdsremux",
        "sitecustomize", "usercustomize", "cv2", "yaml", "cloudpickle", "tqdm",
    ):  # fmt: skip
        (made.out / f"{name}.py").write_text(code)
    (made.out / "evil-1.0.dist-info").mkdir()
    (made.out / "evil-1.0.dist-info" / "METADATA").write_text("Name: evil\nVersion: 1.0\n")
    entries = "[fsspec.specs]\nfile = json:Bomb\n[console_scripts]\nwdsremux = json:main\n"
    (made.out / "evil-1.0.dist-info" / "entry_points.txt").write_text(entries)
    flip(min(made.out.glob("*.tar")), 700)
    for arguments in (
        ("show", "."), ("verify", ".", "--depth", "pixels"), ("repair", ".", "--engine", "processes", "--workers", "1"),
        ("sync", ".", "../there"), ("convert", "../in", "../new", "--engine", "processes", "--workers", "1"),
        ("doctor",),
    ):  # fmt: skip
        done = command(*arguments, cwd=made.out)
        assert "Traceback" not in done.stderr
        assert done.returncode in (0, 1), done.stderr
