"""Does one waiting run go before others, and nothing else change?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.control.pools import change_pool
from push_dispatch.core.errors import NotFound, Refused
from push_dispatch.core.model import NamedLimit, Queue, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.reorder import boost, move_to
from push_dispatch.engine.submit import submit_many
from tests.fakes.world import POOL, World


def waiting(count: int) -> tuple[World, list[str]]:
    """A paused pool in whose queue so many runs wait."""
    world = World()
    queues = (Queue("default", 1), Queue("other", 2))
    change_pool(world.ports, POOL, lambda p: replace(p, paused=True, limit=1, queues=queues))
    ids = []
    for _ in range(count):
        world.now += 10
        ids += [entry.run.uuid for entry in submit_many(world.ports, [Request(POOL)])]
    world.deliver_all()
    return world, ids


def line(world: World, queue: str = "default") -> list[str]:
    return [place.run for place in world.store.line(POOL, queue, 100)]


def test_a_boosted_run_goes_first() -> None:
    world, [a, b, c] = waiting(3)

    boost(world.ports, f"{POOL}.{c}")

    assert line(world) == [c, a, b]
    boost(world.ports, f"{POOL}.{b}")
    assert line(world) == [b, c, a]


def test_it_goes_before_as_many_as_it_is_told_to() -> None:
    world, [a, b, c, d] = waiting(4)

    boost(world.ports, f"{POOL}.{d}", 2)
    assert line(world) == [a, d, b, c]

    boost(world.ports, f"{POOL}.{c}", 99)
    assert line(world) == [c, a, d, b]


def test_the_first_one_stays_where_it_is() -> None:
    world, [a, b] = waiting(2)
    before = world.store.run(POOL, a)
    boost(world.ports, f"{POOL}.{a}")
    assert world.store.run(POOL, a) == before
    assert line(world) == [a, b]


def test_a_boosted_run_is_admitted_first_and_the_stream_changes_nothing_about_it() -> None:
    world, [a, b] = waiting(2)
    boost(world.ports, f"{POOL}.{b}")
    world.deliver_all()
    assert line(world) == [b, a]

    change_pool(world.ports, POOL, lambda pool: replace(pool, paused=False))
    world.deliver_all()

    assert [holder.run for holder in world.store.ledger(POOL).holders] == [b]
    assert line(world) == [a]


def test_if_the_place_was_not_written_the_stream_writes_it() -> None:
    world, [_, b] = waiting(2)
    boost(world.ports, f"{POOL}.{b}")
    world.store.dequeue(POOL, world.store.line(POOL, "default", 10))

    world.deliver_all()
    world.now += 180_000
    world.sweep()

    assert line(world)[0] == b


def test_a_run_moves_to_another_queue() -> None:
    world, [a, b] = waiting(2)

    assert move_to(world.ports, f"{POOL}.{a}", "other").queue == "other"
    world.deliver_all()

    assert (line(world), line(world, "other")) == ([b], [a])
    assert move_to(world.ports, f"{POOL}.{a}", "other").queue == "other"


def test_what_depends_on_the_queue_is_computed_again() -> None:
    world, [a] = waiting(1)
    by_queue = NamedLimit("q", "{{ queue }}", limit=1)
    change_pool(world.ports, POOL, lambda pool: replace(pool, limits=(by_queue,), limit=5))
    move_to(world.ports, f"{POOL}.{a}", "other")
    change_pool(world.ports, POOL, lambda pool: replace(pool, paused=False))
    world.deliver_all()

    [holder] = world.store.ledger(POOL).holders
    assert holder.keys == (("q", "other"),)


def test_only_what_waits_can_go_before_others() -> None:
    world, [a] = waiting(1)
    change_pool(world.ports, POOL, lambda pool: replace(pool, paused=False))
    world.deliver_all()
    run = world.store.run(POOL, a)
    assert run is not None
    assert run.state is not RunState.SCHEDULED

    for change in (lambda: boost(world.ports, run.id), lambda: move_to(world.ports, run.id, "x")):
        with pytest.raises(Refused, match="does not wait") as found:
            change()
        assert found.value.reason == "not_waiting"


def test_what_does_not_exist_is_said() -> None:
    world, [a] = waiting(1)
    with pytest.raises(NotFound, match="no queue 'x'; it has: default, other"):
        move_to(world.ports, f"{POOL}.{a}", "x")
    with pytest.raises(NotFound, match="there is no run"):
        boost(world.ports, f"{POOL}.0199c1f0-1111-7222-8333-444455556666")
