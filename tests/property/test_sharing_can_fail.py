"""Would a test notice if a clause of limits, capacity, ageing, lanes or collisions were missing?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from _pytest.outcomes import Failed

from push_dispatch.core import (
    admission,
    ageing,
    collision,
    debounce,
    model,
    usage,
    waiting as counting,
)
from push_dispatch.core.errors import Refused
from push_dispatch.core.model import Edge
from push_dispatch.engine import collide, dispatch, lanes, snapshot, sweep, waiting
from push_dispatch.insight import explain
from tests.fakes.world import World
from tests.property.test_engine_can_fail import _changed
from tests.unit.core import test_collision as colliding
from tests.unit.engine import (
    test_claims as claims,
    test_debounce as debouncing,
    test_lanes as parked,
    test_replacing as replacing,
    test_start_by as early,
    test_waiting as bounded,
)


def _replacing(test: Callable[..., None], **arguments: Any) -> Callable[[], None]:
    """A test of `test_replacing`, with the world that its fixture makes."""
    made: Callable[[], World] = replacing.world.__wrapped__  # type: ignore[attr-defined]
    return lambda: test(made(), **arguments)


def _ahead() -> None:
    parked.test_a_free_key_starts_however_many_of_a_full_one_wait_before_it(1_100)


def _follows() -> None:
    parked.test_who_is_parked_follows_in_its_order({"key_limit": 1}, {"concurrency_key": "k"})


CLAUSES: list[tuple[Any, str, str, str, Callable[[], None]]] = [
    (
        usage,
        "Used.named_reason",
        "self.named[scope] >= limit.limit",
        "False",
        claims.test_a_named_limit_is_shared_by_queues_and_deployments,
    ),
    (
        usage,
        "Used.starts_left",
        "rate.starts - self.starts[scope]",
        "rate.starts",
        claims.test_a_named_rate_counts_each_key,
    ),
    (
        usage,
        "Used.fits",
        "<= capacity[unit]",
        "<= capacity[unit] + 10**9",
        claims.test_the_capacity_is_never_exceeded_and_kept_for_the_head,
    ),
    (
        admission,
        "_Desk._may_pass",
        "ends <= starts < NEVER",
        "True",
        claims.test_a_short_run_may_pass_the_head_if_its_timeout_proves_it,
    ),
    (
        admission,
        "_Desk._keep",
        "self.used.keep(ready)",
        "None",
        claims.test_the_capacity_is_never_exceeded_and_kept_for_the_head,
    ),
    (
        ageing,
        "in_turn",
        "pool.ageing_seconds is None",
        "True",
        claims.test_ageing_lets_the_lower_queue_through_and_says_until_when_it_is_passed,
    ),
    (
        admission,
        "_Desk.reach_end",
        "queue.name in self.snapshot.unread",
        "False",
        parked.test_a_lower_queue_waits_until_all_that_goes_first_was_read,
    ),
    (lanes, "surface", "if e not in there", "if False", _follows),
    (
        lanes,
        "heads_of_lanes",
        "found += heads",
        "found += []",
        parked.test_the_sweep_finds_who_was_left_in_a_lane,
    ),
    (
        collide,
        "displaced",
        "entry.order < ports.store.newest(pool, group_of(entry))",
        "False",
        _replacing(replacing.test_who_was_overlooked_is_cancelled_when_its_turn_comes),
    ),
    (
        collision,
        "to_stop",
        "missing -= sum",
        "missing -= 0 * sum",
        colliding.test_who_stops_already_counts,
    ),
    (
        collide,
        "_supersede",
        "entry.collision in NEWEST_STAYS",
        "False",
        _replacing(replacing.test_of_those_that_wait_only_the_latest_stays, key=""),
    ),
    (
        collide,
        "stop_replaced",
        "entry.collision is not Collision.CANCEL_RUNNING",
        "True",
        _replacing(
            replacing.test_the_new_one_replaces_the_running_one_when_that_has_stopped, key=""
        ),
    ),
]

CLAUSES += [
    (
        collide,
        "_debounce",
        "other != order and is_near(entry, other)",
        "False",
        debouncing.test_on_the_leading_edge_the_first_starts_and_the_period_counts_from_it,
    ),
    (
        collide,
        "_debounce",
        "waits and order_of(place) < order_of(later) and is_near(later, order_of(place))",
        "False",
        debouncing.test_on_the_trailing_edge_the_last_starts_when_none_has_come_for_the_period,
    ),
    (
        debounce,
        "is_near",
        "abs(run.due - due) <",
        "-abs(run.due - due) <",
        lambda: debouncing.test_who_came_apart_is_left_alone(Edge.TRAILING),
    ),
    (
        debounce,
        "quiet_group",
        ":{slot_name(run.concurrency_key)}",
        "",
        lambda: debouncing.test_each_key_has_its_own_period(Edge.TRAILING),
    ),
    (
        snapshot,
        "_Line.drop_stale",
        "if entry.run in gone",
        "if False",
        lambda: debouncing.test_a_lost_record_of_either_run_changes_nothing(Edge.TRAILING),
    ),
    (
        model,
        "Ready.standing",
        "self.start_by is None",
        "True",
        lambda: early.test_a_run_of_the_future_waits_beside_the_line_and_comes_in_its_order(True),
    ),
    (
        sweep,
        "wake_due",
        "_bring_into_line(ports, pool, entry)",
        "pass",
        lambda: early.test_a_run_of_the_future_waits_beside_the_line_and_comes_in_its_order(False),
    ),
    (
        sweep,
        "wake_due",
        "entry.warns_at <= now",
        "False",
        early.test_it_is_warned_once_before_the_time,
    ),
    (
        ageing,
        "_aged",
        "accumulate((entry.counts_from + later for entry in reversed(line)), min)",
        "(entry.placed + later for entry in reversed(line))",
        early.test_with_ageing_it_takes_no_turn_of_another_queue,
    ),
    (
        collide,
        "settle_collisions",
        "e.start_by is not None",
        "False",
        lambda: early.test_a_run_of_the_future_waits_beside_the_line_and_comes_in_its_order(True),
    ),
    (
        counting,
        "bounds_of",
        "queue.max_waiting is not None",
        "False",
        bounded.test_a_submission_beyond_it_is_refused_with_the_number,
    ),
    (
        waiting,
        "_take",
        "<= bound.most",
        "<= 10**9",
        bounded.test_who_comes_between_the_count_and_the_seat_is_counted,
    ),
    (
        waiting,
        "_stale",
        "stale = seat.order < unstored",
        "stale = False",
        bounded.test_what_a_killed_submission_leaves_is_forgotten,
    ),
    (
        waiting,
        "tidy_seats",
        "_stale(ports, pool, seats)",
        "[]",
        bounded.test_the_sweep_removes_the_seats_of_who_does_not_wait,
    ),
    (
        waiting,
        "_new",
        "run.uuid not in known",
        "True",
        bounded.test_the_same_request_again_is_not_refused,
    ),
]


@pytest.mark.parametrize(("module", "where", "clause", "instead", "test"), CLAUSES)
def test_a_missing_clause_is_found_out(
    module: Any,
    where: str,
    clause: str,
    instead: str,
    test: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    test()
    *owner, name = where.split(".")
    target = getattr(module, owner[0]) if owner else module
    changed = _changed(getattr(target, name), clause, instead)
    monkeypatch.setattr(target, name, changed)
    for user in (admission, collide, snapshot, dispatch, sweep, waiting, colliding, explain):
        if not owner and hasattr(user, name):
            monkeypatch.setattr(user, name, changed)
    with pytest.raises((AssertionError, Failed, Refused)):
        test()
