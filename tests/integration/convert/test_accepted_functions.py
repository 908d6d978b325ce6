"""`--accept-function-change` keeps finished shards and records which rows each function made."""

import sys

import pytest
from support.runs import convert, manifest, published
from support.runs import wdsremux as command

import wdsremux
from wdsremux.core.errors import CorruptDataError, RecipeMismatchError
from wdsremux.core.events import Note, ShardDone

SMALL = "def shrink(image):\n    return image.resize((16, 16))\n"
LARGE = "def shrink(image):\n    return image.resize((24, 24))\n"
ROWS = 20
ROWS_A_SHARD = 5


class StoppedError(Exception):
    pass


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "aug.py").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def run(folder, *, stop_after=None, notes=None, **options):
    """Convert; after `stop_after` finished shards the run is broken off."""
    done = []

    def observe(event):
        if isinstance(event, ShardDone):
            done.append(event)
            if len(done) == stop_after:
                raise StoppedError
        if isinstance(event, Note) and notes is not None:
            notes.append(event.text)

    given = {"limit": ROWS, "max_shard_samples": ROWS_A_SHARD, "workers": 0, **options}
    return wdsremux.convert(
        "demo:", folder / "out", transform="aug.py:shrink", transform_mode="image",
        observer=observe, **given,
    )  # fmt: skip


def stopped(folder, shards=2, **options):
    with pytest.raises(StoppedError):
        run(folder, stop_after=shards, **options)


def widths(folder):
    return [row["width"] for row in wdsremux.load(folder / "out", split="train")]


def test_finished_shards_are_kept_and_the_rest_is_made_by_the_new_function(project):
    stopped(project)
    kept = (project / "out/train-000000.tar").read_bytes()
    (project / "aug.py").write_text(LARGE)
    run(project, accept_function_change=True)
    assert (project / "out/train-000000.tar").read_bytes() == kept
    assert widths(project) == [16] * 10 + [24] * 10
    assert not wdsremux.verify(project / "out").findings


def test_head_card_and_show_record_which_rows_each_function_made(project):
    stopped(project)
    (project / "aug.py").write_text(LARGE)
    made = run(project, accept_function_change=True)
    (change,) = made.head.options["function_changes"]
    now = made.head.options["transform"]["sha256"]
    assert change["until"] == {"train": 10}
    assert change["was"]["sha256"] not in ("", now)
    for text in ((project / "out/README.md").read_text(), command("show", project / "out").stdout):
        assert (
            f"rows below 10 of train: made by the former function 'shrink' (SHA-256 {change['was']['sha256'][:12]})"
            in text
        )
        assert f"all later rows: made by the function 'shrink' (SHA-256 {now[:12]})" in text


def test_a_second_kill_and_a_plain_resume_give_the_same_bytes(project, tmp_path_factory):
    whole = tmp_path_factory.mktemp("whole")
    stopped(project)
    stopped(whole)
    (project / "aug.py").write_text(LARGE)
    stopped(project, shards=1, accept_function_change=True)
    run(project)  # the option is not needed again
    run(whole, accept_function_change=True)
    assert published(project / "out") == published(whole / "out")


def test_the_change_is_announced_with_the_changed_modules(project):
    (project / "sizes_of_mine.py").write_text("SIZE = 16\n")
    (project / "aug.py").write_text(
        "import sizes_of_mine\n\ndef shrink(image):\n"
        "    return image.resize((sizes_of_mine.SIZE,) * 2)\n"
    )
    stopped(project)
    (project / "sizes_of_mine.py").write_text("SIZE = 24\n")
    sys.modules.pop("sizes_of_mine", None)
    notes = []
    run(project, accept_function_change=True, notes=notes)
    (text,) = [note for note in notes if "function was" in note]
    assert "changed modules: 'sizes_of_mine'" in text
    assert "kept 2 shards, continuing from row 10" in text


def test_without_the_option_the_change_is_refused_and_the_option_is_named(project):
    stopped(project)
    (project / "aug.py").write_text(LARGE)
    with pytest.raises(RecipeMismatchError, match="pass accept_function_change=True to keep"):
        run(project)


def test_a_finished_output_has_no_row_for_a_new_function(project):
    run(project)
    (project / "aug.py").write_text(LARGE)
    with pytest.raises(RecipeMismatchError) as refused:
        run(project)
    assert "accept_function_change" not in str(refused.value)
    with pytest.raises(RecipeMismatchError, match="no row left for the new function"):
        run(project, accept_function_change=True)


def test_another_option_that_changed_is_still_refused_and_nothing_is_written(project):
    stopped(project)
    before = published(project / "out")
    (project / "aug.py").write_text(LARGE)
    with pytest.raises(RecipeMismatchError, match="quality was 90, now it is 80"):
        run(project, accept_function_change=True, quality=80)
    assert published(project / "out") == before


def test_each_copy_continues_where_its_own_shards_end(project):
    stopped(project, shards=3, copies=2)
    (project / "aug.py").write_text(LARGE)
    made = run(project, copies=2, accept_function_change=True)
    (change,) = made.head.options["function_changes"]
    assert change["until"] == {"train-c0": 15}
    assert not wdsremux.verify(project / "out").findings


def test_repair_refuses_shards_of_the_former_function_and_makes_the_others(project):
    stopped(project)
    (project / "aug.py").write_text(LARGE)
    run(project, accept_function_change=True)
    whole = published(project / "out")
    (project / "out/train-000000.tar").unlink()
    (project / "out/train-000003.tar").unlink()
    with pytest.raises(
        RecipeMismatchError, match="made by the former function 'shrink'"
    ) as refused:
        wdsremux.repair(project / "out", transform="aug.py:shrink", workers=0)
    assert "train-000003" not in str(refused.value)
    left = published(project / "out")
    assert {name for name in whole if left.get(name) != whole[name]} == {"train-000000.tar"}


def test_a_lost_shard_of_the_former_function_is_never_made_by_the_new_one(project):
    stopped(project, shards=3)
    (project / "aug.py").write_text(LARGE)
    stopped(project, shards=1, accept_function_change=True)
    (project / "out/train-000001.tar").unlink()
    with pytest.raises(CorruptDataError, match=r"train-000001\.tar, made by the former function"):
        run(project)


def test_shards_after_a_gap_are_made_again_by_the_new_function(project):
    stopped(project, shards=3)
    (project / "out/train-000001.tar").unlink()
    (project / "aug.py").write_text(LARGE)
    run(project, accept_function_change=True)
    assert widths(project) == [16] * 5 + [24] * 15
    assert not wdsremux.verify(project / "out").findings


def test_the_command_line_has_the_option(project):
    words = ("--transform", "aug.py:shrink", "--transform-mode", "image", "--limit", 8)
    out = project / "out"
    convert("demo:", out, *words)
    (out / "index.json").unlink()  # as if the run had been killed before its end
    (project / "aug.py").write_text(LARGE)
    convert("demo:", out, *words, code=7)
    convert("demo:", out, *words, "--accept-function-change")
    assert manifest(out)["recipe"]["function_changes"][0]["until"] == {"train": 8}
