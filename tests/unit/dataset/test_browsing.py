"""`ls`, `cat` and `show`: what an output holds, found by its entries, in a folder or elsewhere."""

import io
import json
import os
import tarfile
from array import array
from dataclasses import replace

import pytest
from PIL import Image
from support.ranged_store import URL, RangedStore, named
from support.verified import (
    SHARD,
    copied,
    edit_json,
    entry_path,
    flip,
    make_dataset,
    member,
    sample,
    write_tar,
)

import wdsremux
from wdsremux.cli.main import main
from wdsremux.core.errors import CorruptDataError
from wdsremux.dataset.entry import ShardEntry
from wdsremux.dataset.reader import open_output
from wdsremux.verifying.index import index


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out", max_errors="50%")


@pytest.fixture
def store(made, monkeypatch):
    return named(RangedStore(made), monkeypatch)


@pytest.fixture(params=["folder", "URL"])
def out(request, made, store):
    """Return the paths of the same output in two stores."""
    return str(made) if request.param == "folder" else URL


def run(capsysbinary, *arguments):
    """Return (exit code, bytes of stdout, stderr)."""
    code = main([str(word) for word in arguments])
    reported = capsysbinary.readouterr()
    return code, reported.out, reported.err.decode()


def in_tars(folder):
    """Return (shard, offset, content) of every member as the standard library reads it."""
    found = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for info in tar:
                content = tar.extractfile(info).read()
                found[info.name] = (path.name, info.offset, content)
    return found


def test_ls_lists_shards_and_their_sum(out, made, capsysbinary):
    code, reported, _ = run(capsysbinary, "ls", out)
    lines = reported.decode().splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines[:-1]] == sorted(p.name for p in made.glob("*.tar"))
    assert lines[0].endswith("rows 0 to 9")
    assert lines[-1].startswith("38 samples in 5 shards, ")


def test_ls_of_samples_shows_the_location_of_each(out, made, store, capsysbinary):
    code, reported, _ = run(capsysbinary, "ls", out, "--samples")
    lines = [line.split("\t") for line in reported.decode().splitlines()]
    assert code == 0
    real = in_tars(made)
    assert len(lines) == 38
    for key, shard, offset, _ in lines:
        assert real[f"{key}.jpg"][:2] == (shard, int(offset))
    assert store.shards_asked() == set()


@pytest.mark.parametrize("arguments", [(), ("--samples",)], ids=str)
def test_ls_for_programs_is_one_object_a_line(out, capsysbinary, arguments):
    _, reported, _ = run(capsysbinary, "ls", out, "--json", "--split", "train", *arguments)
    values = [json.loads(line) for line in reported.splitlines()]
    assert sum(value.get("samples", 1) for value in values) == 38
    assert all(value["split"] == "train" and value["bytes"] > 0 for value in values)


def test_cat_returns_every_member_byte_for_byte(out, made, capsysbinary):
    for name, (_, _, content) in in_tars(made).items():
        assert run(capsysbinary, "cat", out, name) == (0, content, "")


def test_cat_reads_the_image_of_a_key_or_row_by_one_small_request(store, made, capsysbinary):
    content = in_tars(made)["000000012.jpg"][2]
    for arguments in ("000000012", "12", "12.jpg", "12.JPG"):
        store.asked.clear()
        assert run(capsysbinary, "cat", URL, arguments) == (0, content, "")
        ((_, _, size),) = [asked for asked in store.asked if asked[0].endswith(".tar")]
        assert size < len(content) + 3000


def test_where_keys_are_rows_only_the_entry_that_holds_the_row_is_read(store, capsysbinary):
    run(capsysbinary, "cat", URL, "000000012")
    entries = {name for name, _, _ in store.asked if name.endswith(".msgpack")}
    assert entries == {f".wdsremux/{SHARD.removesuffix('.tar')}.msgpack"}


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        ("000000040", "rows are 0 to 39"),
        ("nothing", "rows are 0 to 39"),
        ("7", "row 7 was rejected (decode): "),
        ("12.png", "has no .png; it has .jpg, .json"),
    ],
)
def test_a_missing_sample_is_reported_with_the_existing_ones(
    out, capsysbinary, arguments, reported
):
    code, written, err = run(capsysbinary, "cat", out, arguments)
    assert (code, written) == (2, b"")
    assert reported in err


