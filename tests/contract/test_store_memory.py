"""Does the store in memory keep the promises?"""

from __future__ import annotations

import pytest

from tests.contract.store.contract import StoreContract
from tests.fakes.memory.store import MemoryStore


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()
