"""Do those go first that should start earliest, and is it said in time if they may not?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.control.pools import change_pool, delete_queue
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import NOT_DUE_LANE, Queue, Run
from push_dispatch.core.request import Request
from push_dispatch.engine.reorder import boost
from push_dispatch.engine.submit import submit
from push_dispatch.insight.explain import explain
from push_dispatch.ports.notification import notification_of
from tests.fakes.world import POOL, World


def world(**changes: Any) -> World:
    """One slot, which is held."""
    made = World()
    queues = (Queue("default", 1), Queue("low", 2))
    changed = {"limit": 1, "queues": queues, **changes}
    change_pool(made.ports, POOL, lambda pool: replace(pool, **changed))
    come(made, None)
    return made


def come(made: World, start_by: int | None, **more: Any) -> str:
    made.now += 10
    uuid = submit(made.ports, Request(POOL, start_by_seconds=start_by, **more)).run.uuid
    deliver(made)
    return uuid


def deliver(made: World) -> None:
    for _ in range(3):
        made.deliver_all()


def run(made: World, uuid: str) -> Run:
    found = made.store.run(POOL, uuid)
    assert found is not None
    return found


def order(made: World, count: int) -> list[str]:
    """Who gets the slot, one after the other."""
    found = []
    for _ in range(count):
        for container in made.platform.live():
            made.platform.end(container, 0)
        deliver(made)
        found += [holder.run for holder in made.store.ledger(POOL).holders]
    return found


def test_earliest_first_and_those_without_a_time_after_them() -> None:
    made = world()
    plain, late, soon, later = (come(made, s) for s in (None, 3600, 60, 86_400))
    assert order(made, 4) == [soon, late, later, plain]


def test_a_run_without_a_time_is_passed_for_no_longer_than_the_longest_time() -> None:
    made = world()
    plain = come(made, None)
    made.now += 7 * 86_400_000
    soon = come(made, 10)
    assert order(made, 2) == [plain, soon]


def test_the_order_is_within_the_queue() -> None:
    made = world()
    low, high = come(made, 10, queue="low"), come(made, None)
    assert order(made, 2) == [high, low]


def test_with_ageing_it_takes_no_turn_of_another_queue() -> None:
    made = world(ageing_seconds=600)
    low, high = come(made, 10, queue="low"), come(made, None)
    assert order(made, 2) == [high, low]


def test_an_aged_queue_keeps_its_turn_and_gives_it_to_the_earliest() -> None:
    made = world(ageing_seconds=60)
    old = come(made, None, queue="low")
    made.now += 120_000
    soon, high = come(made, 10, queue="low"), come(made, None)
    assert order(made, 3) == [soon, old, high]


@pytest.mark.parametrize("wakes", [True, False])
def test_a_run_of_the_future_waits_beside_the_line_and_comes_in_its_order(wakes: bool) -> None:
    made = world()
    later = come(made, 60, at=made.now + 600_000)
    assert [place.lane for place in made.store.line(POOL, "default", 9, lane="")] == [NOT_DUE_LANE]
    assert later not in {place.run for place in made.line()}
    plain = come(made, None)
    made.now += 600_000
    if not wakes:  # The wake-up is lost: the sweep finds it.
        made.mail.waiting.clear()
        made.sweep()
    deliver(made)
    assert order(made, 2) == [later, plain]
    assert made.store.line(POOL, "default", 9, lane="") == []
    assert made.line() == []


def test_what_waits_for_its_time_survives_its_queue() -> None:
    made = world()
    later = come(made, 60, queue="low", at=made.now + 600_000)
    delete_queue(made.ports, POOL, "low")
    deliver(made)
    made.now += 600_000
    deliver(made)
    assert order(made, 1) == [later]


def test_it_is_warned_once_before_the_time() -> None:
    made = world()
    waits = come(made, 600)
    made.sweep()
    assert run(made, waits).warned_at is None
    made.now += 490_000
    made.store.changes.clear()
    for _ in range(3):
        made.sweep()
    reported = [event for change in made.store.changes if (event := notification_of(change))]
    assert [(event["run"], event["reason"]) for event in reported] == [
        (f"{POOL}.{waits}", "start_by_at_risk")
    ]
    assert reported[0]["start_by"]
    deliver(made)
    made.sweep()
    assert explain(made.ports, f"{POOL}.{waits}").numbers["seconds until it should start"] == 110
    made.now += 200_000
    late = explain(made.ports, f"{POOL}.{waits}").numbers
    assert late["seconds since it should have started"] == 90
    assert order(made, 1) == [waits]


def test_who_has_started_is_not_warned_of() -> None:
    made = World()
    uuid = come(made, 600)
    made.now += 590_000
    made.sweep()
    assert run(made, uuid).warned_at is None


def test_a_retry_has_no_time_any_more() -> None:
    made = World()
    uuid = come(made, 60, retries=1, retry_delay_seconds=0)
    change_pool(made.ports, POOL, lambda pool: replace(pool, limit=0))
    [container] = made.platform.live()
    made.platform.end(container, 1)
    deliver(made)
    [place] = made.line()
    assert (place.run, place.start_by, place.placed) == (uuid, None, run(made, uuid).due)


def test_a_boost_goes_before_all() -> None:
    made = world()
    soon, plain = come(made, 10), come(made, None)
    boost(made.ports, f"{POOL}.{plain}")
    deliver(made)
    assert order(made, 2) == [plain, soon]


@pytest.mark.parametrize("seconds", [0, 604_801])
def test_a_time_out_of_bounds_is_refused(seconds: int) -> None:
    with pytest.raises(Invalid, match=r"start_by_seconds .* from 1 to 604800"):
        come(World(), seconds)
