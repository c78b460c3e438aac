"""Which event moves a run from which state to which?

`TRANSITIONS` is the whole state machine and `advance` the only function that changes a run's
state. It is pure. An event that does not apply, because it is late, repeated or about another
attempt, returns the very same run: events may come twice and in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from push_dispatch.core.ending import close, crash, end, ended, overdue, stopped, with_attempt
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
from push_dispatch.core.model import Attempt, Observation, Run, RunState, Status
from push_dispatch.core.reasons import Reason

__all__ = [
    "TRANSITIONS",
    "advance",
    "attempt_of",
    "end_malformed",
]

#: Attempts that a run item remembers; older ones are dropped to keep it small.
REMEMBERED = 10

#: "Never heard of it" is not believed for this long after the push.
LOST_GRACE_SECONDS = 60

_S = RunState
_ENDS = frozenset({_S.COMPLETED, _S.FAILED, _S.CRASHED})

#: From each state, by event, the states that can follow. What is not listed does not apply and
#: changes nothing. SCHEDULED after an end means that another attempt is due.
TRANSITIONS: Mapping[RunState, Mapping[type[Any], frozenset[RunState]]] = {
    _S.SCHEDULED: {
        Claim: frozenset({_S.PENDING}),
        Stop: frozenset({_S.CANCELLED}),
        Expire: frozenset({_S.CANCELLED, _S.CRASHED}),
        GiveBack: frozenset({_S.SCHEDULED}),
        Reject: frozenset({_S.CRASHED}),
        Move: frozenset({_S.SCHEDULED}),
        Claims: frozenset({_S.SCHEDULED}),
        Boost: frozenset({_S.SCHEDULED}),
        Warn: frozenset({_S.SCHEDULED}),
    },
    _S.PENDING: {
        Claim: frozenset({_S.PENDING}),
        Hold: frozenset({_S.PENDING}),
        Pushed: frozenset({_S.PENDING}),
        FallBack: frozenset({_S.PENDING}),
        GiveBack: frozenset({_S.SCHEDULED}),
        Reject: frozenset({_S.CRASHED, _S.SCHEDULED}),
        Observe: frozenset({_S.PENDING, _S.RUNNING, _S.SCHEDULED}) | _ENDS,
        TimeOut: frozenset({_S.CANCELLING}),
        Stop: frozenset({_S.CANCELLING}),
    },
    _S.RUNNING: {
        Pushed: frozenset({_S.RUNNING}),
        Observe: frozenset({_S.RUNNING, _S.SCHEDULED}) | _ENDS,
        TimeOut: frozenset({_S.CANCELLING}),
        Stop: frozenset({_S.CANCELLING}),
    },
    _S.CANCELLING: {
        Claim: frozenset({_S.CANCELLING}),
        Hold: frozenset({_S.CANCELLING}),
        Pushed: frozenset({_S.CANCELLING}),
        GiveBack: frozenset({_S.CANCELLED, _S.CRASHED, _S.SCHEDULED}),
        Reject: frozenset({_S.CANCELLED, _S.CRASHED, _S.SCHEDULED}),
        Observe: frozenset({_S.CANCELLING, _S.CANCELLED, _S.SCHEDULED}) | _ENDS,
        Stop: frozenset({_S.CANCELLING}),
    },
}


def advance(run: Run, event: Event, now: int) -> Run:
    """The run after `event` at `now`; the same object if the event does not apply to it.

    Raises RuntimeError if a step would leave the table: a bug, never bad luck.
    """
    allowed = TRANSITIONS.get(run.state, {}).get(type(event))
    if allowed is None:
        return run
    after = _STEPS[type(event)](run, event, now)
    if after is run or after == run:
        return run
    if after.state not in allowed:
        raise RuntimeError(f"{run.state} -> {after.state} on {type(event).__name__} is not allowed")
    return replace(after, rev=run.rev + 1)


def end_malformed(run: Run, now: int) -> Run:
    """The run after it was found to be malformed in the table: ended, or on its way to its end if
    an attempt of it may be alive."""
    sound = replace(run, unreadable="")
    if run.state is RunState.SCHEDULED:
        event: Event = Reject(run.next_attempt, Reason.INVALID_INPUT, run.unreadable)
    else:
        event = Stop(Reason.INVALID_INPUT)
    return replace(advance(sound, event, now), rev=run.rev + 1)


def attempt_of(event: Claim, now: int) -> Attempt:
    """The attempt that a claim begins."""
    return Attempt(
        number=event.attempt,
        platform=event.platform,
        type=event.type,
        template=event.template,
        claim=event.claim,
        claimed_at=now,
        sent_at=now,
        lease_until=event.lease_until,
    )


# -- steps, one per event; each returns the same run where the event is not about it ------------


def _claim(run: Run, event: Claim, now: int) -> Run:
    if run.waits_for(event.attempt):
        attempts = (*run.attempts, attempt_of(event, now))[-REMEMBERED:]
        return replace(
            run,
            state=RunState.PENDING,
            attempt=event.attempt,
            attempts=attempts,
            reason=None,
            message=None,
        )
    current = run.current
    takes_over = current is not None and current.claim == event.instead_of
    if _is_current(run, event.attempt) and current and current.handle is None and takes_over:
        # Taken over: what was sent stays what it was, only the claim and the lease are new.
        unsent = event.fresh or current.sent_at == 0
        taken = replace(
            current,
            claim=event.claim,
            lease_until=event.lease_until,
            sent_at=now if unsent else current.sent_at,
            next_try_at=None,
        )
        # Why it was put off stays until the platform has answered: this try may take a while.
        return with_attempt(run, taken)
    return run


def _hold(run: Run, event: Hold, _now: int) -> Run:
    current = run.current
    if current is None or not _may_be_unsent(run, event.attempt) or current.claim != event.claim:
        return run
    sent_at = 0 if event.unsent else current.sent_at
    held = replace(
        current,
        lease_until=event.lease_until,
        sent_at=sent_at,
        tries=event.tries,
        next_try_at=event.next_try_at,
    )
    return replace(with_attempt(run, held), reason=event.reason, message=event.message)


def _pushed(run: Run, event: Pushed, now: int) -> Run:
    current = run.current
    if current is None or not _is_current(run, event.attempt) or current.handle is not None:
        return run
    return _accepted(run, replace(current, handle=event.handle, pushed_at=now, seen_at=now))


def _fall_back(run: Run, event: FallBack, _now: int) -> Run:
    current = run.current
    if current is None or not _may_be_unsent(run, event.attempt):
        return run
    if (current.type, current.template) == (event.type, event.template):
        return run  # Somebody else was told the same, and it is there already.
    moved = replace(
        current,
        platform=event.platform,
        type=event.type,
        template=event.template,
        tried=(*current.tried, event.why),
        sent_at=0,
        tries=0,
        next_try_at=None,
    )
    return replace(with_attempt(run, moved), reason=None, message=None)


def _give_back(run: Run, event: GiveBack, now: int) -> Run:
    if not event.claim:
        # Nobody was asked: the claim of another function is not ours to end.
        waits = run.waits_for(event.attempt)
        return _returned(replace(run, attempt=event.attempt), event) if waits else run
    current = run.current
    if current is None or not _may_be_unsent(run, event.attempt) or current.claim != event.claim:
        return run
    ended = close(run, now, reason=event.reason, message=event.message)
    if run.stop is not None:
        return stopped(ended, now)
    blames = run.blames + event.blamed
    return _returned(replace(ended, refused_at=now, blames=blames), event)


def _returned(run: Run, event: GiveBack) -> Run:
    """It keeps its due time, and so its order, unless it is postponed."""
    return replace(
        run,
        state=RunState.SCHEDULED,
        due=run.due if event.due is None else event.due,
        returns=run.returns + 1,
        give_up_at=run.give_up_at or event.give_up_at,
        reason=event.reason,
        message=event.message,
    )


def _reject(run: Run, event: Reject, now: int) -> Run:
    if run.waits_for(event.attempt):
        return end(run, RunState.CRASHED, event.reason, event.message, now)
    if event.unless_claimed or not _may_be_unsent(run, event.attempt):
        return run
    ended = close(run, now, reason=event.reason, message=event.message)
    if run.stop is not None:
        return stopped(ended, now)
    return crash(ended, event.reason, event.message, now, retryable=event.retryable)


def _observe(run: Run, event: Observe, now: int) -> Run:
    seen, current = event.observation, run.current
    if current is None or not _is_current(run, seen.attempt) or _is_old(current, seen, now):
        return run
    match seen.status:
        case Status.UNKNOWN:
            return run
        case Status.STARTING:
            return _accepted(run, _noted(current, seen, now))
        case Status.RUNNING:
            state = RunState.RUNNING if run.state is RunState.PENDING else run.state
            noted = _noted(current, seen, now)
            if noted.started_at is None:
                noted = replace(noted, started_at=now, started_seen=True, seen_at=now)
            return replace(_accepted(run, noted), state=state)
        case Status.ENDED | Status.LOST:
            return ended(with_attempt(run, _noted(current, seen, now)), seen, now)


def _stop(run: Run, event: Stop, now: int) -> Run:
    if run.state is RunState.SCHEDULED:
        return end(run, RunState.CANCELLED, event.reason, None, now)
    if run.stop in (event.reason, Reason.CANCELLED_BY_USER):
        return run
    return replace(run, state=RunState.CANCELLING, stop=event.reason)


def _time_out(run: Run, event: TimeOut, now: int) -> Run:
    """Decided on the run as it is: it may have begun, or ended and wait again, since it was found
    to be late."""
    found = overdue(run, now) if _is_current(run, event.attempt) else None
    return run if found is None else replace(run, state=RunState.CANCELLING, stop=found[0])


def _expire(run: Run, event: Expire, now: int) -> Run:
    given_up = run.give_up_at is not None and run.give_up_at <= now
    if event.reason == Reason.EXPIRED and given_up and (run.expires is None or run.expires > now):
        # Not its own time is over but the pool's patience: that is the platform's fault.
        return end(run, RunState.CRASHED, run.reason or Reason.NO_CAPACITY, run.message, now)
    return end(run, RunState.CANCELLED, event.reason, None, now)


def _move(run: Run, event: Move, _now: int) -> Run:
    # A limit's key may name the queue: the claims are computed again where it is read.
    return run if run.queue == event.queue else replace(run, queue=event.queue, under="")


def _claims(run: Run, event: Claims, _now: int) -> Run:
    return replace(run, keys=event.keys, weights=event.weights, under=event.under)


def _boost(run: Run, event: Boost, _now: int) -> Run:
    return replace(run, boost=max(0, min(run.due, event.by)))


def _warn(run: Run, _event: Warn, now: int) -> Run:
    return run if run.warned_at is not None else replace(run, warned_at=now)


_STEPS: Mapping[type[Any], Callable[[Run, Any, int], Run]] = {
    Claim: _claim,
    Hold: _hold,
    Pushed: _pushed,
    FallBack: _fall_back,
    GiveBack: _give_back,
    Reject: _reject,
    Observe: _observe,
    Stop: _stop,
    TimeOut: _time_out,
    Expire: _expire,
    Move: _move,
    Claims: _claims,
    Boost: _boost,
    Warn: _warn,
}


# -- the current attempt ----------------------------------------------------------------------


def _is_current(run: Run, attempt: int) -> bool:
    return run.state is not RunState.SCHEDULED and run.attempt == attempt


def _may_be_unsent(run: Run, attempt: int) -> bool:
    """A handle proves that it was started, whatever another push of it was told."""
    return _is_current(run, attempt) and run.current is not None and run.current.handle is None


def _accepted(run: Run, attempt: Attempt) -> Run:
    """The platform has the attempt: why it was put off before does not matter any more."""
    attempt = replace(attempt, next_try_at=None) if attempt.next_try_at is not None else attempt
    return replace(with_attempt(run, attempt), reason=None, message=None)


def _is_old(current: Attempt, seen: Observation, now: int) -> bool:
    """Whether the observation tells nothing that can be relied on: any more, yet, or because it
    is of something else that was started under the attempt's name."""
    if seen.handle and current.handle and seen.handle != current.handle:
        return True
    if seen.status is Status.ENDED:
        return False  # An end is final, whatever its number.
    if seen.status is Status.LOST:
        # Right after the start an eventually consistent platform does not know its own attempt.
        since = current.pushed_at or current.claimed_at
        return now - since < LOST_GRACE_SECONDS * 1000
    known, new = current.observed, seen.version
    return known is not None and new is not None and new <= known


def _noted(current: Attempt, seen: Observation, now: int) -> Attempt:
    """The attempt with what was seen; the same one if that is no news, so that polling a healthy
    run writes nothing."""
    noted = replace(
        current,
        handle=current.handle or seen.handle,
        started_at=current.started_at or seen.started_at,
        # What it waits for, for people; nothing once there is nothing to say.
        message=seen.message,
        observed=seen.version if seen.version is not None else current.observed,
    )
    return current if noted == current else replace(noted, seen_at=now)