def test_an_unknown_key_is_reported_with_similar_ones(tmp_path, capsysbinary):
    with wdsremux.ShardWriter(tmp_path / "out") as shards:
        for key in ("cat-1", "cat-2", "dog-1", "7"):
            shards.write({"__key__": key, "txt": key})
    out = tmp_path / "out"
    code, _, err = run(capsysbinary, "cat", out, "cat-9")
    assert code == 2
    assert "similar keys are 'cat-1', 'cat-2'" in err
    assert run(capsysbinary, "cat", out, "cat-2.txt") == (0, b"cat-2", "")
    # A key goes before a row of the same digits; other digits are a row.
    assert run(capsysbinary, "cat", out, "7.txt")[1] == b"7"
    assert run(capsysbinary, "cat", out, "0.txt")[1] == b"cat-1"
    code, _, err = run(capsysbinary, "cat", out, "cat-2")
    assert (code, "has no image; it has .txt" in err) == (2, True)


def test_a_row_of_several_copies_needs_a_key(tmp_path, capsysbinary):
    out = make_dataset(tmp_path / "out", rows=4, broken=(), copies=2)
    code, _, err = run(capsysbinary, "cat", out, "2")
    assert code == 2
    assert "row 2 has 2 samples: '000000002-c0'" in err
    assert err.endswith("; pass a key\n")
    code, reported, _ = run(capsysbinary, "cat", out, "000000002-c1.json")
    assert (code, json.loads(reported)["copy"]) == (0, 1)


def test_a_row_that_one_copy_rejected_is_found_in_the_other(tmp_path, capsysbinary):
    def half(batch, rngs):
        images = zip(batch["image"], rngs, strict=True)
        return {**batch, "image": [im if rng.random() < 0.5 else None for im, rng in images]}

    out = make_dataset(
        tmp_path / "out", rows=12, broken=(), copies=2, transform=half, max_errors="90%"
    )
    lines = (out / ".wdsremux/rejected.jsonl").read_text().splitlines()
    left_out = {(row["position"], row["copy"]) for row in map(json.loads, lines)}
    once = [row for row in range(12) if ((row, 0) in left_out) != ((row, 1) in left_out)]
    assert once
    for row in once:
        code, reported, _ = run(capsysbinary, "cat", out, f"{row}.json")
        assert (code, (row, json.loads(reported)["copy"]) in left_out) == (0, False)


def test_shards_of_other_tools_are_readable_with_an_index(tmp_path, capsysbinary):
    long = "folder/" + "n" * 110
    parts = [*sample("a/b", 1, **{"seg.png": b"mask"}), member(f"{long}.TXT", b"text")]
    write_tar(tmp_path / "out/train.tar", parts)
    code, _, err = run(capsysbinary, "ls", tmp_path / "out")
    assert (code, "wdsremux index" in err) == (6, True)
    index(tmp_path / "out")
    out = tmp_path / "out"
    assert run(capsysbinary, "cat", out, "a/b.seg.png") == (0, b"mask", "")
    assert run(capsysbinary, "cat", out, f"{long}.txt") == (0, b"text", "")
    assert Image.open(io.BytesIO(run(capsysbinary, "cat", out, "0")[1])).size == (16, 16)


def test_a_damaged_sample_is_not_returned(made, tmp_path, capsysbinary):
    out = copied(made, tmp_path / "out")
    flip(out / SHARD, 700)
    first = run(capsysbinary, "ls", out, "--samples")[1].decode().split(f"\t{SHARD}\t0\t")[0]
    key = first.split("\n")[-1]
    code, reported, err = run(capsysbinary, "cat", out, key)
    assert (code, reported) == (6, b"")
    assert f"cannot read '{SHARD}'" in err
    assert "byte 0 differs from its recorded CRC-32" in err


@pytest.mark.parametrize("command", ["ls", "show", "cat"])
def test_an_unfinished_output_ends_with_6(made, tmp_path, capsysbinary, command):
    arguments = ["1"] if command == "cat" else []
    for place in (tmp_path, tmp_path / "missing"):
        code, reported, err = run(capsysbinary, command, place, *arguments)
        assert (code, reported) == (6, b"")
        assert str(place) in err
    out = copied(made, tmp_path / "out")
    (out / "index.json").unlink()
    code, _, err = run(capsysbinary, command, out, *arguments)
    assert (code, "is not finished" in err) == (6, True)


@pytest.mark.parametrize("damage", ["cut", "gone", "swapped"])
def test_an_inconsistent_entry_ends_with_6(made, tmp_path, capsysbinary, damage):
    out = copied(made, tmp_path / "out")
    entries = sorted((out / ".wdsremux").glob("*.msgpack"))
    if damage == "cut":
        entries[0].write_bytes(entries[0].read_bytes()[:-20])
    elif damage == "gone":
        entries[0].unlink()
    else:
        entries[0].write_bytes(entries[1].read_bytes())
    code, _, err = run(capsysbinary, "ls", out, "--samples")
    assert (code, entries[0].name in err) == (6, True)


