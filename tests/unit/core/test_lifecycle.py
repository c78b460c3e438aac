"""Does each event move a run as the table says, and does everything else leave it alone?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.core.ending import START_SECONDS
from push_dispatch.core.events import (
    Boost,
    Claim,
    Claims,
    Event,
    Expire,
    FallBack,
    GiveBack,
    Hold,
    Move,
    Observe,
    Pushed,
    Reject,
    Stop,
    TimeOut,
    Warn,
)
from push_dispatch.core.lifecycle import LOST_GRACE_SECONDS, REMEMBERED, TRANSITIONS, advance
from push_dispatch.core.model import Attempt, Observation, Ready, Run, RunState, Status
from push_dispatch.core.reasons import Reason

S = RunState
NOW = 1_800_000_000_000
ID = "0199c1f0-0000-7000-8000-000000000001"
EVENTS: tuple[type[Event], ...] = (
    Claim,
    Pushed,
    FallBack,
    GiveBack,
    Hold,
    Reject,
    Observe,
    Stop,
    TimeOut,
    Expire,
    Move,
    Claims,
    Boost,
)


def scheduled(**changed: object) -> Run:
    return replace(Run("p", ID, "default", due=NOW, submitted_at=NOW, order=ID), **changed)  # type: ignore[arg-type]


def claim(attempt: int = 1, name: str = "c", instead_of: str = "") -> Claim:
    return Claim(attempt, "ecs", "ecs", "t", name, NOW + 60_000, instead_of)


def pending(**changed: object) -> Run:
    return replace(advance(scheduled(), claim(), NOW), **changed)  # type: ignore[arg-type]


def pushed(**changed: object) -> Run:
    return replace(advance(pending(), Pushed(1, "h"), NOW), **changed)  # type: ignore[arg-type]


def running(**changed: object) -> Run:
    return replace(advance(pushed(), seen(Status.RUNNING), NOW), **changed)  # type: ignore[arg-type]


def cancelling(run: Run | None = None, reason: str = "cancelled_by_user") -> Run:
    """Asked to stop by somebody, or found to be late; what is stored is text."""
    if reason == "cancelled_by_user":
        return advance(run or running(), Stop(Reason.CANCELLED_BY_USER), NOW)
    run = run or running()
    return replace(run, state=S.CANCELLING, stop=reason, rev=run.rev + 1)


def seen(status: Status, code: int | None = None, **more: object) -> Observe:
    return Observe(Observation(f"p.{ID}", 1, status, exit_code=code, **more))  # type: ignore[arg-type]


LONG_AGO = NOW - START_SECONDS * 1000
ENDED_0, ENDED_1 = seen(Status.ENDED, 0), seen(Status.ENDED, 1)
LOST = seen(Status.LOST)
LATER = NOW + LOST_GRACE_SECONDS * 1000

#: State before, event, state after, reason after: at least one for each cell of the table.
ROWS: list[tuple[Run, Event, RunState, str | None]] = [
    (scheduled(), claim(), S.PENDING, None),
    (scheduled(), Stop(Reason.CANCELLED_BY_USER), S.CANCELLED, "cancelled_by_user"),
    (scheduled(), Expire(), S.CANCELLED, "expired"),
    (scheduled(), Expire(Reason.CANCELLED_BY_COLLISION), S.CANCELLED, "cancelled_by_collision"),
    (scheduled(), Reject(1, "platform_rejected", "no"), S.CRASHED, "platform_rejected"),
    (scheduled(), Move("other"), S.SCHEDULED, None),
    (scheduled(), Claims((("tenant", "a"),), (("gpu", 1),), "digest"), S.SCHEDULED, None),
    (scheduled(), Boost(60_000), S.SCHEDULED, None),
    (scheduled(), Warn(), S.SCHEDULED, None),
    (pending(), claim(name="d", instead_of="c"), S.PENDING, None),
    (pending(), Pushed(1, "h"), S.PENDING, None),
    (pending(), FallBack(1, "docker", "docker", "t2", "ecs: full"), S.PENDING, None),
    (pending(), GiveBack(1, "no_capacity", "full", "c"), S.SCHEDULED, "no_capacity"),
    (scheduled(), GiveBack(1, "no_capacity", "not sent"), S.SCHEDULED, "no_capacity"),
    (scheduled(due=NOW, give_up_at=NOW, reason="no_capacity"), Expire(), S.CRASHED, "no_capacity"),
    (scheduled(give_up_at=LATER + 1), Expire(), S.CANCELLED, "expired"),
    (scheduled(give_up_at=NOW, expires=NOW), Expire(), S.CANCELLED, "expired"),
    (pending(), Hold(1, "c", NOW + 9, unsent=True, reason="no_room"), S.PENDING, "no_room"),
    (cancelling(pending()), Hold(1, "c", NOW + 9, unsent=False), S.CANCELLING, None),
    (pending(), Reject(1, "access_denied", "no"), S.CRASHED, "access_denied"),
    (
        pending(crash_retries=1),
        Reject(1, "push_failed", "no", retryable=True),
        S.SCHEDULED,
        "push_failed",
    ),
    (pushed(), seen(Status.STARTING, version=1), S.PENDING, None),
    (pushed(), seen(Status.RUNNING), S.RUNNING, None),
    (pushed(), ENDED_0, S.COMPLETED, "completed"),
    (pushed(), ENDED_1, S.FAILED, "exit_code"),
    (pushed(retries=1), ENDED_1, S.SCHEDULED, "exit_code"),
    (pushed(), seen(Status.ENDED, reason="image_pull_failed"), S.CRASHED, "image_pull_failed"),
    (pushed(), LOST, S.CRASHED, "lost"),
    (pending(), Stop(Reason.CANCELLED_BY_USER), S.CANCELLING, None),
    (advance(pending(), Pushed(1, "h"), LONG_AGO), TimeOut(1), S.CANCELLING, None),
    (pending(state=S.RUNNING), Pushed(1, "h"), S.RUNNING, None),
    (running(), seen(Status.RUNNING, version=7), S.RUNNING, None),
    (running(), ENDED_0, S.COMPLETED, "completed"),
    (running(), ENDED_1, S.FAILED, "exit_code"),
    (running(), seen(Status.ENDED), S.CRASHED, "infrastructure_failure"),
    (running(), seen(Status.ENDED, 137, reason="out_of_memory"), S.CRASHED, "out_of_memory"),
    (running(crash_retries=1), LOST, S.SCHEDULED, "lost"),
    (running(), Stop(Reason.CANCELLED_BY_USER), S.CANCELLING, None),
    (running(timeout_seconds=60), TimeOut(1), S.CANCELLING, None),
    (cancelling(pending()), claim(name="d", instead_of="c"), S.CANCELLING, None),
    (cancelling(pending()), Pushed(1, "h"), S.CANCELLING, None),
    (cancelling(pending()), GiveBack(1, "no_capacity", "", "c"), S.CANCELLED, "cancelled_by_user"),
    (cancelling(pending(), "timed_out"), GiveBack(1, "x", "", "c"), S.CRASHED, "timed_out"),
    (
        cancelling(pending(crash_retries=1), "timed_out"),
        GiveBack(1, "no_capacity", "", "c"),
        S.SCHEDULED,
        "timed_out",
    ),
    (cancelling(pending()), Reject(1, "x", ""), S.CANCELLED, "cancelled_by_user"),
    (cancelling(pending(), "timed_out"), Reject(1, "x", ""), S.CRASHED, "timed_out"),
    (
        cancelling(pending(crash_retries=1), "timed_out"),
        Reject(1, "x", ""),
        S.SCHEDULED,
        "timed_out",
    ),
    (cancelling(), seen(Status.RUNNING, version=7), S.CANCELLING, None),
    (cancelling(), seen(Status.ENDED, 143), S.CANCELLED, "cancelled_by_user"),
    # It ended by itself before the order reached it: it was to be cancelled, and it is.
    (cancelling(), ENDED_0, S.CANCELLED, "cancelled_by_user"),
    (cancelling(reason="timed_out"), seen(Status.ENDED, 143), S.CRASHED, "timed_out"),
    # The time-out stopped nothing: it had succeeded, or ended before its time was up.
    (cancelling(reason="timed_out"), ENDED_0, S.COMPLETED, "completed"),
    (
        cancelling(reason="timed_out"),
        seen(Status.ENDED, 0, reason="stopped_on_request"),
        S.COMPLETED,
        "completed",
    ),
    (
        cancelling(running(timeout_seconds=100), "timed_out"),
        seen(Status.ENDED, 3, started_at=NOW, ended_at=NOW + 99_000),
        S.FAILED,
        "exit_code",
    ),
    (
        cancelling(running(timeout_seconds=100), "timed_out"),
        seen(Status.ENDED, 143, started_at=NOW, ended_at=NOW + 100_000),
        S.CRASHED,
        "timed_out",
    ),
    (cancelling(running(crash_retries=1), "timed_out"), LOST, S.SCHEDULED, "timed_out"),
    # A person's word outweighs the clock's.
    (cancelling(reason="timed_out"), Stop(Reason.CANCELLED_BY_USER), S.CANCELLING, None),
]


@pytest.mark.parametrize(
    ("before", "event", "state", "reason"),
    ROWS,
    ids=lambda value: value.state.value if isinstance(value, Run) else None,
)
def test_a_row_of_the_table(before: Run, event: Event, state: RunState, reason: str | None) -> None:
    after = advance(before, event, LATER)

    assert (after.state, after.reason) == (state, reason)
    assert after.rev == before.rev + 1
    assert (after.ended_at is not None) is after.state.ended


def test_the_rows_cover_the_table() -> None:
    shown = {(before.state, type(event), state) for before, event, state, _ in ROWS}
    table = {
        (before, event, after)
        for before, row in TRANSITIONS.items()
        for event, states in row.items()
        for after in states
    }
    assert shown == table


SAMPLES: dict[type[Event], Event] = {type(event): event for _, event, _, _ in ROWS}


@pytest.mark.parametrize(
    ("state", "event"),
    [(s, e) for s in RunState for e in EVENTS if e not in TRANSITIONS.get(s, {})],
)
def test_what_is_not_in_the_table_changes_nothing(state: RunState, event: type[Event]) -> None:
    run = running(state=state)

    assert advance(run, SAMPLES[event], LATER) is run


@pytest.mark.parametrize(("before", "event"), [row[:2] for row in ROWS])
def test_the_same_event_twice_changes_nothing_more(before: Run, event: Event) -> None:
    once = advance(before, event, LATER)

    assert advance(once, event, LATER) is once


# -- details that the table does not show -------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        Pushed(2, "h"),
        GiveBack(2, "no_capacity", "", "c"),
        Reject(2, "x", ""),
        Observe(Observation(f"p.{ID}", 2, Status.ENDED, exit_code=0)),
        Observe(Observation(f"p.{ID}", 0, Status.ENDED, exit_code=0)),
    ],
)
def test_news_of_another_attempt_is_no_news(event: Event) -> None:
    run = pending()
    assert advance(run, event, LATER) is run


@pytest.mark.parametrize(
    ("run", "attempt"),
    [
        (running(), 1),
        (running(timeout_seconds=61), 1),
        (running(timeout_seconds=60), 0),
        # Late to begin, until it began.
        (advance(advance(pending(), Pushed(1, "h"), LONG_AGO), seen(Status.RUNNING), NOW), 1),
        # It has failed meanwhile, and waits for its retry.
        (advance(running(timeout_seconds=60, retries=1), ENDED_1, LATER), 1),
    ],
)
def test_a_time_out_stops_what_is_late_and_nothing_else(run: Run, attempt: int) -> None:
    assert advance(run, TimeOut(attempt), LATER) is run


def test_of_two_who_take_over_one_gets_it() -> None:
    first = advance(pending(), claim(name="d", instead_of="c"), NOW)

    assert advance(first, claim(name="e", instead_of="c"), NOW) is first


def test_who_thinks_to_be_first_does_not_take_over() -> None:
    run = pending()

    assert advance(run, claim(name="d"), NOW) is run


@pytest.mark.parametrize("event", [GiveBack(1, "no_capacity", "", "c"), Reject(1, "x", "")])
def test_a_handle_outweighs_what_another_push_was_told(event: Event) -> None:
    run = pushed()

    assert advance(run, event, NOW) is run


def test_who_has_claimed_may_have_started_it() -> None:
    run, reject = pending(), Reject(1, "push_failed", "", unless_claimed=True)

    assert advance(run, reject, NOW) is run
    assert advance(scheduled(), reject, NOW).state is S.CRASHED


def test_an_attempt_that_is_not_known_yet_is_not_lost() -> None:
    run = pushed()

    assert advance(run, LOST, LATER - 1) is run


def test_observations_in_the_wrong_order_do_not_go_back() -> None:
    run = advance(pushed(), seen(Status.RUNNING, version=5), NOW)

    assert advance(run, seen(Status.STARTING, version=4), NOW) is run
    assert advance(run, seen(Status.ENDED, 0, version=4), NOW).state is S.COMPLETED


def test_an_unknown_status_says_nothing() -> None:
    run = running()

    assert advance(run, seen(Status.UNKNOWN), LATER) is run


def test_polling_a_healthy_run_writes_nothing() -> None:
    run = running()

    assert advance(run, seen(Status.RUNNING), LATER) is run


def test_what_an_attempt_waits_for_is_kept_until_it_runs() -> None:
    why = "0/3 nodes are available"
    waiting = advance(pushed(), seen(Status.STARTING, message=why), NOW)
    assert waiting.attempts[0].message == why
    assert advance(waiting, seen(Status.STARTING, message=why), NOW + 1) == waiting
    assert advance(waiting, seen(Status.RUNNING), NOW + 2).attempts[0].message is None


def test_the_back_off_doubles_and_counts_failures_and_crashes_apart() -> None:
    once = advance(pushed(retries=2, crash_retries=2), ENDED_1, NOW)
    assert (once.due, once.failures, once.crashes) == (NOW + 10_000, 1, 0)

    again = advance(advance(once, claim(2), NOW), Pushed(2, "h2"), NOW)
    twice = advance(again, replace_attempt(ENDED_1, 2), NOW)
    assert (twice.due, twice.failures) == (NOW + 20_000, 2)

    third = advance(advance(twice, claim(3), NOW), Pushed(3, "h3"), NOW)
    lost = advance(third, replace_attempt(LOST, 3), LATER)
    assert (lost.due, lost.failures, lost.crashes) == (LATER + 10_000, 2, 1)


def replace_attempt(event: Observe, attempt: int) -> Observe:
    return Observe(replace(event.observation, attempt=attempt))


def test_what_cannot_succeed_is_not_tried_again() -> None:
    run = pushed(retries=3, crash_retries=3)

    assert advance(run, seen(Status.ENDED, reason="x", retryable=False), NOW).state is S.CRASHED
    assert advance(run, seen(Status.ENDED, 1, retryable=False), NOW).state is S.FAILED


def test_no_room_costs_neither_a_retry_nor_the_place_in_line() -> None:
    before = pending()
    run = advance(before, GiveBack(1, "no_capacity", "full", "c", give_up_at=LATER), NOW + 5)

    assert (run.due, run.order, run.failures, run.crashes) == (before.due, before.order, 0, 0)
    assert (run.returns, run.refused_at, run.give_up_at) == (1, NOW + 5, LATER)
    assert run.waits_for(2)
    assert Ready.of(run) != Ready.of(replace(run, returns=0))
    assert Ready.of(run).expires == LATER


def test_who_was_not_sent_was_not_refused() -> None:
    run = advance(scheduled(), GiveBack(1, "no_capacity", "not sent"), NOW)

    assert (run.attempt, run.returns, run.refused_at, run.attempts) == (1, 1, 0, ())
    assert run.has_ended(1)


@pytest.mark.parametrize("claim_of_another", ["", "d"])
def test_nobody_gives_back_what_another_push_has_claimed(claim_of_another: str) -> None:
    run = pending()

    assert advance(run, GiveBack(1, "no_capacity", "", claim_of_another), NOW) is run
    assert advance(run, Hold(1, claim_of_another, LATER, unsent=True), NOW) is run


def test_a_claim_is_in_doubt_from_when_it_was_first_sent() -> None:
    """Not from when the attempt was claimed first: it may have waited since, unsent."""
    run = pending()
    assert run.current is not None
    assert run.current.in_doubt_since == NOW

    held = advance(run, Hold(1, "c", LATER, unsent=True), NOW)
    assert held.current is not None
    assert (held.current.in_doubt_since, held.current.lease_until) == (0, LATER)

    again = advance(held, claim(name="d", instead_of="c"), LATER)
    assert again.current is not None
    assert (again.current.claimed_at, again.current.in_doubt_since) == (NOW, LATER)

    in_doubt = advance(again, claim(name="e", instead_of="d"), LATER + 5)
    assert in_doubt.current is not None
    assert in_doubt.current.in_doubt_since == LATER


def test_an_attempt_of_an_older_version_is_in_doubt_since_its_claim() -> None:
    assert Attempt(1, "ecs", claimed_at=NOW).in_doubt_since == NOW


def test_a_retry_forgets_the_refusals_before_its_start() -> None:
    run = pushed(crash_retries=1, returns=4, refused_at=NOW, blames=2, give_up_at=NOW)
    again = advance(run, LOST, LATER)

    assert again.state is S.SCHEDULED
    assert (again.returns, again.refused_at, again.blames, again.give_up_at) == (0, 0, 0, None)


def test_a_run_remembers_its_last_attempts() -> None:
    old = tuple(Attempt(n, "ecs") for n in range(1, REMEMBERED + 1))
    run = scheduled(attempt=REMEMBERED, attempts=old)

    after = advance(run, claim(REMEMBERED + 1), NOW)

    assert [a.number for a in after.attempts] == list(range(2, REMEMBERED + 2))


def test_a_step_that_leaves_the_table_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRANSITIONS[S.RUNNING], Stop, frozenset())

    with pytest.raises(RuntimeError, match="RUNNING -> CANCELLING on Stop is not allowed"):
        advance(running(), Stop(Reason.CANCELLED_BY_USER), NOW)


# -- times and reasons of an attempt ---------------------------------------------------------------


@pytest.mark.parametrize("started", [None, NOW - 500])
@pytest.mark.parametrize("ended", [None, NOW + 500])
def test_a_time_is_the_platforms_or_is_marked_as_that_of_seeing_it(
    started: int | None, ended: int | None
) -> None:
    run = advance(pushed(), seen(Status.RUNNING, started_at=started), NOW)
    run = advance(run, seen(Status.RUNNING), NOW + 700)
    run = advance(run, seen(Status.ENDED, 0, ended_at=ended), NOW + 1000)
    attempt = run.attempts[-1]
    assert (attempt.started_at, attempt.started_seen) == (started or NOW, started is None)
    assert (attempt.ended_at, attempt.ended_seen) == (ended or NOW + 1000, ended is None)
    assert run.ended_at == attempt.ended_at


@pytest.mark.parametrize("code", [0, 143, None])
@pytest.mark.parametrize("stop", ["cancelled_by_user", "timed_out"])
def test_an_attempt_that_was_stopped_says_what_stopped_it(stop: str, code: int | None) -> None:
    run = advance(
        cancelling(running(timeout_seconds=1), stop), seen(Status.ENDED, code), NOW + 9_000
    )
    attempt = run.attempts[-1]
    if stop == "timed_out" and code == 0:
        # It was done all the same: a success is a success.
        assert (run.state, run.reason, attempt.reason) == (S.COMPLETED, "completed", "completed")
    else:
        assert (attempt.reason, attempt.exit_code) == (stop, code)
        assert run.reason == stop
