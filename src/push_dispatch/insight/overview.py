"""How does a pool stand, at a glance? One bounded answer, whatever the pool has been through.

Reads the ledger, the configuration, the head of each line and the last few hundred runs: never
more, and never all runs. The answer fits in `_BYTES`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import quantiles
from typing import Any

from push_dispatch.control.known import pool_named
from push_dispatch.core.admission import Snapshot
from push_dispatch.core.ageing import in_turn
from push_dispatch.core.model import Ledger, Pool, Queue, Ready, Run, RunState, Slot
from push_dispatch.core.reasons import Kind, Reason, describe
from push_dispatch.core.simulate import Arrival, simulate
from push_dispatch.insight.estimate import durations_from, expected_ends
from push_dispatch.insight.forecast import Span, occupancy_series
from push_dispatch.insight.selection import latest
from push_dispatch.insight.views import iso
from push_dispatch.insight.why import why
from push_dispatch.ports import Ports

__all__ = ["Extent", "overview"]

#: Of the lists together: the rest of an answer takes less than 10 KB.
_BYTES = 38_000
#: Runs that are read for history: as many again of those with an idempotency key.
_RUNS = 300
#: And of those before the line, where it is longer than that.
_BEFORE = 150
#: Places of each queue that are read and counted, and of all that are played for estimates.
_LINE, _PLAYED = 1000, 300
#: Upper bounds of the histogram, in seconds.
_BOUNDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Extent:
    """How many of each are listed, and how far back the history goes."""

    holders: int = 150
    waiting: int = 50
    recent: int = 60
    minutes: int = 60


@dataclass(frozen=True, slots=True)
class _Facts:
    pool: Pool
    ledger: Ledger
    lines: Mapping[str, Sequence[Ready]]
    reasons: Mapping[Slot, str]
    runs: Sequence[Run]
    #: Whether these are all runs that there are.
    complete: bool
    #: Those of them, and of others, that hold slots.
    held: Mapping[str, Run]
    now: int


def overview(ports: Ports, name: str, extent: Extent) -> dict[str, Any]:
    """Return the pool at a glance. Raises NotFound (`pool_not_found`)."""
    facts = _read(ports, name, extent)
    pool, ledger = facts.pool, facts.ledger
    queues = [_queue(facts, queue) for queue in pool.in_order]
    return {
        "time": iso(facts.now),
        "name": pool.name,
        "type": pool.type,
        "limit": pool.limit,
        "slots": pool.slots,
        "slots_used": len(ledger.holders),
        "paused": pool.paused,
        "version": pool.version,
        "queues": queues,
        "waiting_total": sum(queue["waiting"] for queue in queues),
        "waiting_more": any(queue["waiting_more"] for queue in queues),
        "counts": dict(Counter(run.state.value for run in facts.runs)),
        "complete": facts.complete,
        **_lists(facts, extent),
        "occupancy": _occupancy(facts, extent.minutes),
        "waits": _histogram(facts.runs),
    }


def _read(ports: Ports, name: str, extent: Extent) -> _Facts:
    # The ledger first, as a pass of dispatch does.
    ledger, pool = ports.store.ledger(name), pool_named(ports, name)
    lines = {q.name: ports.store.line(name, q.name, _LINE) for q in pool.queues}
    circuit = ports.store.circuit(name, pool.last_type)
    now = ports.clock()
    runs, complete = latest(ports, name, _RUNS)
    if not complete:
        runs = [*runs, *_before_the_line(ports, name, lines, runs)]
    known = {run.uuid: run for run in runs}
    shown = [h.run for h in ledger.holders[: extent.holders] if h.run not in known]
    known |= ports.store.runs(name, shown) if shown else {}
    reasons = why(Snapshot(pool, ledger, lines, circuit), now)
    return _Facts(pool, ledger, lines, reasons, runs, complete, known, now)


def _before_the_line(
    ports: Ports, name: str, lines: Mapping[str, Sequence[Ready]], known: Sequence[Run]
) -> list[Run]:
    """Read the runs that were submitted before any that waits: a long line hides what has ended."""
    # The ids of other versions do not begin with the time.
    waiting = [each.run for line in lines.values() for each in line if each.run[14:15] == "7"]
    if not waiting:
        return []
    seen = {run.uuid for run in known}
    before = islice(ports.store.list_runs(name, until=min(waiting)), _BEFORE)
    return [run for run in before if run.uuid not in seen]


# -- lists ------------------------------------------------------------------------------------


def _lists(facts: _Facts, extent: Extent) -> dict[str, Any]:
    """Who holds slots, who waits, who has ended: each list gets its share of the bytes."""
    waiting = _in_line(facts)[: extent.waiting]
    starts = _estimates(facts, {ready.run for ready in waiting})
    ended = [run for run in facts.runs if run.ended_at is not None]
    ended.sort(key=lambda run: run.ended_at or 0, reverse=True)
    holders = sorted(facts.ledger.holders, key=lambda h: h.since)[: extent.holders]
    line = _fitting(
        (_waiting(facts, ready, place, starts) for place, ready in enumerate(waiting, 1)),
        _BYTES * 25 // 100,
    )
    recent = _fitting((_recent(run) for run in ended[: extent.recent]), _BYTES * 30 // 100)
    left = _BYTES - _size(line) - _size(recent)
    slots = _fitting((_holder(facts, holder) for holder in holders), left)
    return {"holders": slots, "waiting": line, "recent": recent}


def _size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()) + 1


def _fitting(items: Iterable[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The first items whose JSON has at most so many bytes."""
    kept, size = [], 0
    for item in items:
        size += _size(item)
        if size > most:
            break
        kept.append(item)
    return kept


