"""What will happen to a pool, as it is or as it might be? The decision that dispatches, played on
over what waits and what is scheduled."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from push_dispatch.core.model import Ledger, Pool, Slot
from push_dispatch.core.simulate import Arrival, Simulated, simulate, summarize
from push_dispatch.insight import load as loads
from push_dispatch.insight.views import iso
from push_dispatch.ports import Ports

__all__ = ["Span", "forecast", "occupancy_series", "what_if"]

#: Values of a series, and starts that are listed.
_POINTS = 60
_STARTS = 100


@dataclass(frozen=True, slots=True)
class Span:
    """For how long a queue's slot was held, or will be. Epoch milliseconds."""

    queue: str
    start: int
    end: int


def what_if(
    ports: Ports,
    name: str,
    change: Callable[[Pool], Pool],
    hours: float,
    load: Sequence[Arrival] | None = None,
) -> dict[str, Any]:
    """Play the next hours of a pool as it is and as `change` makes it. Changes nothing.

    Raises NotFound (`pool_not_found`) and what `change` raises.
    """
    now = ports.clock()
    until = now + int(hours * 3_600_000)
    known = loads.forecast(ports, name, until)
    changed = change(known.pool)
    coming = known.arrivals if load is None else load
    return {
        "hours": hours,
        "now": forecast(known.pool, known.ledger, coming, known.ends, now=now, until=until),
        "changed": forecast(changed, known.ledger, coming, known.ends, now=now, until=until),
    }


def forecast(
    pool: Pool,
    ledger: Ledger,
    coming: Sequence[Arrival],
    ends: Mapping[Slot, int],
    *,
    now: int,
    until: int,
) -> dict[str, Any]:
    """Play what is coming until then: a report for each queue, the slots held, the starts."""
    results = list(simulate(pool, coming, ledger=ledger, remaining=ends))
    played = {id(result.arrival) for result in results}
    # A pool that is paused, or has a limit of 0, never gets to them.
    results += [Simulated(each, None, None) for each in coming if id(each) not in played]
    spans = [Span(h.queue, h.since, ends.get(h.slot, until)) for h in ledger.holders]
    spans += [
        Span(r.arrival.queue, r.started, r.ended or until)
        for r in results
        if r.started is not None and r.started <= until
    ]
    return {
        "reports": [asdict(report) for report in summarize(_within(results, until))],
        "occupancy": occupancy_series(pool, spans, now, until),
        "starts": _starts(pool.name, results, until),
    }


def occupancy_series(pool: Pool, spans: Iterable[Span], start: int, end: int) -> dict[str, Any]:
    """Return the slots that each queue holds at regular times from `start` to `end`."""
    step = max(1.0, (end - start) / (_POINTS - 1))
    at = [start + n * step for n in range(_POINTS)]
    levels = {queue.name: [0] * (_POINTS + 1) for queue in pool.in_order}
    for span in spans:
        changes = levels.setdefault(span.queue, [0] * (_POINTS + 1))
        first, last = _index(at, span.start), _index(at, span.end)
        if first < last:
            changes[first] += 1
            changes[last] -= 1
    queues = {}
    for name, changes in levels.items():
        held, line = 0, []
        for delta in changes[:_POINTS]:
            held += delta
            line.append(held)
        queues[name] = line
    return {"start": iso(start), "step_seconds": step / 1000, "limit": pool.limit, "queues": queues}


def _index(at: Sequence[float], moment: int) -> int:
    """Which of the regular times is the first that is not before the moment."""
    return bisect_right(at, moment - 0.5)


def _within(results: Sequence[Simulated], until: int) -> list[Simulated]:
    """The results as they stand then: what starts later has not started."""
    return [
        r if r.started is None or r.started <= until else Simulated(r.arrival, None, None)
        for r in results
    ]


def _starts(pool: str, results: Sequence[Simulated], until: int) -> list[dict[str, Any]]:
    named = [r for r in results if r.arrival.ready.run]
    named.sort(key=lambda r: (r.started is None, r.started or r.arrival.at))
    return [
        {
            "id": f"{pool}.{r.arrival.ready.run}",
            "queue": r.arrival.queue,
            "start": iso(r.started) if r.started is not None and r.started <= until else None,
        }
        for r in named[:_STARTS]
    ]
