"""Is a new run that can start at once admitted without a place in line, and never lost?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.control.pools import change_pool
from push_dispatch.core.model import Ledger, Run, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.hints import hints_of
from push_dispatch.engine.snapshot import overview
from push_dispatch.engine.submit import submit
from push_dispatch.ports.messages import Push
from push_dispatch.ports.store import Overview
from tests.fakes.faults import Crash, Point
from tests.fakes.memory.store import MemoryStore
from tests.fakes.world import POOL, World


def limit(world: World, slots: int) -> None:
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=slots))
    world.deliver_all()


def never(world: World, verb: str) -> None:
    """Fail at the first call of that verb."""

    def refuse() -> None:
        pytest.fail(f"{verb} is called")

    world.faults.arm(Point(verb), refuse)


def crash(world: World, at: Point) -> None:
    def die() -> None:
        raise Crash

    world.faults.arm(at, die)
    with pytest.raises(Crash):
        world.deliver_changes(1000)


def pushes(world: World) -> list[str]:
    found = [d.message for d in world.mail.waiting]
    return [message.run for message in found if isinstance(message, Push)]


def started(world: World) -> list[Run]:
    return [run for run in world.runs() if run.state is not RunState.SCHEDULED]


def test_a_run_that_can_start_has_no_place_in_line() -> None:
    world = World()
    world.collect()
    world.changes.clear()
    run = submit(world.ports, Request(POOL)).run
    for verb in ("enqueue", "runs", "pool", "ledger", "circuit"):
        never(world, verb)
    world.deliver_changes(1000)
    assert pushes(world) == [run.id]


@pytest.mark.parametrize("at", [Point("commit", after=True), Point("send"), Point("send", True)])
def test_whoever_dies_after_the_commit_is_finished_by_the_next_delivery(at: Point) -> None:
    world = World()
    run = submit(world.ports, Request(POOL)).run
    crash(world, at)
    assert [holder.run for holder in world.store.ledger(POOL).holders] == [run.uuid]
    world.deliver_changes(1000)
    assert run.id in pushes(world)
    world.deliver_all()
    assert [r.attempt for r in started(world)] == [1]
    world.drain()


def test_who_waits_has_a_place_in_line() -> None:
    world = World()
    limit(world, 0)
    run = submit(world.ports, Request(POOL)).run
    world.deliver_changes(1000)
    assert [place.run for place in world.line()] == [run.uuid]
    assert not pushes(world)
    limit(world, 1)
    world.drain()


def test_a_slot_that_comes_free_before_the_place_is_there_is_not_missed() -> None:
    """The pass has read a full pool; whoever gives the slot back sees an empty line."""
    world = World()
    limit(world, 1)
    first = submit(world.ports, Request(POOL)).run
    world.deliver_all()
    second = submit(world.ports, Request(POOL)).run

    def give_back() -> None:
        with world.guarantees.elsewhere():
            [container] = world.platform.live()
            world.platform.end(container, 0)
            world.deliver_event(0)
            world.collect()
            ends = [c for c in world.changes if c.after and c.after.uuid == first.uuid]
            dispatch(world.ports, POOL, hints_of(ends)[POOL])

    world.faults.arm(Point("enqueue"), give_back)
    world.deliver_changes(1000)
    assert world.store.run(POOL, first.uuid) is not None
    assert pushes(world) == [second.id]


def test_a_record_that_comes_late_gives_a_place_that_the_run_itself_confirms() -> None:
    world = World()
    run = submit(world.ports, Request(POOL)).run
    world.collect()
    late = list(world.changes)
    world.drain()
    world.changes = late
    world.deliver_changes(1000)
    assert not world.store.ledger(POOL).holders
    assert not world.line()
    assert world.platform.starts[f"pd-{run.uuid.replace('-', '')}-1"] == 1


def test_a_record_that_comes_twice_within_seconds_starts_nothing_twice() -> None:
    world = World()
    run = submit(world.ports, Request(POOL)).run
    world.collect()
    again = list(world.changes)
    world.deliver_all()
    [container] = world.platform.live()
    world.platform.end(container, 0)
    world.deliver_all()
    world.changes += again
    world.deliver_changes(1000)
    world.drain()
    assert not world.store.ledger(POOL).holders
    assert world.platform.starts[f"pd-{run.uuid.replace('-', '')}-1"] == 1


def test_an_overview_that_is_older_than_its_ledger_is_not_believed() -> None:
    """A query is no snapshot: the limit may change between the items that it reads."""
    world = World()
    before = world.store.pool(POOL)
    limit(world, 0)
    ledger: Ledger = world.store.ledger(POOL)

    class Torn(MemoryStore):
        def overview(self, pool: str) -> Overview:
            return Overview(before, ledger)

        def pool(self, name: str) -> Any:
            return world.store.pool(name)

    found = overview(replace(world.ports, store=Torn()), POOL)
    assert found.pool == world.store.pool(POOL)
    assert found.pool != before
