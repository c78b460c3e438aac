"""How does an attempt end, and what becomes of its run then: is it over, or retried?"""

from __future__ import annotations

from dataclasses import replace

from push_dispatch.core.model import Attempt, Observation, Run, RunState, Status
from push_dispatch.core.reasons import Reason
from push_dispatch.core.retry import back_off

__all__ = [
    "START_SECONDS",
    "close",
    "crash",
    "end",
    "ended",
    "overdue",
    "requeue",
    "stopped",
    "with_attempt",
]

#: An attempt that its platform accepted and has not begun for this long is stopped: it would hold
#: its slot for good. Platforms with a limit of their own (Kubernetes, ACI) give up sooner.
START_SECONDS = 3600
#: What stops an attempt without anybody wanting the run to end: another attempt may be due.
_TIMEOUTS = (Reason.TIMED_OUT, Reason.START_TIMEOUT)


def overdue(run: Run, now: int) -> tuple[Reason, int] | None:
    """Why the current attempt has to be stopped at `now`, and since when; None if it may go on.

    The reason is `timed_out` (it runs longer than the run's timeout) or `start_timeout`.
    """
    deadline = _deadline(run)
    if deadline is None or now < deadline[1]:
        return None
    return deadline


def ended(run: Run, seen: Observation, now: int) -> Run:
    reason = _reason(run, seen)
    ended_at = seen.ended_at or now
    # What stopped it is why it ended, whatever code a process makes of SIGTERM.
    stop = None if _ended_by_itself(run, seen) else run.stop
    closed = close(
        run, ended_at, reason=stop or reason, message=seen.message, exit_code=seen.exit_code
    )
    if seen.ended_at is None and closed.current is not None:
        closed = with_attempt(closed, replace(closed.current, ended_seen=True))
    if stop is not None:
        return stopped(closed, now)
    closed = replace(closed, stop=None)
    if reason == Reason.COMPLETED:
        return end(closed, RunState.COMPLETED, reason, seen.message, ended_at)
    if reason == Reason.EXIT_CODE:
        return _fail(closed, seen.message, ended_at, retryable=seen.retryable)
    return crash(closed, reason, seen.message, ended_at, retryable=seen.retryable)


def _ended_by_itself(run: Run, seen: Observation) -> bool:
    """Whether a timeout stopped nothing: the code succeeded, or it had ended before its time was
    up, and the end was seen only after the stop was ordered."""
    if run.stop not in _TIMEOUTS:
        return False
    deadline = _deadline(run, stop=Reason(run.stop), started_at=seen.started_at)
    in_time = deadline is not None and seen.ended_at is not None and seen.ended_at < deadline[1]
    return seen.exit_code == 0 or in_time


def _deadline(
    run: Run, *, stop: Reason | None = None, started_at: int | None = None
) -> tuple[Reason, int] | None:
    """What ends the time of the current attempt, and when; None if nothing does. `stop` is the
    deadline to look at, whatever the state."""
    attempt = run.current
    if attempt is None:
        return None
    if stop is None:
        stop = {RunState.RUNNING: Reason.TIMED_OUT, RunState.PENDING: Reason.START_TIMEOUT}.get(
            run.state
        )
    since, seconds = attempt.pushed_at, START_SECONDS
    if stop == Reason.TIMED_OUT:
        if run.timeout_seconds is None:
            return None
        since, seconds = started_at or attempt.started_at, run.timeout_seconds
    return None if stop is None or since is None else (stop, since + seconds * 1000)


def _reason(run: Run, seen: Observation) -> str:
    """A token for how the attempt ended."""
    # A platform that was asked to stop it, or kept the time itself, says so even of a success.
    stops = (
        (Reason.TIMED_OUT, Reason.STOPPED_ON_REQUEST)
        if run.stop in _TIMEOUTS
        else (Reason.TIMED_OUT,)
    )
    if seen.exit_code == 0 and seen.reason in stops:
        return Reason.COMPLETED
    return seen.reason or (Reason.LOST if seen.status is Status.LOST else _by_exit_code(seen))


def _by_exit_code(seen: Observation) -> str:
    if seen.exit_code is None:
        return Reason.INFRASTRUCTURE_FAILURE
    return Reason.COMPLETED if seen.exit_code == 0 else Reason.EXIT_CODE


def stopped(run: Run, now: int) -> Run:
    """It has stopped, and that was wanted: by a person, or because its time was up."""
    if run.stop in _TIMEOUTS:
        return crash(run, run.stop, None, now, retryable=True)
    return end(run, RunState.CANCELLED, run.stop or Reason.CANCELLED_BY_USER, None, now)


def _fail(run: Run, message: str | None, now: int, *, retryable: bool) -> Run:
    run = replace(run, failures=run.failures + 1)
    if retryable and run.failures <= run.retries:
        delay = back_off(run.retry_delay_seconds, run.failures)
        return requeue(run, Reason.EXIT_CODE, message, now + delay * 1000)
    return end(run, RunState.FAILED, Reason.EXIT_CODE, message, now)


def crash(run: Run, reason: str, message: str | None, now: int, *, retryable: bool) -> Run:
    run = replace(run, crashes=run.crashes + 1)
    if retryable and run.crashes <= run.crash_retries:
        delay = back_off(run.retry_delay_seconds, run.crashes)
        return requeue(run, reason, message, now + delay * 1000)
    return end(run, RunState.CRASHED, reason, message, now)


def requeue(run: Run, reason: str, message: str | None, due: int) -> Run:
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


def end(run: Run, state: RunState, reason: str, message: str | None, now: int) -> Run:
    return replace(run, state=state, reason=reason, message=message, ended_at=now)


def close(
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
    closed = replace(
        current,
        ended_at=at,
        reason=reason,
        message=message,
        exit_code=exit_code,
        next_try_at=None,
    )
    return with_attempt(run, closed)


def with_attempt(run: Run, attempt: Attempt) -> Run:
    return replace(run, attempts=(*run.attempts[:-1], attempt))
