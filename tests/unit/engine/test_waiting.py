"""Is a submission refused beyond `max_waiting`, and only then?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Barrier, Thread
from typing import Any

import pytest

from push_dispatch.control.deployments import save_deployment
from push_dispatch.control.pools import change_pool
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.errors import Invalid, Refused
from push_dispatch.core.model import NamedLimit, Queue, Ready
from push_dispatch.core.request import Request
from push_dispatch.core.waiting import WAITING
from push_dispatch.engine.reorder import boost
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit_many
from push_dispatch.handlers.submit import handle
from tests.fakes.faults import Point
from tests.fakes.world import POOL, World


def world(**changes: Any) -> World:
    made = World()
    changed = {"limit": 1, "queues": (Queue("default", 1), Queue("free", 2)), **changes}
    change_pool(made.ports, POOL, lambda pool: replace(pool, **changed))
    return made


def bounded(most: int = 2) -> World:
    return world(queues=(Queue("default", 1, max_waiting=most), Queue("free", 2)))


def submitted(made: World, count: int = 1, **request: Any) -> list[str]:
    runs = submit_many(made.ports, [Request(POOL, **request)] * count)
    for _ in range(2):
        made.deliver_all()
    return [entry.run.uuid for entry in runs]


def seats(made: World) -> Sequence[Ready]:
    return made.store.line(POOL, WAITING, 1000, lane="")


def test_a_submission_beyond_it_is_refused_with_the_number() -> None:
    made = bounded()
    submitted(made)  # It starts, and does not wait.
    submitted(made, 2)

    with pytest.raises(Refused, match=r"2 runs of queue 'default' wait .* max_waiting is 2") as no:
        submitted(made)

    assert no.value.reason == "too_many_waiting"
    assert len(made.runs()) == 3
    submitted(made, queue="free")


def test_all_runs_of_a_submission_are_taken_or_none() -> None:
    made = bounded()
    with pytest.raises(Refused, match="3 runs are refused: 0 runs of queue"):
        submitted(made, 3)
    assert made.runs() == []
    assert not seats(made)


DEPLOYMENT = Deployment("d", POOL, max_waiting=1, command="true")


@pytest.mark.parametrize(
    ("changes", "request_", "what"),
    [
        ({"key_max_waiting": 1}, {"concurrency_key": "k"}, "the concurrency key 'k'"),
        (
            {"limits": (NamedLimit("tenant", "{{ tags.tenant }}", max_waiting=1),)},
            {"tags": ("tenant:acme",)},
            "limit 'tenant', key 'acme'",
        ),
        ({}, {"deployment": "d"}, "deployment 'd'"),
    ],
)
def test_a_key_a_named_limit_and_a_deployment_have_their_own(
    changes: dict[str, Any], request_: dict[str, Any], what: str
) -> None:
    made = world(limit=0, **changes)
    save_deployment(made.ports, DEPLOYMENT)
    submitted(made, **request_)
    with pytest.raises(Refused, match=f"1 runs of {what} wait"):
        submitted(made, **request_)
    submitted(made)


def test_who_starts_is_cancelled_or_expires_makes_room() -> None:
    made = bounded(1)
    submitted(made)
    [waits] = submitted(made)
    cancel(made.ports, f"{POOL}.{waits}")
    made.deliver_all()
    submitted(made, start_within=5)
    made.now += 10_000
    made.sweep()
    assert not seats(made)
    [last] = submitted(made)
    for container in made.platform.live():
        made.platform.end(container, 0)
    for _ in range(3):
        made.deliver_all()
    assert made.store.ledger(POOL).holders[0].run == last
    assert not seats(made)


def test_a_retry_is_no_submission() -> None:
    made = bounded(1)
    submitted(made, retries=1, retry_delay_seconds=0)
    submitted(made)
    [container] = made.platform.live()
    made.platform.end(container, 1)
    made.deliver_all()  # It waits again, behind the other, and nothing is refused.
    assert len(seats(made)) == 1


def test_the_same_request_again_is_not_refused() -> None:
    made = bounded(1)
    [first] = submitted(made, queue="default", idempotency_key="once", at=made.now + 60_000)
    assert submitted(made, idempotency_key="once", at=made.now + 60_000) == [first]
    assert len(seats(made)) == 1
    with pytest.raises(Refused):
        submitted(made, idempotency_key="another")


def test_what_a_killed_submission_leaves_is_forgotten() -> None:
    made = bounded(1)
    left = Ready(WAITING, 0, made.ports.new_id(), made.ports.new_id(), 1)
    there = submitted(made, at=made.now + 60_000)
    [seat] = seats(made)
    cancel(made.ports, f"{POOL}.{there[0]}")
    made.deliver_all()
    made.store.enqueue(POOL, [replace(left, lane=seat.lane)], made.now)

    with pytest.raises(Refused):  # It may be on its way.
        submitted(made)
    made.now += 121_000
    submitted(made)


def test_the_sweep_removes_the_seats_of_who_does_not_wait() -> None:
    made = bounded(5)
    submitted(made, 2, at=made.now + 10**9)
    [first, second] = seats(made)
    stale = replace(first, order=second.order, run=second.run, lane="0" * 20)
    made.store.enqueue(POOL, [stale], made.now)
    made.sweep()
    assert {(seat.run, seat.lane) for seat in seats(made)} == {
        (first.run, first.lane),
        (second.run, second.lane),
    }


def test_a_run_that_is_moved_in_line_keeps_its_seat() -> None:
    made = bounded(3)
    submitted(made)
    _, second = submitted(made, 2)
    boost(made.ports, f"{POOL}.{second}")
    made.deliver_all()
    assert len(seats(made)) == 2


def test_who_is_parked_keeps_its_seat_when_the_sweep_looks_at_it() -> None:
    made = world(limit=5, key_limit=1, key_max_waiting=50)
    submitted(made, 1, concurrency_key="k")
    submitted(made, 40, concurrency_key="k")
    assert made.store.line(POOL, "default", 1, lane="")
    made.sweep()
    assert len(seats(made)) == 40


def test_many_at_once_never_exceed_it() -> None:
    """Real threads: of all that come at once no more are taken than may wait."""
    made = world(limit=0, queues=(Queue("default", 1, max_waiting=5), Queue("free", 2)))
    start, refused = Barrier(16), list[str]()

    def comes() -> None:
        start.wait()
        try:
            submit_many(made.ports, [Request(POOL)])
        except Refused as error:
            refused.append(error.reason)

    threads = [Thread(target=comes) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made.runs()) <= 5
    assert len(made.runs()) + len(refused) == 16
    assert len(seats(made)) == len(made.runs())


def test_who_comes_between_the_count_and_the_seat_is_counted() -> None:
    made = world(limit=0, queues=(Queue("default", 1, max_waiting=1), Queue("free", 2)))
    comes = Point("enqueue", False)

    def another() -> None:
        submit_many(made.ports, [Request(POOL)])

    made.faults.arm(comes, another)
    with pytest.raises(Refused):
        submit_many(made.ports, [Request(POOL)])
    assert len(made.runs()) == len(seats(made)) == 1


def test_an_event_that_is_refused_says_why() -> None:
    made = bounded(0)
    answer = handle(made.ports, {"detail": {"pool": POOL, "job_variables": {"command": "true"}}})
    assert answer["reason"] == "too_many_waiting"


def test_pools_without_it_count_nothing() -> None:
    made = world()
    submitted(made, 2)
    assert not seats(made)


@pytest.mark.parametrize("most", [-1, 10_001, True])
def test_what_is_no_number_of_runs_is_refused(most: int) -> None:
    with pytest.raises(Invalid, match=r"max_waiting .* an integer from 0 to 10000"):
        world(queues=(Queue("default", 1, max_waiting=most),))
    with pytest.raises(Invalid, match="max_waiting"):
        world(key_max_waiting=most)
    with pytest.raises(Invalid, match="max_waiting"):
        world(limits=(NamedLimit("x", max_waiting=most),))
