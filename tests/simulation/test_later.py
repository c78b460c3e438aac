"""What does a platform's "later" do to a pool? Hours of it on a virtual clock, sweeps included.

A platform refuses in two ways: it has no room, or it gets too many requests. Every adapter raises
one of the two for its own words, so what holds for both holds for each platform.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import pairwise
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from push_dispatch.control.pools import change_pool
from push_dispatch.core.errors import NoCapacity, PlatformError, Throttled, Unavailable
from push_dispatch.core.model import Rate, Run, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit, submit_many
from push_dispatch.insight.explain import explain
from push_dispatch.insight.why import reasons_of
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.ecs.refusal import REFUSALS, failed
from push_dispatch.platforms.refusals import Reaction, Row
from push_dispatch.ports.messages import Push
from tests.fakes.faults import Point
from tests.fakes.world import POOL, Delivery, World

MINUTE = 60_000
HOUR = 60 * MINUTE


@dataclass
class Later:
    """A world whose platform refuses for a while, and what it was asked."""

    answer: Callable[[], PlatformError]
    world: World = field(default_factory=World)
    #: Until when everything is refused.
    full_until: int = 0
    calls: list[int] = field(default_factory=list)
    #: Handles in the order in which they were started, and when.
    started: dict[str, int] = field(default_factory=dict)
    deliveries: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.world.platform.refuse = self._refuse
        self._next_sweep = self.world.now + MINUTE

    def pool(self, **changes: Any) -> None:
        change_pool(self.world.ports, POOL, lambda pool: replace(pool, **changes))

    def full_for(self, duration: int) -> None:
        self.full_until = self.world.now + duration

    def pass_by(self, duration: int) -> None:
        """Everything that happens in that time, to the second: deliveries, and a sweep a minute."""
        end = self.world.now + duration
        while True:
            self._settle()
            coming = [d.at for d in self.world.mail.waiting if d.at > self.world.now]
            following = min([*coming, self._next_sweep])
            if following > end:
                self.world.now = end
                return
            self.world.now = following
            if following == self._next_sweep:
                self._next_sweep += MINUTE
                self.world.sweep()
                self.world.guarantees.check(self.world.now)

    def most_calls_in_a_minute(self) -> int:
        return max(sum(1 for other in self.calls if at <= other < at + MINUTE) for at in self.calls)

    def states(self) -> Counter[tuple[RunState, str | None]]:
        return Counter((run.state, run.reason) for run in self.world.runs())

    def order(self, runs: Sequence[Run]) -> list[int]:
        """The numbers of these runs in the order in which they started."""
        numbers = {run.id: number for number, run in enumerate(runs)}
        return [numbers[run] for run in self.started]

    def _settle(self) -> None:
        while True:
            self.world.deliver_changes(1000)
            due = sorted(self.world.due_messages(), key=lambda delivery: delivery.at)
            if not due and not self.world.store.changes:
                return
            for delivery in due:
                self._deliver(delivery)

    def _deliver(self, delivery: Delivery) -> None:
        if isinstance(delivery.message, Push):
            self.deliveries[delivery.message.run] += 1
        self.world.deliver_message(delivery)

    def _refuse(self, job: Job) -> None:
        self.calls.append(self.world.now)
        if self.world.now < self.full_until:
            raise self.answer()
        self.started.setdefault(job.run_id, self.world.now)


def run_task_error(code: str, text: str) -> PlatformError:
    response = {
        "Error": {"Code": code, "Message": text},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    return REFUSALS.error(ClientError(cast("Any", response), "RunTask"))


VCPUS = "You've reached the limit on the number of vCPUs you can run concurrently"

ANSWERS = {
    "no room": lambda: NoCapacity("no room"),
    "too many requests": lambda: Throttled("slow down"),
    "come back in a minute": lambda: Throttled("slow down", after_seconds=60),
    "ECS: vCPU quota": lambda: run_task_error("ClientException", VCPUS),
    "ECS: ThrottlingException": lambda: run_task_error("ThrottlingException", "Rate exceeded"),
    "ECS: RESOURCE:MEMORY": lambda: failed({"reason": "RESOURCE:MEMORY"}),
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of lines that nobody reads."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(params=ANSWERS, ids=lambda name: name.replace(" ", "_"))
def later(request: pytest.FixtureRequest) -> Later:
    return Later(ANSWERS[request.param])


def _refusals() -> Iterator[Any]:
    """Each different way in which a platform's own table says "later"."""
    for platform in (
        "aci",
        "cloud_run",
        "coiled",
        "docker",
        "ecs",
        "kubernetes",
        "modal",
        "vertex",
    ):
        table = import_module(f"push_dispatch.platforms.{platform}.refusal").ERRORS
        later = [row for row in table if row.reaction in (Reaction.CAPACITY, Reaction.RETRY)]
        ways = {(row.reaction, row.reason, row.after_seconds): row for row in later}
        assert ways, platform
        for number, row in enumerate(ways.values()):
            yield pytest.param(row, id=f"{platform}-{row.reaction.name.lower()}-{number}")


