"""What does a subclass of the store contract suite provide?"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from push_dispatch.core.model import Pool, Run
from push_dispatch.ports.store import Store
from tests.contract.store import values

__all__ = ["StoreSuite"]


class StoreSuite:
    """The fixtures of the suite. It never assumes that the store is empty: every test has a pool
    of its own, so that one table, also a remote one, serves them all."""

    @pytest.fixture
    def store(self) -> Any:
        """The store under test. A subclass provides it."""
        raise NotImplementedError

    @pytest.fixture
    def pool(self) -> str:
        """The name of a pool that nobody else uses; it is not created."""
        return f"contract-{uuid.uuid4().hex[:12]}"

    @pytest.fixture
    def ids(self) -> Iterator[str]:
        """Fresh uuids in rising order."""
        return values.ids()

    def created(self, store: Store, name: str) -> Pool:
        """A new pool as stored."""
        store.create_pool(Pool(name, "process"))
        stored = store.pool(name)
        assert stored is not None
        return stored

    def stored(self, store: Store, run: Run) -> Run | None:
        """The run as the store has it now."""
        return store.run(run.pool, run.uuid)
