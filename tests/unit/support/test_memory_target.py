"""The target that other tests stand on keeps the contract too."""

import pytest
from support.memory_target import MemoryTarget
from support.target_conformance import TargetConformance


class TestMemoryTarget(TargetConformance):
    @pytest.fixture
    def target(self):
        return MemoryTarget()
