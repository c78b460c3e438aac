"""Are runs started, and slots handed on, before the stream tells of anything? And what if not?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from push_dispatch.control.pools import change_pool
from push_dispatch.core.errors import Misconfigured, Unavailable
from push_dispatch.core.model import Run, RunState
from push_dispatch.core.request import Request, copies
from push_dispatch.engine.eager import FEW, release
from push_dispatch.engine.submit import submit, submit_many
from push_dispatch.ports.eager import Eager
from push_dispatch.ports.messages import Push
from tests.fakes.faults import Crash, Point
from tests.fakes.world import POOL, World


@pytest.fixture
def world() -> World:
    """Three slots, and nothing to do."""
    world = World()
    world.ports = replace(world.ports, eager=Eager())
    world.deliver_changes(10)
    return world


def raises(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def limit(world: World, slots: int | None) -> None:
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=slots))
    world.deliver_changes(10)


def pushes(world: World) -> list[str]:
    found = [d.message for d in world.mail.waiting]
    return [message.run for message in found if isinstance(message, Push)]


def calls(world: World, *verbs: str) -> dict[str, int]:
    """How often they are called from here on."""
    counted = dict.fromkeys(verbs, 0)

    def count(verb: str) -> None:
        counted[verb] += 1
        world.faults.arm(Point(verb), lambda: count(verb))

    for verb in verbs:
        world.faults.arm(Point(verb), lambda verb=verb: count(verb))  # type: ignore[misc]
    return counted


def ended(world: World) -> Run:
    """One more of the runs ends; the stream has not told of it."""
    container = world.platform.live()[0]
    world.platform.end(container, 0)
    before = {run.uuid for run in world.runs() if run.state.ended}
    while world.platform.events:
        world.deliver_event(0)
    [run] = [run for run in world.runs() if run.state.ended and run.uuid not in before]
    return run


# -- new runs -----------------------------------------------------------------------------------


def test_a_new_run_is_pushed_before_its_record_comes(world: World) -> None:
    run = submit(world.ports, Request(POOL)).run
    assert pushes(world) == [run.id]
    assert [holder.run for holder in world.store.ledger(POOL).holders] == [run.uuid]
    assert not world.line()
    world.drain()


def test_the_record_that_comes_then_costs_one_read(world: World) -> None:
    submit(world.ports, Request(POOL))
    [delivery] = world.due_messages()
    world.deliver_message(delivery)
    counted = calls(world, "runs", "overview", "run", "commit", "send", "enqueue")
    world.deliver_changes(10)
    assert {verb: n for verb, n in counted.items() if n} == {"runs": 1}


def test_a_run_with_a_key_that_starts_at_once_has_no_place_in_line(world: World) -> None:
    run = submit(world.ports, Request(POOL, idempotency_key="k")).run
    assert pushes(world) == [run.id]
    assert not world.line()
    assert submit(world.ports, Request(POOL, idempotency_key="k")).run.uuid == run.uuid
    world.drain()
    assert list(world.platform.starts.values()) == [1]


@pytest.mark.parametrize("key", ["", "k"])
@pytest.mark.parametrize(
    "at",
    [
        Point("add_runs", after=True),
        Point("commit"),
        Point("commit", after=True),
        Point("send"),
        Point("send", after=True),
    ],
)
def test_what_a_crash_leaves_is_finished_by_the_record(world: World, at: Point, key: str) -> None:
    world.faults.arm(at, raises(Crash()))
    with pytest.raises(Crash):
        submit(world.ports, Request(POOL, idempotency_key=key))
    world.deliver_changes(10)
    [run] = world.runs()
    assert run.id in pushes(world)
    world.drain()
    assert list(world.platform.starts.values()) == [1]


@pytest.mark.parametrize("error", [Unavailable("down"), Misconfigured("no right"), ValueError()])
@pytest.mark.parametrize("verb", ["commit", "send"])
def test_what_goes_wrong_is_no_error_of_the_submission(
    world: World, verb: str, error: Exception
) -> None:
    world.faults.arm(Point(verb), raises(error))
    run = submit(world.ports, Request(POOL)).run
    assert pushes(world) == []
    world.deliver_changes(10)
    assert pushes(world) == [run.id]
    world.drain()


def test_who_may_not_query_submits_all_the_same(world: World) -> None:
    world.faults.arm(Point("overview"), raises(Misconfigured("no right")))
    counted = calls(world, "overview")
    first, second = (submit(world.ports, Request(POOL)).run for _ in range(2))
    assert counted == {"overview": 0}
    world.deliver_changes(10)
    assert pushes(world) == [first.id, second.id]


def test_a_pool_that_is_full_is_left_alone_for_a_while(world: World) -> None:
    limit(world, 0)
    submit(world.ports, Request(POOL))
    counted = calls(world, "overview", "commit")
    for _ in range(20):
        submit(world.ports, Request(POOL))
    assert counted == {"overview": 0, "commit": 0}
    world.now += 2001
    submit(world.ports, Request(POOL))
    assert counted == {"overview": 1, "commit": 0}
    limit(world, 30)
    world.drain()


def test_whoever_loses_the_race_leaves_it_to_the_stream(world: World) -> None:
    def rival() -> None:
        ledger = world.store.ledger(POOL)
        world.store.commit(replace(ledger, version=ledger.version + 1))

    world.faults.arm(Point("commit"), rival)
    counted = calls(world, "overview")
    run = submit(world.ports, Request(POOL)).run
    assert counted == {"overview": 1}
    assert pushes(world) == []
    world.deliver_changes(10)
    assert pushes(world) == [run.id]


def test_what_follows_within_the_streams_delay_shares_its_commit(world: World) -> None:
    first = submit(world.ports, Request(POOL)).run
    counted = calls(world, "commit")
    second, third = (submit(world.ports, Request(POOL)).run for _ in range(2))
    assert pushes(world) == [first.id]
    world.deliver_changes(10)
    assert pushes(world)[-2:] == [second.id, third.id]
    assert counted == {"commit": 1}
    world.drain()


def test_nobody_passes_those_who_stand_in_line(world: World) -> None:
    limit(world, 0)
    first = submit(world.ports, Request(POOL)).run
    world.deliver_changes(10)
    world.now += 10_000
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=1))
    second = submit(world.ports, Request(POOL)).run
    assert pushes(world) == []
    world.deliver_changes(10)
    assert pushes(world) == [first.id]
    world.drain()
    assert second.id


def test_many_runs_at_once_are_the_streams(world: World) -> None:
    limit(world, None)
    submit_many(world.ports, copies(Request(POOL), FEW + 1))
    assert pushes(world) == []


def test_a_run_for_later_is_the_streams(world: World) -> None:
    submit(world.ports, Request(POOL, at=world.now + 60_000))
    assert pushes(world) == []
    assert not world.store.ledger(POOL).holders


# -- ends ---------------------------------------------------------------------------------------


def full(world: World) -> Run:
    """One slot, held, and a run in line behind it."""
    limit(world, 1)
    submit(world.ports, Request(POOL))
    for delivery in world.due_messages():
        world.deliver_message(delivery)
    second = submit(world.ports, Request(POOL)).run
    world.deliver_changes(10)
    assert [place.run for place in world.line()] == [second.uuid]
    return second


def test_a_slot_is_handed_on_before_the_record_comes(world: World) -> None:
    second = full(world)
    world.now += 2001
    release(world.ports, [ended(world)])
    assert pushes(world) == [second.id]
    assert [holder.run for holder in world.store.ledger(POOL).holders] == [second.uuid]
    counted = calls(world, "overview", "commit", "send", "run", "runs", "line")
    world.deliver_changes(10)
    assert {verb: n for verb, n in counted.items() if n} == {"overview": 1}
    world.drain()


@pytest.mark.parametrize(
    "at", [Point("overview"), Point("commit"), Point("commit", after=True), Point("send")]
)
def test_what_a_crash_leaves_of_an_end_is_finished(world: World, at: Point) -> None:
    full(world)
    world.now += 2001
    run = ended(world)
    world.faults.arm(at, raises(Crash()))
    with pytest.raises(Crash):
        release(world.ports, [run])
    world.drain()
    assert [r.state for r in world.runs()] == [RunState.COMPLETED] * 2
    assert list(world.platform.starts.values()) == [1, 1]


def test_a_release_that_loses_the_race_is_not_repeated(world: World) -> None:
    full(world)
    world.now += 2001
    run = ended(world)
    counted = calls(world, "overview")

    def rival() -> None:
        ledger = world.store.ledger(POOL)
        world.store.commit(replace(ledger, version=ledger.version + 1))

    world.faults.arm(Point("commit"), rival)
    release(world.ports, [run])
    release(world.ports, [run])
    assert counted == {"overview": 1}
    assert pushes(world) == []
    world.deliver_changes(10)
    assert len(pushes(world)) == 1
