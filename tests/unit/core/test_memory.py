"""How much memory to plan for: the machine's, or the limit of a control group."""

import os

import pytest

from wdsremux.core.memory import usable_memory

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("memory.max", "1000000\n", 1_000_000),
        ("memory.max", "max\n", MACHINE),
        ("memory/memory.limit_in_bytes", "2000000\n", 2_000_000),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", MACHINE),
        ("memory.max", "nonsense", MACHINE),
    ],
)
def test_the_limit_of_the_control_group_counts_if_it_is_smaller(tmp_path, name, text, expected):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    assert usable_memory(tmp_path, tmp_path / "none") == expected


def test_the_group_of_the_process_and_its_parents_count(tmp_path):
    (tmp_path / "job" / "step").mkdir(parents=True)
    (tmp_path / "job" / "memory.max").write_text("5000000")
    (tmp_path / "job" / "step" / "memory.max").write_text("7000000")
    (tmp_path / "membership").write_text("0::/job/step\n")
    assert usable_memory(tmp_path, tmp_path / "membership") == 5_000_000
