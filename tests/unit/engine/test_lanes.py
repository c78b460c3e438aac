"""Does a run whose key is full stand in nobody's way, however many there are, and come back?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.control.pools import change_pool, delete_queue
from push_dispatch.core.model import NamedLimit, Pool, Queue, Rate, Ready, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.hints import Hints
from push_dispatch.engine.lanes import park, surface
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit_many
from push_dispatch.insight.explain import explain
from tests.fakes.world import POOL, World

QUEUES = (Queue("default", 1), Queue("low", 2))


class Counted:
    """A store that counts the places that are read from the line."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.read = 0
        self.passes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def overview(self, pool: str) -> Any:
        """A pass begins with this read."""
        seen = self._store.overview(pool)
        self.passes.append(sum(len(heads.places) for heads in seen.heads.values()))
        return seen

    def line(self, *arguments: Any, **named: Any) -> list[Ready]:
        found: list[Ready] = self._store.line(*arguments, **named)
        self.passes[-1:] = [(self.passes or [0])[-1] + len(found)]
        return found


def world(limit: int = 10, **changes: Any) -> World:
    made = World()
    change_pool(made.ports, POOL, lambda pool: replace(pool, limit=limit, queues=QUEUES, **changes))
    return made


def submitted(made: World, count: int, **request: Any) -> list[str]:
    requests = [Request(POOL, **request)] * count
    uuids = [entry.run.uuid for entry in submit_many(made.ports, requests)]
    made.deliver_changes(10_000)
    return uuids


def held(made: World) -> set[str]:
    return {holder.run for holder in made.store.ledger(POOL).holders}


def parked(made: World, queue: str = "default") -> list[str]:
    return [place.run for place in made.store.line(POOL, queue, 10_000, lane="")]


def end(made: World, uuid: str) -> None:
    """Let a run that was admitted run and end."""
    for delivery in made.due_messages():
        made.deliver_message(delivery)
    [handle] = [h for h in made.platform.live() if uuid.replace("-", "") in str(h).replace("-", "")]
    made.platform.end(handle, 0)
    made.deliver_all()
    made.deliver_all()


@pytest.mark.parametrize("ahead", [50, 1_100, 5_000])
def test_a_free_key_starts_however_many_of_a_full_one_wait_before_it(ahead: int) -> None:
    made = world(key_limit=1)
    busy = submitted(made, ahead, concurrency_key="busy")
    [free] = submitted(made, 1, concurrency_key="free")

    assert held(made) == {busy[0], free}


@pytest.mark.parametrize("ahead", [50, 1_100, 3_000])
def test_a_key_whose_rate_is_spent_stands_in_nobodys_way(ahead: int) -> None:
    made = world(limits=(NamedLimit("t", "{{ parameters.t }}", rate=Rate(2, 60)),))
    busy = submitted(made, ahead, parameters={"t": "busy"})
    [free] = submitted(made, 1, parameters={"t": "free"})
    assert held(made) == {*busy[:2], free}
    assert len(made.store.line(POOL, "default", 10_000)) < 50


@pytest.mark.parametrize("period", [10, 600])
def test_who_is_parked_for_a_rate_starts_when_time_lets_it_in(period: int) -> None:
    """Each of them in its turn, by the wakes alone: no run ends, and nothing sweeps."""
    made = world(limits=(NamedLimit("t", "{{ parameters.t }}", rate=Rate(2, period)),))
    runs = submitted(made, 60, parameters={"t": "x"})
    late = submitted(made, 3, parameters={"t": "x"})
    assert set(late) <= set(parked(made))
    for turn in range(1, 6):
        assert held(made) == set(runs[: 2 * turn]), turn
        made.now += period * 1000
        for _ in range(3):
            made.deliver_all()


