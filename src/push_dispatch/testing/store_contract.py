"""Does a store keep the promises of the `Store` protocol?

A subclass provides the fixture `store`; everything else is inherited:

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self) -> Store:
            return MyStore(...)
"""

from __future__ import annotations

from push_dispatch.testing.store_ledger import LedgerContract
from push_dispatch.testing.store_line import LineContract
from push_dispatch.testing.store_pools import PoolContract
from push_dispatch.testing.store_runs import RunContract

__all__ = ["StoreContract"]


class StoreContract(PoolContract, RunContract, LineContract, LedgerContract):
    """Every promise, on any store."""
