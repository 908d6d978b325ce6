"""Cards are untrusted: YAML whose aliases stand for too many values is refused."""

import pytest
from support.verified import codes, make_dataset

from wdsremux.core.front_matter import front_matter
from wdsremux.verifying.checks.cards import names_files
from wdsremux.verifying.verify import verify

LEVELS = 40
"""Lists of ten aliases to the list before: 10^40 values."""


def bomb():
    """Return lines of YAML that define a40, which holds a39 ten times, and so on."""
    lines = ["bomb:", "- &a0 [x]"]
    lines += [f"- &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, LEVELS + 1)]
    return "\n".join(lines)


def split_of(name, examples):
    return (
        "configs: [{config_name: default, data_files: x}]\n"
        f"dataset_info: {{splits: [{{name: {name}, num_examples: {examples}}}]}}"
    )


def card(yaml):
    return f"---\n{yaml}\n---\n# mine\n".encode()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out", rows=4, broken=())


@pytest.mark.parametrize(
    "yaml",
    [
        f"{bomb()}\n{split_of(f'*a{LEVELS}', 4)}",
        f"{bomb()}\n{split_of('train', f'*a{LEVELS}')}",
        f"{bomb()}\nconfigs: [{{data_files: *a{LEVELS}}}]",
        "configs: &a [*a]",
        "configs: &a\n  b: *a",
    ],
    ids=["name", "examples", "files", "list in itself", "object in itself"],
)
def test_aliases_of_aliases_are_refused(out, yaml):
    with pytest.raises(ValueError, match="aliases"):
        front_matter(card(yaml))
    (out / "README.md").write_bytes(card(yaml))
    assert codes(verify(out, "entries")) == [120]


def test_an_alias_that_repeats_little_is_read():
    header = front_matter(card("one: &a [1, 2]\ntwo: *a\nconfigs: [{data_files: *a}]"))
    assert header == {"one": [1, 2], "two": [1, 2], "configs": [{"data_files": [1, 2]}]}


def test_a_card_of_several_copies_is_read_back(tmp_path):
    out = make_dataset(tmp_path / "out", rows=4, broken=(), copies=3)
    path = out / "README.md"
    assert names_files(path.read_bytes())
    path.write_text(path.read_text().replace("num_examples: 12", "num_examples: 13"))
    assert codes(verify(out, "entries")) == [121]


@pytest.mark.parametrize(
    ("name", "examples", "expected"),
    [
        ("train", 4, []),
        ("train", 5, [121]),
        ("train", "'4'", [121]),
        ("train", "true", [121]),
        ("train", "[4]", [121]),
        ("[train]", 4, [121]),
        ("x" * 5000, 4, [121]),
    ],
)
def test_only_whole_numbers_and_short_names_are_compared(out, name, examples, expected):
    (out / "README.md").write_bytes(card(split_of(name, examples)))
    assert codes(verify(out, "entries")) == expected
