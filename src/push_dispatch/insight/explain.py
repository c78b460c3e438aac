"""Why is this run waiting, and when will it start?

The answer comes from the same `decide()` that dispatches, over the same reads, so it cannot tell
another story than what happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from push_dispatch.core.admission import Decision, Snapshot, decide
from push_dispatch.core.errors import NotFound
from push_dispatch.core.model import Holder, Ledger, Pool, Queue, Ready, Run, RunState, parse_run_id
from push_dispatch.core.reasons import describe
from push_dispatch.core.simulate import Arrival, simulate
from push_dispatch.ports import Ports

__all__ = ["Explanation", "PoolExplanation", "QueueExplanation", "explain", "explain_pool"]

#: Places of a queue that an explanation looks at; behind that the place in line is "at least".
DEPTH = 1000
#: Recent runs whose durations make the estimate.
_HISTORY = 50


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a run is where it is. Times in epoch milliseconds."""

    run: Run
    #: A token of `push_dispatch.core.reasons`, with its sentence and what to do.
    reason: str
    sentence: str
    remedy: str
    #: The numbers behind the reason, such as {"queue limit": 4, "slots held in queue": 4}.
    numbers: dict[str, int] = field(default_factory=dict)
    #: Runs of the pool that are served before this one; None if it does not wait.
    ahead: int | None = None
    #: Who holds the slots that it waits for, longest first.
    holders: tuple[Holder, ...] = ()
    #: When it will start if runs take as long as the pool's last ones did; None if nobody can say.
    estimated_start: int | None = None


@dataclass(frozen=True, slots=True)
class QueueExplanation:
    """One queue's line."""

    queue: Queue
    held: int
    waiting: int
    #: Whether more wait than were counted.
    more: bool
    #: Waiting runs by reason.
    reasons: dict[str, int]
    oldest_due: int | None


@dataclass(frozen=True, slots=True)
class PoolExplanation:
    """A whole pool: who holds its slots and who waits, and why."""

    pool: Pool
    ledger: Ledger
    queues: tuple[QueueExplanation, ...]


def explain(ports: Ports, run_id: str) -> Explanation:
    """Explain one run. Reads only. Raises Invalid, NotFound (`run_not_found`)."""
    pool_name, uuid = parse_run_id(run_id)
    run = ports.store.run(pool_name, uuid)
    if run is None:
        raise NotFound(f"there is no run {run_id}", reason="run_not_found")
    pool = ports.store.pool(pool_name)
    if run.state is not RunState.SCHEDULED or pool is None:
        return _settled(run)
    now = ports.clock()
    snapshot = _snapshot(ports, pool, including=Ready.of(run))
    decision = decide(snapshot, now)
    place = Ready.of(run)
    reason = _reason_of(decision, place, run)
    about = describe(reason)
    return Explanation(
        run=run,
        reason=reason,
        sentence=about.sentence,
        remedy=_filled_in(about.remedy, run),
        numbers=_numbers(snapshot, place, reason, now),
        ahead=_ahead(snapshot, place, now),
        holders=_holders(snapshot, place, reason),
        estimated_start=_estimate(ports, snapshot, place, reason, now),
    )


def explain_pool(ports: Ports, name: str) -> PoolExplanation:
    """Explain a pool. Reads only. Raises NotFound (`pool_not_found`)."""
    pool = ports.store.pool(name)
    if pool is None:
        raise NotFound(f"there is no pool {name!r}", reason="pool_not_found")
    snapshot = _snapshot(ports, pool)
    decision = decide(snapshot, ports.clock())
    return PoolExplanation(
        pool, snapshot.ledger, tuple(_queue(snapshot, decision, q) for q in pool.in_order)
    )


# -- reading ----------------------------------------------------------------------------------


def _snapshot(ports: Ports, pool: Pool, including: Ready | None = None) -> Snapshot:
    """Like a pass of dispatch, but deeper, and with the runs that are not due yet."""
    ledger = ports.store.ledger(pool.name)
    lines = {q.name: ports.store.line(pool.name, q.name, DEPTH) for q in pool.queues}
    if including is not None:
        line = lines.setdefault(including.queue, [])
        if including not in line:
            # Too far behind, or its place is about to be put: it stands where it belongs.
            line.append(including)
            line.sort(key=lambda ready: (ready.due, ready.order))
    return Snapshot(pool, ledger, lines)


def _settled(run: Run) -> Explanation:
    reason = run.reason or run.stop or _STATE_REASONS[run.state]
    about = describe(reason)
    current = run.current
    waits = current.message if current and not run.state.ended else None
    sentence = f"{about.sentence} It reports: {waits}" if waits else about.sentence
    return Explanation(run, reason, sentence, _filled_in(about.remedy, run))


_STATE_REASONS = {
    RunState.SCHEDULED: "pool_not_found",
    RunState.PENDING: "starting",
    RunState.RUNNING: "running",
    RunState.CANCELLING: "cancelled_by_user",
    RunState.COMPLETED: "completed",
    RunState.FAILED: "exit_code",
    RunState.CRASHED: "infrastructure_failure",
    RunState.CANCELLED: "cancelled_by_user",
}


def _reason_of(decision: Decision, place: Ready, run: Run) -> str:
    for wait in decision.wait:
        if wait.ready == place:
            backing_off = wait.reason == "not_due" and run.attempt > 0
            return "retry_backoff" if backing_off else wait.reason
    if place in decision.resend:
        return "handing_over"
    if place in decision.expire:
        return "expired"
    return "cancelled_by_collision" if place in decision.collide else "admissible"


# -- the numbers behind a reason --------------------------------------------------------------


