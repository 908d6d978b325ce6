"""Every field of index.json and recipe.json replaced by an invalid value: reported, no crash."""

import json

import pytest
from support.verified import copied, make_dataset

from wdsremux.cli.main import main

pytestmark = pytest.mark.integration

RECIPE = ".wdsremux/recipe.json"
DEEP = json.loads('{"list": ' * 500 + '"int64"' + "}" * 500)
VALUES = {
    "null": None, "negative": -1, "text": "x", "list": [], "object": {}, "infinite": 1e999,
    "true": True, "long": "x9" * 50_000, "digits": "9" * 50_000, "surrogate": "\ud800",
    "huge": 10**4000, "deep": DEEP, "objects": [{}], "class labels": {"class_label": 5},
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a dataset of two shards, with classes and rows that were rejected."""
    folder = tmp_path_factory.mktemp("made") / "out"
    return make_dataset(folder, rows=4, broken=(1,), max_shard_samples=2)


def places(value, path=()):
    """Yield the path of every field; of a list, those of its first item."""
    items = value.items() if isinstance(value, dict) else list(enumerate(value))[:1]
    for name, inner in items:
        yield (*path, name)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, name))


def written(raw, place, value):
    """Return a file with one field replaced; an infinite number as JSON can write it."""
    changed = json.loads(raw)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return json.dumps(changed).replace("Infinity", "1e999")


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("name", ["index.json", RECIPE, "recipe.json alone"])
def test_no_value_of_any_field_stops_verify(made, tmp_path, capfd, name, value):
    out = copied(made, tmp_path / "out")
    if name == "recipe.json alone":
        (out / "index.json").unlink()
        name = RECIPE
    path = out / name
    raw = path.read_bytes()
    for place in places(json.loads(raw)):
        path.write_text(written(raw, place, value))
        code = main(["verify", str(out), "--depth", "pixels", "--workers", "1"])
        reported = capfd.readouterr()
        assert code in (0, 1, 6), (place, reported.err)
        assert "Traceback" not in reported.err
