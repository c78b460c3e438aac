"""Does the store in memory keep the promises?"""

from __future__ import annotations

import pytest

from push_dispatch.adapters.memory.store import MemoryStore
from tests.contract.store.contract import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()
