"""What tests of several rooms share that start processes."""

import pytest
from support.forked import ForkedCommand


@pytest.fixture(scope="module")
def command():
    """Return the command line in forked processes, which start fast and can be given faults."""
    with ForkedCommand() as forked:
        yield forked
