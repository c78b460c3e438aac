"""What becomes of pools and queues when somebody changes them, and what is refused?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from push_dispatch.control.pools import (
    change_pool,
    change_queue,
    create_pool,
    create_queue,
    delete_pool,
    delete_queue,
    with_priority,
    with_queue,
)
from push_dispatch.core.errors import Invalid, NotFound, PushDispatchError, Refused
from push_dispatch.core.model import Pool, Queue, Rate, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit, submit_many
from tests.fakes.faults import Crash, Point
from tests.fakes.world import POOL, World


@pytest.fixture
def world() -> World:
    return World()


def priorities(pool: Pool) -> dict[str, int]:
    return {queue.name: queue.priority for queue in pool.in_order}


def queues(**priority: int) -> Pool:
    return Pool("p", "ecs", queues=tuple(Queue(name, n) for name, n in priority.items()))


def stored(world: World) -> Pool:
    pool = world.store.pool(POOL)
    assert pool is not None
    return pool


# -- priorities ---------------------------------------------------------------------------------


def test_a_queue_without_a_priority_gets_the_first_free_one() -> None:
    assert priorities(with_queue(queues(a=1, b=2, c=4), Queue("new", 9), None))["new"] == 3


def test_a_taken_priority_shifts_the_others_as_far_as_they_must() -> None:
    after = with_queue(queues(a=1, b=2, c=3, d=7), Queue("new", 9), 2)

    assert priorities(after) == {"a": 1, "new": 2, "b": 3, "c": 4, "d": 7}


def test_a_free_priority_shifts_nobody() -> None:
    after = with_queue(queues(a=1, b=5), Queue("new", 9), 3)

    assert priorities(after) == {"a": 1, "new": 3, "b": 5}


def test_a_queue_moves_up_and_the_gap_stays() -> None:
    assert priorities(with_priority(queues(a=1, b=2, c=3), "c", 1)) == {"c": 1, "a": 2, "b": 3}
    assert priorities(with_priority(queues(a=1, b=2, c=3), "a", 5)) == {"b": 2, "c": 3, "a": 5}


def test_a_queue_that_stays_shifts_nobody() -> None:
    pool = queues(a=1, b=2, c=3)

    assert priorities(with_priority(pool, "b", 2)) == priorities(pool)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 20), min_size=1).filter(
        lambda named: len(set(named.values())) == len(named)
    ),
    st.data(),
    st.integers(1, 25),
)
def test_priorities_stay_unique_and_the_others_keep_their_order(
    named: dict[str, int], data: st.DataObject, target: int
) -> None:
    moving = data.draw(st.sampled_from(sorted(named)))
    before = queues(**named)

    after = with_priority(before, moving, target)

    numbers = [queue.priority for queue in after.queues]
    assert len(set(numbers)) == len(named)
    assert priorities(after)[moving] == target
    others = [name for name in priorities(before) if name != moving]
    assert [name for name in priorities(after) if name != moving] == others
    assert all(priorities(after)[name] >= named[name] for name in others)


# -- queues -------------------------------------------------------------------------------------


def test_every_pool_has_the_default_queue_and_keeps_it(world: World) -> None:
    assert priorities(stored(world)) == {"default": 1}
    with pytest.raises(Refused) as caught:
        delete_queue(world.ports, POOL, "default")
    assert caught.value.reason == "default_queue"


def test_a_queue_is_changed_in_place(world: World) -> None:
    create_queue(world.ports, POOL, Queue("high", 1, limit=2), priority=1)

    change_queue(world.ports, POOL, "high", lambda q: replace(q, limit=0, name="x"), priority=4)

    assert stored(world).queue("high") == Queue("high", 4, limit=0)


def test_runs_of_a_deleted_queue_go_on_in_the_default_queue(world: World) -> None:
    create_queue(world.ports, POOL, Queue("low", 1, paused=True), priority=None)
    run = submit(world.ports, Request(POOL, queue="low")).run
    world.deliver_all()

    assert delete_queue(world.ports, POOL, "low") == 1

    moved = world.store.run(POOL, run.uuid)
    assert moved is not None
    assert moved.queue == "default"
    world.drain()
    assert world.left() == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("verb", ["save_pool", "line", "run", "save_run", "enqueue", "dequeue"])
def test_a_deletion_that_dies_half_way_is_finished_by_the_sweep(
    world: World, verb: str, after: bool
) -> None:
    create_queue(world.ports, POOL, Queue("low", 1, paused=True), priority=None)
    submit(world.ports, Request(POOL, queue="low"))
    world.deliver_all()

    def kill() -> None:
        raise Crash

    world.faults.arm(Point(verb, after=after), kill)
    with pytest.raises(Crash):
        delete_queue(world.ports, POOL, "low")
    if stored(world).queue("low"):
        delete_queue(world.ports, POOL, "low")

    world.drain()
    assert world.left() == []
    assert world.runs()[0].state is RunState.COMPLETED


def test_a_deleted_queue_moves_and_counts_those_that_are_not_in_line_yet(world: World) -> None:
    """The stream tells of them later, or never."""
    create_queue(world.ports, POOL, Queue("low", 1, paused=True), priority=None)
    submit_many(world.ports, [Request(POOL, queue="low")] * 3)
    world.deliver_all()
    world.now += 600_000
    world.sweep()  # These are audited.
    new = submit_many(world.ports, [Request(POOL, queue="low"), Request(POOL, queue="low")])
    world.collect()
    world.changes.clear()

    assert delete_queue(world.ports, POOL, "low") == 5

    assert {run.queue for run in world.runs()} == {"default"}
    assert {each.run.uuid for each in new} <= {place.run for place in world.line()}
    world.drain()
    assert world.left() == []


def test_a_queue_that_comes_back_keeps_who_waits_in_it(world: World) -> None:
    create_queue(world.ports, POOL, Queue("low", 1), priority=None)
    delete_queue(world.ports, POOL, "low")
    assert stored(world).retired == ("low",)

    create_queue(world.ports, POOL, Queue("low", 1), priority=None)

    assert stored(world).retired == ()


# -- pools --------------------------------------------------------------------------------------


def test_a_change_that_changes_nothing_writes_nothing(world: World) -> None:
    before = world.store.ledger(POOL).version

    change_pool(world.ports, POOL, lambda pool: pool)

    assert world.store.ledger(POOL).version == before


def test_a_change_is_made_again_if_somebody_else_was_first(world: World) -> None:
    def meanwhile() -> None:
        change_pool(world.ports, POOL, lambda pool: replace(pool, paused=True))

    world.faults.arm(Point("save_pool"), meanwhile)
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=9))

    assert (stored(world).limit, stored(world).paused) == (9, True)


def test_a_pool_with_waiting_runs_is_deleted_by_force_only(world: World) -> None:
    change_pool(world.ports, POOL, lambda pool: replace(pool, paused=True))
    submit(world.ports, Request(POOL))
    with pytest.raises(Refused, match="1 runs wait, 0 are under way") as caught:
        delete_pool(world.ports, POOL)
    assert caught.value.reason == "pool_not_empty"

    assert delete_pool(world.ports, POOL, force=True) == 1

    assert world.store.pool(POOL) is None
    assert world.runs()[0].state is RunState.CANCELLED


def test_a_pool_with_runs_under_way_is_not_deleted_at_all(world: World) -> None:
    run = submit(world.ports, Request(POOL)).run
    world.deliver_all()
    with pytest.raises(Refused, match="0 runs wait, 1 are under way"):
        delete_pool(world.ports, POOL, force=True)

    cancel(world.ports, run.id)
    world.drain()
    assert delete_pool(world.ports, POOL) == 0


# -- what is refused ------------------------------------------------------------------------------

TEMPLATE = {"job_configuration": {}, "variables": {"type": "object", "properties": {}}}
REFUSED: list[tuple[str, Callable[[World], object]]] = [
    ("pool_exists", lambda w: create_pool(w.ports, Pool(POOL, "process"), TEMPLATE)),
    ("unknown_type", lambda w: create_pool(w.ports, Pool("q", "abacus"), TEMPLATE)),
    ("invalid_name", lambda w: create_pool(w.ports, Pool("q q", "process"), TEMPLATE)),
    ("invalid_limit", lambda w: create_pool(w.ports, Pool("q", "process", limit=-1), TEMPLATE)),
    ("invalid_template", lambda w: create_pool(w.ports, Pool("q", "process"), {"variables": 1})),
    ("invalid_limit", lambda w: change_pool(w.ports, POOL, lambda p: replace(p, limit=-1))),
    ("pool_not_found", lambda w: change_pool(w.ports, "q", lambda p: p)),
    ("pool_not_found", lambda w: delete_pool(w.ports, "q")),
    ("queue_exists", lambda w: create_queue(w.ports, POOL, Queue("default", 1), priority=None)),
    ("invalid_name", lambda w: create_queue(w.ports, POOL, Queue("", 1), priority=None)),
    ("invalid_priority", lambda w: create_queue(w.ports, POOL, Queue("q", 1), priority=0)),
    ("invalid_limit", lambda w: create_queue(w.ports, POOL, Queue("q", 1, -1), priority=None)),
    (
        "invalid_limit",
        lambda w: create_queue(w.ports, POOL, Queue("q", 1, key_limit=-1), priority=None),
    ),
    (
        "invalid_input",
        lambda w: create_queue(w.ports, POOL, Queue("q", 1, rate=Rate(0, 60)), priority=None),
    ),
    ("queue_not_found", lambda w: change_queue(w.ports, POOL, "q", lambda q: q)),
    ("queue_not_found", lambda w: delete_queue(w.ports, POOL, "q")),
]


@pytest.mark.parametrize(("reason", "act"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused_changes_nothing(
    world: World, reason: str, act: Callable[[World], object]
) -> None:
    before = stored(world)

    with pytest.raises((Invalid, NotFound, Refused)) as caught:
        act(world)

    assert isinstance(caught.value, PushDispatchError)
    assert caught.value.reason == reason
    assert stored(world) == before
    assert world.store.pool_names() == [POOL]
