"""Which of several runs starts that come shortly after each other?"""

from __future__ import annotations

from typing import Any

import pytest

from push_dispatch.control.deployments import save_deployment
from push_dispatch.core.deployment import Deployment, request_of
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Edge, Run, RunState
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.submit import submit
from tests.fakes.world import POOL, World

PERIOD = 30
S = RunState


def come(world: World, edge: Edge, *, after: int = 0, delivered: bool = True, **more: Any) -> str:
    """A run that is submitted so many seconds later; its uuid."""
    world.now += after * 1000
    deployment = Deployment("d", POOL, debounce_seconds=PERIOD, debounce_edge=edge)
    uuid = submit(world.ports, request_of(deployment, **more)).run.uuid
    if delivered:
        deliver(world)
    else:
        world.collect()
        world.changes.clear()
    return uuid


def deliver(world: World) -> None:
    for _ in range(4):
        world.deliver_all()


def run(world: World, uuid: str) -> Run:
    found = world.store.run(POOL, uuid)
    assert found is not None
    return found


def held(world: World) -> list[str]:
    return [holder.run for holder in world.store.ledger(POOL).holders]


def test_on_the_trailing_edge_the_last_starts_when_none_has_come_for_the_period() -> None:
    world = World()
    runs = [come(world, Edge.TRAILING, after=20) for _ in range(3)]
    assert held(world) == []
    assert [run(world, uuid).reason for uuid in runs] == ["debounced", "debounced", None]
    world.now += PERIOD * 1000
    deliver(world)
    assert held(world) == [runs[2]]


def test_on_the_leading_edge_the_first_starts_and_the_period_counts_from_it() -> None:
    world = World()
    first, second = come(world, Edge.LEADING), come(world, Edge.LEADING, after=20)
    third = come(world, Edge.LEADING, after=20)
    assert held(world) == [first, third]
    assert (run(world, second).state, run(world, second).reason) == (S.CANCELLED, "debounced")


@pytest.mark.parametrize("edge", list(Edge))
def test_each_key_has_its_own_period(edge: Edge) -> None:
    world = World()
    runs = [come(world, edge, after=1, concurrency_key=key) for key in ("a", "b", "a")]
    world.now += PERIOD * 1000
    deliver(world)
    gone = runs[0] if edge is Edge.TRAILING else runs[2]
    assert sorted(held(world)) == sorted(uuid for uuid in runs if uuid != gone)


@pytest.mark.parametrize("edge", list(Edge))
def test_who_came_apart_is_left_alone(edge: Edge) -> None:
    world = World()
    runs = [come(world, edge, after=PERIOD) for _ in range(2)]
    world.now += PERIOD * 1000
    deliver(world)
    assert sorted(held(world)) == runs


@pytest.mark.parametrize("edge", list(Edge))
def test_a_lost_record_of_either_run_changes_nothing(edge: Edge) -> None:
    """Neither change is delivered: the sweep's audit finds both runs, and a pass decides."""
    world = World()
    runs = [come(world, edge, after=1, delivered=False) for _ in range(2)]
    world.now += 400_000
    for _ in range(3):
        world.sweep()
        deliver(world)
    starts = runs[edge is Edge.TRAILING]
    assert held(world) == [starts] or run(world, starts).attempt == 1
    assert run(world, runs[edge is Edge.LEADING]).attempt == 0


@pytest.mark.parametrize("edge", list(Edge))
def test_changes_that_come_twice_and_in_the_wrong_order_change_nothing(edge: Edge) -> None:
    world = World()
    world.store.changes.clear()
    runs = [submit_only(world, edge) for _ in range(3)]
    world.collect()
    world.changes = [*reversed(world.changes), *world.changes]
    deliver(world)
    world.now += PERIOD * 1000
    deliver(world)
    dispatch(world.ports, POOL)
    deliver(world)
    started = [uuid for uuid in runs if run(world, uuid).attempt]
    assert len(started) == 1
    if edge is Edge.TRAILING:
        assert started == [runs[2]]


def submit_only(world: World, edge: Edge) -> str:
    world.now += 1000
    deployment = Deployment("d", POOL, debounce_seconds=PERIOD, debounce_edge=edge)
    return submit(world.ports, request_of(deployment)).run.uuid


def test_a_retry_is_not_debounced() -> None:
    world = World()
    first = come(world, Edge.LEADING, retries=1, retry_delay_seconds=0)
    [container] = world.platform.live()
    world.platform.end(container, 1)
    deliver(world)
    world.now += 1000
    deliver(world)
    assert run(world, first).attempt == 2


def test_no_period_is_refused() -> None:
    with pytest.raises(Invalid, match="debounce 0 is not valid"):
        save_deployment(World().ports, Deployment("d", POOL, debounce_seconds=0))
