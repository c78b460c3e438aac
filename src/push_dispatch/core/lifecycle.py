"""Which event moves a run from which state to which?

`TRANSITIONS` is the whole state machine and `advance` the only function that changes a run's
state. It is pure. An event that does not apply, because it is late, repeated or about another
attempt, returns the very same run: events may come twice and in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from push_dispatch.core.model import Attempt, Observation, Run, RunState, Status
from push_dispatch.core.retry import back_off

__all__ = [
    "START_SECONDS",
    "TRANSITIONS",
    "Claim",
    "Event",
    "Expire",
    "FallBack",
    "GiveBack",
    "Hold",
    "Move",
    "Observe",
    "Pushed",
    "Reject",
    "Stop",
    "advance",
    "end_malformed",
    "overdue",
]

#: Attempts that a run item remembers; older ones are dropped to keep it small.
REMEMBERED = 10

#: "Never heard of it" is not believed for this long after the push.
LOST_GRACE_SECONDS = 60

#: An attempt that its platform accepted and has not begun for this long is stopped: it would hold
#: its slot for good. Platforms with a limit of their own (Kubernetes, ACI) give up sooner.
START_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Claim:
    """A push takes the run (again): from now until the lease ends it is the only one to send it."""

    attempt: int
    platform: str
    type: str
    template: str
    claim: str
    lease_until: int
    #: The claim that it takes over, as it was read: of two who do so at once, one gets it.
    instead_of: str = ""
    #: Nothing was sent under that claim, for certain.
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Whoever has the claim sleeps under it, and is left alone until the lease ends."""

    attempt: int
    claim: str
    lease_until: int
    #: Nothing was started so far, for certain.
    unsent: bool
    #: What it waits for: a token of kind `wait`.
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Pushed:
    """The platform has accepted the attempt under this handle."""

    attempt: int
    handle: str


@dataclass(frozen=True, slots=True)
class FallBack:
    """The platform has no room, nothing was started there: the next one gets the same attempt."""

    attempt: int
    platform: str
    type: str
    template: str
    #: Why the one before was left, such as `ecs: no_capacity (RESOURCE:MEMORY)`.
    why: str


@dataclass(frozen=True, slots=True)
class GiveBack:
    """The platform has no room: the slot is given back and the run waits for another attempt, in
    the order in which it was."""

    attempt: int
    reason: str
    message: str
    #: The claim under which the platform was asked; empty if the attempt was not claimed.
    claim: str = ""
    #: The platform has taken others since it refused this run before.
    blamed: bool = False
    #: When it is given up, unless an earlier refusal has set that.
    give_up_at: int | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """The attempt was not started and never will be."""

    attempt: int
    reason: str
    message: str
    #: Whether a crash retry may help.
    retryable: bool = False
    #: Only if nobody has claimed the attempt: who has may have started it.
    unless_claimed: bool = False


@dataclass(frozen=True, slots=True)
class Observe:
    """Something was seen of an attempt."""

    observation: Observation


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody, or the timeout, wants the run to stop; `reason` says who."""

    reason: str


@dataclass(frozen=True, slots=True)
class Expire:
    """The run may not start any more: its time has passed, or its deployment is running already."""

    reason: str = "expired"


@dataclass(frozen=True, slots=True)
class Move:
    """The run's queue was deleted: it waits in another one."""

    queue: str


Event = Claim | Hold | Pushed | FallBack | GiveBack | Reject | Observe | Stop | Expire | Move

_S = RunState
#: What stops an attempt without anybody wanting the run to end: another attempt may be due.
_TIMEOUTS = ("timed_out", "start_timeout")
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
    },
    _S.PENDING: {
        Claim: frozenset({_S.PENDING}),
        Hold: frozenset({_S.PENDING}),
        Pushed: frozenset({_S.PENDING}),
        FallBack: frozenset({_S.PENDING}),
        GiveBack: frozenset({_S.SCHEDULED}),
        Reject: frozenset({_S.CRASHED, _S.SCHEDULED}),
        Observe: frozenset({_S.PENDING, _S.RUNNING, _S.SCHEDULED}) | _ENDS,
        Stop: frozenset({_S.CANCELLING}),
    },
    _S.RUNNING: {
        Pushed: frozenset({_S.RUNNING}),
        Observe: frozenset({_S.RUNNING, _S.SCHEDULED}) | _ENDS,
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
        event: Event = Reject(run.next_attempt, "invalid_input", run.unreadable)
    else:
        event = Stop("invalid_input")
    return replace(advance(sound, event, now), rev=run.rev + 1)


def overdue(run: Run, now: int) -> tuple[str, int] | None:
    """Why the current attempt has to be stopped at `now`, and since when; None if it may go on.

    The reason is `timed_out` (it runs longer than the run's timeout) or `start_timeout`.
    """
    deadline = _deadline(run)
    if deadline is None or now < deadline[1]:
        return None
    return deadline


# -- steps, one per event; each returns the same run where the event is not about it ------------


def _claim(run: Run, event: Claim, now: int) -> Run:
    taken = Attempt(
        number=event.attempt,
        platform=event.platform,
        type=event.type,
        template=event.template,
        claim=event.claim,
        claimed_at=now,
        sent_at=now,
        lease_until=event.lease_until,
    )
    if run.waits_for(event.attempt):
        attempts = (*run.attempts, taken)[-REMEMBERED:]
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
        )
        return replace(_with(run, taken), reason=None, message=None)
    return run


