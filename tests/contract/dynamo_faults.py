"""Does every write survive what the network and DynamoDB do to it, and lose races cleanly?"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import Conflict, Refused, Unavailable
from push_dispatch.core.events import Claim
from push_dispatch.core.model import Ledger, Pool, Ready, RunState
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.ports import Ports
from push_dispatch.ports.store import Store
from tests.contract.store import values
from tests.contract.store.suite import StoreSuite
from tests.contract.store.values import NOW
from tests.fakes.faulty import Fault, Faulty, faulty
from tests.fakes.memory.messages import MemoryMessages
from tests.fakes.memory.store import MemoryStore

UUID = "0199c1f0-1111-7222-8333-444455556666"
OTHER = "0199c1f0-1111-7222-8333-444455557777"
LATER = values.place(UUID, due=NOW + 60_000)
#: More calls than any verb makes.
CALLS = 12


@dataclass(frozen=True)
class Verb:
    """A write, and what must be there before it."""

    name: str
    act: Callable[[Store, str], object]
    prepare: Callable[[Store, str], object] = lambda _store, _pool: None


def _two_places(store: Store, pool: str) -> None:
    store.enqueue(pool, [values.place(UUID), values.place(OTHER)], NOW)


def _pool_with_all(store: Store, pool: str) -> None:
    store.create_pool(Pool(pool, "ecs"))
    store.put_template(pool, "0", {"a": 1})
    store.commit(values.ledger(pool, 1, values.holder(UUID)))
    _two_places(store, pool)


VERBS = [
    Verb("create_pool", lambda s, p: s.create_pool(Pool(p, "ecs", limit=3))),
    Verb(
        "save_pool",
        lambda s, p: s.save_pool(Pool(p, "ecs", version=1, limit=0)),
        lambda s, p: s.create_pool(Pool(p, "ecs")),
    ),
    Verb("delete_pool", lambda s, p: s.delete_pool(Pool(p, "ecs", version=1)), _pool_with_all),
    Verb("put_template", lambda s, p: s.put_template(p, "0", {"a": 1})),
    Verb("put_deployment", lambda s, p: s.put_deployment(p, {"a": 1})),
    Verb(
        "delete_deployment",
        lambda s, p: s.delete_deployment(p),
        lambda s, p: s.put_deployment(p, {"a": 1}),
    ),
    Verb("add_run", lambda s, p: s.add_run(values.run(p, UUID))),
    Verb(
        "save_run",
        lambda s, p: s.save_run(values.run(p, UUID, rev=1, state=RunState.COMPLETED)),
        lambda s, p: s.add_run(values.run(p, UUID)),
    ),
    Verb(
        "claim_run",
        lambda s, p: s.claim_run(p, UUID, Claim(1, "ecs", "ecs", "0", "mine", NOW + 60_000), NOW),
        lambda s, p: s.add_run(values.run(p, UUID)),
    ),
    Verb("enqueue", lambda s, p: s.enqueue(p, [values.place(UUID), LATER], NOW)),
    Verb(
        "dequeue", lambda s, p: s.dequeue(p, [values.place(UUID), values.place(OTHER)]), _two_places
    ),
    Verb(
        "ticked", lambda s, p: s.ticked(p, LATER, NOW + 1), lambda s, p: s.enqueue(p, [LATER], NOW)
    ),
    Verb("commit", lambda s, p: s.commit(values.ledger(p, 1, values.holder(UUID)))),
]


def _everything(store: Store, pool: str) -> dict[str, Any]:
    """All that a store knows of a pool, and of the deployment of the same name."""
    return {
        "pool": store.pool(pool),
        "listed": pool in store.pool_names(),
        "template": store.template(pool, "0"),
        "deployment": store.deployment(pool),
        "runs": list(store.list_runs(pool)),
        "line": store.line(pool, "default", 10),
        "ticks": store.ticks(pool, NOW + 100_000, 10),
        "ledger": store.ledger(pool),
    }


def _outcome(store: Store, pool: str, verb: Verb) -> dict[str, Any]:
    verb.prepare(store, pool)
    verb.act(store, pool)
    return _everything(store, pool)


def _settled(outcome: dict[str, Any]) -> dict[str, Any]:
    """Which version a ledger has does not matter: moved twice, it makes as many passes void."""
    ledger = outcome["ledger"]
    return {**outcome, "ledger": replace(ledger, version=min(ledger.version, 1))}


class FaultContract(StoreSuite):
    """What is promised on top of `Store`: Unavailable says that nothing is known, and to do the
    same again is right."""

    #: Those of `VERBS` that a subclass is about.
    verbs: ClassVar[Sequence[str]] = [verb.name for verb in VERBS]

    @pytest.fixture
    def client(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def faults(self, client: Any) -> Iterator[Faulty]:
        with faulty(client) as faults:
            yield faults

    # -- throttling, lost requests and lost replies -----------------------------------------------

    @pytest.mark.parametrize(
        "fault", [f for f in Fault if f is not Fault.HALF_DONE], ids=lambda f: f.value
    )
    @pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
    def test_write_survives_a_fault_at_each_of_its_calls(
        self, store: Store, pool: str, faults: Faulty, verb: Verb, fault: Fault
    ) -> None:
        if verb.name not in self.verbs:
            pytest.skip("has nothing to do with this")
        for call in range(CALLS):
            name = f"{pool}-{call}"
            verb.prepare(store, name)
            faults.arm((call, fault))
            unavailable = False
            try:
                verb.act(store, name)
            except Unavailable:
                unavailable = True
                verb.act(store, name)
            if not faults.met:
                assert call > 0
                return
            # What the SDK sends again by itself nobody notices.
            assert unavailable == (fault is not Fault.SENT_TWICE)
            assert _settled(_everything(store, name)) == _settled(
                _outcome(MemoryStore(), name, verb)
            )
        raise AssertionError(f"{verb.name} makes more than {CALLS} calls")

    @pytest.mark.parametrize("name", ["enqueue", "dequeue", "delete_pool"])
    def test_half_of_a_batch_left_for_later_is_done_all_the_same(
        self, store: Store, pool: str, faults: Faulty, name: str
    ) -> None:
        verb = next(verb for verb in VERBS if verb.name == name)
        verb.prepare(store, pool)
        faults.arm(*((call, Fault.HALF_DONE) for call in range(CALLS)))
        verb.act(store, pool)
        assert faults.calls.count("BatchWriteItem") > 1
        assert _everything(store, pool) == _outcome(MemoryStore(), pool, verb)

    def test_reads_of_a_throttled_table_are_unavailable(
        self, store: Store, pool: str, faults: Faulty
    ) -> None:
        reads: list[Callable[[], object]] = [
            lambda: store.pool(pool),
            lambda: store.ledger(pool),
            lambda: store.run(pool, UUID),
            lambda: store.runs(pool, [UUID]),
            lambda: list(store.list_runs(pool)),
            lambda: store.line(pool, "default", 1),
            lambda: store.ticks(pool, NOW, 1),
        ]
        for read in reads:
            faults.arm((0, Fault.THROTTLED))
            with pytest.raises(Unavailable) as unavailable:
                read()
            assert unavailable.value.reason == "backend_unavailable"

    # -- lost races -------------------------------------------------------------------------------

    def test_rival_commit_wins(self, store: Store, pool: str, faults: Faulty) -> None:
        rival = values.ledger(pool, 1, values.holder(OTHER))
        faults.before_next("PutItem", lambda: store.commit(rival))
        with pytest.raises(Conflict):
            store.commit(values.ledger(pool, 1, values.holder(UUID)))
        assert store.ledger(pool) == rival

    def test_configuration_saved_meanwhile_voids_a_commit(
        self, store: Store, pool: str, faults: Faulty
    ) -> None:
        created = self.created(store, pool)
        faults.before_next("PutItem", lambda: store.save_pool(replace(created, limit=0)))
        with pytest.raises(Conflict):
            store.commit(values.ledger(pool, 1, values.holder(UUID)))
        changed = Ledger(pool, version=1, configuration=created.version + 1)
        assert store.ledger(pool) == changed

    def test_rival_writer_of_a_run_wins(self, store: Store, pool: str, faults: Faulty) -> None:
        run = store.add_run(values.run(pool, UUID))
        rival = replace(run, rev=1, state=RunState.CANCELLED)
        faults.before_next("PutItem", lambda: store.save_run(rival))
        with pytest.raises(Conflict):
            store.save_run(replace(run, rev=1, state=RunState.COMPLETED))
        assert store.run(pool, UUID) == rival

    def test_rival_submission_under_the_same_key_wins(
        self, store: Store, pool: str, faults: Faulty
    ) -> None:
        rival = values.run(pool, UUID, name="first")
        faults.before_next("PutItem", lambda: store.add_run(rival))
        assert store.add_run(values.run(pool, UUID, name="second")) == rival

    def test_rival_configuration_wins(self, store: Store, pool: str, faults: Faulty) -> None:
        created = self.created(store, pool)
        faults.before_next("PutItem", lambda: store.save_pool(replace(created, limit=1)))
        with pytest.raises(Conflict):
            store.save_pool(replace(created, limit=2))
        assert store.pool(pool) == replace(created, limit=1, version=2)

    def test_rival_of_the_same_name_is_a_refusal(
        self, store: Store, pool: str, faults: Faulty
    ) -> None:
        # The list of pools is put first, unconditionally: this rival is there before both puts.
        faults.before_next("PutItem", lambda: store.create_pool(Pool(pool, "ecs", limit=1)))
        with pytest.raises(Refused) as refused:
            store.create_pool(Pool(pool, "ecs", limit=2))
        assert refused.value.reason == "pool_exists"
        assert store.pool(pool) == Pool(pool, "ecs", limit=1, version=1)

    def test_changed_pool_is_not_deleted(self, store: Store, pool: str, faults: Faulty) -> None:
        created = self.created(store, pool)
        faults.before_next("DeleteItem", lambda: store.save_pool(replace(created, limit=1)))
        with pytest.raises(Conflict):
            store.delete_pool(created)
        assert store.pool(pool) == replace(created, limit=1, version=2)

    def test_place_that_is_gone_is_not_put_back_by_a_tick(
        self, store: Store, pool: str, faults: Faulty
    ) -> None:
        store.enqueue(pool, [LATER], NOW)
        faults.before_next("UpdateItem", lambda: store.dequeue(pool, [LATER]))
        store.ticked(pool, LATER, NOW + 1)
        assert store.line(pool, "default", 1) == []

    def test_a_probe_goes_to_one(self, store: Store, pool: str, faults: Faulty) -> None:
        refused = Circuit().after_refusal(NOW, "no_room")
        store.save_circuit(pool, "ecs", refused)
        taken: list[bool] = []

        def take(now: int) -> None:
            probing = refused.after_probe(now)
            taken.append(store.save_circuit(pool, "ecs", probing, instead_of=refused))

        faults.before_next("PutItem", lambda: take(NOW + 1))
        take(NOW + 2)
        assert taken == [True, False]

    def test_dispatch_that_loses_the_race_reads_again(
        self, store: Store, pool: str, faults: Faulty
    ) -> None:
        store.create_pool(Pool(pool, "ecs", limit=2))
        waiting = [store.add_run(values.run(pool, uuid)) for uuid in (UUID, OTHER)]
        store.enqueue(pool, [Ready.of(run) for run in waiting], NOW)
        # The rival admits a run that this pass does not know, so one slot is left.
        rival = values.ledger(pool, 1, values.holder(str(uuid.uuid4())))
        faults.before_next("PutItem", lambda: store.commit(rival))
        passed = dispatch(_ports(store), pool)
        assert passed.races_lost == 1
        assert [ready.run for ready in passed.admitted] == [UUID]
        assert [h.run for h in store.ledger(pool).holders] == [rival.holders[0].run, UUID]


def _ports(store: Store) -> Ports:
    def no_platform(_name: str) -> Any:
        raise AssertionError("dispatch talks to no platform")

    return Ports(
        store=store,
        messages=MemoryMessages(),
        clock=lambda: NOW,
        new_id=lambda: str(uuid.uuid4()),
        platform=no_platform,
        secrets=secrets_from({}),
    )
