"""Is an attempt that may have been started ever taken for one that was not?

The cases that the state machine would need much luck to meet, one by one. In each the platform has
no room, or the push is given up, while the attempt already lives: its slot must stay.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.control.pools import change_pool
from push_dispatch.core.errors import Unavailable
from push_dispatch.core.model import Attempt, Run, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.finish import finish
from push_dispatch.engine.submit import submit
from push_dispatch.handlers.push import MAX_RECEIVES
from push_dispatch.ports.messages import Push
from tests.fakes.faults import Crash, Point
from tests.fakes.world import POOL, Delivery, World


@pytest.fixture
def world() -> World:
    """One run that was admitted; its message is due."""
    world = World()
    submit(world.ports, Request(POOL))
    world.deliver_changes(10)
    return world


def the_run(world: World) -> Run:
    (run,) = world.runs()
    return run


def the_attempt(world: World) -> Attempt:
    attempt = the_run(world).current
    assert attempt is not None
    return attempt


def the_push(world: World) -> Delivery:
    (delivery,) = [d for d in world.mail.waiting if isinstance(d.message, Push)]
    return delivery


def deliver_when_due(world: World, delivery: Delivery) -> None:
    """Deliver the message, and the stream of what that has changed."""
    world.now = max(world.now, delivery.at)
    world.deliver_message(delivery)
    world.deliver_changes(10)
    world.guarantees.check(world.now)


def crash_once_started(world: World, delivery: Delivery) -> None:
    """Deliver the message to a function that is killed right after the platform has started the
    attempt, before its handle is recorded."""

    def kill() -> None:
        raise Crash

    world.now = max(world.now, delivery.at)
    world.faults.arm(Point("push", after=True), kill)
    with pytest.raises(Crash):
        world.deliver_message(delivery)
    assert the_attempt(world).handle is None


def fail_once(world: World, verb: str, error: type[Exception] = Unavailable) -> None:
    """The next call of that verb of the store fails."""

    def fail() -> None:
        raise error

    world.faults.arm(Point(verb), fail)


def test_two_deliveries_at_once_do_not_both_believe_to_be_the_first(world: World) -> None:
    delivery = the_push(world)
    # The first is about to claim the run when the second does, starts it, dies.
    world.faults.arm(Point("claim_run"), lambda: crash_once_started(world, delivery))
    world.platform.failures += ["", "no_capacity"]

    deliver_when_due(world, delivery)

    assert the_run(world).state is RunState.PENDING


def test_a_throttled_push_that_died_after_its_second_try_looks_first(world: World) -> None:
    world.platform.failures += ["throttled", "", "no_capacity"]
    deliver_when_due(world, the_push(world))
    crash_once_started(world, the_push(world))

    deliver_when_due(world, the_push(world))
    deliver_when_due(world, the_push(world))

    assert the_attempt(world).handle is not None


def test_a_push_is_not_given_up_on_the_word_of_the_try_that_started_it(world: World) -> None:
    world.platform.failures += ["unreachable", "lost"]
    deliver_when_due(world, the_push(world))
    world.now += 4000 * 1000

    deliver_when_due(world, the_push(world))


def test_what_was_never_started_gives_its_slot_back_after_an_hour(world: World) -> None:
    world.platform.failures += ["unreachable"] * 100
    since = world.now
    while the_run(world).attempts == () or the_run(world).state is RunState.PENDING:
        deliver_when_due(world, the_push(world))

    assert (the_run(world).state, the_run(world).reason) == (
        RunState.SCHEDULED,
        "platform_unavailable",
    )
    assert world.now - since > 3600 * 1000
    assert not world.platform.starts

    world.drain()

    assert the_run(world).state is RunState.COMPLETED


def test_a_store_that_is_down_does_not_end_what_may_live(world: World) -> None:
    world.platform.failures += ["lost"]
    deliver_when_due(world, the_push(world))
    for _ in range(10):
        fail_once(world, "template")
        deliver_when_due(world, the_push(world))

    deliver_when_due(world, the_push(world))

    assert the_attempt(world).handle is not None


def test_a_dead_letter_does_not_end_what_may_live(world: World) -> None:
    delivery = the_push(world)
    crash_once_started(world, delivery)
    delivery.receives = MAX_RECEIVES - 1
    fail_once(world, "claim_run", ValueError)

    deliver_when_due(world, delivery)
    world.drain()

    assert not world.left()
    assert the_run(world).state is RunState.COMPLETED


def test_a_dead_letter_ends_what_was_never_sent(world: World) -> None:
    delivery = the_push(world)
    delivery.receives = MAX_RECEIVES - 1
    fail_once(world, "claim_run", ValueError)

    deliver_when_due(world, delivery)

    assert (the_run(world).state, the_run(world).reason) == (RunState.CRASHED, "push_failed")


def test_a_table_that_is_down_for_long_ends_no_run(world: World) -> None:
    """The order is a dead letter then, and the sweep sends another one."""
    delivery = the_push(world)
    delivery.receives = MAX_RECEIVES - 1
    fail_once(world, "claim_run")

    deliver_when_due(world, delivery)
    assert not the_run(world).state.ended
    world.drain()

    assert not world.left()
    assert the_run(world).state is RunState.COMPLETED


def test_an_order_that_comes_again_does_not_lose_the_retry() -> None:
    """Of an attempt that has failed, and whose change is lost: it frees the slot under which the
    sweep would find that the run waits for its next attempt."""
    world = World()
    submit(world.ports, Request(POOL, retries=1))
    world.deliver_changes(10)
    delivery = the_push(world)
    deliver_when_due(world, delivery)
    [container] = world.platform.live()
    for _ in range(5):  # The audit of new runs has passed it by.
        world.now += 60_000
        world.sweep()
        world.deliver_all()
    world.platform.end(container, 1)
    finish(world.ports, world.platform.events.pop())
    world.store.changes.clear()

    deliver_when_due(world, delivery)
    world.drain()

    assert not world.left()
    assert (the_run(world).state, the_run(world).attempt) == (RunState.COMPLETED, 2)


def test_what_a_push_is_looking_for_is_not_cleaned_up_meanwhile(world: World) -> None:
    """The reply of the first push was lost; the attempt ends while the second one looks it up."""
    world.platform.failures += ["lost"]
    deliver_when_due(world, the_push(world))

    def end() -> None:
        [container] = world.platform.live()
        world.platform.end(container, 0)
        finish(world.ports, world.platform.events.pop())

    world.faults.arm(Point("find"), end)
    deliver_when_due(world, the_push(world))
    world.drain()

    assert list(world.platform.starts.values()) == [1]
    assert the_run(world).state is RunState.COMPLETED
    world.now += 61_000
    world.deliver_all()
    assert world.platform.containers == {}, "it is cleaned up in the end"


def test_a_copy_of_an_order_does_not_wait_beside_it_for_a_platform_that_is_full(
    world: World,
) -> None:
    """Two dispatchers have sent it. One of the two claims it, and tries as long as it may hold its
    slot; the other one is done once it has seen that."""
    change_pool(world.ports, POOL, lambda pool: replace(pool, hold_seconds=14_400))
    world.platform.failures += ["no_capacity"] * 100
    order = the_push(world)
    assert isinstance(order.message, Push)
    world.mail.send(world.platform.name, [order.message])
    for _ in range(12):
        pushes = [d for d in world.mail.waiting if isinstance(d.message, Push)]
        deliver_when_due(world, min(pushes, key=lambda d: d.at))
        world.sweep()
    assert the_run(world).state is RunState.PENDING
    the_push(world)  # One is left.
