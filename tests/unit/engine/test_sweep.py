"""Does the sweep stop what would hold a slot for good?"""

from __future__ import annotations

import pytest

from push_dispatch.core.model import Run, RunState
from push_dispatch.engine.submit import Request, submit
from push_dispatch.engine.sweep import START_SECONDS
from tests.fakes.world import POOL, World


@pytest.fixture
def world() -> World:
    return World()


def the_run(world: World) -> Run:
    [run] = world.runs()
    return run


def pushed(world: World, request: Request) -> None:
    submit(world.ports, request)
    world.deliver_all()
    world.deliver_all()


@pytest.mark.parametrize(("retries", "state"), [(0, RunState.CRASHED), (1, RunState.COMPLETED)])
def test_an_attempt_that_never_begins_is_stopped(
    world: World, retries: int, state: RunState
) -> None:
    pushed(world, Request(POOL, crash_retries=retries))
    world.now += START_SECONDS * 1000 - 1
    world.sweep()
    assert the_run(world).state is RunState.PENDING
    world.now += 1
    world.sweep()
    assert (the_run(world).state, the_run(world).stop) == (RunState.CANCELLING, "start_timeout")
    assert len(world.store.ledger(POOL).holders) == 1, "the slot is kept until it has stopped"
    world.drain()
    assert the_run(world).state is state
    assert the_run(world).attempts[0].reason is not None
    if state is RunState.CRASHED:
        assert the_run(world).reason == "start_timeout"


def test_one_that_has_begun_may_take_as_long_as_it_likes(world: World) -> None:
    pushed(world, Request(POOL))
    [container] = world.platform.live()
    world.platform.begin(container)
    world.deliver_all()
    world.now += START_SECONDS * 10_000
    world.sweep()
    assert the_run(world).state is RunState.RUNNING
