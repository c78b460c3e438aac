"""Does the store in memory keep the promises?"""

from __future__ import annotations

import pytest

from push_dispatch.store.memory import MemoryStore
from push_dispatch.testing.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()
