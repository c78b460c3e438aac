"""Why is this run waiting, and when will it start? `why` with the numbers behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from push_dispatch.core.admission import Snapshot
from push_dispatch.core.ageing import in_turn
from push_dispatch.core.errors import NotFound
from push_dispatch.core.model import (
    Holder,
    Ledger,
    Pool,
    Queue,
    Ready,
    Run,
    RunState,
    Slot,
    parse_run_id,
)
from push_dispatch.core.rates import started_within
from push_dispatch.core.reasons import Kind, Reason, describe
from push_dispatch.core.simulate import simulate
from push_dispatch.core.usage import slot_name
from push_dispatch.engine.snapshot import DEPTH, snapshot_of, with_lines
from push_dispatch.insight.estimate import durations_of, expected_arrivals, expected_ends
from push_dispatch.insight.sharing import (
    SHARING,
    ageing_numbers,
    deadline_numbers,
    sharing_holders,
    sharing_numbers,
)
from push_dispatch.insight.why import reasons_in, settled_reason, why
from push_dispatch.ports import Ports

__all__ = [
    "Explanation",
    "PoolExplanation",
    "QueueExplanation",
    "explain",
    "explain_pool",
]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a run is where it is. Times in epoch milliseconds."""

    run: Run
    #: A token of `push_dispatch.core.reasons`, with its sentence and what to do.
    reason: str
    sentence: str
    remedy: str
    #: The numbers behind the reason, such as {"queue limit": 4, "slots held in queue": 4}.
    numbers: dict[str, int | float] = field(default_factory=dict)
    #: Runs of the pool that are served before this one; None if it does not wait.
    ahead: int | None = None
    #: Who holds the slots that it waits for, longest first.
    holders: tuple[Holder, ...] = ()
    #: When it will start if runs take as long as the pool's last ones did; None if nobody can say.
    estimated_start: int | None = None
    #: When a push that is put off is repeated, or when the pool's next run tries a platform that
    #: has no room.
    next_try_at: int | None = None


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
        raise NotFound(f"there is no run {run_id}", reason=Reason.RUN_NOT_FOUND)
    if run.state is not RunState.SCHEDULED:
        return _settled(run)
    place = Ready.of(run)
    snapshot = snapshot_of(ports, pool_name)
    reason = reasons_in(ports, snapshot, [run])[uuid]
    if snapshot is None or reason == Reason.QUEUE_NOT_FOUND:
        return _settled(run, reason)
    now = ports.clock()
    snapshot = with_lines(ports, snapshot, [place])
    about = describe(reason)
    return Explanation(
        run=run,
        reason=reason,
        sentence=about.sentence,
        remedy=_filled_in(about.remedy, run),
        numbers=_numbers(snapshot, place, reason, now)
        | ageing_numbers(snapshot, place, now)
        | deadline_numbers(place, now),
        ahead=_ahead(snapshot, place, now),
        holders=_holders(snapshot, place, reason, now),
        estimated_start=_estimate(ports, snapshot, place, reason, now),
        next_try_at=_next_try(snapshot, reason),
    )


def explain_pool(ports: Ports, name: str) -> PoolExplanation:
    """Explain a pool. Reads only. Raises NotFound (`pool_not_found`)."""
    snapshot = snapshot_of(ports, name)
    if snapshot is None:
        raise NotFound(f"there is no pool {name!r}", reason=Reason.POOL_NOT_FOUND)
    snapshot = with_lines(ports, snapshot)
    reasons = why(snapshot, ports.clock())
    queues = tuple(_queue(snapshot, reasons, queue) for queue in snapshot.pool.in_order)
    return PoolExplanation(snapshot.pool, snapshot.ledger, queues)


def _settled(run: Run, reason: str = "") -> Explanation:
    reason = reason or settled_reason(run)
    about = describe(reason)
    current = run.current
    waits = current.message if current and not run.state.ended else None
    sentence = f"{about.sentence} It reports: {waits}" if waits else about.sentence
    put_off = current if current and current.next_try_at is not None else None
    return Explanation(
        run,
        reason,
        sentence,
        _filled_in(about.remedy, run),
        numbers={"failed pushes": put_off.tries} if put_off and put_off.tries else {},
        next_try_at=put_off.next_try_at if put_off else None,
    )


# -- the numbers behind a reason --------------------------------------------------------------


