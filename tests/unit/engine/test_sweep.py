"""Does the sweep stop what would hold a slot for good?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.control.pools import create_pool
from push_dispatch.core.ending import START_SECONDS
from push_dispatch.core.errors import Refused
from push_dispatch.core.model import Ledger, Pool, Run, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit
from push_dispatch.engine.sweep import sweep
from push_dispatch.ports.store import Change
from tests.fakes.memory.store import MemoryStore
from tests.fakes.world import POOL, TEMPLATE, World


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


def stopped(world: World) -> None:
    """The order to stop reaches the platform, and then all goes on."""
    world.deliver_all()
    world.deliver_all()
    world.drain()


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
    world.deliver_all()  # the poll that finds it as it was
    assert (the_run(world).state, the_run(world).stop) == (RunState.CANCELLING, "start_timeout")
    assert len(world.store.ledger(POOL).holders) == 1, "the slot is kept until it has stopped"
    stopped(world)
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


# -- an end that is seen late --------------------------------------------------------------------


def ran(world: World, seconds: int, code: int, crash_retries: int = 0) -> None:
    """A run with a timeout of 100 s whose end, with this code, was lost as an event."""
    pushed(world, Request(POOL, timeout_seconds=100, crash_retries=crash_retries))
    [container] = world.platform.live()
    world.platform.begin(container)
    world.deliver_all()
    world.now += seconds * 1000
    world.platform.end(container, code)
    world.platform.events.clear()


@pytest.mark.parametrize(
    ("seconds", "code", "state", "reason"),
    [
        (95, 0, RunState.COMPLETED, "completed"),
        (95, 3, RunState.FAILED, "exit_code"),
        # In the minute in which nobody has noticed yet: no time-out has stopped it.
        (110, 0, RunState.COMPLETED, "completed"),
    ],
)
def test_an_end_that_is_seen_late_is_what_it_was(
    world: World, seconds: int, code: int, state: RunState, reason: str
) -> None:
    ran(world, seconds, code, crash_retries=2)
    world.now += 25_000
    world.sweep()
    world.deliver_all()
    assert (the_run(world).state, the_run(world).reason) == (state, reason)
    world.drain()
    assert len(world.platform.starts) == 1


@pytest.mark.parametrize(("code", "state"), [(0, RunState.COMPLETED), (3, RunState.FAILED)])
def test_an_end_in_time_stays_so_if_the_order_to_stop_was_faster(
    world: World, code: int, state: RunState
) -> None:
    ran(world, 95, code)
    world.now += 1_000_000  # No poll for so long that it is stopped unseen.
    world.sweep()
    assert the_run(world).state is RunState.CANCELLING
    world.drain()
    assert the_run(world).state is state


def test_who_is_silent_and_alive_after_its_time_is_stopped(world: World) -> None:
    pushed(world, Request(POOL, timeout_seconds=100))
    [container] = world.platform.live()
    world.platform.begin(container)
    world.deliver_all()
    world.now += 120_000
    world.sweep()
    assert the_run(world).state is RunState.RUNNING, "polled before it is stopped"
    world.deliver_all()
    assert (the_run(world).state, the_run(world).stop) == (RunState.CANCELLING, "timed_out")
    stopped(world)
    assert (the_run(world).state, the_run(world).reason) == (RunState.CRASHED, "timed_out")


def test_the_time_that_the_machine_slept_does_not_count(world: World) -> None:
    """A laptop that naps for an hour does not end what it runs."""
    slept = 0
    world.ports = replace(world.ports, slept=lambda platform, since: slept)
    pushed(world, Request(POOL, timeout_seconds=100))
    [container] = world.platform.live()
    world.platform.begin(container)
    world.deliver_all()
    for awake in (40_000, 40_000):
        slept += 3_600_000
        world.now += awake + 3_600_000
        world.sweep()
        world.deliver_all()
        assert the_run(world).state is RunState.RUNNING
    world.now += 30_000
    world.sweep()
    world.deliver_all()
    world.sweep()
    world.deliver_all()
    assert (the_run(world).state, the_run(world).stop) == (RunState.CANCELLING, "timed_out")


# -- malformed items -----------------------------------------------------------------------------


def malformed(world: World, run: Run) -> None:
    """Somebody has written something else into its item."""
    world.store._runs[POOL, run.uuid] = replace(run, unreadable="due: not a number")
    world.store.changes.append(Change(POOL, run, world.store._runs[POOL, run.uuid]))


def test_a_malformed_run_that_waits_is_ended_and_stops_nobody(world: World) -> None:
    submit(world.ports, Request(POOL))
    malformed(world, the_run(world))
    submit(world.ports, Request(POOL))
    world.drain()
    second, first = world.runs()
    assert (first.state, first.reason) == (RunState.CRASHED, "invalid_input")
    assert "due: not a number" in (first.message or "")
    assert second.state is RunState.COMPLETED


@pytest.mark.parametrize("stream_knows", [True, False])
def test_a_malformed_run_that_is_under_way_is_stopped_and_gives_its_slot_back(
    world: World, stream_knows: bool
) -> None:
    pushed(world, Request(POOL))
    malformed(world, the_run(world))
    if not stream_knows:
        world.store.changes.clear()
        world.sweep()
    world.deliver_all()
    assert (the_run(world).state, the_run(world).stop) == (RunState.CANCELLING, "invalid_input")
    assert len(world.store.ledger(POOL).holders) == 1, "its container may be alive"
    stopped(world)
    assert (the_run(world).state, the_run(world).reason) == (RunState.CANCELLED, "invalid_input")


def test_a_malformed_run_can_be_cancelled(world: World) -> None:
    submit(world.ports, Request(POOL))
    malformed(world, the_run(world))
    world.store.changes.clear()
    with pytest.raises(Refused, match="invalid_input"):
        cancel(world.ports, the_run(world).id)
    assert the_run(world).state is RunState.CRASHED


def test_a_pool_that_raises_anything_stops_no_other(world: World) -> None:
    create_pool(world.ports, Pool("a-before-p", "process"), TEMPLATE)

    class Broken(MemoryStore):
        def ledger(self, pool: str) -> Ledger:
            if pool == "a-before-p":
                raise ZeroDivisionError
            return world.store.ledger(pool)

    broken = Broken(_pools=world.store._pools, _runs=world.store._runs, _line=world.store._line)
    swept = sweep(replace(world.ports, store=broken))
    assert swept.failed == ["a-before-p"]
    assert swept.pools == 2
