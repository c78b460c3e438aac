"""When does a push ask whether its platform refuses?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import NoCapacity
from push_dispatch.core.model import RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.gate import CALM, CALM_SECONDS
from push_dispatch.engine.submit import submit_many
from push_dispatch.platforms.base import Job
from push_dispatch.ports.messages import Push
from tests.fakes.faults import Point
from tests.fakes.world import POOL, World


def admitted(world: World, count: int) -> list[Push]:
    submit_many(world.ports, [Request(POOL)] * count)
    world.deliver_changes(1000)
    return [d.message for d in world.mail.waiting if isinstance(d.message, Push)]


def push_all(world: World) -> list[str]:
    """Deliver the pushes; which of them read the circuit."""
    asked: list[str] = []
    for delivery in world.due_messages():
        if isinstance(delivery.message, Push):
            run = delivery.message.run
            world.faults.arm(Point("circuit"), lambda run=run: asked.append(run))  # type: ignore[misc]
            world.deliver_message(delivery)
            world.faults.disarm()
    return asked


def test_right_after_the_admission_nothing_is_read_again() -> None:
    world = World()
    [message] = admitted(world, 1)
    assert message.calm
    assert push_all(world) == []
    assert [run.state for run in world.runs()] == [RunState.PENDING]


def test_a_push_that_comes_late_asks() -> None:
    world = World()
    [message] = admitted(world, 1)
    world.now += CALM_SECONDS * 1000
    assert push_all(world) == [message.run]


@pytest.mark.parametrize(("count", "calm"), [(CALM, True), (CALM + 1, False)])
def test_few_rely_on_what_the_commit_has_read(count: int, calm: bool) -> None:
    world = World()
    pool = world.store.pool(POOL)
    assert pool is not None
    world.store.save_pool(replace(pool, limit=10))
    assert {message.calm for message in admitted(world, count)} == {calm}


def test_while_the_platform_refuses_nobody_is_calm() -> None:
    world = World()
    world.store.save_circuit(POOL, "process", Circuit(failures=1, failed_at=world.now))
    assert [message.calm for message in admitted(world, 1)] == [False]


def test_who_was_refused_asks_the_next_time() -> None:
    world = World()

    def refuse(_job: Job) -> None:
        raise NoCapacity("no room")

    world.platform.refuse = refuse
    admitted(world, 1)
    push_all(world)
    again = [d.message for d in world.mail.waiting if isinstance(d.message, Push)]
    assert again
    assert not any(message.calm for message in again)
