"""Do explanations and previews expect the same, from the same reads?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.control.deployments import save_deployment
from push_dispatch.control.pools import change_pool
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.model import Run, RunState
from push_dispatch.core.reasons import Reason
from push_dispatch.core.request import Request
from push_dispatch.core.schedule import Schedule
from push_dispatch.engine.snapshot import snapshot_of, waiting_in
from push_dispatch.engine.submit import submit
from push_dispatch.insight.estimate import durations_of, expected_ends
from push_dispatch.insight.explain import explain, explain_pool
from push_dispatch.insight.listing import newest_runs, run_named
from push_dispatch.insight.load import forecast
from tests.fakes.world import POOL, World

TOOK = 90_000


@pytest.fixture
def world() -> World:
    """A pool of one slot, of which one run has ended after a minute and a half, and one runs."""
    world = World()
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=1))
    submit(world.ports, Request(POOL))
    world.deliver_all()
    world.now += TOOK
    [first] = world.platform.live()
    world.platform.end(first, 0)
    world.deliver_all()
    submit(world.ports, Request(POOL))
    world.deliver_all()
    assert len(world.platform.live()) == 1
    return world


def waiting(world: World) -> Run:
    run = submit(world.ports, Request(POOL)).run
    world.deliver_all()
    return run


def test_a_start_is_expected_when_the_run_before_has_taken_as_long_as_the_last(
    world: World,
) -> None:
    run = waiting(world)
    durations = durations_of(world.ports, POOL)
    assert durations.of("default") == TOOK
    ledger = world.ports.store.ledger(POOL)
    [free] = expected_ends(ledger, durations, world.now).values()
    assert explain(world.ports, run.id).estimated_start == free
    found = forecast(world.ports, POOL, world.now + 3_600_000)
    assert found.ends == {ledger.holders[0].slot: free}
    assert [arrival.ready.run for arrival in found.arrivals] == [run.uuid]


def test_a_forecast_has_what_schedules_will_make_with_its_time_to_start(world: World) -> None:
    schedule = Schedule("hourly", every_seconds=3600)
    save_deployment(
        world.ports,
        Deployment("d", POOL, command="true", start_within=60, schedules=(schedule,)),
    )
    found = forecast(world.ports, POOL, world.now + 2 * 3_600_000)
    firings = [arrival for arrival in found.arrivals if arrival.ready.deployment == "d"]
    assert len(firings) == 2
    assert all(arrival.ready.expires == arrival.at + 60_000 for arrival in firings)


def test_without_an_end_nobody_knows_a_start() -> None:
    world = World()
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=1))
    submit(world.ports, Request(POOL))
    world.deliver_all()
    assert durations_of(world.ports, POOL).pool is None
    assert explain(world.ports, waiting(world).id).estimated_start is None


def test_a_pools_explanation_knows_that_its_platform_refuses() -> None:
    """As a run's own does: both read the circuit."""
    world = World()
    change_pool(world.ports, POOL, lambda pool: replace(pool, paused=True))
    run = waiting(world)
    world.store.save_circuit(
        POOL,
        world.store.pool(POOL).last_type,  # type: ignore[union-attr]
        Circuit(failures=1, refusals=1, next_at=world.now + 60_000, reason=Reason.NO_ROOM),
    )
    change_pool(world.ports, POOL, lambda pool: replace(pool, paused=False))
    [queue] = [q for q in explain_pool(world.ports, POOL).queues if q.waiting]
    assert queue.reasons == {Reason.NO_ROOM: 1}
    assert explain(world.ports, run.id).reason == Reason.NO_ROOM


def test_those_that_hold_a_slot_are_not_counted_as_waiting(world: World) -> None:
    assert waiting_in(world.ports, POOL, "default") == (0, False)
    waiting(world)
    assert waiting_in(world.ports, POOL, "default") == (1, False)


def test_a_pool_that_is_not_there_has_no_snapshot(world: World) -> None:
    assert snapshot_of(world.ports, "nowhere") is None


def test_the_newest_runs_come_first_and_by_state(world: World) -> None:
    last = waiting(world)
    runs = newest_runs(world.ports, POOL, 2)
    assert runs[0].uuid == last.uuid
    assert len(runs) == 2
    ended = newest_runs(world.ports, None, 10, states=frozenset({RunState.COMPLETED}))
    assert [run.state for run in ended] == [RunState.COMPLETED]
    assert run_named(world.ports, last.id) == runs[0]