@pytest.mark.parametrize("row", list(_refusals()))
def test_every_platform_may_be_full_for_six_hours(row: Row) -> None:
    test_full_for_six_hours(Later(lambda: row.error("later")))


def test_full_for_six_hours(later: Later) -> None:
    later.pool(limit=10)
    later.full_for(6 * HOUR)
    runs = [made.run for made in submit_many(later.world.ports, [Request(POOL)] * 10)]

    later.pass_by(6 * HOUR - 1)

    assert not later.started
    assert {state for state, _ in later.states()} <= {RunState.SCHEDULED, RunState.PENDING}
    assert later.most_calls_in_a_minute() <= 2
    assert len(later.calls) <= 6 * 60 + 2

    later.pass_by(2 * MINUTE)

    assert len(later.started) == 10
    assert {state for state, _ in later.states()} == {RunState.PENDING}
    # But for the one that was trying when there was room again, in the order of submission.
    first, *others = later.order(runs)
    assert others == sorted(set(range(10)) - {first})


def plainly(answer: str = "no room") -> Later:
    return Later(ANSWERS[answer])


@pytest.mark.parametrize("answer", ["no room", "too many requests"])
def test_what_waits_costs_nothing(answer: str) -> None:
    """Who is not the one that tries is not delivered again, however long it takes."""
    later = plainly(answer)
    later.pool(limit=60)
    later.full_for(2 * HOUR)
    submit_many(later.world.ports, [Request(POOL)] * 60)
    later.pass_by(2 * HOUR)
    assert later.most_calls_in_a_minute() <= 2
    # Twice each in the beginning, and once a minute one of them.
    assert sum(later.deliveries.values()) <= 2 * 60 + 2 * 60 + 10
    assert later.world.store.ledger(POOL).holders == ()
    later.pass_by(2 * MINUTE)
    assert len(later.started) == 60


def test_new_runs_wait_in_line_while_the_platform_is_full() -> None:
    later = plainly()
    later.pool(limit=10)
    later.full_for(HOUR)
    submit(later.world.ports, Request(POOL))
    later.pass_by(10 * MINUTE)
    before = sum(later.deliveries.values())
    # One of them may try.
    runs = [made.run for made in submit_many(later.world.ports, [Request(POOL)] * 5)]
    later.pass_by(1000)
    assert sum(later.deliveries.values()) <= before + 1
    assert {reason_of(later, run) for run in runs[1:]} == {"no_room"}
    found = explain(later.world.ports, runs[-1].id)
    assert (found.reason, found.estimated_start) == ("no_room", None)
    assert found.numbers["refusals in a row"] > 5


def test_a_short_throttle_keeps_the_slots() -> None:
    later = plainly("too many requests")
    later.full_for(1500)
    submit_many(later.world.ports, [Request(POOL)] * 3)
    later.pass_by(30_000)
    assert len(later.started) == 3
    assert [run.attempt for run in later.world.runs()] == [1, 1, 1]


