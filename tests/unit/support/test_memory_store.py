"""The store that other tests use keeps the contract, too."""

import pytest
from support.memory_store import MemoryStore
from support.store_conformance import StoreConformance


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def target(self):
        return MemoryStore()
