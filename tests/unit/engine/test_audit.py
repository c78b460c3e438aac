"""Does the sweep find the new runs that have got lost, and read each run once?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from push_dispatch.core.errors import Unavailable
from push_dispatch.core.model import Ready, Run, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine import audit as auditing
from push_dispatch.engine.audit import SETTLED_SECONDS, audit
from push_dispatch.engine.submit import submit, submit_many
from push_dispatch.engine.sweep import Swept, sweep_pool
from tests.fakes.faults import Point
from tests.fakes.memory.store import MemoryStore
from tests.fakes.world import POOL, World


class Counting(MemoryStore):
    """Counts the runs that are read one after the other."""

    read = 0

    def list_runs(self, *arguments: Any, **options: Any) -> Iterator[Run]:
        for run in super().list_runs(*arguments, **options):
            self.read += 1
            yield run


@pytest.fixture
def world() -> World:
    return World(Counting())


def lose(world: World, count: int = 1, **fields: Any) -> list[Run]:
    """Runs whose stream records never arrive."""
    submitted = submit_many(world.ports, [Request(POOL, **fields)] * count)
    world.collect()
    world.changes.clear()
    return [each.run for each in submitted]


def test_a_run_whose_record_was_lost_is_enqueued_after_two_minutes(world: World) -> None:
    [run] = lose(world)
    world.now += SETTLED_SECONDS * 1000 - 1
    assert audit(world.ports, POOL) == 0
    world.now += 2
    assert audit(world.ports, POOL) == 1
    assert world.line() == [Ready.of(run)]
    assert audit(world.ports, POOL) == 0, "it is in line, and audited"


def test_a_run_of_the_future_is_enqueued_long_before_it_is_due(world: World) -> None:
    [run] = lose(world, at=world.now + 86_400_000)
    world.now += 200_000
    assert audit(world.ports, POOL) == 1
    assert world.line() == [Ready.of(run)]


def test_the_same_sweep_starts_it_and_says_so(world: World) -> None:
    lose(world)
    world.now += 200_000
    swept = Swept()
    sweep_pool(world.ports, POOL, swept)
    assert swept.enqueued_late == 1
    world.deliver_all()
    assert [run.state for run in world.runs()] == [RunState.PENDING]


def test_each_run_is_read_once_however_many_there_are(world: World) -> None:
    assert isinstance(world.store, Counting)
    for minute in range(30):
        submit_many(world.ports, [Request(POOL)] * 10)
        world.deliver_all()
        for container in world.platform.live():
            world.platform.end(container, 0)
        world.now += 60_000
        world.store.read = 0
        audit(world.ports, POOL)
        assert world.store.read <= 10, f"minute {minute}"


def test_nothing_is_written_while_nothing_is_submitted(world: World) -> None:
    world.faults.arm(Point("save_audited"), pytest.fail)
    for _ in range(5):
        world.now += 60_000
        assert audit(world.ports, POOL) == 0


def test_an_audit_goes_on_where_the_last_one_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "_PAGES", 2)
    monkeypatch.setattr(auditing, "_PAGE", 3)
    lose(world, 10)
    world.now += 200_000
    assert [audit(world.ports, POOL) for _ in range(3)] == [6, 4, 0]


def test_those_who_hold_a_slot_or_have_moved_on_are_left_alone(world: World) -> None:
    submit_many(world.ports, [Request(POOL)] * 5)
    world.deliver_changes(100)  # Three are admitted and handed over, and not pushed yet.
    world.now += 200_000
    assert len(world.line()) == 2
    assert audit(world.ports, POOL) == 0
    assert len(world.line()) == 2


def test_one_that_is_admitted_while_it_is_looked_at_is_not_counted(world: World) -> None:
    submit(world.ports, Request(POOL))
    world.now += 200_000
    world.faults.arm(Point("in_line"), lambda: world.deliver_changes(10))
    assert audit(world.ports, POOL) == 0
    assert world.line() == []


def test_a_run_with_a_key_is_enqueued_by_who_submits_it(world: World) -> None:
    [run] = lose(world, idempotency_key="k")
    assert world.line() == [Ready.of(run)]


def test_a_key_that_is_given_again_enqueues_what_waits(world: World) -> None:
    """Whoever submits dies before the place is put, and the record is lost, too."""
    world.faults.arm(Point("enqueue"), _outage)
    [run] = lose(world, idempotency_key="k")
    assert world.line() == []
    assert submit(world.ports, Request(POOL, idempotency_key="k")).run == run
    assert world.line() == [Ready.of(run)]


def test_many_runs_get_their_ids_when_they_are_stored(world: World) -> None:
    """Not when the first of them was: the audit would believe to have seen the last ones."""
    world.faults.arm(Point("add_runs", after=True), lambda: _pass(world, 400))
    submitted = submit_many(world.ports, [Request(POOL)] * 1001)
    world.collect()
    world.changes.clear()
    first, last = submitted[0].run, submitted[-1].run
    assert int(last.uuid.replace("-", "")[:12], 16) == world.now
    assert first.order < last.order
    assert all(each.created for each in submitted)


def _outage() -> None:
    raise Unavailable("the table is throttling")


def _pass(world: World, seconds: int) -> None:
    world.now += seconds * 1000