def test_the_pool_says_for_how_long_a_slot_is_held() -> None:
    later = plainly()
    later.pool(hold_seconds=3600)
    later.full_for(50 * MINUTE)
    run = submit(later.world.ports, Request(POOL)).run
    later.pass_by(50 * MINUTE)
    held = current(later, run)
    assert (held.state, held.attempt, held.reason) == (RunState.PENDING, 1, "no_room")
    assert later.most_calls_in_a_minute() <= 2
    later.pass_by(MINUTE)
    assert (current(later, run).attempt, len(later.started)) == (1, 1)


@pytest.mark.parametrize("after", [None, 600])
def test_an_order_that_sleeps_is_not_sent_a_second_time(after: float | None) -> None:
    """Neither that of the run which tries, nor those of the others, which nobody has claimed."""
    later = Later(lambda: Throttled("slow down", after_seconds=after))
    later.pool(hold_seconds=7200)
    later.full_for(HOUR)
    submit_many(later.world.ports, [Request(POOL)] * 3)
    for _ in range(11):
        later.pass_by(5 * MINUTE)
        assert len(pushes(later)) == 3
    later.pass_by(20 * MINUTE)
    assert len(later.started) == 3


def test_little_room_is_not_asked_for_by_everybody() -> None:
    """One of sixty finds room each five minutes: the others do not rush after it."""
    later = plainly()
    later.pool(limit=60)
    room = later.world.now + 5 * MINUTE

    def refuse(job: Job) -> None:
        nonlocal room
        later.calls.append(later.world.now)
        if later.world.now < room:
            raise NoCapacity("no room")
        room += 5 * MINUTE
        later.started.setdefault(job.run_id, later.world.now)

    later.world.platform.refuse = refuse
    submit_many(later.world.ports, [Request(POOL)] * 60)
    later.pass_by(HOUR)
    assert 10 <= len(later.started) <= 12
    assert later.most_calls_in_a_minute() <= 5
    assert len(later.calls) <= 2 * 60
    assert sum(later.deliveries.values()) <= 2 * 60 + 6 * 12 + 60


def test_the_pool_says_when_a_run_is_given_up() -> None:
    later = plainly()
    later.pool(give_up_seconds=1800)
    later.full_for(2 * HOUR)
    run = submit(later.world.ports, Request(POOL)).run
    later.pass_by(29 * MINUTE)
    assert current(later, run).state is RunState.SCHEDULED
    later.pass_by(4 * MINUTE)
    ended = current(later, run)
    assert (ended.state, ended.reason) == (RunState.CRASHED, "no_capacity")


def test_a_run_that_fits_nowhere_does_not_stop_the_others() -> None:
    """The platform refuses two of them for good, which come first, and nobody else."""
    later = plainly()
    later.pool(limit=4)
    too_large = {submit(later.world.ports, Request(POOL)).run.id for _ in range(2)}

    def refuse(job: Job) -> None:
        later.calls.append(later.world.now)
        if job.run_id in too_large:
            raise NoCapacity("too large")
        later.started.setdefault(job.run_id, later.world.now)

    later.world.platform.refuse = refuse
    submit_many(later.world.ports, [Request(POOL)] * 20)
    for _ in range(20):
        later.pass_by(MINUTE)
        for container in later.world.platform.live():
            later.world.platform.end(container, 0)
        later.world.deliver_all()
    assert len(later.started) == 20
    waiting = [run for run in later.world.runs() if run.id in too_large]
    assert {run.state for run in waiting} <= {RunState.SCHEDULED, RunState.PENDING}


def test_a_lost_order_of_a_run_that_waits_is_not_in_doubt() -> None:
    """The sweep sends it again; that copy knows that nothing was sent before."""
    later = plainly("too many requests")
    later.pool(hold_seconds=4 * 3600)
    later.full_for(3 * HOUR)
    run = submit(later.world.ports, Request(POOL)).run
    later.pass_by(10 * MINUTE)
    later.world.mail.waiting.remove(pushes(later)[0])
    later.pass_by(3 * HOUR)
    assert len(later.started) == 1
    assert current(later, run).reason is None


