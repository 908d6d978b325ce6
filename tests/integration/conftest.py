"""What tests of several rooms share that start processes."""

import pytest
from support.demo_conversion import Conversion
from support.faulty_mount import FaultyMount
from support.forked import ForkedCommand


@pytest.fixture(scope="module")
def command():
    """Return the command line in forked processes, which start fast and can have faults injected."""
    with ForkedCommand() as forked:
        yield forked


@pytest.fixture(scope="module")
def mounted(tmp_path_factory):
    with FaultyMount(tmp_path_factory.mktemp("faulty")) as mount:
        yield mount


@pytest.fixture
def mount(mounted):
    """Return a mount that fails on order, with nothing ordered yet."""
    mounted.order()
    return mounted


@pytest.fixture(scope="module")
def conversion(command, tmp_path_factory):
    return Conversion(command, tmp_path_factory.mktemp("conversion"))
