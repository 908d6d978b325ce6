"""Libraries that are imported when an image needs them; each test in a process of its own."""

import json
import subprocess
import sys

from support.corpora import write_parquet_dataset

QUIET = """
import json, sys
from wdsremux.transforms.libraries import quiet_libraries
quiet_libraries(for_function={})
early = sorted({{"cv2", "PIL.AvifImagePlugin"}} & set(sys.modules))
from wdsremux.transforms.libraries import AvifImagePlugin, cv2
print(json.dumps([early, cv2.getNumThreads(), AvifImagePlugin.DEFAULT_MAX_THREADS]))
"""

CONVERT = """
import json, sys
import wdsremux
wdsremux.convert(*sys.argv[1:], steps=["resize=16"], progress="none")
not_needed = {"PIL.AvifImagePlugin", "PIL.ImageCms", "PIL.TiffImagePlugin", "asyncio", "datasets"}
not_needed |= {"fsspec", "importlib.metadata", "pyarrow.compute"}
print(json.dumps(sorted(not_needed & set(sys.modules))))
"""


def output_of(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_they_run_in_one_thread_from_their_first_use():
    assert output_of(QUIET.format(False)) == [[], 1, 1]


def test_a_function_may_import_them_itself_so_they_are_imported_for_one():
    assert output_of(QUIET.format(True)) == [["PIL.AvifImagePlugin", "cv2"], 1, 1]


def test_a_conversion_of_jpegs_imports_nothing_that_it_does_not_need(tmp_path):
    write_parquet_dataset(tmp_path / "in", rows=3)
    assert output_of(CONVERT, tmp_path / "in", tmp_path / "out") == []