def _numbers(snapshot: Snapshot, place: Ready, reason: str, now: int) -> dict[str, int]:
    pool, ledger = snapshot.pool, snapshot.ledger
    queue = pool.queue(place.queue)
    holders = _holders(snapshot, place, reason)
    match reason:
        case "not_due" | "retry_backoff":
            return {"seconds until due": max(0, -((now - place.due) // 1000))}
        case "queue_limit" | "queue_limit_zero":
            limit = queue.limit if queue and queue.limit is not None else 0
            return {"queue limit": limit, "slots held in queue": len(holders)}
        case "pool_limit" | "pool_full" | "pool_limit_zero":
            return {"pool limit": pool.slots, "slots held in pool": len(ledger.holders)}
        case "key_limit":
            limits = [x for x in (pool.key_limit, queue.key_limit if queue else None) if x]
            return {"limit per key": min(limits, default=0), "slots held by key": len(holders)}
        case "deployment_limit":
            limit = pool.deployment_limits.get(place.deployment, 0)
            return {"deployment limit": limit, "slots held by deployment": len(holders)}
        case "rate_limit":
            return _rate_numbers(snapshot, place, now)
        case _:
            return {}


def _rate_numbers(snapshot: Snapshot, place: Ready, now: int) -> dict[str, int]:
    queue = snapshot.pool.queue(place.queue)
    scopes = (("", snapshot.pool.rate), (place.queue, queue.rate if queue else None))
    for scope, rate in scopes:
        if rate is not None:
            window = now - rate.period_seconds * 1000
            started = sum(1 for at in snapshot.ledger.starts.get(scope, ()) if at > window)
            if started >= rate.starts:
                return {
                    "starts per period": rate.starts,
                    "period in seconds": rate.period_seconds,
                    "started in it": started,
                }
    return {}


def _holders(snapshot: Snapshot, place: Ready, reason: str) -> tuple[Holder, ...]:
    """Those whose end the run waits for."""
    match reason:
        case "queue_limit":
            chosen = [h for h in snapshot.ledger.holders if h.queue == place.queue]
        case "key_limit":
            key = place.concurrency_key
            chosen = [h for h in snapshot.ledger.holders if h.concurrency_key == key]
        case "deployment_limit":
            chosen = [h for h in snapshot.ledger.holders if h.deployment == place.deployment]
        case "pool_limit" | "pool_full":
            chosen = list(snapshot.ledger.holders)
        case _:
            chosen = []
    return tuple(sorted(chosen, key=lambda holder: holder.since))


def _ahead(snapshot: Snapshot, place: Ready, now: int) -> int:
    """Waiting runs that are served first: in queues before its own, and earlier in its own."""
    held = {holder.slot for holder in snapshot.ledger.holders}
    by, ahead = max(now, place.due), 0
    for queue in snapshot.pool.in_order:
        for ready in snapshot.ready.get(queue.name, ()):
            if ready == place:
                return ahead
            if ready.slot not in held and ready.due <= by:
                ahead += 1
    return ahead


# -- the estimate -----------------------------------------------------------------------------

#: No end of another run will change these: somebody has to do something first.
_UNKNOWN = frozenset({"pool_paused", "queue_paused", "pool_limit_zero", "queue_limit_zero"})


def _estimate(ports: Ports, snapshot: Snapshot, place: Ready, reason: str, now: int) -> int | None:
    if reason in _UNKNOWN:
        return None
    if reason in ("admissible", "handing_over"):
        return now
    typical = _typical_duration(ports, snapshot.pool.name)
    if typical is None:
        return place.due if reason in ("not_due", "retry_backoff") else None
    remaining = {h.slot: max(now + 1, h.since + typical) for h in snapshot.ledger.holders}
    load = [_arrival(r, typical, now) for line in snapshot.ready.values() for r in line]
    for fate in simulate(snapshot.pool, load, ledger=snapshot.ledger, remaining=remaining):
        if fate.arrival.name == place.run:
            return fate.started
    return None


def _typical_duration(ports: Ports, pool: str) -> int | None:
    """The median time for which the pool's last runs held their slots, in milliseconds."""
    taken: list[int] = []
    for run in ports.store.list_runs(pool):
        attempt = run.current
        if run.state.ended and attempt and attempt.ended_at:
            taken.append(attempt.ended_at - attempt.claimed_at)
        if len(taken) >= _HISTORY:
            break
    return int(median(taken)) if taken else None


def _arrival(ready: Ready, duration: int, now: int) -> Arrival:
    return Arrival(
        at=max(ready.due, now),
        queue=ready.queue,
        duration=max(1, duration),
        concurrency_key=ready.concurrency_key,
        deployment=ready.deployment,
        collision=ready.collision,
        expires=ready.expires,
        name=ready.run,
    )


# -- details ----------------------------------------------------------------------------------


def _queue(snapshot: Snapshot, decision: Decision, queue: Queue) -> QueueExplanation:
    line: Sequence[Ready] = snapshot.ready.get(queue.name, ())
    reasons: dict[str, int] = {}
    for wait in decision.wait:
        if wait.ready.queue == queue.name:
            reasons[wait.reason] = reasons.get(wait.reason, 0) + 1
    return QueueExplanation(
        queue=queue,
        held=sum(1 for holder in snapshot.ledger.holders if holder.queue == queue.name),
        waiting=len(line),
        more=len(line) >= DEPTH,
        reasons=reasons,
        oldest_due=min((ready.due for ready in line), default=None),
    )


def _filled_in(remedy: str, run: Run) -> str:
    """The remedy as a command that can be copied."""
    for word, value in (("POOL", run.pool), ("QUEUE", run.queue), ("ID", run.id)):
        remedy = remedy.replace(f" {word}", f" {value}")
    return remedy