def _hold(run: Run, event: Hold, _now: int) -> Run:
    current = run.current
    if current is None or not _may_be_unsent(run, event.attempt) or current.claim != event.claim:
        return run
    sent_at = 0 if event.unsent else current.sent_at
    held = replace(current, lease_until=event.lease_until, sent_at=sent_at)
    return replace(_with(run, held), reason=event.reason, message=event.message)


def _pushed(run: Run, event: Pushed, now: int) -> Run:
    current = run.current
    if current is None or not _is_current(run, event.attempt) or current.handle is not None:
        return run
    started = replace(current, handle=event.handle, pushed_at=now, seen_at=now)
    return replace(_with(run, started), reason=None, message=None)


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
    )
    return _with(run, moved)


def _give_back(run: Run, event: GiveBack, now: int) -> Run:
    if not event.claim:
        # Nobody was asked: the claim of another function is not ours to end.
        waits = run.waits_for(event.attempt)
        return _returned(replace(run, attempt=event.attempt), event) if waits else run
    current = run.current
    if current is None or not _may_be_unsent(run, event.attempt) or current.claim != event.claim:
        return run
    ended = _close(run, now, reason=event.reason, message=event.message)
    if run.stop is not None:
        return _stopped(ended, now)
    blames = run.blames + event.blamed
    return _returned(replace(ended, refused_at=now, blames=blames), event)


def _returned(run: Run, event: GiveBack) -> Run:
    """It keeps its due time, and so its order."""
    return replace(
        run,
        state=RunState.SCHEDULED,
        returns=run.returns + 1,
        give_up_at=run.give_up_at or event.give_up_at,
        reason=event.reason,
        message=event.message,
    )


def _reject(run: Run, event: Reject, now: int) -> Run:
    if run.waits_for(event.attempt):
        return _end(run, RunState.CRASHED, event.reason, event.message, now)
    if event.unless_claimed or not _may_be_unsent(run, event.attempt):
        return run
    ended = _close(run, now, reason=event.reason, message=event.message)
    if run.stop is not None:
        return _stopped(ended, now)
    return _crash(ended, event.reason, event.message, now, retryable=event.retryable)


def _observe(run: Run, event: Observe, now: int) -> Run:
    seen, current = event.observation, run.current
    if current is None or not _is_current(run, seen.attempt) or _is_old(current, seen, now):
        return run
    match seen.status:
        case Status.UNKNOWN:
            return run
        case Status.STARTING:
            return _with(run, _noted(current, seen, now))
        case Status.RUNNING:
            state = RunState.RUNNING if run.state is RunState.PENDING else run.state
            noted = _noted(current, seen, now)
            if noted.started_at is None:
                noted = replace(noted, started_at=now, started_seen=True, seen_at=now)
            return replace(_with(run, noted), state=state)
        case Status.ENDED | Status.LOST:
            return _ended(_with(run, _noted(current, seen, now)), seen, now)


def _stop(run: Run, event: Stop, now: int) -> Run:
    if run.state is RunState.SCHEDULED:
        return _end(run, RunState.CANCELLED, event.reason, None, now)
    if run.stop in (event.reason, "cancelled_by_user"):
        return run
    return replace(run, state=RunState.CANCELLING, stop=event.reason)


def _expire(run: Run, event: Expire, now: int) -> Run:
    given_up = run.give_up_at is not None and run.give_up_at <= now
    if event.reason == "expired" and given_up and (run.expires is None or run.expires > now):
        # Not its own time is over but the pool's patience: that is the platform's fault.
        return _end(run, RunState.CRASHED, run.reason or "no_capacity", run.message, now)
    return _end(run, RunState.CANCELLED, event.reason, None, now)


def _move(run: Run, event: Move, _now: int) -> Run:
    return replace(run, queue=event.queue)


_STEPS: Mapping[type[Any], Callable[[Run, Any, int], Run]] = {
    Claim: _claim,
    Hold: _hold,
    Pushed: _pushed,
    FallBack: _fall_back,
    GiveBack: _give_back,
    Reject: _reject,
    Observe: _observe,
    Stop: _stop,
    Expire: _expire,
    Move: _move,
}


# -- how an attempt ends ----------------------------------------------------------------------


