"""What does a file say of limits by name, capacity and ageing, and what is refused?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.control.apply import carry_out, plan
from push_dispatch.control.declaration import Declaration, read
from push_dispatch.control.pools import change_pool
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Backfill, NamedLimit, Rate
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit_many
from tests.fakes.world import POOL, TEMPLATE, World


def declared(**fields: Any) -> Declaration:
    document = {"pools": {POOL: {"type": "process", "limit": 3, **fields}}}
    return read(document, lambda _type: TEMPLATE, relative_to=Path())


def test_a_file_declares_all_of_it() -> None:
    found = declared(
        limits={
            "tenant": {"key": "{{ parameters.tenant }}", "limit": 2},
            "mails": {"rate": {"starts": 5, "period_seconds": 60}},
        },
        capacity={"vcpu": 0.5, "licence:x": 2},
        weights={"licence:x": 1, "vcpu": "{{ variables.cpu }}"},
        backfill="conservative",
        ageing_seconds=600,
    )
    pool = found.pools[POOL].pool
    assert pool.limits == (
        NamedLimit("tenant", "{{ parameters.tenant }}", limit=2),
        NamedLimit("mails", rate=Rate(5, 60)),
    )
    assert pool.capacity == {"vcpu": 500, "licence:x": 2000}
    assert pool.weights == {"licence:x": "1", "vcpu": "{{ variables.cpu }}"}
    assert (pool.backfill, pool.ageing_seconds) == (Backfill.CONSERVATIVE, 600)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"limits": {"x": {}}}, r"pools\.p\.limits\.x"),
        ({"limits": {"x": {"key": "{{ tenant }}", "limit": 1}}}, "names nothing"),
        ({"limits": {"a b": {"limit": 1}}}, "a b"),
        ({"capacity": {"gpu": -1}}, r"pools\.p\.capacity\.gpu"),
        ({"capacity": {"gpu": "many"}}, r"pools\.p\.capacity\.gpu"),
        ({"weights": {"gpu": 1}}, "names no unit of its capacity"),
        ({"capacity": {"gpu": 1}, "weights": {"gpu": "{{ gpus }}"}}, "names nothing"),
        ({"backfill": "some"}, r"pools\.p\.backfill"),
        ({"ageing_seconds": 0}, r"pools\.p\.ageing_seconds"),
        ({"queues": {"default": {"max_waiting": -1}}}, r"pools\.p\.queues\.default\.max_waiting"),
        ({"key_max_waiting": 10_001}, r"pools\.p\.key_max_waiting"),
    ],
)
def test_what_could_never_hold_is_refused_and_nothing_is_changed(
    fields: dict[str, Any], what: str
) -> None:
    world = World()
    before = world.store.pool(POOL)
    with pytest.raises(Invalid, match=what):
        plan(world.ports, declared(**fields))
    assert world.store.pool(POOL) == before


def test_a_plan_speaks_of_the_runs_that_are_concerned() -> None:
    world = World()
    tenant = NamedLimit("tenant", "{{ parameters.tenant }}", limit=3)
    change_pool(
        world.ports,
        POOL,
        lambda pool: replace(pool, limits=(tenant,), capacity={"w": 3000}, weights={"w": "1"}),
    )
    submit_many(world.ports, [Request(POOL, parameters={"tenant": "a"})] * 3)
    world.deliver_all()
    wanted = declared(
        limits={"tenant": {"key": "{{ parameters.tenant }}", "limit": 1}},
        capacity={"w": 2},
        weights={"w": 1},
    )

    [step] = plan(world.ports, wanted)

    assert "2 runs finish above the limit, nothing is stopped" in "\n".join(step.changes)
    assert "capacity w 3 → 2: 3 are taken, nothing is stopped" in step.changes
    carry_out(world.ports, step)
    assert plan(world.ports, wanted) == []
    assert len(world.store.ledger(POOL).holders) == 3


def test_a_plan_says_what_max_waiting_means() -> None:
    world = World()
    wanted = declared(
        queues={"default": {"max_waiting": 5}},
        key_max_waiting=2,
        limits={"tenant": {"key": "{{ parameters.tenant }}", "max_waiting": 3}},
    )

    [step] = plan(world.ports, wanted)

    message = "\n".join(step.changes)
    assert "queue `default`: max_waiting none → 5: runs submitted from now on" in message
    assert "max_waiting none → 2: runs submitted from now on; a submission beyond it" in message
    assert "for each {{ parameters.tenant }}, max_waiting 3" in message
    carry_out(world.ports, step)
    assert plan(world.ports, wanted) == []
    pool = world.store.pool(POOL)
    assert pool is not None
    assert (pool.queues[0].max_waiting, pool.key_max_waiting) == (5, 2)