def test_a_lost_order_of_a_run_that_nobody_has_claimed_does_not_multiply() -> None:
    """Each sweep would send one more that sleeps, as long as the pool may hold the slot."""
    later = plainly()
    later.pool(hold_seconds=1800)
    later.full_for(2 * HOUR)
    submit_many(later.world.ports, [Request(POOL)] * 2)
    later.world.deliver_changes(100)
    [_, lost] = pushes(later)
    assert isinstance(lost.message, Push)
    assert not lost.message.claim
    later.world.mail.waiting.remove(lost)
    for _ in range(60):
        later.pass_by(MINUTE)
        assert len(pushes(later)) <= 3


def test_a_rate_delivers_each_order_once() -> None:
    """Nobody crashes, nobody polls, nobody overtakes; nobody holds a slot who cannot start."""
    later = plainly()
    later.pool(limit=None, platform_rate=Rate(10, 60))
    runs = [made.run for made in submit_many(later.world.ports, [Request(POOL)] * 100)]
    later.pass_by(2 * MINUTE)
    assert reason_of(later, runs[-1]) == "platform_rate"
    assert len(later.world.store.ledger(POOL).holders) == len(later.started) == 30
    later.pass_by(7 * MINUTE)
    assert max(later.deliveries.values()) == 1
    assert later.order(runs) == list(range(100))
    # A burst, and then one each six seconds, none late.
    times = sorted(later.started.values())
    assert times[9] == times[0]
    assert {after - before for before, after in pairwise(times[9:])} == {6000}


@pytest.mark.parametrize("field", ["rate", "platform_rate"])
def test_the_wakes_of_a_rate_do_not_multiply(field: str) -> None:
    later = plainly()
    later.pool(limit=None, **{field: Rate(2, 10)})
    for _ in range(40):
        submit(later.world.ports, Request(POOL))
        later.pass_by(1000)
    later.pass_by(20_000)
    assert len(later.started) < 40
    assert len(later.world.mail.waiting) <= 3
    later.pass_by(3 * MINUTE)
    assert len(later.started) == 40
    assert len(later.world.mail.waiting) <= 1


def test_a_rate_gives_no_start_away_to_a_lost_wake() -> None:
    later = plainly()
    later.pool(limit=None, platform_rate=Rate(1, 10))
    submit_many(later.world.ports, [Request(POOL)] * 12)
    later.pass_by(5000)
    later.world.mail.waiting.clear()
    later.pass_by(3 * MINUTE)
    assert len(later.started) == 12


def test_a_lost_probe_is_replaced() -> None:
    later = plainly()
    later.full_for(5 * MINUTE)
    submit_many(later.world.ports, [Request(POOL)] * 3)
    later.pass_by(4 * MINUTE)
    later.world.mail.waiting.clear()
    later.pass_by(6 * MINUTE)
    assert len(later.started) == 3


def test_a_table_that_is_down_while_the_platform_refuses_loses_nothing() -> None:
    later = plainly()
    later.pool(limit=10)
    later.full_for(3 * MINUTE)

    def fail() -> None:
        raise Unavailable

    for verb in ("circuit", "save_circuit", "save_run", "pool", "wake"):
        later.world.faults.arm(Point(verb, skip=3), fail)
        submit(later.world.ports, Request(POOL))
        later.pass_by(30_000)
    later.pass_by(10 * MINUTE)
    assert len(later.started) == 5


# -- details ----------------------------------------------------------------------------------


def current(later: Later, run: Run) -> Run:
    found = later.world.store.run(POOL, run.uuid)
    assert found is not None
    return found


def pushes(later: Later) -> list[Delivery]:
    return [d for d in later.world.mail.waiting if isinstance(d.message, Push)]


def reason_of(later: Later, run: Run) -> str:
    return reasons_of(later.world.ports, POOL, [current(later, run)])[run.uuid]
