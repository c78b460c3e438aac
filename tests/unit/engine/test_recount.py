"""Does a recount find what does not fit, and only that, and does it put it right?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.control.pools import create_queue
from push_dispatch.core.events import Move
from push_dispatch.core.model import Holder, Ledger, Pool, Queue, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.recount import SETTLED_SECONDS, Recount, put_right, recount
from push_dispatch.engine.submit import submit
from push_dispatch.engine.transition import transition
from tests.fakes.world import POOL, World

NOBODY = "0199c1f0-0000-7000-8000-999999999999"


@pytest.fixture
def world() -> World:
    return World()


def pool(world: World) -> Pool:
    found = world.store.pool(POOL)
    assert found is not None
    return found


def counted(world: World, *, every_run: bool = True) -> Recount:
    return recount(world.ports, pool(world), every_run=every_run)


def later(world: World, seconds: int = SETTLED_SECONDS) -> None:
    world.now += seconds * 1000


def forget(world: World) -> None:
    """The stream loses what it has not delivered."""
    world.collect()
    world.changes.clear()


def commit(world: World, *holders: Holder) -> None:
    ledger = world.store.ledger(POOL)
    world.store.commit(replace(ledger, version=ledger.version + 1, holders=holders))


def test_a_pool_at_work_is_right_at_each_step(world: World) -> None:
    for _ in range(5):
        submit(world.ports, Request(POOL))
    world.deliver_all()
    for _ in range(10):
        later(world)
        found = counted(world)
        assert found.right, found
        world.deliver_all()
        for container in world.platform.live():
            world.platform.begin(container)
        world.deliver_all()
        assert counted(world).right
        for container in world.platform.live()[:1]:
            world.platform.end(container, 0)
        world.deliver_all()
        world.deliver_all()
    assert counted(world) == Recount(POOL, held=0, under_way=0)


def test_a_run_that_never_got_in_line_is_found_and_starts(world: World) -> None:
    run = submit(world.ports, Request(POOL)).run
    forget(world)
    later(world, SETTLED_SECONDS - 1)
    assert counted(world).right, "it may still be on its way"
    later(world, 1)
    assert counted(world, every_run=False).right, "only who holds a slot was looked at"
    found = counted(world)
    assert [r.uuid for r in found.lost] == [run.uuid]
    put_right(world.ports, found)
    put_right(world.ports, found)
    assert counted(world).right
    world.drain()
    assert [r.state for r in world.runs()] == [RunState.COMPLETED]


def test_a_place_in_a_queue_that_the_run_has_left_is_none(world: World) -> None:
    create_queue(world.ports, POOL, Queue("low", 1), priority=2)
    run = submit(world.ports, Request(POOL, queue="low", at=world.now + 10**7)).run
    world.deliver_all()
    transition(world.ports, POOL, run.uuid, Move("default"))
    forget(world)
    later(world)
    found = counted(world)
    assert [r.uuid for r in found.lost] == [run.uuid]
    put_right(world.ports, found)
    assert counted(world).right


def test_a_slot_of_a_run_that_has_ended_is_given_back(world: World) -> None:
    submit(world.ports, Request(POOL))
    world.deliver_all()
    world.deliver_all()
    [container] = world.platform.live()
    world.platform.end(container, 0)
    world.deliver_event(0)
    forget(world)
    assert counted(world, every_run=False).right, "it may still be on its way"
    later(world)
    found = counted(world, every_run=False)
    assert (found.held, len(found.drifted)) == (1, 1)
    put_right(world.ports, found)
    assert world.store.ledger(POOL).holders == ()


def test_a_slot_of_a_run_that_is_not_there_is_given_back(world: World) -> None:
    commit(world, Holder(NOBODY, 1, "default", world.now))
    found = counted(world, every_run=False)
    assert [holder.run for holder in found.drifted] == [NOBODY]
    put_right(world.ports, found)
    assert world.store.ledger(POOL).holders == ()


def test_a_ledger_that_was_lost_is_made_anew_from_the_runs(world: World) -> None:
    for _ in range(3):
        submit(world.ports, Request(POOL))
    world.deliver_all()
    world.deliver_all()
    before = world.store.ledger(POOL)
    assert len(before.holders) == 3
    world.store._ledgers[POOL] = Ledger(POOL)
    later(world)
    found = counted(world)
    assert {run.uuid for run in found.missing} == {holder.run for holder in before.holders}
    put_right(world.ports, found)
    put_right(world.ports, found)
    assert {h.slot for h in world.store.ledger(POOL).holders} == {h.slot for h in before.holders}
    for container in world.platform.live():
        world.platform.end(container, 0)
    world.deliver_all()
    world.deliver_all()
    assert {run.state for run in world.runs()} == {RunState.COMPLETED}
    assert world.store.ledger(POOL).holders == ()


def test_what_has_ended_since_it_was_counted_is_not_booked(world: World) -> None:
    submit(world.ports, Request(POOL))
    world.deliver_all()
    world.deliver_all()
    world.store._ledgers[POOL] = Ledger(POOL)
    later(world)
    found = counted(world)
    [container] = world.platform.live()
    world.platform.end(container, 0)
    world.deliver_event(0)
    put_right(world.ports, found)
    assert world.store.ledger(POOL).holders == ()


def test_the_sweep_puts_a_retry_in_line_whose_change_was_lost(world: World) -> None:
    submit(world.ports, Request(POOL, retries=1, retry_delay_seconds=0))
    world.deliver_all()
    world.deliver_all()
    [container] = world.platform.live()
    world.platform.end(container, 1)
    world.deliver_event(0)
    forget(world)
    assert [run.state for run in world.runs()] == [RunState.SCHEDULED]
    world.drain()
    assert [(run.state, run.attempt) for run in world.runs()] == [(RunState.COMPLETED, 2)]
