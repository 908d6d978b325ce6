"""Words for sources: which of them are asked of the Hub without a word that says so."""

from pathlib import Path

import pytest

from wdsremux.core.recipe import Recipe
from wdsremux.processing.opening import asks_hub


def test_words_that_may_be_a_mistyped_path_ask_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert asks_hub("data/imgs", Recipe())
    Path("data/imgs").mkdir(parents=True)
    assert not asks_hub("data/imgs", Recipe())


@pytest.mark.parametrize(
    "words", ["hf://datasets/user/name", "demo:", "a/b.parquet", Path("a/b"), []]
)
def test_words_that_cannot_be_mistaken_are_not_told(words):
    assert not asks_hub(words, Recipe())


def test_who_names_the_kind_is_not_told():
    assert not asks_hub("user/name", Recipe(source_kind="hub"))
