"""Modules that are imported when they are used."""

import sys

import pytest

from wdsremux.core.lazy_module import LazyModule


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return the name of a module that no test has imported."""
    (tmp_path / "slow_library.py").write_text("THREADS = 8\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "slow_library", raising=False)
    yield "slow_library"
    sys.modules.pop("slow_library", None)


def one_thread(library):
    library.THREADS = 1


def test_it_is_imported_by_the_first_use(module):
    library = LazyModule(module)
    assert module not in sys.modules
    assert library.THREADS == 8
    assert module in sys.modules


def test_settings_are_made_before_the_first_use(module):
    library = LazyModule(module)
    library.when_imported(one_thread)
    assert module not in sys.modules
    assert library.THREADS == 1


def test_settings_of_an_imported_module_are_made_at_once(module):
    library = LazyModule(module)
    assert library.THREADS == 8
    library.when_imported(one_thread)
    assert sys.modules[module].THREADS == 1


def test_a_name_that_it_does_not_have_is_an_attribute_error(module):
    with pytest.raises(AttributeError, match="nothing"):
        _ = LazyModule(module).nothing
