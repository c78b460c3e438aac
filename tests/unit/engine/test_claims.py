"""Do named limits and capacity hold in the engine, from the submission on and after a change?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.control.pools import change_pool
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Backfill, NamedLimit, Pool, Queue, Rate, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit_many
from push_dispatch.insight.explain import explain
from tests.fakes.world import POOL, World

TENANT = NamedLimit("tenant", "{{ parameters.tenant }}", limit=1)


def world(**changes: Any) -> World:
    made = World()
    queues = (Queue("high", 1), Queue("default", 2))
    change_pool(made.ports, POOL, lambda pool: replace(pool, limit=10, queues=queues, **changes))
    return made


def submitted(made: World, *requests: dict[str, Any]) -> list[str]:
    runs = submit_many(made.ports, [Request(POOL, **request) for request in requests])
    made.deliver_all()
    made.deliver_all()
    return [entry.run.uuid for entry in runs]


def states(made: World, uuids: list[str]) -> list[bool]:
    """Whether each of the runs has been admitted."""
    held = {holder.run for holder in made.store.ledger(POOL).holders}
    return [uuid in held for uuid in uuids]


def tenant(name: str, **request: Any) -> dict[str, Any]:
    return {"parameters": {"tenant": name}, **request}


def test_a_named_limit_is_shared_by_queues_and_deployments() -> None:
    made = world(limits=(TENANT,))

    uuids = submitted(
        made, tenant("a", queue="high"), tenant("a", deployment="d"), tenant("b"), {"tags": ("x",)}
    )

    assert states(made, uuids) == [True, False, True, True]
    found = explain(made.ports, f"{POOL}.{uuids[1]}")
    assert found.reason == "named_limit"
    assert found.numbers == {"limit tenant": 1, "slots held by key 'a'": 1}
    assert [holder.run for holder in found.holders] == [uuids[0]]


def test_a_run_waits_for_each_of_its_limits() -> None:
    table = NamedLimit("table", "{{ tags.table }}", limit=1)
    made = world(limits=(TENANT, table))

    uuids = submitted(
        made,
        tenant("a", tags=("table:t",)),
        tenant("b", tags=("table:t",)),
        tenant("a", tags=("table:u",)),
        tenant("b", tags=("table:u",)),
    )

    assert states(made, uuids) == [True, False, False, True]
    # Its tenant is full because of the last run, its table because of the first.
    assert explain(made.ports, f"{POOL}.{uuids[1]}").numbers["limit tenant"] == 1
    assert explain(made.ports, f"{POOL}.{uuids[2]}").numbers["limit tenant"] == 1


def test_a_named_rate_counts_each_key() -> None:
    rate = NamedLimit("tenant", "{{ parameters.tenant }}", rate=Rate(1, 60))
    made = world(limits=(rate,))

    uuids = submitted(made, tenant("a"), tenant("a"), tenant("b"))
    assert states(made, uuids) == [True, False, True]
    assert explain(made.ports, f"{POOL}.{uuids[1]}").reason == "named_rate"
    made.now += 60_000
    made.deliver_all()  # the wake-up that the pass has asked for
    assert states(made, uuids)[1]


def test_who_waits_under_another_declaration_is_read_anew() -> None:
    made = world(limits=(TENANT,))
    change_pool(made.ports, POOL, lambda pool: replace(pool, limit=0))
    uuids = submitted(made, tenant("a", tags=("t:1",)), tenant("b", tags=("t:1",)))
    by_tag = NamedLimit("tenant", "{{ tags.t }}", limit=1)

    change_pool(made.ports, POOL, lambda pool: replace(pool, limits=(by_tag,), limit=10))
    made.deliver_all()

    assert states(made, uuids) == [True, False]
    run = made.store.run(POOL, uuids[1])
    assert run is not None
    assert run.keys == (("tenant", "1"),)


def test_a_run_that_somebody_else_put_falls_under_the_limits_too() -> None:
    made = world(limits=(TENANT,))
    [first] = submitted(made, tenant("a"))
    raw = made.store.run(POOL, first)
    assert raw is not None
    uuid = "0199c1f0-1111-7222-8333-444455556666"
    made.store.add_run(
        replace(raw, uuid=uuid, order=uuid, state=RunState.SCHEDULED, attempt=0, rev=0)
        if raw.state is RunState.SCHEDULED
        else replace(
            raw,
            uuid=uuid,
            order=uuid,
            state=RunState.SCHEDULED,
            attempt=0,
            attempts=(),
            rev=0,
            keys=(),
            under="",
        )
    )
    made.deliver_all()

    assert states(made, [uuid]) == [False]
    assert explain(made.ports, f"{POOL}.{uuid}").reason == "named_limit"


def test_the_capacity_is_never_exceeded_and_kept_for_the_head() -> None:
    made = world(capacity={"gpu": 4000}, weights={"gpu": "{{ parameters.gpus }}"})

    def gpus(count: float) -> dict[str, Any]:
        return {"parameters": {"gpus": count}}

    uuids = submitted(made, gpus(3), gpus(2), gpus(0.5), {})

    assert states(made, uuids) == [True, False, False, True]
    found = explain(made.ports, f"{POOL}.{uuids[1]}")
    assert found.reason == "capacity"
    assert found.numbers == {"gpu needed": 2, "gpu free": 1, "gpu of the pool": 4}
    assert [holder.run for holder in found.holders] == [uuids[0]]
    assert explain(made.ports, f"{POOL}.{uuids[2]}").reason == "behind_others"


def test_a_short_run_may_pass_the_head_if_its_timeout_proves_it() -> None:
    made = world(
        capacity={"gpu": 4000},
        weights={"gpu": "{{ parameters.gpus }}"},
        backfill=Backfill.CONSERVATIVE,
    )

    def gpus(count: int, timeout: int | None) -> dict[str, Any]:
        return {"parameters": {"gpus": count}, "timeout_seconds": timeout}

    uuids = submitted(made, gpus(3, 600), gpus(2, 60), gpus(1, 601), gpus(1, None), gpus(1, 60))

    assert states(made, uuids) == [True, False, False, False, True]


def test_a_run_larger_than_the_pool_is_refused_when_it_is_submitted() -> None:
    made = world(capacity={"gpu": 1000}, weights={"gpu": "{{ parameters.gpus }}"})

    with pytest.raises(Invalid, match="could never start") as found:
        submit_many(made.ports, [Request(POOL), Request(POOL, parameters={"gpus": 2})])

    assert found.value.reason == "weight_too_large"
    assert not list(made.store.list_runs(POOL))


def test_one_that_became_too_large_holds_nobody_back() -> None:
    made = world(capacity={"gpu": 2000}, weights={"gpu": "{{ parameters.gpus }}"}, paused=True)
    uuids = submitted(made, {"parameters": {"gpus": 2}}, {"parameters": {"gpus": 1}})

    change_pool(made.ports, POOL, lambda p: replace(p, capacity={"gpu": 1000}, paused=False))
    made.deliver_all()

    assert states(made, uuids) == [False, True]
    assert explain(made.ports, f"{POOL}.{uuids[0]}").reason == "capacity_too_small"


def test_a_value_that_can_be_no_key_is_refused_when_it_is_submitted() -> None:
    made = world(limits=(TENANT,))

    with pytest.raises(Invalid, match=r"limit .tenant.: parameters\.tenant is a list"):
        submit_many(made.ports, [Request(POOL, parameters={"tenant": ["a"]})])

    assert not list(made.store.list_runs(POOL))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"limits": (NamedLimit("x"),)}, "limits nothing"),
        ({"limits": (TENANT, TENANT)}, "is there twice"),
        ({"limits": (NamedLimit("x", "{{ y }}", limit=1),)}, "names nothing"),
        ({"limits": (NamedLimit("x y", limit=1),)}, "limit name"),
        ({"capacity": {"gpu": -1}}, "is not valid"),
        ({"weights": {"gpu": "1"}}, "names no unit"),
        ({"ageing_seconds": 0}, "ageing_seconds 0"),
    ],
)
def test_what_no_pool_can_have_is_refused(changes: dict[str, Any], what: str) -> None:
    made = World()
    before = made.store.pool(POOL)
    with pytest.raises(Invalid, match=what):
        change_pool(made.ports, POOL, lambda pool: replace(pool, **changes))
    assert made.store.pool(POOL) == before


def test_ageing_lets_the_lower_queue_through_and_says_until_when_it_is_passed() -> None:
    made = world(ageing_seconds=600)
    change_pool(made.ports, POOL, lambda pool: replace(pool, limit=1))
    [_, low] = submitted(made, {"queue": "high"}, {})
    made.now += 601_000
    [late] = submitted(made, {"queue": "high"})

    found = explain(made.ports, f"{POOL}.{low}")
    assert found.ahead == 0
    assert found.numbers["seconds until no new run of queue high goes first"] == 0
    assert explain(made.ports, f"{POOL}.{late}").ahead == 1


def test_a_pool_without_any_of_it_computes_nothing() -> None:
    made = World()
    [uuid] = submitted(made, tenant("a"))
    run = made.store.run(POOL, uuid)
    assert run is not None
    assert (run.keys, run.weights, run.under) == ((), (), "")
    assert made.store.pool(POOL) == replace(Pool(POOL, "process", limit=3), **_kept(made))


def _kept(made: World) -> dict[str, Any]:
    pool = made.store.pool(POOL)
    assert pool is not None
    return {"template": pool.template, "version": pool.version}