def _in_line(facts: _Facts) -> list[Ready]:
    """Those who wait and hold no slot, in the order in which the queues are served."""
    held = {holder.slot for holder in facts.ledger.holders}
    turns = in_turn(facts.pool, facts.lines)
    return [ready for _, ready in turns if ready is not None and ready.slot not in held]


def _estimates(facts: _Facts, wanted: Collection[str]) -> dict[str, int]:
    """When each is expected to start if runs take as long as the last ones did."""
    durations = durations_from(facts.runs)
    if not wanted or durations.pool is None:
        return {}  # Nothing is known: a guess would look like knowledge.
    arrivals = [
        Arrival(max(facts.now, ready.due), durations.of(ready.queue), ready)
        for ready in _in_line(facts)[:_PLAYED]
    ]
    ends = expected_ends(facts.ledger, durations, facts.now)
    starts: dict[str, int] = {}
    for result in simulate(facts.pool, arrivals, ledger=facts.ledger, remaining=ends):
        if result.started is not None and result.arrival.ready.run in wanted:
            starts[result.arrival.ready.run] = result.started
            if len(starts) == len(wanted):
                break
    return starts


def _holder(facts: _Facts, holder: Any) -> dict[str, Any]:
    run = facts.held.get(holder.run)
    current = run.current if run else None
    started = current.started_at if current and current.number == holder.attempt else None
    return {
        "id": f"{facts.pool.name}.{holder.run}",
        "name": run.name if run else None,
        "queue": holder.queue,
        "deployment": (run.deployment if run else holder.deployment) or None,
        "due": iso(run.due) if run else None,
        "since": iso(holder.since),
        "started": iso(started),
        "state": run.state.value if run else RunState.SCHEDULED.value,
    }


def _waiting(facts: _Facts, ready: Ready, place: int, starts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": f"{facts.pool.name}.{ready.run}",
        "queue": ready.queue,
        "deployment": ready.deployment or None,
        "due": iso(ready.due),
        "attempt": ready.attempt,
        "reason": facts.reasons.get(ready.slot, Reason.ADMISSIBLE),
        "place": place,
        "estimated_start": iso(starts.get(ready.run)),
    }


def _recent(run: Run) -> dict[str, Any]:
    last = run.current
    return {
        "id": run.id,
        "name": run.name,
        "queue": run.queue,
        "deployment": run.deployment or None,
        "state": run.state.value,
        "reason": run.reason,
        "due": iso(run.due),
        "admitted": iso(last.claimed_at or None) if last else None,
        "started": iso(last.started_at) if last else None,
        "ended": iso(run.ended_at),
    }


# -- queues and history -----------------------------------------------------------------------


def _queue(facts: _Facts, queue: Queue) -> dict[str, Any]:
    held = {holder.slot for holder in facts.ledger.holders}
    line = [ready for ready in facts.lines[queue.name] if ready.slot not in held]
    reasons = Counter(facts.reasons.get(ready.slot, Reason.ADMISSIBLE) for ready in line)
    return {
        "name": queue.name,
        "priority": queue.priority,
        "limit": queue.limit,
        "slots_used": sum(1 for holder in facts.ledger.holders if holder.queue == queue.name),
        "waiting": len(line),
        "waiting_more": len(facts.lines[queue.name]) >= _LINE,
        "reasons": {r: n for r, n in reasons.items() if describe(r).kind is Kind.WAIT},
        "oldest_due": iso(min((ready.due for ready in line), default=None)),
    }


def _occupancy(facts: _Facts, minutes: int) -> dict[str, Any]:
    """The slots held, as far as the runs that were read and those that hold one now tell."""
    spans = [
        Span(run.queue, attempt.claimed_at, attempt.ended_at)
        for run in facts.runs
        for attempt in run.attempts
        if attempt.ended_at is not None
    ]
    now = facts.now
    spans += [Span(holder.queue, holder.since, now + 1) for holder in facts.ledger.holders]
    return occupancy_series(facts.pool, spans, now - minutes * 60_000, now)


def _histogram(runs: Sequence[Run]) -> dict[str, Any]:
    """How long the runs that were read waited from their time to their first start."""
    waits = sorted(
        max(0, run.attempts[0].started_at - run.due) / 1000
        for run in runs
        if run.attempts and run.attempts[0].started_at is not None
    )
    counts = [0] * (len(_BOUNDS) + 1)
    for wait in waits:
        counts[sum(1 for bound in _BOUNDS if wait > bound)] += 1
    cuts = quantiles(waits, n=20, method="inclusive") if len(waits) > 1 else waits * 19
    return {
        "bounds": list(_BOUNDS),
        "counts": counts,
        "p50": cuts[9] if cuts else None,
        "p95": cuts[18] if cuts else None,
    }
