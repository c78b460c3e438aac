"""Do the guarantees hold whatever happens, in whatever order, and wherever a function is killed?

Every rule is one thing that happens in the world. Before it, a fault may be armed: the function
is killed at the n-th point between its external calls, or another function does its work right
there. What it had received is then delivered again, as Lambda does. Deterministic: a failure
prints the steps and a blob that replays them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

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
from push_dispatch.errors import Conflict, NotFound, Refused
from push_dispatch.model import DEFAULT_QUEUE, Queue
from push_dispatch.submit import Request, submit_many
from tests.fakes.world import POOL, Crash, World

QUEUES = (DEFAULT_QUEUE, "high", "low")
LIMITS = st.none() | st.integers(0, 3)
#: None is no fault; else how many points come before it, and whether it kills.
STRIKES = ("kill", "kill", "stream", "cancel", "sweep")
FAULTS = st.none() | st.tuples(st.integers(0, 25), st.sampled_from(STRIKES))


class Engine(RuleBasedStateMachine):
    """One pool, three queues, and everything that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = self.make_world()

    def make_world(self) -> World:
        return World()

    @initialize(high=LIMITS, low=LIMITS, key=st.none() | st.just(1))
    def begin(self, high: int | None, low: int | None, key: int | None) -> None:
        ports = self.world.ports
        create_queue(ports, POOL, Queue("high", 1, limit=high), priority=1)
        create_queue(ports, POOL, Queue("low", 1, limit=low), priority=10)
        change_pool(ports, POOL, lambda pool: replace(pool, key_limit=key))

    # -- people ------------------------------------------------------------------------------------

    @rule(
        count=st.integers(1, 4),
        queue=st.sampled_from(QUEUES),
        later=st.sampled_from([0, 0, 0, 5, 120]),
        start_within=st.none() | st.sampled_from([1, 60]),
        retries=st.integers(0, 1),
        timeout=st.none() | st.just(30),
        key=st.sampled_from(["", "", "k"]),
        fault=FAULTS,
    )
    def submits(
        self,
        count: int,
        queue: str,
        later: int,
        start_within: int | None,
        retries: int,
        timeout: int | None,
        key: str,
        fault: Any,
    ) -> None:
        request = Request(
            POOL,
            queue=queue,
            at=self.world.now + later * 1000,
            start_within=start_within,
            retries=retries,
            crash_retries=retries,
            timeout_seconds=timeout,
            concurrency_key=key,
        )
        self.do(fault, lambda: submit_many(self.world.ports, [request] * count))

    @precondition(lambda self: self.world.runs())
    @rule(data=st.data(), fault=FAULTS)
    def cancels(self, data: st.DataObject, fault: Any) -> None:
        run = data.draw(st.sampled_from(self.world.runs()))

        def act() -> None:
            with suppress(Refused):
                cancel(self.world.ports, run.id)

        self.do(fault, act)

    @rule(paused=st.booleans(), limit=LIMITS, fault=FAULTS)
    def changes_the_pool(self, paused: bool, limit: int | None, fault: Any) -> None:
        def act() -> None:
            change_pool(self.world.ports, POOL, lambda p: replace(p, paused=paused, limit=limit))

        self.do(fault, act)

    @rule(
        queue=st.sampled_from(QUEUES),
        paused=st.booleans(),
        limit=LIMITS,
        priority=st.none() | st.integers(1, 4),
        fault=FAULTS,
    )
    def changes_a_queue(
        self, queue: str, paused: bool, limit: int | None, priority: int | None, fault: Any
    ) -> None:
        pool = self.world.store.pool(POOL)
        if pool is None or pool.queue(queue) is None:
            return

        def act() -> None:
            change_queue(
                self.world.ports,
                POOL,
                queue,
                lambda q: replace(q, paused=paused, limit=limit),
                priority=priority,
            )

        self.do(fault, act)

    @rule(fault=FAULTS)
    def deletes_or_recreates_a_queue(self, fault: Any) -> None:
        pool = self.world.store.pool(POOL)
        assert pool is not None
        ports = self.world.ports
        if pool.queue("low") is None:
            self.do(fault, lambda: create_queue(ports, POOL, Queue("low", 1), priority=None))
        else:
            self.do(fault, lambda: delete_queue(ports, POOL, "low"))

    # -- the platform ------------------------------------------------------------------------------

    @precondition(lambda self: self.world.platform.live())
    @rule(data=st.data(), code=st.none() | st.sampled_from([0, 1]))
    def runs_or_ends(self, data: st.DataObject, code: int | None) -> None:
        container = data.draw(st.sampled_from(self.world.platform.live()))
        if code is None:
            self.world.platform.begin(container)
        else:
            self.world.platform.end(container, code)

    @rule(failure=st.sampled_from(["throttled", "no_capacity", "lost"]))
    def will_fail(self, failure: str) -> None:
        self.world.platform.failures.append(failure)

    @precondition(lambda self: self.world.platform.events)
    @rule(data=st.data())
    def loses_an_event(self, data: st.DataObject) -> None:
        events = self.world.platform.events
        events.remove(data.draw(st.sampled_from(events)))

    # -- deliveries --------------------------------------------------------------------------------

    @rule(count=st.integers(1, 10), again=st.booleans(), fault=FAULTS)
    def stream_delivers(self, count: int, again: bool, fault: Any) -> None:
        self.do(fault, lambda: self.world.deliver_changes(count, again=again))

    @precondition(lambda self: self.world.due_messages())
    @rule(data=st.data(), again=st.booleans(), fault=FAULTS)
    def queue_delivers(self, data: st.DataObject, again: bool, fault: Any) -> None:
        due = self.world.due_messages()
        delay = due[data.draw(st.integers(0, len(due) - 1))]
        self.do(fault, lambda: self.world.deliver_message(delay, again=again))

    @precondition(lambda self: self.world.platform.events)
    @rule(data=st.data(), again=st.booleans(), fault=FAULTS)
    def platform_tells(self, data: st.DataObject, again: bool, fault: Any) -> None:
        number = data.draw(st.integers(0, len(self.world.platform.events) - 1))
        self.do(fault, lambda: self.world.deliver_event(number, again=again))

    @rule(fault=FAULTS)
    def sweeps(self, fault: Any) -> None:
        self.do(fault, self.world.sweep)

    @rule(seconds=st.sampled_from([1, 10, 40, 70, 200, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds * 1000

    @rule()
    def everything_is_delivered(self) -> None:
        """A quiet moment: otherwise few runs would ever get far."""
        world = self.world
        world.deliver_changes(100)
        for delay in world.due_messages():
            world.deliver_message(delay)
        for _ in range(len(world.platform.events)):
            world.deliver_event(0)

    # -- always ------------------------------------------------------------------------------------

    def do(self, fault: Any, act: Callable[[], object]) -> None:
        """With the fault, if there is one."""
        faults = self.world.faults
        if fault is not None:
            point, kind = fault
            faults.arm(point, lambda: self._strike(kind))
        try:
            with suppress(Crash, Conflict, NotFound):
                act()
        finally:
            faults.disarm()

    def _strike(self, kind: str) -> None:
        if kind == "kill":
            raise Crash
        if kind == "stream":
            self.world.deliver_changes(10)
        elif kind == "sweep":
            self.world.sweep()
        elif under_way := [run for run in self.world.runs() if not run.state.ended]:
            with suppress(Refused):
                cancel(self.world.ports, under_way[0].id)

    @invariant()
    def guarantees_hold(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        """Heal everything: all drains, and still nothing is broken."""
        ports = self.world.ports
        change_pool(ports, POOL, lambda pool: replace(pool, paused=False, limit=3))
        for queue in list(self.world.configurations[max(self.world.configurations)].queues):
            change_queue(ports, POOL, queue.name, lambda q: replace(q, paused=False, limit=None))
        self.world.drain()
        self.world.check()
        left = {run.id: run.state.value for run in self.world.runs() if not run.state.ended}
        assert not left, left
        assert self.world.store.ledger(POOL).holders == ()


@pytest.fixture(autouse=True, scope="module")
def _silence() -> Iterator[None]:
    """Thousands of lines that nobody reads take most of the time."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


TestEngine = Engine.TestCase
TestEngine.settings = settings(max_examples=150, stateful_step_count=40)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_for_longer() -> None:
    run_state_machine_as_test(Engine, settings=settings(max_examples=500, stateful_step_count=50))
