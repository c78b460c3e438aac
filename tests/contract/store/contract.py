"""Does a store keep the promises of the `Store` protocol?

A subclass provides the fixture `store`; everything else is inherited:

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self) -> Store:
            return MyStore(...)
"""

from __future__ import annotations

from tests.contract.store.groups import GroupContract
from tests.contract.store.ledger import LedgerContract
from tests.contract.store.line import LineContract
from tests.contract.store.pools import PoolContract
from tests.contract.store.runs import RunContract

__all__ = ["StoreContract"]


class StoreContract(PoolContract, RunContract, LineContract, GroupContract, LedgerContract):
    """Every promise, on any store."""
