"""Which runs start, in which order, and why do the others wait?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from types import MappingProxyType

import pytest
from hypothesis import given, strategies as st

from push_dispatch.core.admission import HANDOVER_SECONDS, Decision, Snapshot, apply, decide
from push_dispatch.core.model import (
    MAX_SLOTS,
    Collision,
    Holder,
    Ledger,
    Pool,
    Queue,
    Rate,
    Ready,
    Starts,
)

NOW = 1_800_000_000_000
QUEUES = (Queue("low", 10), Queue("critical", 1), Queue("high", 5))


def pool(*queues: Queue, **changed: object) -> Pool:
    return replace(Pool("p", "process", queues=queues or QUEUES, version=7), **changed)  # type: ignore[arg-type]


def ready(run: str, queue: str = "high", **changed: object) -> Ready:
    return replace(Ready(queue, NOW, run, run, 1), **changed)  # type: ignore[arg-type]


def holder(run: str, queue: str = "high", **changed: object) -> Holder:
    return replace(Holder(run, 1, queue, NOW), **changed)  # type: ignore[arg-type]


def snapshot(
    pool: Pool,
    line: Sequence[Ready],
    holders: Sequence[Holder] = (),
    starts: Mapping[str, Starts] = MappingProxyType({}),
) -> Snapshot:
    by_queue = {q.name: [r for r in line if r.queue == q.name] for q in pool.queues}
    return Snapshot(pool, Ledger("p", 3, tuple(holders), starts), by_queue)


def admitted(decision: Decision) -> list[str]:
    return [entry.run for entry in decision.admit]


def waiting(decision: Decision) -> dict[str, str]:
    return {wait.ready.run: wait.reason for wait in decision.wait}


# -- order --------------------------------------------------------------------------------------


def test_the_queue_of_the_lowest_number_is_served_first() -> None:
    line = [ready("a", "low"), ready("b", "high"), ready("c", "critical")]

    assert admitted(decide(snapshot(pool(), line), NOW)) == ["c", "b", "a"]


def test_within_a_queue_the_line_is_kept() -> None:
    assert admitted(decide(snapshot(pool(limit=2), [ready(r) for r in "xyz"]), NOW)) == ["x", "y"]


def test_a_queue_that_is_held_back_holds_nobody_back() -> None:
    queues = (Queue("critical", 1, limit=1), Queue("high", 5, paused=True), Queue("low", 10))
    line = [ready("a", "critical"), ready("b", "critical"), ready("c"), ready("d", "low")]

    decision = decide(snapshot(pool(*queues), line), NOW)

    assert admitted(decision) == ["a", "d"]
    assert waiting(decision) == {"b": "queue_limit", "c": "queue_paused"}


def test_a_run_that_is_held_back_by_its_key_holds_nobody_back() -> None:
    line = [ready("a", concurrency_key="k"), ready("b", concurrency_key="k"), ready("c")]

    decision = decide(snapshot(pool(key_limit=1), line), NOW)

    assert (admitted(decision), waiting(decision)) == (["a", "c"], {"b": "key_limit"})


# -- why a run waits ----------------------------------------------------------------------------

WAITS = [
    ("not_due", pool(), ready("r", due=NOW + 1), ()),
    ("pool_paused", pool(paused=True), ready("r"), ()),
    ("queue_paused", pool(Queue("high", 1, paused=True)), ready("r"), ()),
    ("pool_limit_zero", pool(limit=0), ready("r"), ()),
    ("queue_limit_zero", pool(Queue("high", 1, limit=0)), ready("r"), ()),
    ("queue_limit", pool(Queue("high", 1, limit=1)), ready("r"), [holder("h")]),
    ("pool_limit", pool(limit=1), ready("r"), [holder("h", "low")]),
    ("key_limit", pool(key_limit=0), ready("r", concurrency_key="k"), ()),
    (
        "key_limit",
        pool(Queue("high", 1, key_limit=1)),
        ready("r", concurrency_key="k"),
        [holder("h", concurrency_key="k")],
    ),
    (
        "deployment_limit",
        pool(deployment_limits={"d": 1}),
        ready("r", deployment="d"),
        [holder("h", deployment="d")],
    ),
    ("handing_over", pool(), ready("r"), [holder("r")]),
]


@pytest.mark.parametrize(("reason", "pool", "entry", "holders"), WAITS)
def test_a_reason_to_wait(reason: str, pool: Pool, entry: Ready, holders: Sequence[Holder]) -> None:
    decision = decide(snapshot(pool, [entry], holders), NOW)

    assert waiting(decision) == {"r": reason}
    assert not decision.admit


def test_a_pool_without_a_limit_is_full_at_some_time() -> None:
    holders = [holder(str(n)) for n in range(MAX_SLOTS)]

    assert waiting(decide(snapshot(pool(), [ready("r")], holders), NOW)) == {"r": "pool_full"}


def test_what_a_person_decided_comes_before_what_is_full() -> None:
    full = pool(Queue("high", 1, paused=True, limit=0), limit=0, paused=True)

    assert waiting(decide(snapshot(full, [ready("r")]), NOW)) == {"r": "pool_paused"}


def test_a_lowered_limit_stops_nothing_and_starts_nothing() -> None:
    decision = decide(snapshot(pool(limit=1), [ready("r")], [holder("a"), holder("b")]), NOW)

    assert waiting(decision) == {"r": "pool_limit"}


def test_another_key_has_slots_of_its_own() -> None:
    held = [holder("h", concurrency_key="k")]
    line = [ready("r", concurrency_key="other")]

    assert admitted(decide(snapshot(pool(key_limit=1), line, held), NOW)) == ["r"]


def test_a_key_that_is_full_in_its_queue_has_room_in_another() -> None:
    queues = (Queue("high", 1, key_limit=1), Queue("low", 2))
    held = [holder("h", "high", concurrency_key="k")]
    line = [ready("r", "low", concurrency_key="k")]

    assert admitted(decide(snapshot(pool(*queues), line, held), NOW)) == ["r"]


# -- what else becomes of a place ----------------------------------------------------------------


def test_a_hand_over_that_was_not_finished_is_repeated() -> None:
    late = NOW + HANDOVER_SECONDS * 1000
    at_hand = snapshot(pool(limit=1), [ready("r")], [holder("r")])

    assert decide(at_hand, late - 1).resend == ()
    assert [entry.run for entry in decide(at_hand, late).resend] == ["r"]


def test_who_comes_too_late_expires_even_in_a_paused_pool() -> None:
    decision = decide(snapshot(pool(paused=True), [ready("r", expires=NOW)]), NOW)

    assert [entry.run for entry in decision.expire] == ["r"]
    assert not decision.admit


def test_who_holds_a_slot_does_not_expire() -> None:
    decision = decide(snapshot(pool(), [ready("r", expires=NOW)], [holder("r")]), NOW)

    assert decision.expire == ()


def test_a_run_that_collides_is_cancelled_if_its_deployment_says_so() -> None:
    line = [ready("r", deployment="d", collision=Collision.CANCEL_NEW)]
    held = [holder("h", deployment="d")]

    decision = decide(snapshot(pool(deployment_limits={"d": 1}), line, held), NOW)

    assert [entry.run for entry in decision.collide] == ["r"]


@pytest.mark.parametrize(
    "held_back", [{"paused": True}, {"limit": 0}, {"limit": 1}, {"rate": Rate(1, 60)}]
)
def test_a_collision_is_a_fact_about_the_deployment_alone(held_back: dict[str, object]) -> None:
    line = [ready("r", deployment="d", collision=Collision.CANCEL_NEW)]
    held = [holder("h", deployment="d")]

    decision = decide(snapshot(pool(deployment_limits={"d": 1}, **held_back), line, held), NOW)

    assert [entry.run for entry in decision.collide] == ["r"]


def test_a_run_that_is_not_due_does_not_collide_yet() -> None:
    line = [ready("r", due=NOW + 1, deployment="d", collision=Collision.CANCEL_NEW)]

    decision = decide(snapshot(pool(deployment_limits={"d": 0}), line), NOW)

    assert (decision.collide, waiting(decision)) == ((), {"r": "not_due"})


def test_no_more_than_asked_are_admitted() -> None:
    decision = decide(snapshot(pool(), [ready("a"), ready("b")]), NOW, at_most=1)

    assert (admitted(decision), waiting(decision)) == (["a"], {"b": "admissible"})


def test_a_queue_is_hungry_while_a_run_without_a_key_would_start() -> None:
    queues = (Queue("full", 1, limit=1), Queue("open", 2), Queue("paused", 3, paused=True))
    decision = decide(snapshot(pool(*queues), [ready("a", "full")]), NOW)

    assert decision.hungry == {"open"}


# -- rates --------------------------------------------------------------------------------------


def test_a_rate_counts_the_starts_of_its_window() -> None:
    limited = pool(rate=Rate(2, 60))
    line = [ready("a"), ready("b")]

    spent = decide(snapshot(limited, line, (), {"": ((NOW - 59_999, 1),)}), NOW)
    assert (admitted(spent), waiting(spent)) == (["a"], {"b": "rate_limit"})

    free = decide(snapshot(limited, line, (), {"": ((NOW - 60_000, 1),)}), NOW)
    assert admitted(free) == ["a", "b"]


def test_a_queue_whose_rate_is_spent_holds_nobody_back() -> None:
    queues = (Queue("high", 1, rate=Rate(1, 60)), Queue("low", 2))
    line = [ready("a"), ready("b", "low")]

    assert admitted(decide(snapshot(pool(*queues), line, (), {"high": ((NOW, 1),)}), NOW)) == ["b"]


# -- the ledger after it -------------------------------------------------------------------------


def test_the_commit_says_what_was_decided() -> None:
    at_hand = snapshot(
        pool(rate=Rate(5, 60)), [], [holder("h")], {"": ((NOW - 70_000, 1), (NOW - 1, 1))}
    )

    after = apply(at_hand, [ready("r", concurrency_key="k", deployment="d")], NOW)

    assert after.version == 4
    assert after.configuration == 7
    assert after.holders == (holder("h"), Holder("r", 1, "high", NOW, "k", "d"))
    assert after.starts == {"": ((NOW - 1, 1), (NOW, 1))}


def test_a_pool_without_rates_keeps_no_times() -> None:
    assert apply(snapshot(pool(), []), [ready("r")], NOW).starts == {}


# -- for any pool, line and ledger ----------------------------------------------------------------

LIMITS = st.none() | st.integers(0, 3)
POOLS = st.builds(
    lambda names, limits, paused, limit, key: pool(
        *(Queue(n, i + 1, limit=limits[i], paused=paused[i]) for i, n in enumerate(names)),
        limit=limit,
        key_limit=key,
    ),
    st.permutations(["low", "critical", "high"]),
    st.tuples(LIMITS, LIMITS, LIMITS),
    st.tuples(*[st.sampled_from([False, False, True])] * 3),
    LIMITS,
    st.none() | st.integers(0, 2),
)
NAMES = st.sampled_from(["low", "critical", "high"])
LINES = st.lists(
    st.tuples(NAMES, st.sampled_from(["", "k"]), st.sampled_from([-1, 0, 1])), max_size=8
).map(
    lambda rows: [
        ready(f"r{n}", queue, concurrency_key=key, due=NOW + due)
        for n, (queue, key, due) in enumerate(rows)
    ]
)
HELD = st.lists(NAMES, max_size=4).map(
    lambda names: [holder(f"h{n}", q) for n, q in enumerate(names)]
)


@given(POOLS, LINES, HELD)
def test_no_place_is_forgotten_or_served_twice(
    pool: Pool, line: list[Ready], held: list[Holder]
) -> None:
    d = decide(snapshot(pool, line, held), NOW)

    served = chain(d.admit, d.resend, d.expire, d.collide, (wait.ready for wait in d.wait))
    assert sorted(entry.run for entry in served) == sorted(entry.run for entry in line)


@given(POOLS, LINES, HELD)
def test_limits_hold_and_nobody_who_could_start_waits(
    pool: Pool, line: list[Ready], held: list[Holder]
) -> None:
    at_hand = snapshot(pool, line, held)
    after = apply(at_hand, decide(at_hand, NOW).admit, NOW)

    new = after.holders[len(held) :]
    if new:
        assert pool.limit is None or len(after.holders) <= pool.limit
    for queue in pool.queues:
        if queue.limit is not None and any(h.queue == queue.name for h in new):
            assert sum(h.queue == queue.name for h in after.holders) <= queue.limit
    settled = decide(replace(at_hand, ledger=after), NOW)
    assert settled.admit == ()


@given(POOLS, LINES, HELD, st.integers(1, 3))
def test_a_few_at_a_time_come_to_the_same(
    pool: Pool, line: list[Ready], held: list[Holder], at_most: int
) -> None:
    at_hand = snapshot(pool, line, held)
    at_once = decide(at_hand, NOW).admit

    one_by_one: list[Ready] = []
    while batch := decide(at_hand, NOW, at_most=at_most).admit:
        one_by_one += batch
        at_hand = replace(at_hand, ledger=apply(at_hand, batch, NOW))

    assert tuple(one_by_one) == at_once
