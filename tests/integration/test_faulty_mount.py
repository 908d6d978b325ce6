"""A real mount whose server fails, as that of a NAS may: every error goes the whole way through the kernel."""

import pytest
from support.faulty_mount import Fault, FaultyMount
from support.target_conformance import TargetConformance

from wdsremux.targets.local import LocalTarget

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def mounted(tmp_path_factory):
    with FaultyMount(tmp_path_factory.mktemp("faulty")) as mount:
        yield mount


@pytest.fixture
def mount(mounted):
    mounted.order()
    return mounted


class TestOnAMount(TargetConformance):
    @pytest.fixture
    def target(self, mount, request):
        return LocalTarget(mount.path / request.node.name)


class TestOnAMountThatTakesAndGivesLittleAtOnce(TargetConformance):
    @pytest.fixture
    def target(self, mount, request):
        mount.order(Fault("read|write", at_most=1000), Fault("write", r"lock$", at_most=7))
        return LocalTarget(mount.path / "little" / request.node.name)
