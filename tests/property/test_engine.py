"""Do the guarantees hold whatever happens, in whatever order, and wherever a function is killed?

Every rule is one thing that happens in the world. Something may strike in the middle of it, at the
n-th point before or after one of its calls to the store, the queues or the platform: the function
is killed, a reply gets lost, or another function does its work right there. What was being
delivered is then delivered again, as Lambda and SQS do. In CI the examples are always the same; a
failure prints the steps, and a `@reproduce_failure` line that replays them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from push_dispatch.cancel import cancel
from push_dispatch.configure import change_pool, change_queue, create_queue, delete_queue
from push_dispatch.errors import Conflict, NotFound, Refused, Unavailable
from push_dispatch.model import DEFAULT_QUEUE, Pool, Queue
from push_dispatch.submit import Request, submit_many
from tests.fakes.faults import Crash
from tests.fakes.memory_platform import FAILURES, Container
from tests.fakes.world import POOL, World

QUEUES = (DEFAULT_QUEUE, "high", "low")
LIMITS = st.none() | st.integers(0, 3)
STRIKES = ("kill", "kill", "outage", "stream", "message", "event", "sweep", "cancel", "limit")
Strike = tuple[int, str] | None
#: None is none; else how many points pass before it strikes, and what.
STRUCK = st.none() | st.tuples(st.integers(0, 30), st.sampled_from(STRIKES))
REQUESTS = st.builds(
    Request,
    st.just(POOL),
    queue=st.sampled_from(QUEUES),
    at=st.sampled_from([None, None, 5, 120, 3000]),
    start_within=st.none() | st.sampled_from([1, 60]),
    retries=st.integers(0, 1),
    crash_retries=st.integers(0, 1),
    timeout_seconds=st.none() | st.just(30),
    concurrency_key=st.sampled_from(["", "", "k"]),
    idempotency_key=st.sampled_from(["", "", "", "once"]),
)


class Engine(RuleBasedStateMachine):
    """One pool, three queues, and everything that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = self.make_world()

    def make_world(self) -> World:
        """The world, sound unless a subclass breaks it."""
        return World()

    @initialize(high=LIMITS, low=LIMITS, key=st.none() | st.just(1))
    def begin(self, high: int | None, low: int | None, key: int | None) -> None:
        ports = self.world.ports
        create_queue(ports, POOL, Queue("high", 1, limit=high), priority=1)
        create_queue(ports, POOL, Queue("low", 1, limit=low), priority=10)
        change_pool(ports, POOL, lambda pool: replace(pool, key_limit=key))

    # -- people ------------------------------------------------------------------------------------

    @rule(request=REQUESTS, count=st.integers(1, 4), struck=STRUCK)
    def submits(self, request: Request, count: int, struck: Strike) -> None:
        at = None if request.at is None else self.world.now + request.at * 1000
        requests = [replace(request, at=at)] * count
        self.do(struck, lambda: submit_many(self.world.ports, requests))

    @precondition(lambda self: self.world.runs())
    @rule(data=st.data(), struck=STRUCK)
    def cancels(self, data: st.DataObject, struck: Strike) -> None:
        run = data.draw(st.sampled_from([run.id for run in self.world.runs()]))
        self.do(struck, lambda: cancel(self.world.ports, run))

    @rule(paused=st.booleans(), limit=LIMITS, struck=STRUCK)
    def changes_the_pool(self, paused: bool, limit: int | None, struck: Strike) -> None:
        def change(pool: Pool) -> Pool:
            return replace(pool, paused=paused, limit=limit)

        self.do(struck, lambda: change_pool(self.world.ports, POOL, change))

    @rule(
        queue=st.sampled_from(QUEUES),
        paused=st.booleans(),
        limit=LIMITS,
        priority=st.none() | st.integers(1, 4),
        struck=STRUCK,
    )
    def changes_a_queue(
        self, *, queue: str, paused: bool, limit: int | None, priority: int | None, struck: Strike
    ) -> None:
        def change(queue: Queue) -> Queue:
            return replace(queue, paused=paused, limit=limit)

        ports = self.world.ports
        self.do(struck, lambda: change_queue(ports, POOL, queue, change, priority=priority))

    @rule(queue=st.sampled_from(QUEUES), priority=st.none() | st.integers(1, 4), struck=STRUCK)
    def creates_a_queue(self, queue: str, priority: int | None, struck: Strike) -> None:
        ports = self.world.ports
        self.do(struck, lambda: create_queue(ports, POOL, Queue(queue, 1), priority=priority))

    @rule(queue=st.sampled_from(QUEUES), struck=STRUCK)
    def deletes_a_queue(self, queue: str, struck: Strike) -> None:
        self.do(struck, lambda: delete_queue(self.world.ports, POOL, queue))

    # -- the platform ------------------------------------------------------------------------------

    @precondition(lambda self: self.world.platform.live())
    @rule(data=st.data(), code=st.none() | st.sampled_from([0, 1]))
    def begins_or_ends(self, data: st.DataObject, code: int | None) -> None:
        container = self.draw_live(data)
        if code is None:
            self.world.platform.begin(container)
        else:
            self.world.platform.end(container, code)

    @precondition(lambda self: self.world.platform.live())
    @rule(data=st.data())
    def vanishes(self, data: st.DataObject) -> None:
        """Only what is known to have started: see `Platform.push` about names."""
        job = self.draw_live(data).job
        run = self.world.store.run(POOL, job.run_id.rpartition(".")[2])
        if run and run.current and run.current.handle == job.name:
            self.world.platform.vanish(self.world.platform.containers[job.name])

    @rule(failure=st.sampled_from(FAILURES))
    def fails_next(self, failure: str) -> None:
        self.world.platform.failures.append(failure)

    @precondition(lambda self: self.world.platform.events)
    @rule(data=st.data())
    def loses_an_event(self, data: st.DataObject) -> None:
        events = self.world.platform.events
        del events[data.draw(st.integers(0, len(events) - 1))]

    # -- deliveries --------------------------------------------------------------------------------

    @rule(count=st.integers(1, 10), again=st.booleans(), backwards=st.booleans(), struck=STRUCK)
    def stream_delivers(self, count: int, again: bool, backwards: bool, struck: Strike) -> None:
        world = self.world
        self.do(struck, lambda: world.deliver_changes(count, again=again, backwards=backwards))

    @rule()
    def stream_is_reordered(self) -> None:
        self.world.collect()
        self.world.changes.reverse()

    @precondition(lambda self: self.world.due_messages())
    @rule(data=st.data(), again=st.booleans(), struck=STRUCK)
    def queue_delivers(self, data: st.DataObject, again: bool, struck: Strike) -> None:
        due = self.world.due_messages()
        delivery = due[data.draw(st.integers(0, len(due) - 1))]
        self.do(struck, lambda: self.world.deliver_message(delivery, again=again))

    @precondition(lambda self: self.world.platform.events)
    @rule(data=st.data(), again=st.booleans(), struck=STRUCK)
    def platform_tells(self, data: st.DataObject, again: bool, struck: Strike) -> None:
        number = data.draw(st.integers(0, len(self.world.platform.events) - 1))
        self.do(struck, lambda: self.world.deliver_event(number, again=again))

    @rule(struck=STRUCK)
    def sweeps(self, struck: Strike) -> None:
        self.do(struck, self.world.sweep)

    @rule(seconds=st.sampled_from([1, 10, 40, 70, 200, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds * 1000

    @rule(struck=STRUCK)
    def everything_is_delivered(self, struck: Strike) -> None:
        """A quiet moment: otherwise few runs would ever get far."""
        self.do(struck, self.world.deliver_all)

    # -- always ------------------------------------------------------------------------------------

    @invariant()
    def guarantees_hold(self) -> None:
        self.world.guarantees.check(self.world.now)

    def teardown(self) -> None:
        """Heal everything: all drains, and still nothing is broken."""
        ports = self.world.ports
        pool = change_pool(ports, POOL, lambda pool: replace(pool, paused=False, limit=3))
        for queue in pool.queues:
            change_queue(ports, POOL, queue.name, lambda q: replace(q, paused=False, limit=None))
        self.world.drain()
        assert not self.world.left()

    # -- how ---------------------------------------------------------------------------------------

    def draw_live(self, data: st.DataObject) -> Container:
        live = self.world.platform.live()
        return live[data.draw(st.integers(0, len(live) - 1))]

    def do(self, struck: Strike, act: Callable[[], object]) -> None:
        """Act, and be struck in the middle of it."""
        faults = self.world.faults
        if struck is not None:
            point, what = struck
            faults.arm(point, lambda: self.strike(what))
        try:
            with suppress(Crash, Unavailable, Conflict, NotFound, Refused):
                act()
        finally:
            faults.disarm()

    def strike(self, what: str) -> None:
        """The function is killed, a call fails, or another function does its work just now."""
        if what == "kill":
            raise Crash
        if what == "outage":
            raise Unavailable
        with self.world.guarantees.elsewhere():
            self.happens(what)

    def happens(self, what: str) -> None:
        world = self.world
        if what == "stream":
            world.deliver_changes(10)
        elif what == "sweep":
            world.sweep()
        elif what == "limit":
            change_pool(world.ports, POOL, lambda pool: replace(pool, limit=1, paused=False))
        elif what == "message" and (due := world.due_messages()):
            world.deliver_message(due[0])
        elif what == "event" and world.platform.events:
            world.deliver_event(0)
        elif what == "cancel" and (under_way := [r for r in world.runs() if not r.state.ended]):
            with suppress(Refused):
                cancel(world.ports, under_way[0].id)


@pytest.fixture(autouse=True, scope="module")
def _silence() -> Iterator[None]:
    """Thousands of lines that nobody reads take most of the time."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


TestEngine = Engine.TestCase
TestEngine.settings = settings(max_examples=200, stateful_step_count=40)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_for_longer() -> None:
    run_state_machine_as_test(Engine, settings=settings(max_examples=3000, stateful_step_count=60))
