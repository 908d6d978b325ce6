"""The kernel's C code with sanitizers, over damaged JPEGs; `tools/kernel/fuzz.py` does it at length."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_damaged_jpegs_break_no_memory_and_vectors_equal_plain_c(tmp_path):
    command = [sys.executable, "tools/kernel/fuzz.py", "--smoke", "--out", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[0]) > 2000
