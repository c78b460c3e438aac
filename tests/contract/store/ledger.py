"""Is the ledger one value that only one writer can replace?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest

from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import Conflict
from push_dispatch.core.model import MAX_SLOTS, Ledger
from push_dispatch.ports.store import Heads, Overview, Store
from tests.contract.store import values
from tests.contract.store.suite import StoreSuite

__all__ = ["LedgerContract"]


class LedgerContract(StoreSuite):
    """`ledger` and `commit`."""

    def test_pool_without_a_ledger_has_version_0(self, store: Store, pool: str) -> None:
        assert store.ledger(pool) == Ledger(pool)

    def test_ledger_comes_back_whole(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        ledger = values.ledger(
            pool,
            1,
            values.holder(next(ids)),
            values.holder(next(ids), attempt=70_000, queue="high", concurrency_key="a é"),
            values.holder(next(ids), since=0, deployment="nightly", concurrency_key="high"),
            values.holder(
                next(ids),
                keys=(("everyone", ""), ("tenant", "a é")),
                weights=(("gpu", 1000), ("vcpu", 250)),
                until=values.NOW + 9,
            ),
            values.holder(next(ids), keys=(("tenant", "b"),)),
            starts={"": ((values.NOW - 5, 1), (values.NOW, 3)), "high": ((values.NOW, 2000),)},
            configuration=4,
        )
        store.commit(ledger)
        assert store.ledger(pool) == ledger

    def test_full_ledger_fits(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        holders = tuple(values.holder(uuid) for uuid in islice(ids, MAX_SLOTS))
        ledger = Ledger(pool, version=1, holders=holders)
        store.commit(ledger)
        assert store.ledger(pool) == ledger

    def test_holders_can_all_go(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        store.commit(values.ledger(pool, 1, values.holder(next(ids)), starts={"": ((1, 1),)}))
        store.commit(Ledger(pool, version=2))
        assert store.ledger(pool) == Ledger(pool, version=2)

    def test_overview_has_all_that_there_is(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        assert store.overview("nowhere") == Overview(None, Ledger("nowhere"))
        stored = self.created(store, pool)
        circuit = Circuit(failures=2, failed_at=values.NOW)
        store.save_circuit(pool, "ecs", circuit)
        committed = values.ledger(pool, 1, values.holder(next(ids)), configuration=stored.version)
        store.commit(committed)
        queue = stored.queues[0].name
        places = [values.place(next(ids), queue=queue, due=values.NOW + n) for n in range(3)]
        store.enqueue(pool, places, values.NOW)
        seen = store.overview(pool)
        assert (seen.pool, seen.ledger, seen.circuits) == (stored, committed, {"ecs": circuit})
        assert seen.heads[queue] == Heads(places, more=False)

    def test_overview_of_a_long_line_says_that_there_is_more(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        stored = self.created(store, pool)
        queue = stored.queues[0].name
        places = [values.place(next(ids), queue=queue, due=values.NOW + n) for n in range(60)]
        store.enqueue(pool, places, values.NOW)
        heads = store.overview(pool).heads[queue]
        assert heads.more
        assert list(heads.places) == places[: len(heads.places)]

    def test_overview_finds_the_ledger_behind_many_lanes(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        stored = self.created(store, pool)
        committed = values.ledger(pool, 1, values.holder(next(ids)), configuration=stored.version)
        store.commit(committed)
        queue = stored.queues[0].name
        parked = [values.place(next(ids), queue=queue, lane=f"{n:04d}") for n in range(60)]
        store.enqueue(pool, parked, values.NOW)
        seen = store.overview(pool)
        assert (seen.pool, seen.ledger) == (stored, committed)

    def test_ledger_names_the_newest_configuration(self, store: Store, pool: str) -> None:
        stored = self.created(store, pool)
        for limit in (7, 8):
            stored = store.save_pool(replace(stored, limit=limit))
            assert store.ledger(pool).configuration == stored.version

    def test_first_of_two_passes_wins(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        winner = values.ledger(pool, 1, values.holder(next(ids)))
        store.commit(winner)
        with pytest.raises(Conflict):
            store.commit(values.ledger(pool, 1, values.holder(next(ids))))
        assert store.ledger(pool) == winner

    def test_committing_the_same_twice_is_fine(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        ledger = values.ledger(pool, 1, values.holder(next(ids)), starts={"": ((values.NOW, 1),)})
        store.commit(ledger)
        store.commit(ledger)
        assert store.ledger(pool) == ledger

    def test_old_version_conflicts(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        first = values.ledger(pool, 1, values.holder(next(ids)))
        second = replace(first, version=2, holders=())
        store.commit(first)
        store.commit(second)
        with pytest.raises(Conflict):
            store.commit(first)
        assert store.ledger(pool) == second

    def test_version_of_the_future_conflicts(self, store: Store, pool: str) -> None:
        with pytest.raises(Conflict):
            store.commit(Ledger(pool, version=2))
        assert store.ledger(pool) == Ledger(pool)

    def test_pools_have_a_ledger_each(self, store: Store, pool: str, ids: Iterator[str]) -> None:
        store.commit(values.ledger(pool, 1, values.holder(next(ids))))
        assert store.ledger(f"{pool}-other").version == 0
