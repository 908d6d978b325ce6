import json

import pytest
from support.verified import SHARD, copied, flip, make_dataset, sample, write_tar

from wdsremux.cli import verify as cli_verify
from wdsremux.cli.main import main
from wdsremux.cli.verify import report_lines
from wdsremux.verifying.verify import verify


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out")


@pytest.fixture
def out(made, tmp_path):
    return copied(made, tmp_path / "out")


def run(capsys, *arguments):
    """Return (exit code, lines of stdout, stderr)."""
    code = main([str(word) for word in arguments])
    reported = capsys.readouterr()
    return code, reported.out.splitlines(), reported.err


def test_a_clean_dataset_ends_with_0_and_one_line(made, capsys):
    code, lines, err = run(capsys, "verify", made)
    assert (code, err) == (0, "")
    (line,) = lines
    assert line.startswith("clean: 38 samples in 5 shards, ")
    assert line.endswith("depth bytes")


def test_findings_end_with_1_and_a_line_for_each(out, capsys):
    flip(out / SHARD, 600, 3)
    (out / "README.md").unlink()
    code, lines, _ = run(capsys, "verify", out, "--depth", "pixels")
    assert code == 1
    assert len(lines) == 3
    assert lines[0].startswith("W120 warning README.md: ")
    assert lines[1].startswith(f"W201 error {SHARD}, sample ")
    assert ", byte 600: bytes of a sample are damaged (content of .jpg, bit 3 is" in lines[1]
    assert lines[1].endswith(f"; wdsremux repair {out} --shard {SHARD}")
    assert lines[2].startswith("1 error, 1 warning: 38 samples in 5 shards")


def test_a_place_without_a_dataset_ends_with_6(tmp_path, capsys):
    for place in (tmp_path, tmp_path / "missing"):
        code, lines, err = run(capsys, "verify", place)
        assert (code, lines) == (6, [])
        assert str(place) in err


@pytest.mark.parametrize(
    "arguments", [("--subset", "2/1"), ("--workers", "0"), ("--subset", "x")], ids=str
)
def test_invalid_options_end_with_2(made, capsys, arguments):
    code, _, err = run(capsys, "verify", made, *arguments)
    assert code == 2
    assert arguments[0] in err


@pytest.mark.parametrize(
    "arguments", [("--depth", "deep"), ("--workers", "x"), ("--dept", "bytes")]
)
def test_unknown_options_end_with_2(made, arguments):
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(made), *arguments])
    assert ended.value.code == 2


def test_json_is_one_object(out, capsys):
    flip(out / SHARD, 600)
    code, lines, _ = run(capsys, "verify", out, "--json", "--subset", "100%", "--workers", "1")
    assert code == 1
    report = json.loads("\n".join(lines))
    assert report["errors"] == 1
    assert report["findings"][0]["code"] == "W201"


def test_quarantine_says_where_shards_are_now(out, capsys):
    flip(out / SHARD, 600)
    code, lines, _ = run(capsys, "verify", out, "--quarantine")
    assert code == 1
    assert f"moved to .wdsremux/quarantine/{SHARD}" in lines


def test_long_lists_are_cut_and_counted(out, monkeypatch):
    for path in out.glob("*.tar"):
        flip(path, 600)
    monkeypatch.setattr(cli_verify, "MAX_LINES", 2)
    lines = report_lines(verify(out))
    assert sum(line.startswith("W201") for line in lines) == 3
    assert "W201 error: 5 in all" in lines


def test_index_makes_an_index_and_says_so(tmp_path, capsys):
    write_tar(tmp_path / "out/train-0.tar", sample("a"))
    code, lines, _ = run(capsys, "index", tmp_path / "out")
    assert code == 0
    assert lines[0].startswith("1 sample in 1 shard,")
    assert run(capsys, "index", tmp_path / "out")[0] == 2
    assert run(capsys, "verify", tmp_path / "out")[0] == 0
    assert run(capsys, "index", tmp_path)[0] in (2, 6)


def test_the_help_says_what_changes_something(capsys):
    with pytest.raises(SystemExit):
        main(["verify", "--help"])
    assert "Only --quarantine changes anything." in " ".join(capsys.readouterr().out.split())
