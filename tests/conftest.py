"""What tests of several packages share: the fake Hub. Builders are in tests/support."""

import os
import tempfile

import pytest
from support.hub import HubServer
from support.s3_server import JuiceFS, SeaweedFS, found

from wdsremux.transforms.kernel.choice import native_version

# Without the native kernel everything else is tested; where it can be built it must be, as a test
# of its own says.
collect_ignore_glob = [] if native_version() else ["*test_native*.py"]

_HUB = pytest.StashKey[HubServer]()


def pytest_report_header():
    """Say whether the native kernel is tested."""
    return f"kernel: {native_version() or 'portable only, the native one is not built'}"


def pytest_configure(config):
    """Point every Hugging Face client of this process and its children to the stand-in Hub.

    The clients read these when they are imported, which is before any fixture.
    """
    folder = tempfile.TemporaryDirectory(prefix="wdsremux-hub-")
    hub = HubServer(f"{folder.name}/repos")
    config.stash[_HUB] = hub
    config.add_cleanup(folder.cleanup)
    config.add_cleanup(hub.stop)
    os.environ |= {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": f"{folder.name}/home",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1,127.0.0.2",
    }
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        os.environ.pop(name, None)


@pytest.fixture
def hub(pytestconfig):
    """Return the fake Hub with default options and zero counts; `new_repo` makes a repository."""
    server = pytestconfig.stash[_HUB]
    server.start()
    server.fresh()
    return server


@pytest.fixture(scope="session")
def seaweedfs():
    """Return a real S3 server that checks modern checksums and respects conditions."""
    with SeaweedFS() as server:
        yield server


@pytest.fixture(scope="session")
def juicefs():
    """Return a real S3 server that knows MD5 only."""
    with JuiceFS() as server:
        yield server


@pytest.fixture
def s3_url(seaweedfs):
    """Return "s3://BUCKET/PREFIX" where nothing is yet, for this process and its children."""
    with found(seaweedfs.settings()):
        yield seaweedfs.new_place()