def _numbers(snapshot: Snapshot, place: Ready, reason: str, now: int) -> dict[str, int | float]:
    pool, ledger = snapshot.pool, snapshot.ledger
    queue = pool.queue(place.queue)
    holders = _holders(snapshot, place, reason, now)
    match reason:
        case Reason.NOT_DUE | Reason.RETRY_BACKOFF:
            return {"seconds until due": max(0, -((now - place.due) // 1000))}
        case Reason.QUEUE_LIMIT | Reason.QUEUE_LIMIT_ZERO:
            limit = queue.limit if queue and queue.limit is not None else 0
            return {"queue limit": limit, "slots held in queue": len(holders)}
        case Reason.POOL_LIMIT | Reason.POOL_FULL | Reason.POOL_LIMIT_ZERO:
            return {"pool limit": pool.slots, "slots held in pool": len(ledger.holders)}
        case Reason.KEY_LIMIT:
            limits = [x for x in (pool.key_limit, queue.key_limit if queue else None) if x]
            return {"limit per key": min(limits, default=0), "slots held by key": len(holders)}
        case Reason.DEPLOYMENT_LIMIT:
            limit = pool.deployment_limits.get(place.deployment, 0)
            return {"deployment limit": limit, "slots held by deployment": len(holders)}
        case Reason.RATE_LIMIT:
            return _rate_numbers(snapshot, place, now)
        case Reason.PLATFORM_RATE if pool.platform_rate:
            rate = pool.platform_rate
            return {"starts per period": rate.starts, "period in seconds": rate.period_seconds}
        case Reason.NAMED_LIMIT | Reason.NAMED_RATE | Reason.CAPACITY | Reason.CAPACITY_TOO_SMALL:
            return sharing_numbers(snapshot, place, reason, now)
        case Reason.NO_ROOM | Reason.THROTTLED:
            return _refusal_numbers(snapshot, place, now)
        case _:
            return {}


def _refusal_numbers(snapshot: Snapshot, place: Ready, now: int) -> dict[str, int | float]:
    circuit = snapshot.circuit
    numbers: dict[str, int | float] = {
        "refusals in a row": circuit.refusals,
        "slots given back by the run": place.returns,
    }
    if circuit.refusals:
        numbers["seconds until a run tries"] = max(0, -((now - circuit.next_at) // 1000))
    return numbers


def _next_try(snapshot: Snapshot, reason: str) -> int | None:
    refused = reason in (Reason.NO_ROOM, Reason.THROTTLED)
    return snapshot.circuit.next_at if refused and snapshot.circuit.refusals else None


def _rate_numbers(snapshot: Snapshot, place: Ready, now: int) -> dict[str, int | float]:
    queue = snapshot.pool.queue(place.queue)
    scopes = (("", snapshot.pool.rate), (place.queue, queue.rate if queue else None))
    for scope, rate in scopes:
        if rate is not None:
            started = started_within(snapshot.ledger, scope, rate, now)
            if started >= rate.starts:
                return {
                    "starts per period": rate.starts,
                    "period in seconds": rate.period_seconds,
                    "started in it": started,
                }
    return {}


def _holders(snapshot: Snapshot, place: Ready, reason: str, now: int) -> tuple[Holder, ...]:
    """Those whose end the run waits for."""
    match reason:
        case Reason.QUEUE_LIMIT:
            chosen = [h for h in snapshot.ledger.holders if h.queue == place.queue]
        case Reason.KEY_LIMIT:
            key = slot_name(place.concurrency_key)
            chosen = [h for h in snapshot.ledger.holders if slot_name(h.concurrency_key) == key]
        case Reason.DEPLOYMENT_LIMIT:
            name = slot_name(place.deployment)
            chosen = [h for h in snapshot.ledger.holders if slot_name(h.deployment) == name]
        case Reason.POOL_LIMIT | Reason.POOL_FULL:
            chosen = list(snapshot.ledger.holders)
        case _ if reason in SHARING:
            chosen = sharing_holders(snapshot, place, reason, now)
        case _:
            chosen = []
    return tuple(sorted(chosen, key=lambda holder: holder.since))


def _ahead(snapshot: Snapshot, place: Ready, now: int) -> int:
    """Waiting runs that are served first."""
    held = {holder.slot for holder in snapshot.ledger.holders}
    by, ahead = max(now, place.due), 0
    for _, ready in in_turn(snapshot.pool, snapshot.ready):
        if ready == place:
            return ahead
        if ready is not None and ready.slot not in held and ready.due <= by:
            ahead += 1
    return ahead


# -- the estimate -----------------------------------------------------------------------------

#: No end of another run will change these: somebody has to do something first.
_UNKNOWN = frozenset(
    {
        Reason.CAPACITY_TOO_SMALL,
        Reason.NO_ROOM,
        Reason.POOL_LIMIT_ZERO,
        Reason.POOL_PAUSED,
        Reason.QUEUE_LIMIT_ZERO,
        Reason.QUEUE_PAUSED,
        Reason.THROTTLED,
    }
)


def _estimate(ports: Ports, snapshot: Snapshot, place: Ready, reason: str, now: int) -> int | None:
    if reason in _UNKNOWN:
        return None
    if reason in (Reason.ADMISSIBLE, Reason.HANDING_OVER):
        return now
    durations = durations_of(ports, snapshot.pool.name)
    if durations.pool is None:
        return place.due if reason in (Reason.NOT_DUE, Reason.RETRY_BACKOFF) else None
    ends = expected_ends(snapshot.ledger, durations, now)
    load = expected_arrivals(snapshot, durations, now)
    for fate in simulate(snapshot.pool, load, ledger=snapshot.ledger, remaining=ends):
        if fate.arrival.ready.run == place.run:
            return fate.started
    return None


# -- details ----------------------------------------------------------------------------------


def _queue(snapshot: Snapshot, why_each: Mapping[Slot, str], queue: Queue) -> QueueExplanation:
    line: Sequence[Ready] = snapshot.ready.get(queue.name, ())
    waits = (why_each[ready.slot] for ready in line)
    reasons = Counter(reason for reason in waits if describe(reason).kind is Kind.WAIT)
    return QueueExplanation(
        queue=queue,
        held=sum(1 for holder in snapshot.ledger.holders if holder.queue == queue.name),
        waiting=len(line),
        more=len(line) >= DEPTH,
        reasons=dict(reasons),
        oldest_due=min((ready.due for ready in line), default=None),
    )


def _filled_in(remedy: str, run: Run) -> str:
    """The remedy as a command that can be copied."""
    for word, value in (("POOL", run.pool), ("QUEUE", run.queue), ("ID", run.id)):
        remedy = remedy.replace(f" {word}", f" {value}")
    return remedy
