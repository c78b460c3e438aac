"""Which run stays when a newer one of its deployment or key comes?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.control.pools import change_pool
from push_dispatch.core.model import Collision, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.submit import submit
from push_dispatch.engine.sweep import sweep
from tests.fakes.world import POOL, World

S = RunState


@pytest.fixture
def world() -> World:
    """Deployment `d` may hold one slot, and each key one."""
    made = World()
    change_pool(
        made.ports, POOL, lambda pool: replace(pool, deployment_limits={"d": 1}, key_limit=1)
    )
    return made


def come(world: World, collision: Collision, *, key: str = "", at: int | None = None) -> str:
    """A run that comes and is told of; its uuid."""
    world.now += 10
    group = {"concurrency_key": key} if key else {"deployment": "d"}
    request = Request(POOL, collision=collision, at=at, **group)  # type: ignore[arg-type]
    uuid = submit(world.ports, request).run.uuid
    deliver(world)
    return uuid


def deliver(world: World) -> None:
    for _ in range(3):
        world.deliver_all()


def outcome(world: World, *uuids: str) -> list[tuple[RunState, str | None]]:
    runs = world.store.runs(POOL, uuids)
    return [(runs[uuid].state, runs[uuid].reason or runs[uuid].stop) for uuid in uuids]


def running(world: World) -> list[str]:
    return [holder.run for holder in world.store.ledger(POOL).holders]


@pytest.mark.parametrize("key", ["", "k"])
def test_of_those_that_wait_only_the_latest_stays(world: World, key: str) -> None:
    first, second, third, fourth = (come(world, Collision.LATEST, key=key) for _ in range(4))

    assert running(world) == [first]
    assert outcome(world, second, third) == [(S.CANCELLED, "superseded")] * 2
    world.platform.end(next(iter(world.platform.live())), 0)
    deliver(world)
    assert running(world) == [fourth]


@pytest.mark.parametrize("key", ["", "k"])
def test_the_new_one_replaces_the_running_one_when_that_has_stopped(world: World, key: str) -> None:
    first, second = (come(world, Collision.CANCEL_RUNNING, key=key) for _ in range(2))

    # The world's platform stops what it is asked to stop, and tells of it.
    world.drain()

    assert outcome(world, first) == [(S.CANCELLED, "replaced")]
    assert world.store.run(POOL, second).attempt == 1  # type: ignore[union-attr]


def test_the_slot_is_handed_over_only_when_it_has_stopped(world: World) -> None:
    first, second = (come(world, Collision.CANCEL_RUNNING) for _ in range(2))
    stopped = world.store.run(POOL, first)
    assert stopped is not None
    if stopped.state is S.CANCELLING:
        assert running(world) == [first]
        assert outcome(world, second)[0][0] is S.SCHEDULED


def test_a_third_one_takes_the_place_of_the_second_and_stops_nobody_else(world: World) -> None:
    change_pool(world.ports, POOL, lambda pool: replace(pool, deployment_limits={"d": 2}))
    runs = [come(world, Collision.CANCEL_RUNNING) for _ in range(2)]
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=2))

    come(world, Collision.CANCEL_RUNNING)
    world.collect()
    for change in list(world.store.changes):  # told twice
        dispatch(world.ports, change.pool)
    stopped = [state for state, _ in outcome(world, *runs)]

    assert stopped.count(S.RUNNING) + stopped.count(S.PENDING) == 1


def test_a_full_or_paused_pool_does_not_hide_it(world: World) -> None:
    first = come(world, Collision.CANCEL_RUNNING)
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=1))

    come(world, Collision.CANCEL_RUNNING)

    assert outcome(world, first)[0][1] == "replaced"


def test_one_of_the_future_replaces_nobody_before_its_time(world: World) -> None:
    first = come(world, Collision.CANCEL_RUNNING)
    come(world, Collision.CANCEL_RUNNING, at=world.now + 60_000)
    assert outcome(world, first)[0][1] in (None, "running")

    world.now += 61_000
    deliver(world)

    assert outcome(world, first)[0][1] == "replaced"


def test_who_was_overlooked_is_cancelled_when_its_turn_comes(world: World) -> None:
    change_pool(world.ports, POOL, lambda pool: replace(pool, paused=True))
    old = come(world, Collision.LATEST)
    world.now += 10
    new = submit(world.ports, Request(POOL, deployment="d", collision=Collision.LATEST)).run
    # As after a crash between the note of the newest and the end of the one before.
    world.store.supersede(POOL, "d:d", new.order, new.uuid)
    world.store.changes.clear()
    change_pool(world.ports, POOL, lambda pool: replace(pool, paused=False))
    world.now += 200_000
    sweep(world.ports)
    deliver(world)

    assert outcome(world, old) == [(S.CANCELLED, "superseded")]
    assert running(world) == [new.uuid]


def test_runs_without_a_group_never_collide(world: World) -> None:
    request = Request(POOL, collision=Collision.LATEST)
    runs = [submit(world.ports, request).run.uuid for _ in range(3)]
    deliver(world)
    assert sorted(running(world)) == sorted(runs)


def test_cancel_new_is_for_keys_too(world: World) -> None:
    first, second = (come(world, Collision.CANCEL_NEW, key="k") for _ in range(2))
    assert running(world) == [first]
    assert outcome(world, second) == [(S.CANCELLED, "cancelled_by_collision")]
