"""Is a run of a full deployment cancelled when it is due, whatever else holds its pool?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from push_dispatch.control.pools import change_pool
from push_dispatch.core.model import Collision, Pool, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.hints import Hints
from push_dispatch.engine.submit import submit, submit_many
from tests.fakes.world import POOL, World

NEW = Request(POOL, deployment="d", collision=Collision.CANCEL_NEW)
MANY = 1000


@pytest.fixture
def world() -> World:
    """Deployment `d` may hold one slot, and does."""
    world = World()
    change_pool(world.ports, POOL, lambda pool: replace(pool, deployment_limits={"d": 1}))
    submit(world.ports, NEW)
    world.deliver_all()
    assert len(world.platform.live()) == 1
    return world


def deliver(world: World) -> None:
    """Everything that can arrive now; a batch of the stream has at most 1,000 changes."""
    for _ in range(3):
        world.deliver_all()


def cancelled(world: World) -> int:
    return sum(run.reason == "cancelled_by_collision" for run in world.runs())


HELD: dict[str, Callable[[Pool], Pool]] = {
    "full": lambda pool: replace(pool, limit=1),
    "paused": lambda pool: replace(pool, paused=True),
    "stopped": lambda pool: replace(pool, limit=0),
}


@pytest.mark.parametrize("held", HELD)
def test_runs_that_are_due_at_once(world: World, held: str) -> None:
    change_pool(world.ports, POOL, HELD[held])
    submit_many(world.ports, [NEW] * MANY)
    deliver(world)
    assert cancelled(world) == MANY
    assert world.line() == []


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("ahead", [60, 3600])
def test_runs_that_become_due(world: World, held: str, ahead: int) -> None:
    """Behind others that wait, and from beyond the reach of a delayed message."""
    change_pool(world.ports, POOL, HELD[held])
    submit_many(world.ports, [Request(POOL)] * 50)
    due = world.now + ahead * 1000
    submit_many(world.ports, [replace(NEW, at=due)] * MANY)
    deliver(world)
    if ahead > 900:
        world.now = due - 60_000
        world.sweep()
    world.now = due - 1
    world.deliver_all()
    assert cancelled(world) == 0
    world.now = due
    world.deliver_all()
    assert cancelled(world) == MANY


def test_a_run_that_was_admitted_does_not_collide_with_itself(world: World) -> None:
    [container] = world.platform.live()
    world.platform.end(container, 0)
    deliver(world)
    submit(world.ports, NEW)
    for _ in range(3):
        world.collect()
        again = list(world.changes)
        world.deliver_all()
        world.changes += again  # The stream delivers at least once.
    world.deliver_all()
    assert [run.state for run in world.runs()] == [RunState.PENDING, RunState.COMPLETED]


def test_news_of_an_earlier_attempt_cancels_no_retry(world: World) -> None:
    [first] = world.platform.live()
    world.platform.end(first, 0)
    world.deliver_all()
    world.deliver_all()
    retried = submit(world.ports, replace(NEW, retries=1, retry_delay_seconds=600)).run
    world.collect()
    news = list(world.changes)
    world.deliver_all()
    [second] = world.platform.live()
    world.platform.end(second, 1)
    world.deliver_all()
    world.deliver_all()
    submit(world.ports, NEW)
    world.deliver_all()
    world.changes += news
    world.deliver_all()
    run = world.store.run(POOL, retried.uuid)
    assert run is not None
    assert (run.state, run.attempt) == (RunState.SCHEDULED, 1)


def test_a_deployment_whose_run_has_just_ended_has_room(world: World) -> None:
    """The end and the new run are in one batch of the stream."""
    [container] = world.platform.live()
    world.platform.end(container, 0)
    world.deliver_event(0)
    submit(world.ports, NEW)
    world.deliver_all()
    assert cancelled(world) == 0
    assert len(world.platform.live()) == 1


def test_runs_without_a_deployment_limit_cost_no_read_of_the_ledger(world: World) -> None:
    change_pool(world.ports, POOL, lambda pool: replace(pool, deployment_limits={}))
    passed = dispatch(world.ports, POOL, Hints(due={"gone"}))
    assert passed.expired == 0