def test_a_malicious_entry_ends_with_6(made, tmp_path, capsysbinary):
    out = copied(made, tmp_path / "out")
    path = entry_path(out)
    entry = ShardEntry.from_bytes(path.read_bytes(), SHARD)
    huge = replace(entry.summary, size_bytes=1 << 61, name="../secret.tar")
    sizes = array("Q", [1 << 60, *entry.sizes[1:]])
    path.write_bytes(replace(entry, summary=huge, sizes=sizes).to_bytes())
    edit_json(out / "index.json", lambda value: value["shardlist"][1].update(filesize=1 << 61))
    for arguments in (("cat", out, "10"), ("show", out, "10"), ("ls", out, "--samples")):
        code, _, err = run(capsysbinary, *arguments)
        assert (code, "wdsremux verify` for details" in err) == (6, True)


def test_a_shard_whose_name_leads_out_is_not_opened(made, tmp_path, capsysbinary):
    out = copied(made, tmp_path / "out")
    path = entry_path(out)
    entry = ShardEntry.from_bytes(path.read_bytes(), SHARD)
    for name in ("../secret.tar", "/etc/passwd.tar", "a/b.tar"):
        moved = replace(entry, summary=replace(entry.summary, name=name))
        place = out / ".wdsremux" / f"{name.removesuffix('.tar')}.msgpack"
        if name == "a/b.tar":
            place.parent.mkdir()
        if not name.startswith("/"):
            place.write_bytes(moved.to_bytes())
        edit_json(out / "index.json", lambda value, url=name: value["shardlist"][1].update(url=url))
        code, reported, err = run(capsysbinary, "cat", out, "10")
        assert (code, reported) == (6, b"")
        assert "cannot read" in err


def test_a_sample_larger_than_memory_is_not_read(made, tmp_path):
    with open_output(made) as output:
        shard = output.shards()[0]
        with (
            output.open(shard) as file,
            pytest.raises(CorruptDataError, match="more than memory holds"),
        ):
            output.sample_bytes(file, shard, (0, 1 << 60, 0))


def test_an_unknown_split_is_named_with_those_there_are(out, capsysbinary):
    code, _, err = run(capsysbinary, "ls", out, "--split", "val")
    assert (code, "it has 'train'" in err) == (2, True)


def test_an_unreachable_server_ends_with_5(store, capsysbinary):
    store.is_away = True
    code, _, err = run(capsysbinary, "ls", URL)
    assert (code, "the server is away" in err) == (5, True)


def test_show_summarises_the_output(out, capsysbinary):
    code, reported, _ = run(capsysbinary, "show", out)
    lines = reported.decode().splitlines()
    assert code == 0
    assert lines[0].startswith("dataset: 38 samples in 5 shards, ")
    assert lines[1].startswith("split 'train': 38 samples in 5 shards, ")
    assert lines[1].endswith("; 40 rows, 2 rejected")
    assert "shards of 'train': train-{000000..000004}.tar" in lines
    value = json.loads(run(capsysbinary, "show", out, "--json")[1])
    assert value["totals"]["samples"] == 38
    assert "shardlist" not in value


def test_show_summarises_a_sample(out, capsysbinary):
    code, reported, _ = run(capsysbinary, "show", out, "12")
    lines = reported.decode().splitlines()
    assert code == 0
    assert lines[0] == "sample '000000012': row 12, copy 0"
    assert "image: JPEG, 24 × 20, RGB" in lines
    value = json.loads(run(capsysbinary, "show", out, "12", "--json")[1])
    assert value["json"]["caption"] == "caption 12"
    assert value["image"] == {"format": "JPEG", "width": 24, "height": 20, "mode": "RGB"}
    assert value["shard"] == SHARD


def test_control_sequences_of_a_terminal_are_escaped(tmp_path, capsysbinary):
    write_tar(tmp_path / "out/a.tar", sample("k", caption=b"x") + sample("\x1b[2J"))
    index(tmp_path / "out")
    reported = run(capsysbinary, "ls", tmp_path / "out", "--samples")[1]
    reported += run(capsysbinary, "show", tmp_path / "out", "\x1b[2J")[1]
    assert b"\x1b" not in reported


class Terminal(io.TextIOWrapper):
    """A stdout that is a terminal."""

    def isatty(self):
        return True


def test_an_image_is_not_written_to_a_terminal(made, monkeypatch, capsys):
    screen = io.BytesIO()
    monkeypatch.setattr("sys.stdout", Terminal(screen, encoding="utf-8"))
    assert main(["cat", str(made), "12"]) == 2
    assert screen.getvalue() == b""
    assert "> FILE" in capsys.readouterr().err
    assert main(["cat", str(made), "12.json"]) == 0
    assert json.loads(screen.getvalue())["position"] == 12


def test_a_closed_pipe_is_not_an_error(made, monkeypatch, capsys):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        assert main(["ls", str(made), "--samples"]) == 0
    assert capsys.readouterr().err == ""
