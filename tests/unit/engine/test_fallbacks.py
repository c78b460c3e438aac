"""Does a pool with fallbacks go where there is room, and a pool with a rate wait its turn?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.control.pools import change_pool, keep_template
from push_dispatch.core.circuit import OPEN_AFTER, OPEN_SECONDS, Circuit
from push_dispatch.core.errors import Misconfigured, Unavailable
from push_dispatch.core.model import Fallback, Rate, Run, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit
from push_dispatch.ports.messages import Push
from tests.fakes.faults import Point
from tests.fakes.world import POOL, TEMPLATE, World


@pytest.fixture
def world() -> World:
    """The pool's own type is `process`; `docker` and `kubernetes` follow."""
    world = World()
    digest = keep_template(world.ports, POOL, TEMPLATE)
    fallbacks = (Fallback("docker", digest), Fallback("kubernetes", digest))
    change_pool(world.ports, POOL, lambda p: replace(p, fallbacks=fallbacks, limit=None))
    return world


def submitted(world: World) -> Run:
    """One more run, pushed as far as it gets without time going by."""
    run = submit(world.ports, Request(POOL)).run
    for _ in range(4):
        world.deliver_all()
    world.guarantees.check(world.now)
    return current(world, run)


def current(world: World, run: Run) -> Run:
    found = world.store.run(POOL, run.uuid)
    assert found is not None
    return found


def where(run: Run) -> str:
    attempt = run.current
    assert attempt is not None
    return attempt.type


def tried(run: Run) -> list[str]:
    attempt = run.current
    assert attempt is not None
    return [entry.split(" ")[0] + " " + entry.split(" ")[1] for entry in attempt.tried]


def test_no_room_moves_to_the_next_under_the_same_slot(world: World) -> None:
    world.platform.failures += ["no_capacity"]
    run = submitted(world)
    assert (where(run), tried(run)) == ("docker", ["process: no_capacity"])
    assert (run.state, run.attempt) == (RunState.PENDING, 1)
    [holder] = world.store.ledger(POOL).holders
    assert (holder.run, holder.attempt) == (run.uuid, 1)


def test_room_nowhere_gives_the_slot_back_and_tries_again_later(world: World) -> None:
    change_pool(world.ports, POOL, lambda p: replace(p, hold_seconds=0))
    world.platform.failures += ["no_capacity"] * 3
    run = submitted(world)
    assert (run.state, run.reason) == (RunState.SCHEDULED, "no_capacity")
    assert world.store.ledger(POOL).holders == ()
    assert run.attempts[-1].tried[0].startswith("process: no_capacity")
    world.drain()
    done = current(world, run)
    assert (done.state, done.attempt) == (RunState.COMPLETED, 2)


def test_an_open_circuit_is_not_asked_and_the_run_says_so(world: World) -> None:
    world.platform.failures += ["no_capacity", ""] * OPEN_AFTER
    for _ in range(OPEN_AFTER):
        assert tried(submitted(world)) == ["process: no_capacity"]
    # The platform would take it now, and is not asked.
    run = submitted(world)
    assert (where(run), tried(run)) == ("docker", ["process: circuit_open"])


def test_a_circuit_closes_with_the_first_success_after_its_time(world: World) -> None:
    opened = Circuit(OPEN_AFTER, world.now)
    world.store.save_circuit(POOL, "process", opened)
    world.now += OPEN_SECONDS * 1000 - 1
    assert where(submitted(world)) == "docker"
    world.now += 1
    assert where(submitted(world)) == "process"
    assert world.store.circuit(POOL, "process") == Circuit()


def test_one_more_failure_opens_it_again(world: World) -> None:
    world.store.save_circuit(POOL, "process", Circuit(OPEN_AFTER, world.now))
    world.now += OPEN_SECONDS * 1000
    world.platform.failures += ["no_capacity"]
    assert tried(submitted(world)) == ["process: no_capacity"]
    assert tried(submitted(world)) == ["process: circuit_open"]


def test_the_last_platform_is_asked_even_so(world: World) -> None:
    for name in ("process", "docker", "kubernetes"):
        world.store.save_circuit(POOL, name, Circuit(OPEN_AFTER, world.now))
    run = submitted(world)
    assert where(run) == "kubernetes"
    assert tried(run) == ["process: circuit_open", "docker: circuit_open"]


def test_what_may_have_been_started_never_moves(world: World) -> None:
    """Its fate is looked up where it was sent, however often that platform fails."""
    world.platform.failures += ["lost"]
    run = submitted(world)
    world.store.save_circuit(POOL, "process", Circuit(OPEN_AFTER, world.now + 3_600_000))
    world.now += 60_000
    world.deliver_all()
    run = current(world, run)
    assert (where(run), tried(run)) == ("process", [])
    assert run.current is not None
    assert run.current.handle is not None


@pytest.mark.parametrize("error", [Unavailable, Misconfigured])
def test_a_circuit_that_cannot_be_written_holds_up_nothing(
    world: World, error: type[Exception]
) -> None:
    def fail() -> None:
        raise error

    world.faults.arm(Point("save_circuit"), fail)
    world.platform.failures += ["no_capacity"]
    assert where(submitted(world)) == "docker"


def test_pools_without_rate_and_fallbacks_ask_nothing() -> None:
    world = World()
    submit(world.ports, Request(POOL))
    world.deliver_changes(10)
    [message] = [d.message for d in world.mail.waiting if isinstance(d.message, Push)]
    assert not message.gated


def test_a_throttled_platform_is_left_when_the_slot_is_held_no_longer(world: World) -> None:
    change_pool(world.ports, POOL, lambda p: replace(p, hold_seconds=0))
    world.platform.failures += ["throttled"]
    run = submitted(world)
    assert (where(run), tried(run)) == ("docker", ["process: platform_throttled"])
    assert len(world.platform.starts) == 1


def test_a_platform_rate_spreads_a_burst_and_gives_no_slot_to_who_waits() -> None:
    world = World()
    change_pool(world.ports, POOL, lambda p: replace(p, platform_rate=Rate(2, 10), limit=None))
    for _ in range(6):
        submit(world.ports, Request(POOL))
    started: dict[int, int] = {}
    for _ in range(60):
        for _ in range(3):
            world.deliver_all()
        started[world.now] = len(world.platform.starts)
        assert len(world.store.ledger(POOL).holders) == len(world.platform.starts)
        world.now += 1000
    assert max(started.values()) == 6
    # Never more than the burst and what the period has added since; and no fewer.
    begun = min(started)
    assert all(n == min(6, 2 + (at - begun) // 5000) for at, n in started.items())
