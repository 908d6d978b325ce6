import json
import re

import pytest

from wdsremux.verifying.findings import Code, Finding, catalogue_markdown


def test_every_code_is_unique_and_well_formed():
    numbers = [code.code for code in Code]
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"W[1-5]\d\d", number) for number in numbers)
    assert numbers == sorted(numbers)


def test_every_code_says_what_it_means_and_what_to_do():
    for code in Code:
        assert code.severity in ("error", "warning")
        for text in (code.title, code.remedy):
            assert text
            assert not text.endswith(".")
            assert "|" not in text


def test_the_catalogue_has_a_row_for_every_code():
    rows = catalogue_markdown().splitlines()
    assert len(rows) == len(Code) + 2
    assert all(f"| {code.code} | {code.severity} |" in rows[i + 2] for i, code in enumerate(Code))
    assert "{shard}" not in catalogue_markdown()


def test_a_line_names_shard_sample_byte_and_remedy():
    line = Finding(Code.SAMPLE_DAMAGED, "a-000001.tar", "k1", 77, "bit 3 is flipped").line()
    assert line == (
        "W201 error a-000001.tar, sample 'k1', byte 77: bytes of a sample are damaged "
        "(bit 3 is flipped); wdsremux repair OUT --shard a-000001.tar"
    )


@pytest.mark.parametrize("name", ["a\x1b[2J.tar", "a\n.tar", "\u202e.tar", "\udc80.tar"])
def test_a_hostile_name_is_printed_escaped(name):
    line = Finding(Code.SHARD_SIZE, name, name).line()
    assert line.isprintable()
    line.encode()


def test_a_finding_becomes_json():
    found = json.loads(json.dumps(Finding(Code.KEY_DUPLICATE, "s.tar", "k", 5, "d").to_json()))
    assert found["code"] == "W118"
    assert found["name"] == "key-duplicate"
    assert (found["shard"], found["key"], found["offset"]) == ("s.tar", "k", 5)
    assert found["severity"] == "error"
    assert found["remedy"]
