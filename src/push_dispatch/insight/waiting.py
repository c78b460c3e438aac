"""Why do these runs wait? The answer of the same `decide()` that dispatches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from push_dispatch.core.admission import Decision, Snapshot, decide
from push_dispatch.core.model import Ready, Run, RunState
from push_dispatch.ports import Ports

__all__ = ["reasons_of"]

#: Places of each queue that are read beyond the free slots, for those that are held back.
_SLACK = 10
_DEPTH = 1000
#: A limit that the ledger may have reached, or the runs that come first in the same decision.
_FILLED = frozenset({"queue_limit", "pool_limit", "pool_full", "key_limit", "deployment_limit"})


def reasons_of(ports: Ports, pool: str, runs: Sequence[Run]) -> dict[str, str]:
    """The reason of each of these runs of one pool, by uuid; a run that needs none is left out.

    A waiting run's reason is decided now, over one snapshot for all of them; others have their
    own. Reads no more of the line than the free slots can take, however long it is.
    """
    reasons = {run.uuid: run.reason or run.stop for run in runs}
    waiting = [run for run in runs if run.state is RunState.SCHEDULED]
    if waiting:
        reasons |= _decide(ports, pool, waiting)
    return {uuid: reason for uuid, reason in reasons.items() if reason}


def _decide(ports: Ports, name: str, runs: Sequence[Run]) -> dict[str, str]:
    # The ledger first, as a pass of dispatch does.
    ledger, pool = ports.store.ledger(name), ports.store.pool(name)
    if pool is None:
        return {run.uuid: "pool_not_found" for run in runs}
    now = ports.clock()
    depth = min(_DEPTH, max(0, pool.slots - len(ledger.holders)) + _SLACK)
    heads = {q.name: ports.store.line(name, q.name, depth, due=now) for q in pool.queues}
    snapshot = Snapshot(pool, ledger, _with(heads, map(Ready.of, runs)))
    decided = _by_run(decide(snapshot, now))
    return {run.uuid: _reason(snapshot, run, decided.get(run.uuid), now) for run in runs}


def _with(
    lines: Mapping[str, Sequence[Ready]], places: Iterable[Ready]
) -> dict[str, Sequence[Ready]]:
    """The lines with these places where they belong: further behind than what was read, or about
    to be put in line."""
    merged = {name: set(line) for name, line in lines.items()}
    for place in places:
        if place.queue in merged:
            merged[place.queue].add(place)
    return {name: sorted(line, key=lambda r: (r.due, r.order)) for name, line in merged.items()}


def _by_run(decision: Decision) -> dict[str, str]:
    reasons = {wait.ready.run: wait.reason for wait in decision.wait}
    for entries, reason in (
        (decision.admit, "admissible"),
        (decision.resend, "handing_over"),
        (decision.expire, "expired"),
        (decision.collide, "cancelled_by_collision"),
    ):
        reasons |= {entry.run: reason for entry in entries}
    return reasons


def _reason(snapshot: Snapshot, run: Run, decided: str | None, now: int) -> str:
    if decided is None:
        return "queue_not_found"  # Deleted; the run is about to move to the default queue.
    if decided == "not_due" and run.attempt > 0:
        return "retry_backoff"
    if decided in _FILLED:
        # Would it start if it were alone? Then slots are free, and it waits for those before it.
        place = Ready.of(run)
        alone = decide(replace(snapshot, ready={place.queue: [place]}), now)
        return "behind_others" if alone.admit else decided
    return decided
