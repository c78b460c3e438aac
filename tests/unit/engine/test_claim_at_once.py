"""Is a run claimed by its first push, and its end stored, without being read before?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.core.circuit import Circuit
from push_dispatch.core.events import Stop
from push_dispatch.core.model import Observation, RunState, Status
from push_dispatch.core.reasons import Reason
from push_dispatch.core.request import Request
from push_dispatch.engine.finish import finish
from push_dispatch.engine.submit import submit
from push_dispatch.engine.transition import transition
from tests.fakes.faults import Crash, Point
from tests.fakes.world import POOL, World


def never(world: World, *verbs: str) -> None:
    def refuse() -> None:
        pytest.fail("it is called")

    for verb in verbs:
        world.faults.arm(Point(verb), refuse)


def admitted() -> tuple[World, str]:
    """One run whose push is due."""
    world = World()
    run = submit(world.ports, Request(POOL)).run
    world.deliver_changes(10)
    return world, run.uuid


def push(world: World) -> None:
    [delivery] = world.due_messages()
    world.deliver_message(delivery)


def test_the_first_push_reads_no_run() -> None:
    world, uuid = admitted()
    never(world, "run", "runs")
    push(world)
    run = world.store.run(POOL, uuid)
    assert run is not None
    assert (run.state, run.attempt, run.rev) == (RunState.PENDING, 1, 2)
    assert len(world.platform.live()) == 1


def test_a_run_that_was_cancelled_meanwhile_is_not_started() -> None:
    world, uuid = admitted()
    transition(world.ports, POOL, uuid, Stop(Reason.CANCELLED_BY_USER))
    never(world, "run", "push")
    push(world)
    world.drain()
    assert not world.platform.starts


def test_a_push_that_comes_twice_starts_once() -> None:
    world, _ = admitted()
    [delivery] = world.due_messages()
    world.deliver_message(delivery, again=True)
    world.deliver_message(delivery)
    assert list(world.platform.starts.values()) == [1]
    world.drain()


def test_a_claim_whose_function_died_is_taken_over_after_its_lease() -> None:
    world, uuid = admitted()

    def die() -> None:
        raise Crash

    world.faults.arm(Point("claim_run", after=True), die)
    with pytest.raises(Crash):
        push(world)
    push(world)
    assert not world.platform.starts
    world.drain()
    run = world.store.run(POOL, uuid)
    assert run is not None
    assert run.state is RunState.COMPLETED
    assert list(world.platform.starts.values()) == [1]


def test_where_the_platform_refuses_nothing_is_claimed_before_the_gate() -> None:
    world, uuid = admitted()
    refuses = Circuit(failures=1, refusals=1, next_at=world.now + 60_000, reason="no_room")
    world.store.save_circuit(POOL, "process", refuses)
    never(world, "claim_run", "push")
    push(world)
    run = world.store.run(POOL, uuid)
    assert run is not None
    assert run.state is RunState.SCHEDULED


def test_a_malformed_run_that_was_claimed_is_ended_unsent() -> None:
    """The table claims what it does not read; the memory store refuses."""
    world, uuid = admitted()
    run = world.store.run(POOL, uuid)
    assert run is not None
    whole = world.store.claim_run

    def claim(*arguments: object) -> object:
        world.store._runs[POOL, uuid] = replace(run, unreadable="")
        claimed = whole(*arguments)  # type: ignore[arg-type]
        assert claimed is not None
        world.store._runs[POOL, uuid] = replace(claimed, unreadable="tags: not a list")
        return world.store.run(POOL, uuid)

    world.store.claim_run = claim  # type: ignore[method-assign,assignment]
    push(world)
    ended = world.store.run(POOL, uuid)
    assert ended is not None
    assert ended.state.ended
    assert ended.reason == Reason.INVALID_INPUT
    assert not world.platform.starts
    world.drain()


# -- the run that this process has just written --------------------------------------------------


def running() -> tuple[World, str]:
    world, uuid = admitted()
    push(world)
    finish(world.ports, Observation(f"{POOL}.{uuid}", 1, Status.RUNNING, version=1))
    return world, uuid


def end(world: World, uuid: str) -> RunState:
    seen = Observation(f"{POOL}.{uuid}", 1, Status.ENDED, exit_code=0, version=2)
    run = finish(world.ports, seen)
    assert run is not None
    assert run == world.store.run(POOL, uuid)
    return run.state


def test_whoever_has_stored_the_start_stores_the_end_without_a_read() -> None:
    world, uuid = running()
    never(world, "run", "runs")
    assert end(world, uuid) is RunState.COMPLETED


def test_what_others_have_written_since_is_read() -> None:
    world, uuid = running()
    transition(world.ports, POOL, uuid, Stop(Reason.CANCELLED_BY_USER))
    assert end(world, uuid) is RunState.CANCELLED


def test_no_news_is_not_concluded_from_what_may_be_out_of_date() -> None:
    world, uuid = running()
    transition(world.ports, POOL, uuid, Stop(Reason.CANCELLED_BY_USER))
    run = finish(world.ports, Observation(f"{POOL}.{uuid}", 1, Status.RUNNING, version=1))
    assert run is not None
    assert run.state is RunState.CANCELLING


def test_after_an_hour_it_is_read() -> None:
    world, uuid = running()
    world.now += 3_600_000
    stored = world.store.run(POOL, uuid)
    assert stored is not None
    # Another run under the same id, with the same revision.
    world.store._runs[POOL, uuid] = replace(stored, name="another")
    end(world, uuid)
