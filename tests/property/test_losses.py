"""Does every run end although one record, message or event of its life is lost for good?

Each scenario is played once without a loss, on a clock that the test moves. Then it is played again
for each thing that was on its way, with exactly that one missing: nobody repairs anything, and ten
minutes after the scenario would have ended all is over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from push_dispatch.control.pools import change_pool, create_queue, delete_queue
from push_dispatch.core.errors import Conflict, NotFound, Refused, Unavailable
from push_dispatch.core.model import Collision, Observation, Queue
from push_dispatch.core.request import Request
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit_many
from tests.fakes.memory_platform import Container
from tests.fakes.world import POOL, World

#: Seconds between two looks at the world, and after which a container begins and ends.
_STEP = 5
_BEGINS, _ENDS = 5, 20
_SWEEP = 60
#: A scenario without a loss is over long before.
_LONGEST = 3600
_GRACE = 600


class Losing(World):
    """A world in which the n-th thing of one kind never arrives."""

    def __init__(self, kind: str = "", number: int = -1) -> None:
        super().__init__()
        self.losing = (kind, number)
        self.counts = {"change": 0, "message": 0, "event": 0}
        self.lost: list[object] = []
        add = self.mail._add
        self.mail._add = lambda messages, delay: add(  # type: ignore[method-assign]
            [m for m in messages if self._arrives("message", m)], delay
        )
        self.platform.events = _Events(lambda event: self._arrives("event", event))

    def collect(self) -> None:
        new = self.store.changes[:]
        self.store.changes.clear()
        self.changes += [change for change in new if self._arrives("change", change)]

    def _arrives(self, kind: str, thing: object) -> bool:
        number = self.counts[kind]
        self.counts[kind] += 1
        if self.losing == (kind, number):
            self.lost.append(thing)
            return False
        return True


class _Events(list[Observation]):
    """Takes only what arrives."""

    def __init__(self, arrives: Callable[[Observation], bool]) -> None:
        super().__init__()
        self._arrives = arrives

    def append(self, event: Observation) -> None:
        if self._arrives(event):
            super().append(event)


@dataclass
class Scenario:
    """What people do, by the second; and how containers end."""

    acts: dict[int, Callable[[World], object]]
    #: Exit codes of the attempts, in the order of their starts; the last one goes on.
    codes: tuple[int, ...] = (0,)
    #: Seconds that an attempt takes.
    ends: int = _ENDS
    #: Waits for somebody who stops it.
    endless: bool = False


def _submit(count: int = 1, **fields: object) -> Callable[[World], object]:
    def act(world: World) -> object:
        given = {**fields}
        if "after" in given:
            given["at"] = world.now + int(str(given.pop("after"))) * 1000
        return submit_many(world.ports, [Request(POOL, **given) for _ in range(count)])  # type: ignore[arg-type]

    return act


def _change(**fields: object) -> Callable[[World], object]:
    return lambda world: change_pool(
        world.ports,
        POOL,
        lambda pool: replace(pool, **fields),  # type: ignore[arg-type]
    )


def _fail(*failures: str) -> Callable[[World], object]:
    return lambda world: world.platform.failures.extend(failures)


def _cancel(world: World) -> None:
    for run in world.runs():
        if not run.state.ended:
            cancel(world.ports, run.id)


def _queue(world: World) -> None:
    create_queue(world.ports, POOL, Queue("low", 2), priority=2)


def _delete(world: World) -> None:
    delete_queue(world.ports, POOL, "low")


def _collide(world: World) -> None:
    change_pool(world.ports, POOL, lambda pool: replace(pool, deployment_limits={"d": 1}))


SCENARIOS: dict[str, Scenario] = {
    "one run": Scenario({0: _submit()}),
    "one with a key": Scenario({0: _submit(idempotency_key="k")}),
    "one key twice": Scenario({0: _submit(idempotency_key="k"), 15: _submit(idempotency_key="k")}),
    "more than there are slots": Scenario({0: _submit(7)}),
    "a run of the future": Scenario({0: _submit(2, after=300)}),
    "a run of the far future": Scenario({0: _submit(after=1500)}),
    "a failure and a retry": Scenario({0: _submit(retries=1)}, codes=(1, 0)),
    "no retry": Scenario({0: _submit(2)}, codes=(1,)),
    "a crash and a retry": Scenario({0: _submit(crash_retries=1, timeout_seconds=30)}, ends=300),
    "a timeout": Scenario({0: _submit(timeout_seconds=30)}, ends=300),
    "throttled": Scenario({0: _fail("throttled", "throttled"), 5: _submit(2)}),
    "no capacity": Scenario({0: _fail("no_capacity", "no_capacity"), 5: _submit(2)}),
    "a lost reply": Scenario({0: _fail("lost"), 5: _submit(2)}),
    "unreachable": Scenario({0: _fail("unreachable"), 5: _submit(2)}),
    "rejected": Scenario({0: _fail("rejected"), 5: _submit(2)}),
    "cancelled while it waits": Scenario(
        {0: _change(paused=True), 5: _submit(2), 30: _cancel, 40: _change(paused=False)}
    ),
    "cancelled while it runs": Scenario({0: _submit(2), 15: _cancel}, endless=True),
    "paused and resumed": Scenario(
        {0: _change(paused=True), 5: _submit(4), 200: _change(paused=False)}
    ),
    "too late": Scenario(
        {0: _change(limit=0), 5: _submit(2, start_within=60), 200: _change(limit=3)}
    ),
    "a queue that is deleted": Scenario({0: _queue, 5: _submit(6, queue="low"), 20: _delete}),
    "a queue that is deleted at once": Scenario(
        {0: _queue, 5: _submit(2, queue="low"), 6: _delete}
    ),
    "collisions": Scenario(
        {
            0: _collide,
            5: _submit(3, deployment="d", collision=Collision.CANCEL_NEW),
            30: _submit(2, deployment="d", collision=Collision.CANCEL_NEW, after=60),
        },
        ends=120,
    ),
}


def _play(scenario: Scenario, world: Losing, until: int) -> int:
    """Live until everything is over, or until that second; returns when it was over."""
    born: dict[str, int] = {}
    begun: set[str] = set()
    last = max(scenario.acts)
    for second in range(0, until, 1):
        if act := scenario.acts.get(second):
            with suppress(Unavailable, Conflict, NotFound, Refused):
                act(world)
        if second % _STEP == 0 or second in scenario.acts:
            world.deliver_all()
        if second % _SWEEP == 30:
            world.sweep()
        for container in world.platform.live():
            _live(scenario, world, container, second, born, begun)
        world.guarantees.check(world.now)
        if second > last and not world.left():
            return second
        world.now += 1000
    return until


def _live(
    scenario: Scenario,
    world: World,
    container: Container,
    second: int,
    born: dict[str, int],
    begun: set[str],
) -> None:
    name = container.job.name
    age = second - born.setdefault(name, second)
    if container.stop_asked:
        world.platform.end(container, 143)
    elif age >= scenario.ends and not scenario.endless:
        codes = scenario.codes
        world.platform.end(container, codes[min(list(born).index(name), len(codes) - 1)])
    elif age >= _BEGINS and name not in begun:
        begun.add(name)
        world.platform.begin(container)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_run_ends_whatever_one_thing_is_lost(name: str) -> None:
    scenario = SCENARIOS[name]
    sound = Losing()
    took = _play(scenario, sound, _LONGEST)
    assert sound.left() == []
    assert sound.counts["change"] > 0
    stuck = []
    for kind, count in sound.counts.items():
        for number in range(count):
            world = Losing(kind, number)
            _play(scenario, world, took + _GRACE)
            assert world.lost, f"{kind} {number} was never sent"
            if world.left():
                stuck.append((kind, number, world.lost, world.left()))
    assert stuck == []


def test_a_run_that_is_spoiled_ends_although_the_change_is_lost() -> None:
    """Whoever takes its place out of the line is the last one that comes across it."""
    world = World()
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=0))
    run = submit_many(world.ports, [Request(POOL)])[0].run
    world.deliver_all()
    for _ in range(5):  # Until it has been audited.
        world.now += 60_000
        world.sweep()
    world.store._runs[POOL, run.uuid] = replace(run, unreadable="due is not a number", rev=1)
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=1))
    world.drain()
    assert world.left() == []


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
