"""No file or folder of an output's state is reached by a link, nor is anything but a file opened."""

import os

import pytest
from support.corpora import write_parquet_dataset
from support.repairable import Made, images, remove, shard, state
from support.runs import tree
from support.runs import wdsremux as command

import wdsremux
from wdsremux.core.errors import WdsremuxError

pytestmark = pytest.mark.integration

SECRET = b"what the user keeps elsewhere\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    made = Made(tmp_path_factory.mktemp("whole"))
    write_parquet_dataset(made.source, images=images(30, ()))
    return made.convert()


@pytest.fixture
def made(whole, tmp_path):
    """Return a dataset of its own, a file that is none of its business, and a folder likewise."""
    whole.copy(tmp_path / "out")
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


def link(place, kind, target):
    if place.exists():
        remove(place)
    if kind == "hard link":
        os.link(target, place)
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(target)


RECIPE = "--max-shard-size 20KB --max-errors 50% --workers 1"
COMMANDS = {
    "convert": f"convert WHOLE/in HERE/out {RECIPE}",
    "extend": f"convert WHOLE/in HERE/out --extend {RECIPE}",
    "repair": "repair HERE/out",
    "sync to": "sync WHOLE/out HERE/out",
    "sync from": "sync HERE/out HERE/copy --move",
}


def run(name, whole, here):
    arguments = COMMANDS[name].replace("WHOLE", str(whole.folder)).replace("HERE", str(here))
    return command(*arguments.split(), timeout=100)


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_lock_that_is_a_link_is_refused(whole, made, name, kind):
    link(state(made / "out", "lock"), kind, made / "secret")
    done = run(name, whole, made)
    assert (made / "secret").read_bytes() == SECRET
    assert done.returncode == 5, done.stderr
    assert "lock" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe"])
def test_a_journal_that_is_a_link_is_refused(made, kind):
    link(state(made / "out", "moved.jsonl"), kind, made / "secret")
    done = command("sync", made / "out", made / "copy", "--move", timeout=60)
    assert (made / "secret").read_bytes() == SECRET
    assert done.returncode == 5, done.stderr
    assert "moved.jsonl" in done.stderr
    assert len(list((made / "out").glob("*.tar"))) > 1


@pytest.mark.parametrize("name", COMMANDS)
def test_a_state_folder_that_is_a_link_is_refused(whole, made, name):
    elsewhere = made / "elsewhere"
    elsewhere.rmdir()
    (made / "out" / ".wdsremux").rename(elsewhere)
    (made / "out" / ".wdsremux").symlink_to(elsewhere)
    before = tree(elsewhere)
    done = run(name, whole, made)
    assert tree(elsewhere) == before
    assert done.returncode != 0
    assert ".wdsremux" in done.stderr
    assert "Traceback" not in done.stderr
    done = command("sync", made / "out", made / "copy")
    assert done.returncode != 0
    assert not (made / "copy" / "index.json").exists()


FILES = ("index.json", "README.md", ".wdsremux/recipe.json", ".wdsremux/rejected.jsonl", "ENTRY")


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("file", "kind"),
    [*((file, "link") for file in FILES), ("index.json", "pipe"), ("ENTRY", "pipe")],
)
def test_a_file_that_is_a_link_is_neither_read_nor_written_through(whole, made, name, file, kind):
    out = made / "out"
    file = file.replace("ENTRY", f".wdsremux/{shard(out).stem}.msgpack")
    link(out / file, kind, made / "secret")
    done = run(name, whole, made)
    assert (made / "secret").read_bytes() == SECRET
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1, 3, 5, 6), done.stderr
    copies = [path for path in made.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in copies if path.read_bytes() == SECRET] == [made / "secret"]


def test_a_shard_that_is_a_link_is_not_sent(made):
    first = shard(made / "out")
    first.rename(made / "elsewhere" / "shard.tar")
    first.symlink_to(made / "elsewhere" / "shard.tar")
    with pytest.raises(WdsremuxError, match="damaged"):
        wdsremux.sync(made / "out", made / "copy")
    assert not (made / "copy" / first.name).exists()


def test_a_lock_with_numbers_of_any_size_is_taken_over_or_refused(made):
    for text in (b'{"host": 1, "pid": 1' + b"0" * 40 + b"}", b"[" * 4000, b"\xff", b'{"pid": []}'):
        state(made / "out", "lock").write_bytes(text)
        done = command("repair", made / "out")
        assert done.returncode in (0, 5), done.stderr


@pytest.mark.parametrize("side", ["FROM", "TO"])
@pytest.mark.parametrize("file", ["index.json", "ENTRY", "README.md"])
def test_a_file_of_40_gb_is_refused_before_it_is_read(whole, made, side, file):
    out = made / "out"
    file = file.replace("ENTRY", f".wdsremux/{shard(out).stem}.msgpack")
    os.truncate(out / file, 40 * 10**9)
    ends = (out, made / "copy") if side == "FROM" else (whole.out, out)
    done = command("sync", *ends, timeout=100)
    assert "Traceback" not in done.stderr
    assert "MemoryError" not in done.stderr
    assert done.returncode in (0, 3, 5, 6), done.stderr
