"""Do the guarantees hold whatever happens, in whatever order, and wherever a function is killed?

Every rule is one thing that happens in the world. Something may strike in the middle of it, before
or after any of its calls to the store, the queues or the platform: the function is killed, a reply
gets lost, or another function does its work right there. What was being delivered is then
delivered again, as Lambda and SQS do. The examples are always the same; a failure prints the
steps, and a `@reproduce_failure` line that replays them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import cycle
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

from push_dispatch.control.pools import change_pool, change_queue, create_queue, delete_queue
from push_dispatch.core.errors import Conflict, NotFound, Refused, Unavailable
from push_dispatch.core.model import DEFAULT_QUEUE, Queue
from push_dispatch.core.request import Request
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit_many
from tests.fakes.faults import Crash, Point
from tests.fakes.memory_platform import FAILURES
from tests.fakes.world import POOL, World

QUEUES = (DEFAULT_QUEUE, "high", "low")
LIMITS = st.sampled_from([None, None, 0, 1, 1, 2, 2, 3])
PAUSED = st.sampled_from([*[False] * 5, True])
PRIORITIES = st.none() | st.integers(1, 4)
VERBS = (
    *("pool", "save_pool", "add_runs", "run", "runs", "save_run", "claim_run", "enqueue", "line"),
    *("dequeue", "ticks", "ticked", "ledger", "overview", "commit", "commit", "template"),
    *("overview", "send", "wake"),
    *("circuit", "save_circuit"),
    *("push", "push", "find", "observe", "cancel", "clean_up"),
)
POINTS = st.builds(Point, st.sampled_from(VERBS), st.booleans(), skip=st.sampled_from([0, 0, 1, 2]))
WHAT = ("kill", "kill", "outage", "stream", "message", "event", "sweep", "cancel", "limit")
STRIKES = st.tuples(POINTS, st.sampled_from(WHAT))
Strikes = list[tuple[Point, str]]
REQUESTS = st.builds(
    Request,
    st.just(POOL),
    queue=st.sampled_from(QUEUES),
    at=st.sampled_from([*[None] * 7, 5, 120, 3000]),
    start_within=st.sampled_from([*[None] * 4, 1, 60]),
    retries=st.integers(0, 2),
    crash_retries=st.integers(0, 1),
    retry_delay_seconds=st.sampled_from([0, 0, 10]),
    timeout_seconds=st.sampled_from([None, None, 30]),
    concurrency_key=st.sampled_from(["", "", "k"]),
    idempotency_key=st.sampled_from(["", "", "", "once"]),
)
CONFIGURES = ("pool", "pool", "queue", "queue", "create", "delete", "delete")


class Engine(RuleBasedStateMachine):
    """One pool, three queues, and everything that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = self.make_world()

    def make_world(self) -> World:
        """The world, sound unless a subclass breaks it."""
        return World()

    @initialize(
        high=LIMITS,
        low=LIMITS,
        key=st.none() | st.just(1),
        requests=st.lists(REQUESTS, max_size=8),
        strikes=st.lists(STRIKES, max_size=6),
    )
    def begin(
        self,
        high: int | None,
        low: int | None,
        key: int | None,
        requests: list[Request],
        strikes: Strikes,
    ) -> None:
        ports = self.world.ports
        create_queue(ports, POOL, Queue("high", 1, limit=high), priority=1)
        create_queue(ports, POOL, Queue("low", 1, limit=low), priority=10)
        change_pool(ports, POOL, lambda pool: replace(pool, key_limit=key))
        self.submits(requests)
        self.lightning_gathers(strikes)

    @rule(strikes=st.lists(STRIKES, min_size=1, max_size=6))
    def lightning_gathers(self, strikes: Strikes) -> None:
        """Each strikes in the middle of whatever gets to its point first."""
        for at, what in strikes:
            self.world.faults.arm(at, partial(self.strike, what))

    # -- people ------------------------------------------------------------------------------------

    @rule(requests=st.lists(REQUESTS, min_size=1, max_size=4))
    def submits(self, requests: list[Request]) -> None:
        now = self.world.now
        ours = [r if r.at is None else replace(r, at=now + r.at * 1000) for r in requests]
        self.do(lambda: submit_many(self.world.ports, ours))

    @precondition(lambda self: self.under_way())
    @rule(data=st.data())
    def cancels(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(self.under_way()))
        self.do(lambda: cancel(self.world.ports, run))

    @rule(
        what=st.sampled_from(CONFIGURES),
        queue=st.sampled_from(QUEUES),
        paused=PAUSED,
        limit=LIMITS,
        priority=PRIORITIES,
        hold=st.sampled_from([0, 30, 600]),
    )
    def configures(
        self,
        what: str,
        queue: str,
        paused: bool,
        limit: int | None,
        priority: int | None,
        hold: int,
    ) -> None:
        ports = self.world.ports
        changes: dict[str, Callable[[], object]] = {
            "pool": lambda: change_pool(
                ports, POOL, lambda p: replace(p, paused=paused, limit=limit, hold_seconds=hold)
            ),
            "queue": lambda: change_queue(
                ports,
                POOL,
                queue,
                lambda q: replace(q, paused=paused, limit=limit),
                priority=priority,
            ),
            "create": lambda: create_queue(
                ports, POOL, Queue(queue, 1, limit=limit), priority=priority
            ),
            "delete": lambda: delete_queue(ports, POOL, queue),
        }
        self.do(changes[what])

    # -- the platform ------------------------------------------------------------------------------

    @precondition(lambda self: self.world.platform.live())
    @rule(data=st.data(), code=st.sampled_from([None, 0, 0, 1]))
    def begins_or_ends(self, data: st.DataObject, code: int | None) -> None:
        live = self.world.platform.live()
        container = live[data.draw(st.integers(0, len(live) - 1))]
        if code is None:
            self.world.platform.begin(container)
        else:
            self.world.platform.end(container, code)

    @rule(failures=st.lists(st.sampled_from(FAILURES), min_size=1, max_size=3))
    def will_fail(self, failures: list[str]) -> None:
        self.world.platform.failures += failures

    @rule(data=st.data(), what=st.sampled_from(["event", "message", "attempt", "change"]))
    def loses(self, data: st.DataObject, what: str) -> None:
        """Nothing depends on a message, an event or a change of the table. But for the change of a
        new run with a key: whoever submits it may have been killed before it was enqueued."""
        world = self.world
        if what == "attempt":
            self.vanishes()
            return
        world.collect()
        of_kind: dict[str, list[Any]] = {
            "event": world.platform.events,
            "message": world.mail.waiting,
            "change": [c for c in world.changes if c.after and not c.after.idempotency_key],
        }
        kept = of_kind[what]
        if what == "change" and kept:
            lost = data.draw(st.sampled_from(range(len(kept))))
            world.changes = [change for change in world.changes if change is not kept[lost]]
        elif kept:
            del kept[data.draw(st.integers(0, len(kept) - 1))]

    def vanishes(self) -> None:
        """Only what is known to have started: see `Platform.push` about names."""
        for run in self.world.runs():
            handle = run.current.handle if run.current else None
            container = self.world.platform.containers.get(handle or "")
            if container and not container.ended:
                self.world.platform.vanish(container)
                return

    # -- deliveries --------------------------------------------------------------------------------

    @rule(count=st.integers(1, 10), again=st.booleans(), order=st.booleans())
    def stream_delivers(self, count: int, again: bool, order: bool) -> None:
        world = self.world
        if not order:
            world.collect()
            world.changes.reverse()
        self.do(lambda: world.deliver_changes(count, again=again))

    @precondition(lambda self: self.world.due_messages())
    @rule(data=st.data(), again=st.booleans())
    def queue_delivers(self, data: st.DataObject, again: bool) -> None:
        due = self.world.due_messages()
        delivery = due[data.draw(st.integers(0, len(due) - 1))]
        self.do(lambda: self.world.deliver_message(delivery, again=again))

    @precondition(lambda self: self.world.platform.events)
    @rule(data=st.data(), again=st.booleans())
    def platform_tells(self, data: st.DataObject, again: bool) -> None:
        number = data.draw(st.integers(0, len(self.world.platform.events) - 1))
        self.do(lambda: self.world.deliver_event(number, again=again))

    @rule()
    def sweeps(self) -> None:
        self.do(self.world.sweep)

    @rule(seconds=st.sampled_from([1, 10, 40, 70, 200, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds * 1000

    @rule(codes=st.lists(st.sampled_from([None, 0, 1, 1]), min_size=1, max_size=3))
    def all_goes_on(self, codes: list[int | None]) -> None:
        """Everything arrives, begins and may end: otherwise few runs would ever get far."""
        self.do(self.world.deliver_all)
        for container, code in zip(self.world.platform.live(), cycle(codes), strict=False):
            self.world.platform.begin(container)
            if code is not None:
                self.world.platform.end(container, code)
        self.do(self.world.deliver_all)

    # -- always ------------------------------------------------------------------------------------

    @invariant()
    def guarantees_hold(self) -> None:
        self.world.guarantees.check(self.world.now)

    def teardown(self) -> None:
        """Heal everything: all drains, and still nothing is broken."""
        self.world.faults.disarm()
        ports = self.world.ports
        pool = change_pool(ports, POOL, lambda pool: replace(pool, paused=False, limit=3))
        for queue in pool.queues:
            change_queue(ports, POOL, queue.name, lambda q: replace(q, paused=False, limit=None))
        self.world.drain()
        left = self.world.left()
        assert not left, left

    # -- how ---------------------------------------------------------------------------------------

    def under_way(self) -> list[str]:
        """Who can be cancelled."""
        return [run.id for run in self.world.runs() if not run.state.ended]

    def do(self, act: Callable[[], object]) -> None:
        """One function does its work, as far as it gets."""
        with suppress(Crash, Unavailable, Conflict, NotFound, Refused):
            act()

    def strike(self, what: str) -> None:
        """The function is killed, a call fails, or another function does its work just now."""
        if what == "kill":
            raise Crash
        if what == "outage":
            raise Unavailable
        with self.world.guarantees.elsewhere():
            self.do(lambda: self.happens(what))

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
        elif what == "cancel" and (under_way := self.under_way()):
            cancel(world.ports, under_way[0])


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
    run_state_machine_as_test(Engine, settings=settings(max_examples=1000, stateful_step_count=50))
