"""Do named limits, capacity and ageing keep what they promise, whatever comes?"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings, strategies as st

from push_dispatch.core.admission import Snapshot, apply, decide
from push_dispatch.core.ageing import passed_until
from push_dispatch.core.model import (
    Backfill,
    Holder,
    Ledger,
    NamedLimit,
    Pool,
    Queue,
    Rate,
    Ready,
)
from push_dispatch.core.simulate import Arrival, Simulated, simulate

NOW = 1_800_000_000_000
UNITS = ("vcpu", "gpu", "licence:x")
NAMES = ("tenant", "table", "everyone")
QUEUES = (Queue("first", 1), Queue("second", 2, limit=3), Queue("third", 5))

WEIGHTS = st.dictionaries(st.sampled_from(UNITS), st.integers(1, 6), max_size=3).map(
    lambda given: tuple(given.items())
)
KEYS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from("xy"), max_size=3).map(
    lambda given: tuple(given.items())
)
POOLS = st.builds(
    Pool,
    st.just("p"),
    st.just("process"),
    limit=st.sampled_from([None, 4]),
    queues=st.just(QUEUES),
    limits=st.lists(
        st.builds(
            NamedLimit,
            st.sampled_from(NAMES),
            limit=st.none() | st.integers(0, 3),
            rate=st.none() | st.builds(Rate, st.integers(1, 3), st.just(10)),
        ),
        max_size=3,
        unique_by=lambda limit: limit.name,
    ).map(tuple),
    capacity=st.dictionaries(st.sampled_from(UNITS), st.integers(0, 9), max_size=3),
    backfill=st.sampled_from(list(Backfill)),
    ageing_seconds=st.sampled_from([None, 5, 600]),
)
RUNS = st.builds(
    Ready,
    queue=st.sampled_from([queue.name for queue in QUEUES]),
    due=st.just(0),
    order=st.just(""),
    run=st.just(""),
    attempt=st.just(1),
    keys=KEYS,
    weights=WEIGHTS,
    timeout_seconds=st.sampled_from([None, 20, 100]),
)
ARRIVALS = st.lists(
    st.builds(Arrival, st.integers(NOW, NOW + 30_000), st.integers(1, 20_000), RUNS), max_size=25
).map(
    lambda given: [
        replace(arrival, ready=replace(arrival.ready, due=arrival.at, order=name, run=name))
        for name, arrival in ((f"r{n:02d}", arrival) for n, arrival in enumerate(given))
    ]
)


@settings(max_examples=300, deadline=None)
@given(POOLS, ARRIVALS)
def test_no_limit_and_no_capacity_is_ever_exceeded(pool: Pool, arrivals: list[Arrival]) -> None:
    """Checked on what happened, by code that does not use `decide()`."""
    started = [run for run in simulate(pool, arrivals) if run.started is not None]
    limits = {limit.name: limit for limit in pool.limits}
    for at in {run.started for run in started}:
        now = [run for run in started if run.started <= at < run.ended]  # type: ignore[operator]
        taken: Counter[str] = Counter()
        held: Counter[tuple[str, str]] = Counter()
        for run in now:
            taken.update(dict(run.arrival.ready.weights))
            held.update(run.arrival.ready.keys)
        assert all(taken[unit] <= total for unit, total in pool.capacity.items())
        for (name, _), count in held.items():
            if name in limits and limits[name].limit is not None:
                assert count <= limits[name].limit  # type: ignore[operator]
    for name, limit in limits.items():
        if limit.rate is not None:
            _check_rate(started, name, limit.rate)


def _check_rate(started: list[Simulated], name: str, rate: Rate) -> None:
    times: dict[str, list[int]] = {}
    for run in started:
        if name in dict(run.arrival.ready.keys):
            times.setdefault(dict(run.arrival.ready.keys)[name], []).append(run.started or 0)
    for of_key in times.values():
        of_key.sort()
        for first, last in zip(of_key, of_key[rate.starts :], strict=False):
            assert last - first >= rate.period_seconds * 1000


@settings(max_examples=300, deadline=None)
@given(ARRIVALS, st.integers(1, 3), st.sampled_from([1, 5, 600]))
def test_with_ageing_nobody_is_passed_by_more_than_the_bound_says(
    arrivals: list[Arrival], limit: int, step: int
) -> None:
    """One kind of run only, so that nothing but the order holds anybody back."""
    pool = Pool("p", "process", limit=limit, queues=_plain(QUEUES), ageing_seconds=step)
    plain = [replace(a, ready=replace(a.ready, keys=(), weights=())) for a in arrivals]
    fates = [fate for fate in simulate(pool, plain) if fate.started is not None]
    assert len(fates) == len(plain)
    for one in fates:
        until = passed_until(pool, one.arrival.ready)
        passed_by = [
            other
            for other in fates
            if other.arrival.at > one.arrival.at and (other.started or 0) < (one.started or 0)
        ]
        assert all(other.arrival.at <= until.get(other.arrival.queue, 0) for other in passed_by)
        bound = sum(
            other.arrival.at <= until.get(other.arrival.queue, 0)
            for other in fates
            if other.arrival.at > one.arrival.at
        )
        assert len(passed_by) <= bound


@settings(max_examples=200, deadline=None)
@given(ARRIVALS)
def test_a_step_without_end_is_the_strict_order(arrivals: list[Arrival]) -> None:
    pool = Pool("p", "process", limit=2, queues=_plain(QUEUES))
    aged = replace(pool, ageing_seconds=31_622_400)

    assert list(simulate(aged, arrivals)) == list(simulate(pool, arrivals))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(WEIGHTS, st.integers(1, 100)), max_size=6), ARRIVALS)
def test_backfilling_never_delays_the_head(
    held: list[tuple[tuple[tuple[str, int], ...], int]], arrivals: list[Arrival]
) -> None:
    """If everybody, also those let in, runs until the end of the timeout, the head starts no later
    than without them."""
    capacity = dict.fromkeys(UNITS, 9)
    holders: list[Holder] = []
    taken: Counter[str] = Counter()
    for weights, timeout in held:
        if all(taken[unit] + amount <= 9 for unit, amount in weights):
            taken.update(dict(weights))
            until = NOW + timeout * 1000
            holders.append(
                Holder(f"h{len(holders)}", 1, "first", NOW, weights=weights, until=until)
            )
    line = [replace(arrival.ready, queue="first", due=NOW) for arrival in arrivals]
    starts = {}
    for backfill in Backfill:
        pool = Pool("p", "process", queues=_plain(QUEUES), capacity=capacity, backfill=backfill)
        snapshot = Snapshot(pool, Ledger("p", 1, tuple(holders)), {"first": line})
        decision = decide(snapshot, NOW)
        heads = [wait.ready for wait in decision.wait if wait.reason == "capacity"]
        if not heads:
            return
        after = apply(snapshot, decision.admit, NOW)
        starts[backfill] = heads[0], _free_at(capacity, after.holders, heads[0], decision.admit)
    (head, plain), (same, filled) = starts[Backfill.NONE], starts[Backfill.CONSERVATIVE]
    assert head == same
    assert filled <= plain


def _free_at(
    capacity: dict[str, int],
    holders: tuple[Holder, ...],
    head: Ready,
    admitted: tuple[Ready, ...],
) -> float:
    """When the head fits if everybody ends at the last moment, counted second by second."""
    timeouts = {ready.run: ready.timeout_seconds for ready in admitted}
    ends = {
        holder.run: (
            holder.until
            if holder.run not in timeouts
            else None
            if timeouts[holder.run] is None
            else NOW + (timeouts[holder.run] or 0) * 1000 + 120_000
        )
        for holder in holders
    }
    for at in sorted({NOW, *(end for end in ends.values() if end is not None)}):
        left = [h for h in holders if (end := ends[h.run]) is None or end > at]
        taken: Counter[str] = Counter()
        for holder in left:
            taken.update(dict(holder.weights))
        if all(taken[unit] + amount <= capacity[unit] for unit, amount in head.weights):
            return at
    return float("inf")


def _plain(queues: tuple[Queue, ...]) -> tuple[Queue, ...]:
    return tuple(replace(queue, limit=None) for queue in queues)


def test_the_merge_keeps_each_line_in_its_order() -> None:
    pool = Pool("p", "process", limit=1, queues=_plain(QUEUES), ageing_seconds=10)
    line = [Ready("third", NOW + n, str(n), str(n), 1) for n in (3, 1, 2)]
    decision = decide(Snapshot(pool, Ledger("p"), {"third": line}), NOW + 10)
    order = [*decision.admit, *(wait.ready for wait in decision.wait)]
    assert order == line
    assert all(a.queue == b.queue for a, b in pairwise(order))