@pytest.mark.parametrize(
    ("changes", "request_"),
    [
        ({"key_limit": 1}, {"concurrency_key": "k"}),
        ({"deployment_limits": {"d": 1}}, {"deployment": "d"}),
        ({"deployment_limits": {"nightly-" * 5: 1}}, {"deployment": "nightly-" * 5}),
        (
            {"limits": (NamedLimit("t", "{{ parameters.t }}", limit=1),)},
            {"parameters": {"t": "x"}},
        ),
    ],
)
def test_who_is_parked_follows_in_its_order(
    changes: dict[str, Any], request_: dict[str, Any]
) -> None:
    made = world(**changes)
    first, second, *rest = submitted(made, 60, **request_)
    late = submitted(made, 3, **request_)
    assert held(made) == {first}
    assert len(parked(made)) > 20
    assert set(late) <= set(parked(made))

    end(made, first)
    assert held(made) == {second}
    end(made, second)
    assert held(made) == {rest[0]}
    assert explain(made.ports, f"{POOL}.{late[0]}").ahead == len(rest) - 1


def test_a_small_line_parks_nobody() -> None:
    made = world(key_limit=1)
    submitted(made, 8, concurrency_key="k")
    assert parked(made) == []


def test_a_pass_reads_a_bounded_number_whatever_lies_ahead() -> None:
    made = world(key_limit=1, limit=5)
    blocker = submitted(made, 1, concurrency_key="busy")
    made.store.enqueue(POOL, [], made.now)
    runs = submit_many(made.ports, [Request(POOL, concurrency_key="busy")] * 3000)
    made.store.enqueue(POOL, [Ready.of(entry.run) for entry in runs], made.now)
    free = submit_many(made.ports, [Request(POOL, concurrency_key=f"k{n}") for n in range(9)])
    made.store.enqueue(POOL, [Ready.of(entry.run) for entry in free], made.now)
    counted = Counted(made.store)

    dispatch(replace(made.ports, store=counted), POOL)

    assert held(made) == {*blocker, *(entry.run.uuid for entry in free[:4])}
    assert max(counted.passes) <= 2 * 4 + 25


def test_places_that_come_back_from_lanes_have_no_head_read_twice() -> None:
    made = world(key_limit=1, limit=20)
    requests = [Request(POOL, concurrency_key=f"k{n // 10}") for n in range(400)]
    runs = submit_many(made.ports, requests)
    made.store.enqueue(POOL, [Ready.of(entry.run) for entry in runs], made.now)
    dispatch(made.ports, POOL)
    counted, before = Counted(made.store), held(made)
    [first, *_] = made.store.ledger(POOL).holders
    assert len(parked(made)) > 20

    dispatch(replace(made.ports, store=counted), POOL, Hints(ended={first.slot}))

    of_its_key = [e.run.uuid for e in runs if e.run.concurrency_key == first.concurrency_key]
    assert held(made) == before - {first.run} | {of_its_key[1]}
    assert max(counted.passes) <= 2 * 1 + 25


def test_a_lower_queue_waits_until_all_that_goes_first_was_read() -> None:
    made = world(key_limit=1, limit=2)
    [blocker] = submitted(made, 1, concurrency_key="busy")
    requests = [
        *[Request(POOL, concurrency_key="busy")] * 60,
        Request(POOL, concurrency_key="free"),
        Request(POOL, queue="low"),
    ]
    runs = [entry.run for entry in submit_many(made.ports, requests)]
    made.store.enqueue(POOL, [Ready.of(run) for run in runs], made.now)

    dispatch(made.ports, POOL)

    assert held(made) == {blocker, runs[60].uuid}


def test_who_is_cancelled_in_a_lane_does_not_keep_the_next_one_there() -> None:
    made = world(key_limit=1)
    first, second, third, *_ = submitted(made, 60, concurrency_key="k")
    for uuid in (second, third):
        cancel(made.ports, f"{POOL}.{uuid}")
    made.deliver_all()

    end(made, first)

    assert len(held(made)) == 1
    assert held(made).isdisjoint({first, second, third})


@pytest.mark.parametrize("limit", [2, None])
def test_a_limit_that_is_raised_or_removed_brings_them_back(limit: int | None) -> None:
    made = world(key_limit=1)
    submitted(made, 60, concurrency_key="k")
    assert parked(made)

    change_pool(made.ports, POOL, lambda pool: replace(pool, key_limit=limit))
    made.deliver_all()
    made.deliver_all()

    assert len(held(made)) == (2 if limit else 10)


