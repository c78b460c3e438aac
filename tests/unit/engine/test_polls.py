"""Are ends seen soon where no event reports them, and do messages that come twice ask no more?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.core.model import RunState
from push_dispatch.core.polling import IN_AWS, Pauses, Turn
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit
from push_dispatch.platforms.base import Capabilities
from push_dispatch.ports.messages import Poll
from tests.fakes.memory_platform import Container, MemoryPlatform
from tests.fakes.world import POOL, START, Delivery, World

SECOND = 1000


class Silent(MemoryPlatform):
    """Reports nothing by itself, and counts how often it is asked."""

    observed: int = 0

    def observe(self, jobs: Any) -> Any:
        self.observed += 1
        return super().observe(jobs)


@pytest.fixture
def world() -> World:
    return of(IN_AWS)


def of(pauses: Pauses) -> World:
    made = World(platform=Silent())
    made.ports = replace(made.ports, pauses=pauses)
    return made


def started(world: World) -> Container:
    """The only attempt, which runs."""
    submit(world.ports, Request(POOL))
    world.deliver_all()
    world.deliver_all()
    [container] = world.platform.live()
    container.running, container.started_at = True, world.now
    return container


def polls(world: World) -> list[Delivery]:
    return [d for d in world.mail.waiting if isinstance(d.message, Poll) and d.message.pool]


def end(world: World, container: Container) -> None:
    world.platform.end(container, 0)
    world.platform.events.clear()


def pass_time(world: World, seconds: float, *, sweeps: bool = True) -> None:
    """Second by second, with a sweep each minute."""
    until = world.now + int(seconds * SECOND)
    while world.now < until:
        world.now += SECOND
        if sweeps and (world.now - START) % 60_000 == 0:
            world.sweep()
        world.deliver_all()


def known_after(world: World, container: Container, seconds: int) -> float:
    """How long it takes until an end at this age is known, in seconds."""
    pass_time(world, seconds)
    end(world, container)
    ended = world.now
    while not world.runs()[0].state.ended:
        pass_time(world, 1)
        assert world.now - ended < 200_000
    return (world.now - ended) / SECOND


@pytest.mark.parametrize("seconds", [1, 7, 60, 130, 599])
def test_an_end_is_known_after_a_tenth_of_its_duration(world: World, seconds: int) -> None:
    assert known_after(world, started(world), seconds) <= max(5, 0.1 * seconds) + 1
    assert world.runs()[0].state is RunState.COMPLETED
    pass_time(world, 70)
    assert world.store.ledger(POOL).holders == ()
    assert world.mail.waiting == [], "nobody is left, and nobody is polled"


def test_one_that_has_grown_old_is_polled_by_the_sweep(world: World) -> None:
    assert known_after(world, started(world), 3600) <= 61
    assert world.platform.observed <= 50 + 52  # type: ignore[attr-defined]


@pytest.mark.parametrize(("pauses", "longest"), [(IN_AWS, 6), (Pauses(2, 5), 3)])
def test_a_job_of_a_second_holds_its_slot_for_seconds(pauses: Pauses, longest: int) -> None:
    world = of(pauses)
    assert known_after(world, started(world), 1) <= longest


def test_each_message_comes_three_times_and_no_poll_more(world: World) -> None:
    """The rate comes from what is stored: of copies one takes the turn."""
    started(world)
    for _ in range(60):
        pass_time(world, 4, sweeps=False)
        if len(waiting := polls(world)) == 1:
            world.mail.waiting += [Delivery(d.at, d.message) for d in waiting for _ in range(2)]
        pass_time(world, 1, sweeps=False)
        assert len(polls(world)) <= 3
    assert world.platform.observed <= 45  # type: ignore[attr-defined]


def test_a_lost_message_is_repaired_by_the_sweep_and_the_next_push(world: World) -> None:
    first = started(world)
    world.mail.waiting.clear()
    assert known_after(world, first, 20) <= 61, "the sweep's poll"
    pass_time(world, 61)
    assert known_after(world, started(world), 1) <= 6, "the turn that never came is overdue"


def test_a_push_while_others_are_polled_sends_nothing(world: World) -> None:
    started(world)
    assert len(polls(world)) == 1
    submit(world.ports, Request(POOL))
    world.deliver_all()
    world.deliver_all()
    assert len(polls(world)) == 1
    assert len(world.platform.live()) == 2


def test_a_push_does_not_wait_for_the_far_turn_of_an_old_attempt(world: World) -> None:
    started(world)
    pass_time(world, 500)
    submit(world.ports, Request(POOL))
    world.deliver_all()
    world.deliver_all()
    young = world.platform.live()[-1]
    end(world, young)
    pass_time(world, 6)
    assert sum(run.state.ended for run in world.runs()) == 1


@pytest.mark.parametrize("hears", [True, False])
def test_a_platform_that_reports_its_ends_is_not_polled_where_they_are_heard(
    world: World, hears: bool
) -> None:
    world.platform.capabilities = Capabilities(reports_events=True)  # type: ignore[attr-defined]
    world.ports = replace(world.ports, hears=lambda _platform: hears)
    started(world)
    assert len(polls(world)) == (0 if hears else 1)


def test_without_pauses_the_sweep_polls_as_before() -> None:
    world = of(Pauses())
    container = started(world)
    assert polls(world) == []
    assert known_after(world, container, 20) > 30
    assert world.store.poll_turn(POOL, "process") == Turn()