def _ended(run: Run, seen: Observation, now: int) -> Run:
    reason = _reason(run, seen)
    ended_at = seen.ended_at or now
    # What stopped it is why it ended, whatever code a process makes of SIGTERM.
    stop = None if _ended_by_itself(run, seen) else run.stop
    closed = _close(
        run, ended_at, reason=stop or reason, message=seen.message, exit_code=seen.exit_code
    )
    if seen.ended_at is None and closed.current is not None:
        closed = _with(closed, replace(closed.current, ended_seen=True))
    if stop is not None:
        return _stopped(closed, now)
    closed = replace(closed, stop=None)
    if reason == "completed":
        return _end(closed, RunState.COMPLETED, reason, seen.message, ended_at)
    if reason == "exit_code":
        return _fail(closed, seen.message, ended_at, retryable=seen.retryable)
    return _crash(closed, reason, seen.message, ended_at, retryable=seen.retryable)


def _ended_by_itself(run: Run, seen: Observation) -> bool:
    """Whether a timeout stopped nothing: the code succeeded, or it had ended before its time was
    up, and the end was seen only after the stop was ordered."""
    if run.stop not in _TIMEOUTS:
        return False
    deadline = _deadline(run, stop=run.stop, started_at=seen.started_at)
    in_time = deadline is not None and seen.ended_at is not None and seen.ended_at < deadline[1]
    return seen.exit_code == 0 or in_time


def _deadline(
    run: Run, *, stop: str | None = None, started_at: int | None = None
) -> tuple[str, int] | None:
    """What ends the time of the current attempt, and when; None if nothing does. `stop` is the
    deadline to look at, whatever the state."""
    attempt = run.current
    if attempt is None:
        return None
    if stop is None:
        stop = {RunState.RUNNING: "timed_out", RunState.PENDING: "start_timeout"}.get(run.state)
    since, seconds = attempt.pushed_at, START_SECONDS
    if stop == "timed_out":
        if run.timeout_seconds is None:
            return None
        since, seconds = started_at or attempt.started_at, run.timeout_seconds
    return None if stop is None or since is None else (stop, since + seconds * 1000)


def _reason(run: Run, seen: Observation) -> str:
    """A token for how the attempt ended."""
    # A platform that was asked to stop it, or kept the time itself, says so even of a success.
    stops = ("timed_out", "stopped_on_request") if run.stop in _TIMEOUTS else ("timed_out",)
    if seen.exit_code == 0 and seen.reason in stops:
        return "completed"
    return seen.reason or ("lost" if seen.status is Status.LOST else _by_exit_code(seen))


def _by_exit_code(seen: Observation) -> str:
    if seen.exit_code is None:
        return "infrastructure_failure"
    return "completed" if seen.exit_code == 0 else "exit_code"


def _stopped(run: Run, now: int) -> Run:
    """It has stopped, and that was wanted: by a person, or because its time was up."""
    if run.stop in _TIMEOUTS:
        return _crash(run, run.stop, None, now, retryable=True)
    return _end(run, RunState.CANCELLED, run.stop or "cancelled_by_user", None, now)


def _fail(run: Run, message: str | None, now: int, *, retryable: bool) -> Run:
    run = replace(run, failures=run.failures + 1)
    if retryable and run.failures <= run.retries:
        delay = back_off(run.retry_delay_seconds, run.failures)
        return _requeue(run, "exit_code", message, now + delay * 1000)
    return _end(run, RunState.FAILED, "exit_code", message, now)


def _crash(run: Run, reason: str, message: str | None, now: int, *, retryable: bool) -> Run:
    run = replace(run, crashes=run.crashes + 1)
    if retryable and run.crashes <= run.crash_retries:
        delay = back_off(run.retry_delay_seconds, run.crashes)
        return _requeue(run, reason, message, now + delay * 1000)
    return _end(run, RunState.CRASHED, reason, message, now)


def _requeue(run: Run, reason: str, message: str | None, due: int) -> Run:
    return replace(
        run,
        state=RunState.SCHEDULED,
        due=due,
        reason=reason,
        message=message,
        stop=None,
        returns=0,
        refused_at=0,
        blames=0,
        give_up_at=None,
    )


def _end(run: Run, state: RunState, reason: str, message: str | None, now: int) -> Run:
    return replace(run, state=state, reason=reason, message=message, ended_at=now)


# -- the current attempt ----------------------------------------------------------------------


def _is_current(run: Run, attempt: int) -> bool:
    return run.state is not RunState.SCHEDULED and run.attempt == attempt


def _may_be_unsent(run: Run, attempt: int) -> bool:
    """A handle proves that it was started, whatever another push of it was told."""
    return _is_current(run, attempt) and run.current is not None and run.current.handle is None


def _is_old(current: Attempt, seen: Observation, now: int) -> bool:
    """Whether the observation tells nothing that can be relied on any more, or yet."""
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


def _close(
    run: Run,
    at: int,
    *,
    reason: str,
    message: str | None,
    exit_code: int | None = None,
) -> Run:
    current = run.current
    if current is None:  # pragma: no cover - callers have checked
        return run
    closed = replace(current, ended_at=at, reason=reason, message=message, exit_code=exit_code)
    return _with(run, closed)


def _with(run: Run, attempt: Attempt) -> Run:
    return replace(run, attempts=(*run.attempts[:-1], attempt))