def test_a_limit_of_zero_that_is_raised_brings_them_back() -> None:
    made = world(key_limit=0)
    submitted(made, 60, concurrency_key="k")
    assert parked(made)

    change_pool(made.ports, POOL, lambda pool: replace(pool, key_limit=3))
    made.deliver_all()

    assert len(held(made)) == 3


def test_the_sweep_finds_who_was_left_in_a_lane() -> None:
    made = world(key_limit=1)
    uuids = submitted(made, 60, concurrency_key="k")
    # As after a crash between the commit that frees the key and the look into its lane.
    ledger = made.store.ledger(POOL)
    made.store.commit(replace(ledger, version=ledger.version + 1, holders=()))
    for place in made.store.line(POOL, "default", 1000):
        made.store.dequeue(POOL, [place])
    [left, *_] = parked(made)

    made.sweep()

    assert held(made) == {left}
    assert left in uuids


def test_a_run_under_two_limits_waits_where_it_is_full_and_goes_on() -> None:
    table = NamedLimit("table", "{{ tags.table }}", limit=1)
    made = world(key_limit=1, limits=(table,))
    [a] = submitted(made, 1, concurrency_key="a")
    [b] = submitted(made, 1, concurrency_key="b", tags=("table:t",))
    both = submitted(made, 40, concurrency_key="a", tags=("table:t",))
    assert held(made) == {a, b}

    end(made, a)
    assert held(made) == {b}
    assert explain(made.ports, f"{POOL}.{both[0]}").reason == "named_limit"
    end(made, b)
    assert held(made) == {both[0]}


def test_a_queue_that_is_deleted_takes_its_lanes_along() -> None:
    made = world(key_limit=1)
    first, *rest = submitted(made, 60, concurrency_key="k", queue="low")
    assert parked(made, "low")

    delete_queue(made.ports, POOL, "low")
    made.deliver_all()

    assert parked(made, "low") == []
    end(made, first)
    assert held(made) == {rest[0]}


def test_who_expires_in_a_lane_ends() -> None:
    made = world(key_limit=1)
    first, *rest = submitted(made, 60, concurrency_key="k", start_within=60)
    made.now += 61_000
    made.sweep()
    made.deliver_all()
    states = {run.state for run in made.store.runs(POOL, rest).values()}
    assert states == {RunState.CANCELLED}
    end(made, first)
    assert parked(made) == []


def test_one_pass_that_parks_and_one_that_brings_back_leave_nobody_without_a_place() -> None:
    made = world(key_limit=1)
    first, *rest = submitted(made, 60, concurrency_key="k")
    pool, ledger = made.store.pool(POOL), made.store.ledger(POOL)
    assert isinstance(pool, Pool)
    [head] = made.store.line(
        POOL, "default", 1, lane=made.store.lanes(POOL, "default", "", 1)[0].lane
    )
    free = replace(ledger, holders=())

    class Between:
        """The other pass comes in after the first write."""

        def __getattr__(self, name: str) -> Any:
            return getattr(made.store, name)

        def enqueue(self, *arguments: Any) -> None:
            made.store.enqueue(*arguments)
            assert isinstance(pool, Pool)
            park(made.ports, pool, ledger, made.store.line(POOL, "default", 100))

    surface(replace(made.ports, store=Between()), pool, free, ledger.holders)

    assert first == ledger.holders[0].run
    assert head.run in rest
    assert made.store.in_line(POOL, [head]) == {head}


def test_pools_without_such_limits_read_no_lane() -> None:
    made = World()
    counted = Counted(made.store)
    submit_many(made.ports, [Request(POOL, concurrency_key="k", deployment="d")] * 20)
    made.collect()
    pool = made.store.pool(POOL)
    assert isinstance(pool, Pool)
    assert not pool.laned
    calls: list[Any] = []
    counted.line = lambda *a, **n: (calls.append(n.get("lane")), made.store.line(*a, **n))[1]  # type: ignore[method-assign,func-returns-value]
    ports = replace(made.ports, store=counted)
    from push_dispatch.engine.hints import hints_of

    dispatch(ports, POOL, hints_of(made.changes)[POOL])
    assert set(calls) <= {None}
