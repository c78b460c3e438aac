"""Does the store keep what is declared: pools, templates, deployments?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import uuid_utils

from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import Conflict, Refused
from push_dispatch.core.model import DELETED, Pool, Queue, Rate
from push_dispatch.core.polling import Turn
from push_dispatch.ports.store import Store
from tests.contract.store import values
from tests.contract.store.suite import StoreSuite

__all__ = ["PoolContract"]


class PoolContract(StoreSuite):
    """`create_pool` to `delete_deployment`, circuits."""

    def test_unknown_pool_is_none(self, store: Store, pool: str) -> None:
        assert store.pool(pool) is None
        assert pool not in store.pool_names()

    def test_pool_comes_back_with_a_version(self, store: Store, pool: str) -> None:
        declared = values.full_pool(pool)
        store.create_pool(declared)
        stored = store.pool(pool)
        assert stored is not None
        assert stored.version > 0
        assert replace(stored, version=0, queues=()) == replace(declared, queues=())
        assert stored.in_order == declared.in_order

    def test_pool_with_defaults_comes_back(self, store: Store, pool: str) -> None:
        assert replace(self.created(store, pool), version=0) == Pool(pool, "process")

    def test_pool_is_created_once(self, store: Store, pool: str) -> None:
        first = self.created(store, pool)
        with pytest.raises(Refused) as refused:
            store.create_pool(Pool(pool, "ecs"))
        assert refused.value.reason == "pool_exists"
        assert store.pool(pool) == first

    def test_pools_are_listed_in_order(self, store: Store, pool: str) -> None:
        names = [f"{pool}-{n}" for n in ("b", "a", "c")]
        for name in names:
            store.create_pool(Pool(name, "process"))
        assert [n for n in store.pool_names() if n in names] == sorted(names)

    def test_a_pool_that_time_may_change_is_unsettled(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        """A slot is held, somebody is in line or a lane, or a run came that no audit has seen."""
        held, waiting, parked, new = (f"{pool}-{n}" for n in ("held", "waits", "parked", "new"))
        for name in (held, waiting, parked, new):
            store.create_pool(Pool(name, "process"))
        store.commit(values.ledger(held, store.ledger(held).version + 1, values.holder(next(ids))))
        store.enqueue(waiting, [values.place(next(ids))], values.NOW)
        store.enqueue(parked, [values.place(next(ids), lane="0123456789")], values.NOW)
        store.add_run(values.run(new, str(uuid_utils.uuid7())))
        assert {held, waiting, parked, new} <= set(store.unsettled_pools())

    def test_saving_moves_the_version(self, store: Store, pool: str) -> None:
        first = self.created(store, pool)
        saved = store.save_pool(replace(first, limit=0))
        assert saved.version == first.version + 1
        assert store.pool(pool) == saved
        assert saved.limit == 0

    def test_saving_an_old_version_conflicts(self, store: Store, pool: str) -> None:
        first = self.created(store, pool)
        second = store.save_pool(replace(first, limit=1))
        with pytest.raises(Conflict):
            store.save_pool(replace(first, limit=2))
        assert store.pool(pool) == second

    def test_saving_an_unknown_pool_conflicts(self, store: Store, pool: str) -> None:
        for version in (0, 1):
            with pytest.raises(Conflict):
                store.save_pool(Pool(pool, "process", version=version))
        assert store.pool(pool) is None

    def test_saving_makes_decisions_under_the_old_limit_void(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        first = self.created(store, pool)
        seen = store.ledger(pool)
        saved = store.save_pool(replace(first, limit=0))
        admission = (values.holder(next(ids)),)
        with pytest.raises(Conflict):
            store.commit(replace(seen, version=seen.version + 1, holders=admission))
        again = store.ledger(pool)
        assert again == seen.after_change(saved.version)
        store.commit(replace(again, version=again.version + 1, holders=admission))

    def test_saving_does_not_touch_the_holders(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        first = self.created(store, pool)
        held = values.ledger(pool, 1, values.holder(next(ids)), configuration=1)
        store.commit(held)
        store.save_pool(replace(first, paused=True))
        assert store.ledger(pool).holders == held.holders

    def test_deleted_pool_leaves_its_runs_and_nothing_else(
        self, store: Store, pool: str, ids: Iterator[str]
    ) -> None:
        created = self.created(store, pool)
        run = values.run(pool, next(ids))
        store.add_run(run)
        store.enqueue(pool, [values.place(run.uuid)], values.NOW)
        store.put_template(pool, "digest", {"job_configuration": {}})
        store.commit(values.ledger(pool, 1, values.holder(run.uuid)))
        store.delete_pool(created)
        assert store.pool(pool) is None
        assert pool not in store.pool_names()
        assert store.template(pool, "digest") is None
        assert store.line(pool, "default", 10) == []
        assert store.ticks(pool, values.NOW * 2, 10) == []
        assert store.ledger(pool).holders == ()
        assert store.ledger(pool).configuration == DELETED
        assert self.stored(store, run) == run

    def test_deleting_an_old_version_conflicts(self, store: Store, pool: str) -> None:
        first = self.created(store, pool)
        second = store.save_pool(replace(first, limit=1))
        with pytest.raises(Conflict):
            store.delete_pool(first)
        assert store.pool(pool) == second

    def test_deleting_twice_is_fine(self, store: Store, pool: str) -> None:
        created = self.created(store, pool)
        store.delete_pool(created)
        store.delete_pool(created)
        assert store.pool(pool) is None

    def test_deleted_pool_can_be_created_again(self, store: Store, pool: str) -> None:
        store.delete_pool(self.created(store, pool))
        again = self.created(store, pool)
        assert store.pool(pool) == again
        assert pool in store.pool_names()

    def test_queues_and_rates_survive_a_save(self, store: Store, pool: str) -> None:
        first = self.created(store, pool)
        queues = (Queue("default", 3), Queue("a", 1, limit=0, rate=Rate(1, 2)))
        saved = store.save_pool(replace(first, queues=queues))
        assert store.pool(pool) == saved
        assert set(saved.queues) == set(queues)

    def test_templates_are_kept_by_digest(self, store: Store, pool: str) -> None:
        template = {"job_configuration": {"image": "{{ image }}"}, "variables": {"é": [1, None]}}
        assert store.template(pool, "d1") is None
        store.put_template(pool, "d1", template)
        store.put_template(pool, "d1", template)
        store.put_template(pool, "d2", {})
        assert store.template(pool, "d1") == template
        assert store.template(pool, "d2") == {}

    def test_attachments_are_kept_by_the_name_of_the_pool(self, store: Store, pool: str) -> None:
        for _ in range(2):
            store.put_attachment(pool, {"pool_id": "old"})
            store.put_attachment(pool, {"pool_id": "é", "address": {"headers": {}}})
        assert store.attachment(pool) == store.attachments()[pool]
        assert store.attachments()[pool] == {"pool_id": "é", "address": {"headers": {}}}
        for _ in range(2):
            store.delete_attachment(pool)
        assert pool not in store.attachments()
        assert store.attachment(pool) is None

    def test_deployments_are_kept_by_name(self, store: Store, pool: str) -> None:
        names = [f"{pool}-{n}" for n in ("b", "a")]
        for name in names:
            assert store.deployment(name) is None
            store.put_deployment(name, {"pool": "old"})
            store.put_deployment(name, {"pool": pool, "é": [1, None]})
        assert store.deployment(names[0]) == {"pool": pool, "é": [1, None]}
        assert [n for n in store.deployments() if n in names] == sorted(names)
        for name in names * 2:
            store.delete_deployment(name)
        assert store.deployment(names[0]) is None
        assert not set(names) & set(store.deployments())

    def test_one_sweep_at_a_time_and_the_next_goes_on_where_it_stopped(self, store: Store) -> None:
        now = time.time_ns() // 1_000_000  # The table may be one that was swept before.
        first = store.begin_sweep(now, now + 50)
        assert first is not None
        assert store.begin_sweep(now + 49, now + 99) is None
        store.end_sweep("etl")
        assert store.begin_sweep(now + 49, now + 99) is None
        assert store.begin_sweep(now + 50, now + 60) == "etl"
        store.end_sweep("")
        assert store.begin_sweep(now + 60, now + 61) == ""

    def test_circuits_are_kept_by_pool_and_type(self, store: Store, pool: str) -> None:
        assert store.circuit(pool, "ecs") == Circuit()
        failed = Circuit().after_failure(values.NOW)
        store.save_circuit(pool, "ecs", failed)
        assert store.circuit(pool, "ecs") == failed == Circuit(1, values.NOW)
        assert store.circuit(pool, "cloud-run-v2") == Circuit()
        store.save_circuit(pool, "ecs", Circuit())
        assert store.circuit(pool, "ecs") == Circuit()

    def test_a_call_that_is_due_is_taken_once(self, store: Store, pool: str) -> None:
        assert store.save_circuit(pool, "ecs", _refused(0), instead_of=Circuit())
        assert not store.save_circuit(pool, "ecs", _refused(9), instead_of=Circuit())
        assert store.circuit(pool, "ecs") == _refused(0)
        probing = _refused(0).after_probe(values.NOW + 5000)
        for _ in range(2):  # A reply may have got lost.
            assert store.save_circuit(pool, "ecs", probing, instead_of=_refused(0))
        assert store.circuit(pool, "ecs") == probing
        store.save_circuit(pool, "ecs", probing.after_success(values.NOW))
        recovered = store.circuit(pool, "ecs")
        assert (recovered.refusals, recovered.recovered_at) == (0, values.NOW)

    def test_a_turn_to_poll_is_taken_once(self, store: Store, pool: str) -> None:
        self.created(store, pool)
        assert store.poll_turn(pool, "docker") == Turn()
        first, other, last = Turn(values.NOW), Turn(values.NOW + 9), Turn(0, values.NOW)
        assert store.save_poll_turn(pool, "docker", first, instead_of=Turn())
        assert not store.save_poll_turn(pool, "docker", other, instead_of=Turn())
        assert store.poll_turn(pool, "docker") == first
        assert store.poll_turn(pool, "aci") == Turn()
        for _ in range(2):  # A reply may have got lost.
            assert store.save_poll_turn(pool, "docker", last, instead_of=first)
        assert store.save_poll_turn(pool, "docker", other, instead_of=last)
        seen = store.overview(pool)
        assert not any(head.places or head.more for head in seen.heads.values())
        stored = store.pool(pool)
        assert stored
        store.delete_pool(stored)
        assert store.poll_turn(pool, "docker") == Turn()


def _refused(later: int) -> Circuit:
    return Circuit().after_refusal(values.NOW + later, "no_room")
