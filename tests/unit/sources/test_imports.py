import subprocess
import sys

import pytest

HEAVY = {"datasets", "pandas", "torch"}


def loaded_by(code):
    """Return the heavy libraries that a fresh interpreter has loaded after the code."""
    code += f"\nimport sys\nprint(*sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    "name",
    [
        "folder.source",
        "tars.source",
        "demo",
        "rows.iterable",
        "hf_datasets.tables",
        "hf_datasets.loadable",
    ],
)
def test_importing_a_source_loads_nothing_heavy(name):
    assert loaded_by(f"import wdsremux.sources.{name}") == []


def test_reading_a_folder_a_tar_and_the_demo_loads_nothing_heavy(tmp_path):
    code = f"""
import io, pathlib, tarfile
from wdsremux.core.columns import Columns
from wdsremux.sources.demo import open_demo
from wdsremux.sources.folder.source import open_folder
from wdsremux.sources.rows.iterable import open_iterable
from wdsremux.sources.tars.source import open_tars

root = pathlib.Path({str(tmp_path)!r})
(root / "1.png").write_bytes(b"x")
(root / "metadata.csv").write_text("file_name\\n1.png\\n")
with tarfile.open(root / "a.tar", "w") as tar:
    tar.addfile(tarfile.TarInfo("1.png"))
for source in (open_demo(), open_folder(root), open_tars(root), open_iterable([{{"image": b"x"}}])):
    unit = next(source.units("train", Columns("image", None, (), None), 0))
    next(unit.read(0, 1))
"""
    assert loaded_by(code) == []
